import { describe, expect, onTestFinished, test, vi } from 'vitest';
import * as z from 'zod';

import { InvalidOptionsError, KeyVerifier, type FollowContext, type RevocationSource } from 'keyverify';
import { redisCache, redisRevocations } from 'keyverify/redis';
import { fleet } from 'keyverify/fleet';
import { sseRevocations } from 'keyverify/sse';
import { memoryFleet, startKeyServer, testClock } from 'keyverify/testing';

import { RevocationFollower } from '../../src/fleet/follower.js';
import { parseRecord, toRecord } from '../../src/fleet/record.js';
import { isBefore } from '../../src/fleet/position.js';
import { parseMessage, readDelivered, toJson } from '../../src/fleet/revocation.js';
import { SharedVerdicts, type SharedVerdictsOptions } from '../../src/fleet/shared-verdicts.js';
import { serve } from '../helpers/http.js';
import { issues } from '../helpers/options.js';
import { ACME, GOOD, TOKEN, brief, rig, settle, until } from '../helpers/rig.js';
import { rejected, verdict, verified } from '../helpers/verdicts.js';

const secret = 'a-secret-of-at-least-thirty-two-characters';
const SHARED_KEY = { fingerprint: 'ab'.repeat(32), namespace: 'n' };

describe('a record', () => {
  const whole = { ...verdict(verified({ keyId: 'k-1', expiresAt: 2e12 })), rawClaims: { plan: 'pro', valid: false } };

  test('says what the key server said, and where the streams stood', () => {
    const text = toRecord(whole, { s: '1-2' }) ?? '';
    expect(parseRecord(text, [])).toEqual({
      decoded: {
        kind: 'verified',
        client: 'acme',
        tenant: 'cust-A',
        keyId: 'k-1',
        expiresAt: 2e12,
        claims: { plan: 'pro', valid: false },
        freshness: { maxAgeMs: Infinity, noStore: false, noStale: false },
      },
      askedAt: whole.askedAt.wall,
      positions: { s: '1-2' },
    });
    const refusal = toRecord(verdict(rejected('disabled'), 0, { maxAgeMs: 5, noStore: true, noStale: true }), {}) ?? '';
    expect(parseRecord(refusal, [])?.decoded).toMatchObject({
      kind: 'rejected',
      result: { reason: 'disabled' },
      freshness: { maxAgeMs: 5, noStore: true, noStale: true },
    });
  });

  test('that is not whole is none', () => {
    const record = JSON.parse(toRecord(whole, {}) ?? '') as Record<string, unknown>;
    const good = { valid: true, client: 'acme', tenant: 'cust-A', key_id: 'k-1', claims: {} };
    expect(parseRecord(JSON.stringify({ ...record, verdict: good }), [])).toBeDefined();
    const wrong: unknown[] = [
      null,
      7,
      [],
      ...['askedAt', 'positions', 'noStore', 'noStale', 'verdict'].map((name) => ({ ...record, [name]: undefined })),
      { ...record, maxAgeMs: '5' },
      { ...record, positions: { s: 'rubbish' } },
      { ...record, verdict: { valid: true, client: 'acme' } },
      { ...record, verdict: { valid: true, client: 'acme', tenant: 'cust-A' } },
      { ...record, verdict: { valid: true, client: 'acme', tenant: 'cust-A', claims: 'x' } },
      ...[{ valid: 'true' }, { client: '' }, { tenant: 7 }, { key_id: '' }, { key_id: 7 }].map((wrong) => ({
        ...record,
        verdict: { ...good, ...wrong },
      })),
      ...['tomorrow', '', 7, null, '+010000-01-01T00:00:00.000Z'].map((at) => ({
        ...record,
        verdict: { ...good, expires_at: at },
      })),
    ];
    const refused = { ...record, verdict: { valid: false, reason: 7 } };
    expect(parseRecord(JSON.stringify(refused), [])?.decoded).toMatchObject({ result: { reason: 'rejected' } });
    for (const value of wrong) expect(parseRecord(JSON.stringify(value), []), JSON.stringify(value)).toBeUndefined();
    expect(parseRecord('{', [])).toBeUndefined();
  });

  test('with the key in it is none, and claims that are no JSON make none', () => {
    const echo = toRecord({ ...whole, result: verified({ client: 'sk-0123456789' }) }, {}) ?? '';
    expect(parseRecord(echo, ['sk-0123456789'])).toBeUndefined();
    expect(toRecord({ ...whole, rawClaims: { big: 1n } }, {})).toBeUndefined();
  });
});

