import { describe, expect, test } from 'vitest';

import { NotPublishedError, type Clock, type KeyVerifier, type KeyVerifierOptions, type SharedCache } from 'keyverify';
import { fleet as support } from 'keyverify/fleet';
import { memoryFleet, type MemoryFleet } from 'keyverify/testing';

import { GOOD_BODY, response } from '../helpers/responses.js';
import { ACME, GOOD, OTHER, TOKEN, brief, rig, settle, until, type Rig } from '../helpers/rig.js';
import { FakeTransport } from '../helpers/transport.js';

const TTL = 300_000;
const WINDOW = 30_000;

interface FleetRig extends Rig {
  readonly fleet: MemoryFleet;
  readonly member: <FailOpen extends boolean = false>(options?: KeyVerifierOptions<FailOpen>) => KeyVerifier<FailOpen>;
}

async function fleetRig(): Promise<FleetRig> {
  const base = await rig({ [GOOD]: ACME, [OTHER]: { client: 'other', tenant: 'cust-B', keyId: 'k-2' } });
  const fleet = memoryFleet({ clock: base.clock });
  return { ...base, fleet, member: (options) => base.build({ ...fleet, ...options }) };
}

/** What is written in the background has arrived. */
const shared = async (fleet: MemoryFleet, count = 1): Promise<void> =>
  await until(() => fleet.sharedCache.size === count);

