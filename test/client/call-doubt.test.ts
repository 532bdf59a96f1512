import { describe, expect, test } from 'vitest';

import { AmbiguousRejections } from '../../src/client/ambiguity.js';
import { defaultProtocol } from '../../src/protocol/default.js';
import type { WireProtocol } from '../../src/protocol/protocol.js';
import { startCall, type CallSetup } from '../helpers/call.js';
import { loaderOf } from '../helpers/loader.js';
import { GOOD_BODY, response } from '../helpers/responses.js';

const GOOD = response(200, GOOD_BODY);
const DOUBTED = {
  kind: 'misconfigured',
  message: expect.stringContaining('to keys that were good: check serviceToken and verifyUrl') as string,
  ambiguous: true,
};

/** A key server that rejects a key by a bare 401 or 404. */
const protocol: WireProtocol = {
  ...defaultProtocol,
  decode(reply, context) {
    if (reply.status !== 401 && reply.status !== 404) return defaultProtocol.decode(reply, context);
    return { kind: 'rejected', reason: reply.header('reason') ?? 'unknown_key', ambiguous: true };
  },
};

function ask(setup: CallSetup, wasGood = true, ambiguity?: AmbiguousRejections) {
  return startCall({ protocol, retries: 0, ...setup, context: { wasGood, ambiguity } });
}

/** Doubts that earlier calls have left. */
function doubts(): AmbiguousRejections {
  const ambiguity = new AmbiguousRejections();
  for (const mono of [0, 1, 2]) ambiguity.isBelieved(true, mono);
  return ambiguity;
}

describe('an ambiguous rejection', () => {
  test.each([
    ['of a good key', true],
    ['of a key that was never good', false],
  ])('is believed where there is no doubt: %s', async (_, wasGood) => {
    const { end } = ask({ replies: [response(404)] }, wasGood, new AmbiguousRejections());
    expect(await end()).toMatchObject({ result: { status: 'rejected', reason: 'unknown_key' } });
  });

  test.each([401, 404])('is believed where they are not counted: %i', async (status) => {
    const { end, requests } = startCall({ protocol, source: () => 'token', replies: [response(status)] });
    expect(await end()).toMatchObject({ result: { reason: 'unknown_key' } });
    expect(requests).toHaveLength(1);
  });

  test.each([
    [401, true],
    [404, false],
  ])('is our own mistake where several good keys were rejected: %i', async (status, wasGood) => {
    const failure = await ask({ replies: [response(status)] }, wasGood, doubts()).end();
    expect(failure).toMatchObject({ ...DOUBTED, status });
  });

  test('is believed if it is a rate limit of the key', async () => {
    const reply = response(404, '', { reason: 'rate_limited' });
    expect(await ask({ replies: [reply] }, true, doubts()).end()).toMatchObject({ result: { reason: 'rate_limited' } });
  });

  test.each([
    ['the key was good', 401, true, 2],
    ['the key was never good', 401, false, 1],
    ['the status says nothing of a token', 404, true, 1],
  ])('by 401 fetches another token first, where %s', async (_reason, status, wasGood, requests) => {
    let calls = 0;
    const source = () => `token-${++calls}`;
    const call = ask({ source, replies: [response(status), GOOD] }, wasGood, new AmbiguousRejections());
    await call.end();
    expect([call.requests.length, calls]).toEqual([requests, requests]);
  });

  test('is believed if another token gets it, too', async () => {
    const call = ask(
      { source: () => 'token', replies: [response(401), response(401)] },
      true,
      new AmbiguousRejections(),
    );
    expect(await call.end()).toMatchObject({ result: { status: 'rejected' } });
    expect(call.requests).toHaveLength(2);
  });
});

test('the cached verdict says whether a key was good', async () => {
  const { load, transport, requests } = loaderOf({ protocol, serviceToken: () => 'token' });
  transport.script = () => GOOD;
  await load('sk-good');
  transport.script = () => response(401);
  for (const key of ['sk-good', 'sk-unknown']) await load(key);
  // Only a rejection of a key that was good makes us fetch another token and ask again.
  expect(requests.map(({ key }) => key)).toEqual(['sk-good', 'sk-good', 'sk-good', 'sk-unknown']);
});

describe('a certain verdict', () => {
  test.each([
    ['verified', GOOD],
    ['rejected', response(200, { valid: false, reason: 'revoked' })],
  ])('ends the doubt: %s', async (_, reply) => {
    const ambiguity = doubts();
    await ask({ replies: [reply] }, true, ambiguity).end();
    expect(ambiguity.isBelieved(true, 3)).toBe(true);
  });
});