describe('messages', () => {
  test.each([
    ['', undefined],
    ['7', undefined],
    [`{"v":1,"type":"heartbeat","x":"${'x'.repeat(5_000)}"}`, undefined],
    ['{"v":1,"type":"heartbeat"}', { type: 'heartbeat' }],
    ['{"v":1,"type":"revoked"}', undefined],
    ['{"v":1,"type":"revoked","select":{}}', undefined],
    ['{"v":1,"type":"revoked","select":{"keyId":"k","client":"c"}}', undefined],
    ['{"v":1,"type":"revoked","select":{"fingerprint":"ABC"}}', undefined],
    ['{"v":1,"type":"revoked","select":{"all":1}}', undefined],
    ['{"v":1,"type":"changed","select":{"all":true},"more":1}', { type: 'changed', select: { all: true } }],
  ])('%s', (json, message) => {
    expect(parseMessage(json)).toEqual(message);
  });

  const HYPHENS = 'expected two or three whole numbers with hyphens between, such as 1-0';

  test.each([
    ['0', '{}', `id 0: ${HYPHENS}`],
    ['a\nb', '{}', `its id: ${HYPHENS}`],
    ['1-5', '', 'id 1-5: it is empty, or not signed as signingSecret asks for'],
    ['1-5', `"${'x'.repeat(5_000)}"`, 'id 1-5: it is longer than 4096 characters'],
    ['1-5', '{', 'id 1-5: it is not JSON'],
    ['1-5', '7', 'id 1-5: it is not an object'],
    ['1-5', '{"type":"gone"}', 'id 1-5: wrong or missing: v, type, select'],
    ['1-5', '{"v":1,"type":"revoked","select":{"key_id":"secret"}}', 'id 1-5: wrong or missing: select.key_id'],
    ['1-5', '{"v":1,"type":"revoked","select":{"a\\nb":1}}', 'id 1-5: wrong or missing: select'],
  ])('with the id %j that cannot be read: %s', (position, json, problem) => {
    expect(readDelivered({ position, json })).toBe(problem);
  });

  test.each([
    ['1-2', '1-1 1-02 2-0 2-9 x 1-1-9 1 ', true],
    ['1-2', '1-2 1-3 1-10 1-2-0', false],
    ['7-1-18446744073709551614', '7-1-9 7-1-18446744073709551613 7-0-18446744073709551615 7-1', true],
    ['7-1-18446744073709551614', '7-1-18446744073709551614 7-1-18446744073709551615 7-2-0', false],
    ['x', '1-1', true],
  ])('before %s come %s: %s', (other, positions, expected) => {
    for (const position of positions.split(' '))
      expect([position, isBefore(position, other)]).toEqual([position, expected]);
  });
});