describe('verdicts', () => {
  test('keep nobody waiting for a schema that never settles', async () => {
    const { clock, fleet, member } = await fleetRig();
    await settle(member().verify(GOOD), clock, 0);
    await shared(fleet);
    const validate = async () => await new Promise<never>(() => undefined);
    const claims = { '~standard': { version: 1, vendor: 'test', validate } } as const;
    const verifying = member({ claims, timeoutMs: 500 }).verify(GOOD);
    expect(await settle(verifying, clock, 500)).toMatchObject({ source: 'fail-closed' });
  });

  test('are asked for by one process, and known to all, with their age', async () => {
    const { server, clock, fleet, member } = await fleetRig();
    const [a, b] = [member(), member()];
    expect(brief(await a.verify(GOOD))).toBe('valid server');
    await shared(fleet);
    await clock.advance(100_000);
    const result = await b.verify(GOOD);
    expect(result).toMatchObject({
      source: 'shared',
      client: 'acme',
      tenant: 'cust-A',
      keyId: 'k-1',
      claims: { plan: 'pro' },
    });
    expect(result.valid && clock.wall() - result.verifiedAt).toBe(100_000);
    expect(brief(await b.verify(GOOD))).toBe('valid cache');
    expect(b.stats().shared).toMatchObject({ hits: 1, misses: 0, unsealable: 0, failures: 0 });
    await clock.advance(TTL - 100_000 - 1);
    expect(brief(await b.verify(GOOD))).toBe('valid cache');
    await server.stop();
    await clock.advance(1);
    expect(brief(await b.verify(GOOD))).toBe('valid stale');
    expect(server.counts.requests).toBeLessThanOrEqual(2);
  });

  test('are served by a process that starts during an outage, fresh or past their TTL', async () => {
    const { server, clock, fleet, member } = await fleetRig();
    await member().verify(GOOD);
    await shared(fleet);
    await server.stop();
    expect(brief(await member().verify(GOOD))).toBe('valid shared');
    await clock.advance(TTL);
    const late = member({ retries: 0 });
    expect(brief(await settle(late.verify(GOOD), clock, 3_000))).toBe('valid stale');
    expect(brief(await settle(late.verify(OTHER), clock, 3_000))).toMatch(/^closed/);
  });

  test('are asked for anew where the caller wants a younger one', async () => {
    const { server, clock, fleet, member } = await fleetRig();
    await member().verify(GOOD);
    await shared(fleet);
    await clock.advance(1_000);
    const b = member();
    expect(brief(await b.verify(GOOD, { maxAgeMs: 1_000 }))).toBe('valid server');
    expect(brief(await member().verify(GOOD, { maxAgeMs: 1_001 }))).toBe('valid shared');
    expect(server.counts.requests).toBe(2);
  });

  test('are as old as they were when the store was asked: one that comes late does not outlive what was revoked meanwhile', async () => {
    const { server, clock, fleet, member } = await fleetRig();
    // It follows no stream, and its own clock is fast: only the time of the store tells what came first.
    const fast: Clock = {
      wall: () => clock.wall() + 3_000,
      monotonic: () => clock.monotonic(),
      after: (ms, run) => clock.after(ms, run),
    };
    await member({ revocations: [], clock: fast }).verify(GOOD);
    await shared(fleet);
    let arrive: () => void = () => undefined;
    const arrived = new Promise<void>((resolve) => (arrive = resolve));
    let read = false;
    const sharedCache: SharedCache = {
      fleet: fleet.sharedCache.fleet,
      get: async (key) => {
        const found = await fleet.sharedCache.get(key);
        read = true;
        await arrived;
        return found;
      },
      put: async (...put) => await fleet.sharedCache.put(...put),
      lease: async (...lease) => await fleet.sharedCache.lease(...lease),
    };
    const verifier = member({ sharedCache });
    await verifier.warmUp();
    await clock.advance(10);
    const late = verifier.verify(GOOD);
    await until(() => read);
    await clock.advance(10);
    server.revoke(GOOD);
    await member().revoke({ key: GOOD });
    await clock.advance(20);
    arrive();
    expect(brief(await late)).toBe('rejected server revoked');
  });

  test('are refreshed ahead by one process of all', async () => {
    const { server, clock, fleet, member } = await fleetRig();
    const members = [member(), member(), member()];
    for (const verifier of members) {
      await verifier.verify(GOOD);
      await shared(fleet);
    }
    await clock.advance(TTL * 0.95);
    server.injectFault({ kind: 'delay', ms: 5 });
    for (const verifier of members) expect(brief(await verifier.verify(GOOD))).toBe('valid cache');
    await until(() => server.counts.valid + server.counts.faults === 2 && server.counts.inFlight === 0);
    await clock.advance(TTL * 0.045);
    for (const verifier of members) await verifier.verify(GOOD);
    await clock.advance(TTL * 0.01);
    for (const verifier of members) expect(brief(await verifier.verify(GOOD))).toBe('valid cache');
    expect(server.counts.requests).toBe(2);
  });

  test('are not refreshed by one who finds that somebody is asking already', async () => {
    const { server, clock, fleet, member } = await fleetRig();
    let proceed: () => void = () => undefined;
    const held = new Promise<void>((resolve) => (proceed = resolve));
    let leases = 0;
    const sharedCache: SharedCache = {
      fleet: fleet.sharedCache.fleet,
      get: async (key) => await fleet.sharedCache.get(key),
      put: async (...put) => await fleet.sharedCache.put(...put),
      lease: async (...lease) => {
        leases++;
        await held;
        return await fleet.sharedCache.lease(...lease);
      },
    };
    const verifier = member({ sharedCache });
    await verifier.verify(GOOD);
    await shared(fleet);
    await clock.advance(TTL * 0.95);
    expect(brief(await verifier.verify(GOOD))).toBe('valid cache');
    await until(() => leases === 1);
    server.injectFault({ kind: 'hang' });
    const asked = verifier.verify(GOOD, { maxAgeMs: 1 });
    await until(() => server.counts.inFlight === 1);
    proceed();
    expect(brief(await settle(asked, clock, 3_000))).toMatch(/^closed/);
    await verifier.close();
    expect(verifier.stats()).toMatchObject({ refreshes: 0 });
  });

  test('that a store has lost are not asked about at once by processes that could have found newer ones there', async () => {
    const { server, clock, fleet, member } = await fleetRig();
    const verifier = member({ refreshAheadRatio: 0.8 });
    await verifier.verify(GOOD);
    await shared(fleet);
    await clock.advance(TTL * 0.8);
    fleet.sharedCache.clear();
    // Seldom used: others have asked about it long ago.
    expect(brief(await verifier.verify(GOOD))).toBe('valid cache');
    await until(() => verifier.stats().shared.misses === 2);
    await clock.advance(TTL * 0.1);
    expect(brief(await verifier.verify(GOOD))).toBe('valid cache');
    expect(server.counts.requests).toBe(1);
    await clock.advance(TTL * 0.05);
    expect(brief(await verifier.verify(GOOD))).toBe('valid cache');
    await until(() => fleet.sharedCache.size === 1);
    expect(server.counts.requests).toBe(2);
  });

  test('are not refreshed for a moment after the store has ceased to answer: it may be back soon', async () => {
    const { server, clock, fleet, member } = await fleetRig();
    let isDown = false;
    const down = async (): Promise<never> => await Promise.reject(new Error('down'));
    const sharedCache: SharedCache = {
      fleet: fleet.sharedCache.fleet,
      get: async (key) => await (isDown ? down() : fleet.sharedCache.get(key)),
      put: async (...put) => await fleet.sharedCache.put(...put),
      lease: async (...lease) => await fleet.sharedCache.lease(...lease),
    };
    const verifier = member({ sharedCache, refreshAheadRatio: 0.9 });
    const failures = (count: number) => () => verifier.stats().shared.failures === count;
    await verifier.verify(GOOD);
    await shared(fleet);
    await clock.advance(TTL * 0.9 - 1);
    await verifier.verify('sk-unknown');
    isDown = true;
    await clock.advance(1);
    expect(brief(await verifier.verify(GOOD))).toBe('valid cache');
    await until(failures(1));
    await clock.advance(TTL * 0.09);
    expect(server.counts.requests).toBe(2);
    expect(brief(await verifier.verify(GOOD))).toBe('valid cache');
    await until(() => server.counts.requests === 3);
  });

  test('are kept for as long as they may be honored', async () => {
    const { server, fleet, member } = await fleetRig();
    const ttls: number[] = [];
    const sharedCache: SharedCache = {
      fleet: fleet.sharedCache.fleet,
      get: async (key) => await fleet.sharedCache.get(key),
      put: async (key, value, put) => {
        ttls.push(put.ttlMs);
        return await fleet.sharedCache.put(key, value, put);
      },
      lease: async (...lease) => await fleet.sharedCache.lease(...lease),
    };
    const body = '{"valid":true,"client":"acme","tenant":"cust-A"}';
    for (const control of ['', 'must-revalidate']) {
      fleet.sharedCache.clear();
      const headers = { 'content-type': 'application/json', 'cache-control': control };
      server.injectFault({ kind: 'raw', status: 200, headers, body }, { times: 1 });
      const verifier = member({ sharedCache, staleIfErrorMs: 1_000 });
      await verifier.verify(GOOD);
      await verifier.close();
    }
    expect(ttls).toEqual([TTL + 1_000, TTL]);
  });

  test('are not written for keys that nobody knows', async () => {
    const { fleet, member } = await fleetRig();
    const verifier = member();
    for (let i = 0; i < 50; i++) await verifier.verify(`sk-made-up-${i}`);
    await verifier.close();
    expect(fleet.sharedCache.size).toBe(0);
  });

  test('that reject take the place of those that verified', async () => {
    const { server, clock, fleet, member } = await fleetRig();
    const a = member({ revocations: [] });
    await a.verify(GOOD);
    await shared(fleet);
    server.revoke(GOOD);
    await clock.advance(1);
    expect(brief(await a.verify(GOOD, { maxAgeMs: 1 }))).toBe('rejected server revoked');
    await a.close();
    expect(brief(await member({ revocations: [] }).verify(GOOD))).toBe('rejected shared revoked');
    await server.stop();
    await clock.advance(TTL);
    expect(brief(await settle(member({ failOpen: true }).verify(GOOD), clock, 3_000))).toBe('rejected stale revoked');
  });

  test('of other scopes, servers or protocols are not found', async () => {
    const { server, fleet, member } = await fleetRig();
    await member({ scope: 'cust-A' }).verify(GOOD);
    await shared(fleet);
    expect(brief(await member({ scope: 'cust-B' }).verify(GOOD))).toBe('rejected server scope_mismatch');
    expect(brief(await member().verify(GOOD))).toBe('valid server');
    const elsewhere = `${server.verifyUrl}?`;
    expect(brief(await member({ scope: 'cust-A', verifyUrl: elsewhere }).verify(GOOD))).toBe('valid server');
    expect(brief(await member({ scope: 'cust-A' }).verify(GOOD))).toBe('valid shared');
  });

  test('that no-store forbids are not written', async () => {
    const { server, fleet, member } = await fleetRig();
    const body = '{"valid":true,"client":"acme","tenant":"cust-A"}';
    const headers = { 'content-type': 'application/json', 'cache-control': 'no-store' };
    server.injectFault({ kind: 'raw', status: 200, headers, body });
    const verifier = member();
    await verifier.verify(GOOD);
    await verifier.close();
    expect(fleet.sharedCache.size).toBe(0);
  });
});

