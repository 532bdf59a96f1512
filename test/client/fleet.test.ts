import { describe, expect, test, vi } from 'vitest';

import type { FollowContext, KeyVerifierOptions, Revocation, RevocationSource, SharedCache } from 'keyverify';
import { fleet as support } from 'keyverify/fleet';
import { memoryFleet, testClock } from 'keyverify/testing';

import { VerdictCache } from '../../src/cache/verdict-cache.js';
import { fleet } from '../../src/client/fleet.js';
import { ServiceToken } from '../../src/client/token.js';
import { toHex } from '../../src/core/fingerprint.js';
import type { TokenSource } from '../../src/core/token.js';
import { Logs } from '../../src/observe/logs.js';
import { Observers } from '../../src/observe/observers.js';
import { ResultCounter } from '../../src/observe/stats.js';
import { resolveOptions } from '../../src/options/resolve.js';
import { sha256 } from '../../src/platform/server.js';
import { KEY } from '../helpers/loader.js';
import { URL_AND_TOKEN } from '../helpers/options.js';
import { verdict, verified } from '../helpers/verdicts.js';

const FINGERPRINT = sha256(KEY);
const UNKNOWN = { fence: 0, hasEntry: false, result: undefined };
const KNOWN = { ...UNKNOWN, hasEntry: true };

/** A stream into which the test delivers. */
function fakeStream() {
  const contexts: FollowContext[] = [];
  const follow = async (context: FollowContext): Promise<void> => {
    contexts.push(context);
    await new Promise<never>(() => undefined);
  };
  const source: RevocationSource = { fleet: support, name: 's', heartbeatMs: 60_000, follow };
  let count = 0;
  const deliver = (events: readonly Revocation[]): void => {
    contexts[0]?.sink.deliver(
      events.map((event) => ({ position: `1-${String(++count)}`, json: JSON.stringify({ v: 1, ...event }) })),
    );
    contexts[0]?.sink.caughtUp();
  };
  return { source, contexts, deliver };
}

function fleetOf(options: KeyVerifierOptions = {}, serviceToken: TokenSource = URL_AND_TOKEN.serviceToken) {
  const clock = testClock();
  const counts: number[] = [];
  const detached: (string | undefined)[] = [];
  const onRevocation = ({ count }: { readonly count: number }): void => void counts.push(count);
  const resolved = resolveOptions({
    ...URL_AND_TOKEN,
    clock,
    random: () => 0,
    observers: [{ onRevocation }],
    ...options,
  });
  const cache = new VerdictCache(resolved);
  const made = fleet.create(resolved, cache, new Observers(resolved.observers), {
    token: new ServiceToken(serviceToken),
    detach: (fingerprint) => detached.push(fingerprint),
    logs: new Logs(false, resolved, () => new ResultCounter().snapshot().statuses),
    sharesPromises: true,
  });
  const remember = (key: string): void => {
    const askedAt = { wall: clock.wall(), mono: clock.monotonic() };
    cache.set(sha256(key), { ...verdict(verified({ keyId: 'k-1' })), askedAt }, cache.position);
  };
  const mayRefresh = async (look = KNOWN): Promise<boolean> => await made.mayRefresh(FINGERPRINT, look);
  return { fleet: made, clock, cache, counts, detached, remember, mayRefresh };
}

