import { Agent } from 'undici';
import { expect, onTestFinished, test, vi } from 'vitest';

import type { KeyVerifierOptions } from 'keyverify';

import { GOOD, OTHER, brief, rig } from '../helpers/rig.js';

/** What callers pass in may break its types: JavaScript does not check them. */
function untyped(value: unknown): never {
  return value as never;
}

const oddError = Object.assign(new Error('odd'), { message: { not: 'a string' } });
const hostileError = Object.defineProperty(new Error('hostile'), 'message', {
  get(): string {
    throw new Error('cannot be read');
  },
});

function sending(response: unknown): KeyVerifierOptions {
  return { transport: { send: () => ({ response: untyped(response), abort: () => undefined }) } };
}

function throwing(): never {
  throw new TypeError('x is not a function');
}

test.each<[string, () => KeyVerifierOptions]>([
  ['a transport that resolves with nothing', () => sending(Promise.resolve())],
  ['a transport that resolves with null', () => sending(Promise.resolve(null))],
  ['a transport that rejects with nothing', () => sending(vi.fn().mockRejectedValue(undefined)())],
  ['a transport that rejects with an error of its own', () => sending(Promise.reject(new ReferenceError('x')))],
  ['a transport that rejects with an error whose message is no text', () => sending(Promise.reject(oddError))],
  ['a transport that throws', () => ({ transport: { send: throwing } })],
  ['a protocol that throws', () => ({ protocol: { encode: throwing, decode: throwing } })],
  ['a fetch with a mistake in it', () => ({ fetch: throwing })],
  [
    'a fetch that rejects with an error that cannot be read',
    () => ({ fetch: vi.fn().mockRejectedValue(hostileError) }),
  ],
  [
    'a token function that throws an error whose message is no text',
    () => ({ serviceToken: vi.fn().mockRejectedValue(oddError) }),
  ],
])('%s denies: nothing throws, nothing is left unhandled, no slot is lost', async (_, broken) => {
  const unhandled: unknown[] = [];
  const note = (reason: unknown): number => unhandled.push(reason);
  process.on('unhandledRejection', note);
  onTestFinished(() => void process.off('unhandledRejection', note));
  const { build } = await rig();
  const verifier = build({ ...broken(), maxConcurrency: 1, retries: 0, failOpen: true });
  expect(brief(await verifier.verify(GOOD))).toBe('closed misconfigured');
  expect(verifier.stats().active).toBe(0);
  expect(brief(await verifier.verify(OTHER))).toBe('closed misconfigured');
  await verifier.close();
  await new Promise((resolve) => setImmediate(resolve));
  expect(unhandled).toEqual([]);
});

test('a schema that returns a promise of another library is waited for, not taken for a yes', async () => {
  const { build } = await rig();
  const validate = (): never =>
    untyped({ then: (tell: (checked: unknown) => void) => tell({ issues: [{ message: '' }] }) });
  const verifier = build({ retries: 0, claims: { '~standard': { version: 1, vendor: 'test', validate } } });
  expect(brief(await verifier.verify(GOOD))).toBe('closed misconfigured');
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