/** A network knows nothing of a clock that is advanced, which would show more than was waited for. */
function answersAtOnce(): FakeTransport {
  const transport = new FakeTransport();
  transport.script = () => response(200, GOOD_BODY);
  return transport;
}

describe('a shared cache that misbehaves', () => {
  const never = async (): Promise<never> => await new Promise(() => undefined);
  const throws = (): never => {
    throw new Error('down');
  };
  const broken: readonly [string, Partial<Record<keyof SharedCache, unknown>>][] = [
    ['rejects', { get: async () => await Promise.reject(new Error('down')) }],
    ['throws', { get: throws }],
    ['says nothing', { get: async () => await Promise.resolve(undefined) }],
    ['has no time', { get: async () => await Promise.resolve({ now: NaN }) }],
    ['returns rubbish', { get: async () => await Promise.resolve({ now: 1, entry: 7 }) }],
    ['returns other rubbish', { get: async () => await Promise.resolve({ now: 1, entry: { value: '{}', fence: 1 } }) }],
    [
      'returns half a record',
      { get: async () => await Promise.resolve({ now: 1, entry: { value: '{"askedAt":1', fence: 1 } }) },
    ],
  ];

  test.each(broken)('%s, and the verdict is the same', async (_, methods) => {
    const { member } = await fleetRig();
    const sharedCache = { fleet: support, put: throws, lease: throws, ...methods } as unknown as SharedCache;
    const verifier = member({ sharedCache });
    expect(brief(await verifier.verify(GOOD))).toBe('valid server');
    expect(brief(await verifier.verify('sk-unknown'))).toBe('rejected server unknown_key');
    await verifier.close();
  });

  test('hangs: each miss waits for its budget, until the breaker opens; then one in a while finds out, and nobody waits', async () => {
    const { server, clock, member } = await fleetRig();
    let gets = 0;
    let hangs = true;
    const { sharedCache: works } = memoryFleet({ clock });
    const sharedCache: SharedCache = {
      fleet: works.fleet,
      get: async (key) => {
        gets++;
        return hangs ? await never() : await works.get(key);
      },
      put: async (...put) => await works.put(...put),
      lease: async (...lease) => await works.lease(...lease),
    };
    const verifier = member({ sharedCache, random: () => 0 });
    for (let i = 0; i < 5; i++) {
      const before = clock.monotonic();
      expect(brief(await settle(verifier.verify(`sk-${i}`), clock, 100))).toBe('rejected server unknown_key');
      expect(clock.monotonic() - before).toBeGreaterThanOrEqual(50);
    }
    const before = clock.monotonic();
    await verifier.verify('sk-5');
    expect(clock.monotonic() - before).toBe(0);
    expect(gets).toBe(5);
    await clock.advance(1_000);
    await verifier.verify('sk-6');
    expect(gets).toBe(6);
    await clock.advance(50);
    hangs = false;
    await clock.advance(1_000);
    await verifier.verify('sk-7');
    await verifier.verify('sk-8');
    expect(gets).toBe(8);
    expect(verifier.stats().shared).toMatchObject({ hits: 0, misses: 2, unsealable: 0, failures: 6 });
    expect(server.counts.rejected).toBe(9);
  });

  test('costs its budget once, where the stream cannot be read either', async () => {
    const { clock, member } = await fleetRig();
    const revocations = { fleet: support, name: 's', heartbeatMs: 60_000, follow: never };
    const sharedCache = { fleet: support, get: never, put: never, lease: never };
    const verifier = member({ sharedCache, revocations, transport: answersAtOnce() });
    const before = clock.monotonic();
    await settle(verifier.verify(GOOD), clock, 1_000);
    expect(clock.monotonic() - before).toBe(50);
  });

  test('takes no longer than what is left of timeoutMs', async () => {
    const { clock, member } = await fleetRig();
    const sharedCache = { fleet: support, get: never, put: never, lease: never };
    const verifier = member({ sharedCache, timeoutMs: 20, transport: answersAtOnce() });
    const before = clock.monotonic();
    await settle(verifier.verify(GOOD), clock, 1_000);
    expect(clock.monotonic() - before).toBe(20);
  });
});

