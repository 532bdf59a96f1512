import { describe, expect, test, vi } from 'vitest';

import { defaultProtocol } from '../../src/protocol/default.js';
import { TransportError, type WireRequest, type WireResponse } from '../../src/transport/transport.js';
import { KEY, startCall, TOKEN, type CallSetup } from '../helpers/call.js';
import { GOOD_BODY, response } from '../helpers/responses.js';

const GOOD = response(200, GOOD_BODY);
const UNUSABLE = 'keyverify: transport, fetch, protocol or serviceToken gave neither response nor error';
const never = new Promise<never>(() => undefined);

/** The default protocol needs no promise. */
function asRequest(request: WireRequest | Promise<WireRequest>): WireRequest {
  if (request instanceof Promise) throw new Error('it takes its time');
  return request;
}

describe('what a transport rejects with', () => {
  test.each(['unreachable', 'misconfigured', 'invalid_response', 'overloaded'] as const)(
    'is classified by the transport itself: %s',
    async (kind) => {
      const { end } = startCall({ retries: 0, replies: [new TransportError(kind, 'it says so')] });
      const cause = expect.objectContaining({ name: 'TransportError', message: 'it says so' }) as Error;
      expect(await end()).toEqual({ kind, message: 'it says so', cause });
    },
  );

  test('keeps its cause and whether there was a connection, and tells no secret', async () => {
    const cause = Object.assign(new Error(`no route for ${KEY}`), { code: 'ENOTFOUND' });
    const error = new TransportError('unreachable', `cannot send ${TOKEN}`, { cause, unconnected: true });
    const failure = await startCall({ retries: 0, replies: [error] }).end();
    expect(failure).toMatchObject({ kind: 'unreachable', message: 'cannot send [redacted]', unconnected: true });
    expect(failure).toMatchObject({ cause: { message: 'no route for [redacted]', code: 'ENOTFOUND' } });
  });

  test('may be an error of another copy of this library', async () => {
    const foreign = Object.assign(new Error('reset'), {
      [Symbol.for('keyverify.transport-error')]: true,
      kind: 'unreachable',
      unconnected: false,
    });
    expect(await startCall({ retries: 0, replies: [foreign] }).end()).toMatchObject({ kind: 'unreachable' });
  });

  test('counts as a mistake in the transport if it is anything else, and opens nothing', async () => {
    const reset = Object.assign(new TypeError(`reset while asking about ${KEY}`), { code: 'ECONNRESET' });
    const { end, call, told } = startCall({ replies: [reset] });
    expect(await end()).toMatchObject({
      kind: 'misconfigured',
      message: UNUSABLE,
      cause: { message: 'reset while asking about [redacted]', code: 'ECONNRESET' },
    });
    expect([call.attempts, told.suspects]).toEqual([1, 0]);
  });

  test('counts as a mistake, too, if the transport throws', async () => {
    const { transport, end } = startCall({ source: async () => await Promise.resolve(TOKEN), retries: 0 });
    vi.spyOn(transport, 'send').mockImplementation(({ headers }) => {
      throw new ReferenceError(`no ${String(headers['x-service-token'])}`);
    });
    expect(await end()).toMatchObject({
      kind: 'misconfigured',
      message: UNUSABLE,
      cause: { message: 'no [redacted]' },
    });
  });

  test.each([undefined, null, 'text'])('counts as a mistake, too, if it resolves to %j', async (nothing) => {
    const { answer, end } = startCall();
    await answer(0, nothing as unknown as WireResponse);
    expect(await end()).toEqual({ kind: 'misconfigured', message: UNUSABLE, cause: undefined });
  });
});