describe('what is shared', () => {
  const options: SharedVerdictsOptions = {
    clock: testClock(),
    random: () => 0,
    sharedTimeoutMs: 50,
    namespace: 'n',
    around: async (_event, run) => await run(),
    onOutcome: () => undefined,
  };
  const context = { fence: 1, positions: {}, keepMs: 10 };

  test('is no verdict that is too large, over already, or no JSON', async () => {
    const put = vi.fn(async () => await Promise.resolve(true));
    const { sharedCache } = memoryFleet();
    const get = sharedCache.get.bind(sharedCache);
    const shared = new SharedVerdicts({ fleet, get, put, lease: async () => await Promise.resolve(true) }, options);
    await shared.write('f', { ...verdict(verified()), rawClaims: { x: 'x'.repeat(20_000) } }, context);
    await shared.write('f', { ...verdict(verified()), rawClaims: { x: 1n } }, context);
    await shared.write('f', verdict(verified()), { ...context, keepMs: 0 });
    expect(put).not.toHaveBeenCalled();
    await shared.write('f', verdict(verified()), context);
    expect(put).toHaveBeenCalledOnce();
  });

  test('is asked about by each process if the store cannot lease', async () => {
    const fails = async (): Promise<never> => await Promise.reject(new Error('down'));
    const shared = new SharedVerdicts({ fleet, get: fails, put: fails, lease: fails }, options);
    expect(await shared.lease('f', 10)).toBe(true);
  });

  test('is not looked for while the store is out, but by one of all who would', async () => {
    const get = vi.fn(async (): Promise<never> => await Promise.reject(new Error('down')));
    const clock = testClock();
    const shared = new SharedVerdicts({ fleet, get, put: get, lease: get }, { ...options, clock });
    expect(shared.workedWithin(Infinity)).toBe(false);
    for (let i = 0; i < 5; i++) {
      expect(shared.isBypassed).toBe(false);
      await shared.read('f', [], 10);
    }
    expect(shared.isBypassed).toBe(true);
    expect(await shared.read('f', [], 10)).toBeUndefined();
    expect(get).toHaveBeenCalledTimes(5);
    await clock.advance(1_000);
    expect(shared.isBypassed).toBe(false);
    await Promise.all([shared.read('f', [], 10), shared.read('f', [], 10), shared.lease('f', 10)]);
    expect(get).toHaveBeenCalledTimes(6);
  });

  test('is a miss if it comes from the future', async () => {
    const { clock, build } = await rig();
    const { sharedCache } = memoryFleet({ clock });
    const early = testClock({ wall: clock.wall() + 600_000 });
    await using ahead = build({ sharedCache, clock: early });
    expect(brief(await ahead.verify(GOOD))).toBe('valid server');
    await until(() => sharedCache.size === 1);
    await using other = build({ sharedCache });
    expect(brief(await other.verify(GOOD))).toBe('valid server');
    await clock.advance(595_000);
    await using later = build({ sharedCache });
    expect(brief(await later.verify(GOOD))).not.toBe('valid shared');
  });

  test('is never younger for a clock that is behind', async () => {
    const { server, clock, build } = await rig();
    const { sharedCache } = memoryFleet({ clock });
    await using first = build({ sharedCache });
    await first.verify(GOOD);
    await until(() => sharedCache.size === 1);
    await clock.advance(200_000);
    const behind = testClock({ wall: clock.wall() - 200_000 });
    await using verifier = build({ sharedCache, clock: behind });
    expect(brief(await verifier.verify(GOOD))).toBe('valid shared');
    await behind.advance(99_999);
    expect(brief(await verifier.verify(GOOD))).toBe('valid cache');
    await behind.advance(1);
    expect(brief(await verifier.verify(GOOD))).toBe('valid server');
    expect(server.asked(GOOD)).toBeGreaterThanOrEqual(2);
  });

  test('fits the schema of the process that reads it, or is a miss', async () => {
    const { server, clock } = await rig();
    const { sharedCache } = memoryFleet({ clock });
    const base = { verifyUrl: server.verifyUrl, serviceToken: TOKEN, sharedCache, clock, retries: 0 };
    await using first = new KeyVerifier(base);
    await first.verify(GOOD);
    await until(() => sharedCache.size === 1);
    await using typed = new KeyVerifier({
      ...base,
      claims: z.object({ plan: z.string(), seats: z.number().default(2) }),
    });
    expect(await typed.verify(GOOD)).toMatchObject({ source: 'shared', claims: { plan: 'pro', seats: 2 } });
    const waits = z.object({ plan: z.string().refine(async () => await Promise.resolve(true)) });
    await using slow = new KeyVerifier({ ...base, claims: waits });
    expect(await slow.verify(GOOD)).toMatchObject({ source: 'shared', claims: { plan: 'pro' } });
    await using strict = new KeyVerifier({ ...base, claims: z.object({ plan: z.literal('free') }) });
    expect(brief(await strict.verify(GOOD))).toBe('closed misconfigured');
  });

  test('ends with its key, and is kept no longer than the server allows', async () => {
    const { server, clock, build } = await rig();
    const { sharedCache } = memoryFleet({ clock });
    server.issue(GOOD, { ...ACME, expiresAt: clock.wall() + 60_000 });
    await using first = build({ sharedCache });
    await first.verify(GOOD);
    await until(() => sharedCache.size === 1);
    expect((await sharedCache.get(SHARED_KEY)).entry).toBeUndefined();
    await server.stop();
    await clock.advance(60_000);
    await using late = build({ sharedCache, retries: 0 });
    expect(brief(await settle(late.verify(GOOD), clock, 3_000))).toBe('closed unreachable');
  });

  test('is good for an outage alone before it is known what was revoked meanwhile', async () => {
    const { server, clock, build } = await rig();
    const { sharedCache } = memoryFleet({ clock });
    const follow = async (): Promise<void> => await new Promise(() => undefined);
    const revocations: RevocationSource = { fleet, name: 's', heartbeatMs: 1_000, follow };
    await using first = build({ sharedCache });
    await first.verify(GOOD);
    await until(() => sharedCache.size === 1);
    await using late = build({ sharedCache, revocations, retries: 0 });
    expect(brief(await settle(late.verify(GOOD), clock, 1_000))).toBe('valid server');
    await server.stop();
    await using outage = build({ sharedCache, revocations, retries: 0 });
    expect(brief(await settle(outage.verify(GOOD), clock, 5_000))).toBe('valid stale');
  });
});