describe('a fleet', () => {
  test('without a shared cache has only its revocations, and each process refreshes for itself', async () => {
    const { source, contexts } = fakeStream();
    const { fleet, clock } = fleetOf({ revocations: source });
    expect([fleet.sharesVerdicts, Object.keys(fleet.health)]).toEqual([false, ['revocations']]);
    // The first look follows the stream, nevertheless.
    expect([fleet.look(FINGERPRINT, KEY, clock.monotonic()), contexts.length]).toEqual([undefined, 1]);
    for (const look of [undefined, KNOWN, UNKNOWN]) expect(await fleet.mayRefresh(FINGERPRINT, look)).toBe(true);
    await fleet.share(FINGERPRINT, verdict(verified()), 0, {});
  });

  test('without revocations has only its shared cache, and nothing to read first', async () => {
    const { fleet, clock } = fleetOf({ sharedCache: memoryFleet().sharedCache });
    await fleet.start();
    expect([fleet.sharesVerdicts, Object.keys(fleet.health)]).toEqual([true, ['sharedCache']]);
    expect(await fleet.look(FINGERPRINT, KEY, clock.monotonic())).toMatchObject({ hasEntry: false });
    fleet.close();
  });

  test.each([
    [{}, [1, URL_AND_TOKEN.verifyUrl, '', '']],
    [{ scope: 'cust-A', sharedNamespace: 'blue' }, [1, URL_AND_TOKEN.verifyUrl, 'cust-A', 'blue']],
  ])('of any version finds the same entries: the namespace for %o', async (options, namespace) => {
    const { sharedCache: works } = memoryFleet();
    const get = vi.fn<SharedCache['get']>(async (key) => await works.get(key));
    const sharedCache: SharedCache = {
      fleet: support,
      get,
      put: works.put.bind(works),
      lease: works.lease.bind(works),
    };
    const { fleet, clock } = fleetOf({ sharedCache, ...options });
    await fleet.look(FINGERPRINT, KEY, clock.monotonic());
    expect(get.mock.calls.map(([key]) => JSON.parse(key.namespace) as unknown)).toEqual([namespace]);
  });

  test('neither reads a shared cache that is down nor waits for a stream because of it', async () => {
    const fails = async (): Promise<never> => await Promise.reject(new Error('down'));
    const sharedCache = { fleet: support, get: fails, put: fails, lease: fails };
    const { fleet, clock } = fleetOf({ sharedCache });
    for (let failed = 0; failed < 5; failed++)
      expect(await fleet.look(FINGERPRINT, KEY, clock.monotonic())).toBeUndefined();
    expect(fleet.look(FINGERPRINT, KEY, clock.monotonic())).toBeUndefined();
  });

  test('gives its streams the service token, fetched once for all', async () => {
    const { source, contexts } = fakeStream();
    const fetched = vi.fn(async () => await Promise.resolve('token-2'));
    const { fleet } = fleetOf({ revocations: source }, fetched);
    void fleet.start();
    const token = async () => await contexts[0]?.token();
    expect(await Promise.all([token(), token()])).toEqual(['token-2', 'token-2']);
    expect(await token()).toBe('token-2');
    expect(fetched).toHaveBeenCalledOnce();
    expect(await contexts[0]?.token('token-2')).toBe('token-2');
    expect(fetched).toHaveBeenCalledTimes(2);
  });

  test('ends its streams when it is closed', async () => {
    const { source, contexts } = fakeStream();
    const { fleet, clock } = fleetOf({ revocations: source });
    void fleet.start();
    expect(contexts.map(({ signal }) => signal.aborted)).toEqual([false]);
    fleet.close();
    await clock.advance(0);
    expect(contexts.map(({ signal }) => signal.aborted)).toEqual([true]);
  });

  test('asks about a key that was evicted meanwhile as about any other', async () => {
    const { mayRefresh } = fleetOf({ sharedCache: memoryFleet().sharedCache });
    expect(await mayRefresh(UNKNOWN)).toBe(true);
  });
});

describe('revocations', () => {
  const revoked = (select: Revocation['select']): Revocation => ({ type: 'revoked', select });
  const changed = (select: Revocation['select']): Revocation => ({ type: 'changed', select });
  const one = { fingerprint: toHex(FINGERPRINT) };

  const delivered = async (events: readonly Revocation[]) => {
    const { source, deliver } = fakeStream();
    const made = fleetOf({ revocations: source });
    made.remember(KEY);
    await made.clock.advance(1);
    void made.fleet.start();
    deliver(events);
    return made;
  };

  test.each([
    ['one key', [revoked(one)], false],
    ['the keys of one id', [revoked({ keyId: 'k-1' })], false],
    ['a client', [revoked({ client: 'acme' })], true],
    ['a tenant', [revoked({ tenant: 'cust-A' })], true],
    ['all', [revoked({ all: true })], true],
    ['one key and a tenant', [revoked(one), revoked({ tenant: 'cust-A' })], true],
    ['a tenant that is changed, not revoked', [changed({ tenant: 'cust-A' })], false],
  ])('of many keys put refreshes off for two seconds: %s', async (_, events, isLater) => {
    const { clock, mayRefresh } = await delivered(events);
    expect(await mayRefresh()).toBe(!isLater);
    await clock.advance(1_999);
    expect(await mayRefresh()).toBe(!isLater);
    await clock.advance(1);
    expect(await mayRefresh()).toBe(true);
  });

  test.each([
    ['revoked', revoked],
    ['changed', changed],
  ])('let nobody join a flight that was sent before: %s', async (_, event) => {
    const { detached } = await delivered([event(one), event({ tenant: 'cust-A' }), event({ all: true })]);
    expect(detached).toEqual([FINGERPRINT, undefined, undefined]);
  });

  test.each([
    ['revoked', [revoked(one)], [1]],
    ['changed', [changed(one)], [1]],
    ['both, of one verdict', [revoked({ keyId: 'k-2' }), changed({ keyId: 'k-1' })], [1]],
    ['of others', [revoked({ keyId: 'k-2' }), changed({ keyId: 'k-2' })], [0]],
  ])('are reported with the number of verdicts that they concern: %s', async (_, events, expected) => {
    const { counts } = await delivered(events);
    expect(counts).toEqual(expected);
  });
});