describe('a revocation', () => {
  test.each([{ key: GOOD }, { keyId: 'k-1' }, { client: 'acme' }, { tenant: 'cust-A' }])(
    'by %o is effective in every process',
    async (selector) => {
      const { server, fleet, member } = await fleetRig();
      const [a, b] = [member(), member()];
      for (const verifier of [a, b]) await verifier.verify(GOOD);
      await shared(fleet);
      server.revoke(GOOD);
      await a.revoke(selector);
      for (const verifier of [a, b, member()])
        expect(brief(await verifier.verify(GOOD))).toMatch(/^rejected (server|shared) revoked$/);
      expect(b.stats().revocations).toMatchObject({ messages: 1, gaps: 0, down: false });
    },
  );

  test('holds while the key server is down: neither stale nor open, also in a process that starts then', async () => {
    const { server, clock, fleet, member } = await fleetRig();
    const a = member({ failOpen: true, retries: 0 });
    await a.verify(GOOD);
    await shared(fleet);
    await server.stop();
    await a.revoke({ tenant: 'cust-A' });
    for (const verifier of [a, member({ failOpen: true, retries: 0 })])
      expect(brief(await settle(verifier.verify(GOOD), clock, 3_000))).toMatch(/^closed/);
  });

  test('that was taken back is over: what was asked for later is served, in an outage too', async () => {
    const { server, clock, fleet, member } = await fleetRig();
    const a = member();
    await a.verify(GOOD);
    await a.revoke({ tenant: 'cust-A' });
    await until(() => fleet.sharedCache.size === 1);
    await clock.advance(10);
    expect(brief(await a.verify(GOOD))).toBe('valid server');
    await a.close();
    await server.stop();
    expect(brief(await member().verify(GOOD))).toBe('valid shared');
  });

  test('of a change asks anew, and honors the old verdict in an outage', async () => {
    const { server, clock, fleet, member } = await fleetRig();
    const verifier = member({ retries: 0 });
    await verifier.verify(GOOD);
    await shared(fleet);
    await fleet.revocations.publish({ type: 'changed', select: { keyId: 'k-1' } });
    expect(brief(await verifier.verify(GOOD))).toBe('valid server');
    await clock.advance(1);
    await fleet.revocations.publish({ type: 'changed', select: { all: true } });
    await server.stop();
    expect(brief(await settle(verifier.verify(GOOD), clock, 3_000))).toBe('valid stale');
    expect(brief(await settle(member({ retries: 0 }).verify(GOOD), clock, 3_000))).toBe('valid stale');
  });

  test('for another scope is none of this service’s business', async () => {
    const { server, fleet, member } = await fleetRig();
    const verifier = member({ scope: 'cust-A' });
    await verifier.verify(GOOD);
    await fleet.revocations.publish({ type: 'revoked', select: { all: true }, scope: 'cust-B' });
    expect(brief(await verifier.verify(GOOD))).toBe('valid cache');
    await fleet.revocations.publish({ type: 'revoked', select: { all: true }, scope: 'cust-A' });
    expect(brief(await verifier.verify(GOOD))).toBe('valid server');
    expect(server.counts.requests).toBe(2);
  });

  test('wins over a look into the shared cache that is under way', async () => {
    const { clock, fleet, member } = await fleetRig();
    await member().verify(GOOD);
    await shared(fleet);
    let proceed: () => void = () => undefined;
    const held = new Promise<void>((resolve) => (proceed = resolve));
    const sharedCache: SharedCache = {
      fleet: fleet.sharedCache.fleet,
      get: async (key) => {
        const read = await fleet.sharedCache.get(key);
        await held;
        return read;
      },
      put: async (...put) => await fleet.sharedCache.put(...put),
      lease: async (...lease) => await fleet.sharedCache.lease(...lease),
    };
    const verifier = member({ sharedCache });
    const result = verifier.verify(GOOD);
    await clock.advance(1);
    verifier.invalidate({ tenant: 'cust-A' });
    proceed();
    expect(brief(await result)).toBe('valid server');
  });

  test('that cannot be published says so', async () => {
    const { member, build, clock } = await fleetRig();
    await expect(build().revoke({ keyId: 'k' })).rejects.toBeInstanceOf(NotPublishedError);
    const source = {
      fleet: support,
      name: 's',
      heartbeatMs: 1_000,
      follow: async () => await new Promise<void>(() => undefined),
    };
    await expect(member({ revocations: source }).revoke({ keyId: 'k' })).rejects.toThrow(
      'none of the sources in revocations can publish; forgotten in this process only',
    );
    const publish = async () => await Promise.reject(new Error(`${TOKEN} is refused`));
    const refused = member({ revocations: [{ ...source, publish }] }).revoke({ keyId: 'k' });
    await expect(refused).rejects.toThrow('may not have reached');
    await expect(refused).rejects.toMatchObject({ cause: { message: '[redacted] is refused' } });
    const fetches = member({ revocations: [{ ...source, publish }], serviceToken: () => TOKEN });
    await expect(fetches.revoke({ keyId: 'k' })).rejects.toBeInstanceOf(NotPublishedError);
    const hangs = { ...source, publish: async () => await new Promise<void>(() => undefined) };
    const long = settle(member().revoke({ client: 'x'.repeat(513) }), clock, 3_000);
    await expect(long).rejects.toThrow('too long to be published');
    await member().revoke({ client: 'x'.repeat(512) });
    await expect(settle(member({ revocations: hangs }).revoke({ keyId: 'k' }), clock, 3_000)).rejects.toThrow(
      'may not have reached',
    );
  });
});