describe('a source of revocations', () => {
  function follow(source: Partial<RevocationSource>) {
    const clock = testClock();
    const told: string[] = [];
    const follower = new RevocationFollower(
      [{ fleet, name: 's', heartbeatMs: 1_000, follow: async () => await Promise.resolve(), ...source }],
      {
        clock,
        random: () => 0,
        scope: undefined,
        retainMs: 1,
        verifyUrl: 'https://keys.test/verify',
        token: async () => await Promise.resolve(''),
        onGap: () => told.push('gap'),
        onSilent: () => undefined,
        onHeard: () => undefined,
        onUnsteady: () => undefined,
        onSteady: () => undefined,
        clockSkewMs: () => undefined,
        onRevocations: (_, revocations) => told.push(`${revocations.length} revoked`),
      },
    );
    onTestFinished(() => follower.close());
    return { clock, told, follower };
  }

  test('is called again whenever it ends, less and less often, and is down after three heartbeats', async () => {
    const call = vi.fn(() => {
      throw new Error('no');
    });
    const { clock, told, follower } = follow({ follow: call });
    expect(follower.isDown).toBe(false);
    void follower.start();
    void follower.start();
    await clock.advance(0);
    await clock.advance(2_999);
    expect([follower.isDown, told]).toEqual([false, []]);
    expect(call).toHaveBeenCalledTimes(5);
    await clock.advance(10_000);
    expect([follower.isDown, told]).toEqual([true, ['gap']]);
    follower.close();
    await clock.advance(100_000);
    expect(call.mock.calls.length).toBeLessThan(9);
    expect(clock.pending).toBe(0);
  });

  test('that was told to end is no longer listened to', async () => {
    const contexts: FollowContext[] = [];
    const { clock, told, follower } = follow({
      follow: async (context) => {
        contexts.push(context);
        await new Promise(() => undefined);
      },
    });
    void follower.start();
    const revoked = { position: '1-1', json: toJson({ type: 'revoked', select: { keyId: 'k' } }) };
    contexts[0]?.sink.deliver([revoked, { position: 'rubbish', json: revoked.json }]);
    contexts[0]?.sink.gap();
    expect([told.splice(0), follower.positions]).toEqual([['gap', '1 revoked'], { s: '0-0' }]);
    contexts[0]?.sink.deliver([revoked]);
    await clock.advance(4_000);
    expect([contexts.length, contexts[1]?.from, contexts[0]?.signal.aborted]).toEqual([2, '1-1', true]);
    told.length = 0;
    contexts[0]?.sink.deliver([revoked]);
    contexts[0]?.sink.gap();
    contexts[0]?.sink.caughtUp();
    expect([told, follower.isCaughtUp]).toEqual([[], false]);
    contexts[1]?.sink.caughtUp();
    expect(follower.isCaughtUp).toBe(true);
  });
});