describe('a protocol', () => {
  test('may take its time to encode', async () => {
    const encode = vi.fn<typeof defaultProtocol.encode>(async (question) => {
      return await Promise.resolve(defaultProtocol.encode(question));
    });
    const { end, requests } = startCall({ protocol: { ...defaultProtocol, encode }, scope: 'cust-A', replies: [GOOD] });
    expect(await end()).toHaveProperty('result');
    expect(encode).toHaveBeenCalledWith({ url: 'http://admin.test/verify', key: KEY, scope: 'cust-A', token: TOKEN });
    expect(requests).toHaveLength(1);
  });

  test('is told the secrets and the time of the question', async () => {
    const decode = vi.fn<typeof defaultProtocol.decode>((answer, context) => defaultProtocol.decode(answer, context));
    const { end, startedAt } = startCall({ protocol: { ...defaultProtocol, decode }, replies: [GOOD] });
    await end();
    expect(decode).toHaveBeenCalledWith(GOOD, { secrets: [KEY, TOKEN], askedAt: startedAt.wall });
  });

  const broken = () => {
    throw new Error(`broken by ${KEY}`);
  };
  const cause = expect.objectContaining({ message: 'broken by [redacted]' }) as Error;

  test('that throws from encode sends nothing, and opens nothing', async () => {
    const { end, told, requests } = startCall({ protocol: { ...defaultProtocol, encode: broken }, replies: [GOOD] });
    const message = 'keyverify: the protocol could not make a request';
    expect(await end()).toEqual({ kind: 'misconfigured', message, cause });
    expect([told.suspects, requests.length]).toEqual([0, 0]);
  });

  test('that takes too long to encode sends nothing, and opens nothing', async () => {
    const encode = async () => await new Promise<never>(() => undefined);
    const { end, told } = startCall({ protocol: { ...defaultProtocol, encode } });
    const message = 'keyverify: the protocol took too long';
    expect(await end()).toEqual({ kind: 'misconfigured', message, cause: undefined });
    expect(told.suspects).toBe(0);
  });

  test('that encodes to nothing gives no verdict, and opens nothing', async () => {
    const { end, told } = startCall({ protocol: { ...defaultProtocol, encode: () => undefined as never } });
    expect(await end()).toEqual({ kind: 'misconfigured', message: UNUSABLE, cause: undefined });
    expect(told.suspects).toBe(0);
  });

  test('that throws from decode gives no verdict, and opens nothing', async () => {
    const { end, told } = startCall({ protocol: { ...defaultProtocol, decode: broken }, replies: [GOOD], retries: 0 });
    const message = 'keyverify: the key server answered with something the protocol could not read';
    expect(await end()).toEqual({ kind: 'invalid_response', message, cause });
    expect(told.suspects).toBe(0);
  });

  test('may name more secrets', async () => {
    const encode: typeof defaultProtocol.encode = (question) => ({
      ...asRequest(defaultProtocol.encode(question)),
      secrets: ['signature-0123456789'],
    });
    const replies = [new TransportError('unreachable', 'cannot send signature-0123456789')];
    const { end } = startCall({ protocol: { ...defaultProtocol, encode }, retries: 0, replies });
    expect(await end()).toMatchObject({ message: 'cannot send [redacted]' });
  });
});

describe('the service token', () => {
  const counted = () => {
    let calls = 0;
    return () => `token-${++calls}`;
  };

  test('is fetched when it is needed, which does not make the verdict older', async () => {
    let give: (token: string) => void = () => undefined;
    const source = async () => await new Promise<string>((resolve) => (give = resolve));
    const { end, clock, told, startedAt } = startCall({ source, replies: [GOOD] });
    await clock.advance(300);
    expect(told.sent).toEqual([]);
    give('t-1');
    const askedAt = { wall: startedAt.wall + 300, mono: startedAt.mono + 300 };
    expect(await end()).toMatchObject({ askedAt, result: { verifiedAt: askedAt.wall } });
    expect(told.sent).toEqual([askedAt]);
  });

  test('is renewed once it is refused, as a part of the same attempt', async () => {
    const { end, requests, call } = startCall({ source: counted(), retries: 0, replies: [response(401), GOOD] });
    expect(await end()).toHaveProperty('result');
    expect(requests.map(({ wire }) => wire.headers['x-service-token'])).toEqual(['token-1', 'token-2']);
    expect(call.attempts).toBe(2);
  });

  test('is renewed whenever the protocol says that it was refused', async () => {
    const protocol: CallSetup['protocol'] = {
      ...defaultProtocol,
      decode: (answer, context) =>
        answer.status === 418
          ? { failure: { kind: 'misconfigured', message: 'refused', tokenRefused: true } }
          : defaultProtocol.decode(answer, context),
    };
    const { end, call } = startCall({ source: counted(), protocol, replies: [response(418), GOOD] });
    expect(await end()).toHaveProperty('result');
    expect(call.attempts).toBe(2);
  });

  test('is renewed only once in a call, retries included', async () => {
    const replies = [response(401), response(503), response(401), GOOD];
    const { end, call } = startCall({ source: counted(), retries: 5, replies });
    expect(await end()).toMatchObject({ kind: 'misconfigured', tokenRefused: true });
    expect(call.attempts).toBe(3);
  });

  test.each<[string, CallSetup]>([
    ['for any other refusal', { source: counted(), replies: [response(403), GOOD] }],
    ['where it is given as a string', { replies: [response(401), GOOD] }],
  ])('is not renewed %s', async (_, setup) => {
    const { end, call } = startCall(setup);
    expect(await end()).toMatchObject({ kind: 'misconfigured' });
    expect(call.attempts).toBe(1);
  });

  test('that cannot be had denies, and tells no key', async () => {
    const source = async () => await Promise.reject<string>(new Error(`vault says no to ${KEY}`));
    const { end, call, requests } = startCall({ source });
    const failure = await end();
    expect(failure).toMatchObject({ kind: 'misconfigured', message: 'keyverify: serviceToken() failed' });
    expect(failure).toMatchObject({ cause: { message: 'vault says no to [redacted]' } });
    expect([call.attempts, requests.length]).toEqual([0, 0]);
  });

  test('that does not come in time denies, and is asked for anew', async () => {
    let calls = 0;
    const source = async () => (++calls === 1 ? await never : await Promise.resolve('t-2'));
    const { end, token, landed, told } = startCall({ source });
    const message = 'keyverify: serviceToken() took too long';
    expect(await end()).toEqual({ kind: 'misconfigured', message, cause: undefined });
    // The other half of the time is a retry's, which this failure doesn't get.
    expect(landed.afterMs).toBe(1_000);
    expect(told).toEqual({ sent: [], suspects: 0 });
    expect(await token.fetch(true)).toBe('t-2');
  });

  test('whose renewal does not come in time is no sign of an outage, and the old one stays in use', async () => {
    let calls = 0;
    const source = async () => (++calls === 1 ? await Promise.resolve('t-1') : await never);
    const { end, token, told } = startCall({ source, replies: [response(401)] });
    const message = 'keyverify: serviceToken() took too long';
    expect(await end()).toMatchObject({ kind: 'misconfigured', message });
    expect([token.current, told.suspects]).toEqual(['t-1', 0]);
  });

  test.each<[string, WireResponse, boolean]>([
    ['may be renewed a second later if it helped', GOOD, true],
    ['may not if it did not, while others are answered', response(401), false],
  ])('that was renewed %s', async (_, reply, expected) => {
    const { end, token, startedAt } = startCall({ source: counted(), replies: [response(401), reply] });
    await end();
    token.accept('token-2', false);
    expect(token.renew('token-2', startedAt.mono + 1_000, true) !== undefined).toBe(expected);
  });

  test.each([
    [true, 1],
    [false, 2],
  ])('is shared with another call where promises can be: %s', async (shares, expected) => {
    const source = vi.fn(async () => await new Promise<string>((resolve) => setImmediate(resolve, 't-1')));
    const { token, end } = startCall({ source, shares, replies: [GOOD] });
    const other = token.fetch(shares);
    expect(await end()).toHaveProperty('result');
    await other;
    expect(source).toHaveBeenCalledTimes(expected);
  });
});

