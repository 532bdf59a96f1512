import { Agent } from 'undici';
import { expect, onTestFinished, test, vi } from 'vitest';

import type { KeyVerifierOptions } from 'keyverify';

import { GOOD, OTHER, brief, rig } from '../helpers/rig.js';

/** What callers hand in may break its types: JavaScript does not hold them to it. */
function untyped(value: unknown): never {
  return value as never;
}

const oddError = Object.assign(new Error('odd'), { message: { not: 'a string' } });
const hostileError = Object.defineProperty(new Error('hostile'), 'message', {
  get(): string {
    throw new Error('can not be read');
  },
});

function sending(response: unknown): KeyVerifierOptions {
  return { transport: { send: () => ({ response: untyped(response), abort: () => undefined }) } };
}

test.each<[string, () => KeyVerifierOptions]>([
  ['a transport that resolves with nothing', () => sending(Promise.resolve())],
  ['a transport that resolves with null', () => sending(Promise.resolve(null))],
  [
    'a fetch that rejects with an error that can not be read',
    () => ({ fetch: vi.fn().mockRejectedValue(hostileError) }),
  ],
  [
    'a token function that throws an error whose message is no text',
    () => ({ serviceToken: vi.fn().mockRejectedValue(oddError) }),
  ],
])('%s is a failure like any other: nothing throws, nothing is left unhandled, no slot is lost', async (_, broken) => {
  const unhandled: unknown[] = [];
  const note = (reason: unknown): number => unhandled.push(reason);
  process.on('unhandledRejection', note);
  onTestFinished(() => void process.off('unhandledRejection', note));
  const { build } = await rig();
  const verifier = build({ ...broken(), maxConcurrency: 1, retries: 0, failOpen: true });
  expect(brief(await verifier.verify(GOOD))).toBe('closed misconfigured');
  expect(verifier.stats().asking).toBe(0);
  expect(brief(await verifier.verify(OTHER))).toBe('closed misconfigured');
  await verifier.close();
  await new Promise((resolve) => setImmediate(resolve));
  expect(unhandled).toEqual([]);
});

test('a transport that rejects with an error whose message is no text is a lost connection like any other', async () => {
  const { build } = await rig();
  const verifier = build({ ...sending(Promise.reject(oddError)), retries: 0 });
  expect(brief(await verifier.verify(GOOD))).toBe('closed unreachable');
  expect(verifier.stats().asking).toBe(0);
});

test('a schema that answers by a promise of another making is waited for, not taken for a yes', async () => {
  const { build } = await rig();
  const validate = (): never =>
    untyped({ then: (tell: (checked: unknown) => void) => tell({ issues: [{ message: '' }] }) });
  const verifier = build({ retries: 0, claims: { '~standard': { version: 1, vendor: 'test', validate } } });
  expect(brief(await verifier.verify(GOOD))).toBe('closed invalid_response');
});

test('a dispatcher that is closed, or too old, is no outage', async () => {
  const { build } = await rig();
  const closed = new Agent();
  await closed.close();
  // As undici 6 does, which wants a handler of another shape.
  const old = {
    dispatch(): never {
      throw Object.assign(new Error('invalid onConnect method'), { code: 'UND_ERR_INVALID_ARG' });
    },
  };
  for (const dispatcher of [closed, old])
    expect(brief(await build({ dispatcher, failOpen: true, retries: 0 }).verify(GOOD))).toBe('closed misconfigured');
});