describe('many revocations at once', () => {
  /** What a source delivers of a thousand, and how often others had their turn meanwhile. */
  async function slices(
    source: RevocationSource,
    monotonic = (): number => performance.now(),
  ): Promise<{ lengths: number[]; turns: number; positions: string[] }> {
    const seen = { lengths: new Array<number>(), turns: 0, positions: new Array<string>() };
    const end = new AbortController();
    await new Promise<void>((resolve) => {
      void source.follow({
        sink: {
          deliver(messages) {
            seen.lengths.push(messages.length);
            seen.positions.push(...messages.map(({ position }) => position));
            setImmediate(() => seen.turns++);
          },
          gap: () => seen.positions.push('gap'),
          caughtUp: () => resolve(),
        },
        from: undefined,
        retainMs: 1_000,
        signal: end.signal,
        verifyUrl: '',
        token: async () => await Promise.resolve('t'),
        clock: { wall: Date.now, monotonic, after },
      });
    });
    end.abort();
    return seen;
  }
  /** A clock on which no time passes. */
  const frozen = (): number => 0;
  const after: FollowContext['clock']['after'] = (ms, run) => {
    const timer = setTimeout(run, ms);
    return () => clearTimeout(timer);
  };
  const jsonOf = (keyId: string): string => toJson({ type: 'revoked', select: { keyId } });
  const json = jsonOf('k');
  const expected = Array.from({ length: 1_000 }, (_, i) => `1-${i + 1}`);

  test('take effect in slices, in order, with a turn of the event loop between: from Redis', async () => {
    const entries = expected.flatMap((position) => [position.slice(2), jsonOf(position), '']);
    const pages: unknown[] = [
      ['1', '1000', '', entries],
      ['1', '1000', '', ['1000', json, '']],
    ];
    const send = async (): Promise<unknown> => await Promise.resolve(pages.shift() ?? 'OK');
    const { lengths, turns, positions } = await slices(redisRevocations({ send }));
    expect([lengths, positions]).toEqual([[200, 200, 200, 200, 200], expected]);
    expect(turns).toBeGreaterThanOrEqual(4);
  });

  test('take effect at intervals where page after page is full, and equal ones once', async () => {
    const page = (from: number, count: number, of: (at: number) => string): unknown => {
      const entries = Array.from({ length: count }, (_, i) => [String(from + i), of(from + i), '']);
      return ['1', '9000', '', entries.flat()];
    };
    const equal = (): string => json;
    const pages: unknown[] = [page(1, 1_000, equal)];
    for (let from = 1_000; from < 8_000; from += 999) pages.push(page(from, 1_000, equal));
    pages.push(['1', '9000', '', ['8992', json, '', '9000', jsonOf('last'), '']]);
    const send = async (): Promise<unknown> => await Promise.resolve(pages.shift() ?? 'OK');
    const { lengths, positions } = await slices(redisRevocations({ send }), frozen);
    // The first page at once, the others together.
    expect([lengths, positions]).toEqual([
      [1, 2],
      ['1-1000', '1-8992', '1-9000'],
    ]);
  });

  test('do not wait where there are too many, or where there is a gap', async () => {
    const filled = (from: number): unknown => {
      const entries = Array.from({ length: 1_000 }, (_, i) => [String(from + i), jsonOf(String(from + i)), '']);
      return ['1', '9000', '', entries.flat()];
    };
    const pages: unknown[] = [filled(1)];
    for (let from = 1_000; from < 7_000; from += 999) pages.push(filled(from));
    const lost = ['2', '9000', '', ['9000', jsonOf('last'), '']];
    pages.push(lost, lost);
    const send = async (): Promise<unknown> => await Promise.resolve(pages.shift() ?? 'OK');
    const { lengths, positions } = await slices(redisRevocations({ send }), frozen);
    const sum = (numbers: readonly number[]): number => numbers.reduce((a, b) => a + b, 0);
    expect(sum(lengths.slice(0, 5))).toBe(1_000);
    // Five thousand as soon as they are there, the others before the gap.
    expect([sum(lengths), positions.at(-2), positions.at(-1)]).toEqual([7_994, 'gap', '2-9000']);
  });

  test('and from an event stream', async () => {
    const body = expected.map((position) => `id: ${position}\ndata: ${json}\n\n`).join('');
    const fetch = async (): Promise<Response> =>
      await Promise.resolve(new Response(body, { headers: { 'content-type': 'text/event-stream' } }));
    const { lengths, turns, positions } = await slices(sseRevocations({ url: 'http://127.0.0.1/revocations', fetch }));
    expect([lengths, positions]).toEqual([[200, 200, 200, 200, 200], expected]);
    expect(turns).toBeGreaterThanOrEqual(4);
  });
});