test('warmUp() tells of a token that cannot be had while the revocations are out of reach', async () => {
  const { member } = await fleetRig();
  const revocations = {
    fleet: support,
    name: 's',
    heartbeatMs: 1_000,
    follow: async () => await new Promise<void>(() => undefined),
  };
  const verifier = member({ revocations, serviceToken: async () => await Promise.reject(new Error('no vault')) });
  await expect(verifier.warmUp()).rejects.toMatchObject({
    message: 'keyverify: serviceToken() failed',
    cause: { message: 'no vault' },
  });
});

describe('a gap', () => {
  test('makes verdicts suspect: each is asked about within the window, by one process, and serves until then', async () => {
    const { server, clock, fleet, member } = await fleetRig();
    const members = [member(), member(), member()];
    for (const verifier of members) {
      await verifier.verify(GOOD);
      await shared(fleet);
    }
    server.revoke(GOOD);
    fleet.revocations.gap();
    for (const verifier of members) expect(brief(await verifier.verify(GOOD))).toBe('valid cache');
    let refused = 0;
    for (let passed = 0; passed < WINDOW && refused < 3; passed += 1_000) {
      await clock.advance(1_000);
      const results = await Promise.all(members.map(async (verifier) => brief(await verifier.verify(GOOD))));
      refused = results.filter((result) => result.startsWith('rejected')).length;
      await new Promise((resolve) => setTimeout(resolve, 3));
    }
    expect(refused).toBe(3);
    expect(server.counts.requests).toBeLessThanOrEqual(4);
    expect(members[0]?.stats().revocations.gaps).toBe(1);
  });

  test('in an outage leaves verdicts to stale-if-error', async () => {
    const { server, clock, fleet, member } = await fleetRig();
    const verifier = member({ retries: 0 });
    await verifier.verify(GOOD);
    fleet.revocations.gap();
    await server.stop();
    await clock.advance(WINDOW);
    expect(brief(await settle(verifier.verify(GOOD), clock, 3_000))).toBe('valid stale');
  });
});
