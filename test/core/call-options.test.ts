import { describe, expect, it } from 'vitest';

import { KeyVerifier, type AnyVerifyOptions } from 'keyverify';
import { startKeyServer, stubVerifier } from 'keyverify/testing';

const keys = { 'sk-1': { client: 'acme', tenant: 'cust-A' } };

const WRONG: readonly (readonly [string, unknown, string])[] = [
  ['no object', null, 'options: expected an object, got null'],
  ['text', 'fresh', 'options: expected an object, got a string of 5 characters'],
  ['a misspelled name', { maxAgeMS: 0 }, 'maxAgeMS: there is no such option, did you mean maxAgeMs?'],
  ['an age as text', { maxAgeMs: '0' }, 'maxAgeMs: expected a number of milliseconds, 0 or more, got "0"'],
  ['an age below 0', { maxAgeMs: -1 }, 'maxAgeMs: expected a number of milliseconds, 0 or more, got -1'],
  ['an age that is none', { maxAgeMs: Number.NaN }, 'maxAgeMs: expected a number of milliseconds'],
  ['failOpen as text', { failOpen: 'false' }, 'failOpen: expected true or false, got "false"'],
  ['null for failOpen', { failOpen: null }, 'failOpen: expected true or false, got null'],
  ['null for a signal', { signal: null }, 'signal: expected an AbortSignal, got null'],
  ['a controller for its signal', { signal: new AbortController() }, 'signal: expected an AbortSignal, got an object'],
  [
    'a signal of another library',
    { signal: { aborted: false, addEventListener: () => undefined } },
    'signal: expected an AbortSignal, got an object',
  ],
  ['text for a signal', { signal: 'x' }, 'signal: expected an AbortSignal'],
  ['a context for its waitUntil', { waitUntil: { waitUntil: () => undefined } }, 'waitUntil: expected a function'],
  [
    'two mistakes',
    { failOpn: true, maxAgeMs: null },
    'maxAgeMs: expected a number of milliseconds, 0 or more, got null; failOpn:',
  ],
];

describe('wrong options of a call', () => {
  it.each(WRONG)('deny even a cached key: %s', async (_, options, said) => {
    await using keyServer = await startKeyServer({ keys });
    const lines: string[] = [];
    await using verifier = new KeyVerifier({
      verifyUrl: keyServer.verifyUrl,
      serviceToken: 'service-token',
      logger: { warn: (line) => lines.push(line) },
    });
    await verifier.verify('sk-1');
    for (const asked of [verifier, stubVerifier({ keys })]) {
      const result = await asked.verify('sk-1', options as AnyVerifyOptions);
      expect(result).toMatchObject({ status: 'failed-closed', failure: { kind: 'misconfigured', isOutage: false } });
      expect(String('failure' in result && result.failure.message)).toContain(`invalid call options: ${said}`);
      expect(asked.verifyCached('sk-1', options as AnyVerifyOptions)).toBeUndefined();
      expect(asked.stats().results['fail-closed']).toBe(1);
    }
    expect(lines).toEqual([expect.stringContaining(said)]);
    expect(keyServer.asked('sk-1')).toBe(1);
  });

  it('are none where an option is undefined, or the signal is that of another realm', async () => {
    const { signal } = new AbortController();
    const own = {
      aborted: false,
      addEventListener: signal.addEventListener.bind(signal),
      throwIfAborted: () => undefined,
    };
    for (const options of [{}, { maxAgeMs: undefined, signal: undefined, failOpen: undefined }, { signal: own }])
      expect(await stubVerifier({ keys }).verify('sk-1', options as AnyVerifyOptions)).toMatchObject({ valid: true });
  });
});