describe('options of a fleet', () => {
  test.each([
    [[sseRevocations(), sseRevocations()], 'revocations.1: has the name of revocations.0, sse'],
    [
      [
        sseRevocations(),
        sseRevocations({ url: 'https://keys.test/events?token=a' }),
        sseRevocations({ url: 'https://keys.test/events?token=b' }),
      ],
      'revocations.2: has the name of revocations.1, sse:https://keys.test/events',
    ],
  ])('names sources with one name, in which positions could not be told apart: %#', (revocations, issue) => {
    const build = () => new KeyVerifier({ verifyUrl: 'https://keys.test/verify', serviceToken: TOKEN, revocations });
    expect(build).toThrow(
      new InvalidOptionsError([`${issue}; give each a url (without its query) or a prefix of its own`]),
    );
  });

  const get = async (): Promise<unknown> => await Promise.resolve();
  test.each<[object, string]>([
    [{ sharedCache: {} }, 'sharedCache: expected an object with get(), put(), lease() and `fleet` of keyverify/fleet'],
    [{ revocations: 7 }, 'revocations: expected'],
    [{ revocations: {} }, 'or an array of them, got an object'],
    [{ revocations: null }, 'or an array of them, got null'],
    [{ revocations: [{ fleet, name: '', heartbeatMs: 1, follow: () => undefined }] }, 'revocations: expected'],
    [{ revocations: [{ fleet, name: 's', heartbeatMs: 0, follow: () => undefined }] }, 'revocations: expected'],
    // The code for fleets comes with what is shared, and works with the inside of a verifier of its own version.
    [{ sharedCache: { get, put: get, lease: get } }, 'sharedCache: expected'],
    [{ sharedCache: { fleet: { ...fleet, version: '9.9.9' }, get, put: get, lease: get } }, 'sharedCache: expected'],
    [{ sharedCache: { fleet: { ...fleet, create: 7 }, get, put: get, lease: get } }, 'sharedCache: expected'],
    [{ revocations: [{ name: 's', heartbeatMs: 1, follow: () => undefined }] }, 'revocations: expected'],
    [{ sharedTimeoutMs: 0 }, 'sharedTimeoutMs: expected'],
    [{ degradedTtlMs: -1 }, 'degradedTtlMs: expected'],
    [
      { ...memoryFleet(), protocol: { encode: () => undefined, decode: () => undefined } },
      'sharedNamespace: expected a name',
    ],
  ])('%o is refused', (options, issue) => {
    expect(issues(options)).toEqual([expect.stringContaining(issue)]);
  });

  test('are those of the stores, too', () => {
    const send = async (): Promise<unknown> => await Promise.resolve('');
    expect(() => redisCache({ send: 7 as never, secret })).toThrow(InvalidOptionsError);
    expect(() => redisCache({ send, secret: 'short' })).toThrow(InvalidOptionsError);
    expect(() => redisRevocations({ send: 7 as never })).toThrow(InvalidOptionsError);
    for (const wrong of [
      { pollMs: 0 },
      { retentionMs: NaN },
      { signingSecret: 'short' },
      { signingSecret: [] },
      { signingSecret: undefined as never },
    ])
      expect(() => redisRevocations({ send, ...wrong })).toThrow(InvalidOptionsError);
  });

  test.each<[unknown, string]>([
    [undefined, 'send() returned nothing: it has to return the reply of Redis'],
    [null, 'send() returned null, expected the reply to EVAL, an array'],
    ['OK', 'send() returned a string of 2 characters, expected the reply to EVAL, an array'],
    [[], 'the store has no time'],
  ])('a send() that always resolves to %j is named in the log', async (reply, problem) => {
    const send = async (): Promise<unknown> => await Promise.resolve(reply);
    const logger = { warn: vi.fn() };
    const { clock, build } = await rig();
    const shared = { sharedCache: redisCache({ send, secret }), revocations: redisRevocations({ send }) };
    const verifier = build({ ...shared, logger });
    expect(brief(await settle(verifier.verify(GOOD), clock, 1_000))).toBe('valid server');
    expect(verifier.stats().shared.failures).toBeGreaterThan(0);
    await clock.advance(60_000);
    for (let i = 0; i < 10; i++) await settle(verifier.verify(`${GOOD}-${i}`), clock, 1_000);
    const stream = Array.isArray(reply) ? 'the stream cannot be read' : problem;
    expect(logger.warn.mock.calls.flat()).toEqual(
      expect.arrayContaining([
        expect.stringContaining(`the shared cache is down: ${problem}. `),
        expect.stringContaining(`(${stream})`),
      ]),
    );
  });
});