describe('claims', () => {
  const reading = (readClaims: CallSetup['readClaims'], retries = 0) =>
    startCall({
      ...(readClaims && { readClaims }),
      retries,
      replies: [response(200, { ...GOOD_BODY, plan: 'pro' }), GOOD],
    });

  test.each<[string, CallSetup['readClaims']]>([
    ['now', ({ plan }) => ({ claims: { plan: String(plan).toUpperCase() } })],
    ['later', async ({ plan }) => await Promise.resolve({ claims: { plan: String(plan).toUpperCase() } })],
  ])('are what the schema makes of them, %s', async (_, readClaims) => {
    expect(await reading(readClaims).end()).toMatchObject({ result: { claims: { plan: 'PRO' } } });
  });

  test('that do not fit the schema are no verdict', async () => {
    const message = 'keyverify: the verdict does not fit the schema in claims: plan, seats';
    expect(await reading(() => ({ wrong: 'plan, seats' })).end()).toEqual({
      kind: 'misconfigured',
      message,
      cause: undefined,
    });
  });

  test('whose schema does not finish are no verdict, and no sign of an outage', async () => {
    const { end, landed, told, clock } = reading(async () => await never);
    const message = 'keyverify: the schema in claims took too long';
    expect(await end()).toEqual({ kind: 'misconfigured', message, cause: undefined });
    expect([landed.afterMs, told.suspects, clock.pending]).toEqual([2_000, 0, 0]);
  });

  test.each<[string, CallSetup['readClaims']]>([
    [
      'throws',
      () => {
        throw new Error(`odd: ${KEY}`);
      },
    ],
    ['rejects', async () => await Promise.reject(new Error(`odd: ${KEY}`))],
  ])('whose schema %s are no verdict, and tell no key', async (_, readClaims) => {
    const failure = await reading(readClaims).end();
    expect(failure).toMatchObject({ kind: 'misconfigured', message: 'keyverify: the schema in claims failed' });
    expect(failure).toMatchObject({ cause: { message: 'odd: [redacted]' } });
  });

  test('of a rejected key are not read', async () => {
    const readClaims = () => ({ wrong: 'all of it' });
    const { end } = startCall({ readClaims, replies: [response(200, { valid: false, reason: 'revoked' })] });
    expect(await end()).toMatchObject({ result: { valid: false, reason: 'revoked' } });
  });
});

describe('a key that expires while its answer is in flight', () => {
  test.each([
    ['has ended', 'by the monotonic clock', 2_000, 0, 'expired'],
    ['has ended', 'by the wall clock', 0, 2_000, 'expired'],
    ['has ended', 'although the wall clock was set back', 2_000, -9_000, 'expired'],
    ['is good', 'a millisecond before, by the monotonic clock', 1_999, 0, undefined],
    ['is good', 'a millisecond before, by the wall clock', 0, 1_999, undefined],
  ])('%s %s', async (_state, _clock, monoMs, wallMs, reason) => {
    const { answer, clock, startedAt, landed } = startCall({ retries: 0, timeoutMs: 60_000 });
    clock.jumpMono(monoMs);
    clock.jumpWall(wallMs);
    await answer(0, response(200, { ...GOOD_BODY, expires_at: (startedAt.wall + 2_000) / 1_000 }));
    expect(landed.value).toMatchObject({
      result: reason === undefined ? { valid: true } : { valid: false, source: 'server', reason },
    });
  });
});