test('a stream that ends is opened again', async () => {
  const { origin, heard } = await serve((response) =>
    response
      .writeHead(200, { 'content-type': 'text/event-stream' })
      .end('id: 1-0\ndata: {"v":1,"type":"heartbeat"}\n\n'),
  );
  await using verifier = new KeyVerifier({
    verifyUrl: `${origin}/verify`,
    serviceToken: TOKEN,
    revocations: sseRevocations(),
  });
  await verifier.warmUp();
  await until(() => heard.length >= 2);
  expect(verifier.stats().revocations).toEqual({ messages: 0, revoked: 0, gaps: 0, down: false });
});

test('a key server goes on where its store does not', async () => {
  const publish = vi.fn(async () => await Promise.reject(new Error('down')));
  await using server = await startKeyServer({
    publishTo: { publish },
    keys: { 'sk-1': { client: 'acme', tenant: 'cust-A' } },
  });
  server.revoke('sk-1');
  server.forget('sk-1');
  expect(publish).toHaveBeenCalledTimes(2);
});

test('a fleet in memory may be wiped', async () => {
  const { sharedCache } = memoryFleet();
  await sharedCache.put(SHARED_KEY, '1', { fence: 1, replacesEqual: false, ttlMs: 1e6 });
  await sharedCache.lease(SHARED_KEY, 1e6);
  sharedCache.clear();
  expect([sharedCache.size, await sharedCache.lease(SHARED_KEY, 1)]).toEqual([0, true]);
});
