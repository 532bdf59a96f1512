import { describe, expect, test, vi } from 'vitest';

import { NotPublishedError, type KeyVerifierOptions, type Observer, type VerifyOptions } from 'keyverify';
import { memoryFleet, testClock } from 'keyverify/testing';

import { VerifyFailure } from '../../src/core/failure.js';
import { sha256 } from '../../src/platform/server.js';
import { KEY, entryOf, loaderOf } from '../helpers/loader.js';
import { GOOD_BODY, response } from '../helpers/responses.js';
import { GOOD as SERVED, rig } from '../helpers/rig.js';

const FINGERPRINT = sha256(KEY);
const GOOD = response(200, GOOD_BODY);
const OUT = response(503);
const LIMITED = response(429, '', { 'retry-after': '3' });
const never = new Promise<never>(() => undefined);

describe('a load', () => {
  test('asks, caches the verdict and reports it', async () => {
    const { load, answer, clock, cache, events, loader } = loaderOf();
    const loading = await load();
    expect(loader.counts).toMatchObject({ active: 1, queued: 0, controls: 0, breaker: 'closed' });
    await clock.advance(30);
    await answer(GOOD);
    expect([loading.outcome, events]).toEqual(['verified', ['key verified 1 30']]);
    expect(cache.get(FINGERPRINT)?.result).toMatchObject({ client: 'acme', source: 'cache' });
  });

  test('is one flight for all who ask about the same key', async () => {
    const { load, answer, requests } = loaderOf();
    const loads = [await load(), await load(), await load('sk-other')];
    expect(requests).toHaveLength(2);
    requests[0]?.answer(GOOD);
    await answer(GOOD);
    expect(loads.map(({ outcome }) => outcome)).toEqual(['verified', 'verified', 'verified']);
  });

  test('that is aborted leaves the flight to the others', async () => {
    const { load, answer, requests, cache } = loaderOf();
    const controller = new AbortController();
    const [left, stayed] = [await load(KEY, { signal: controller.signal }), await load()];
    controller.abort('gone');
    await answer(GOOD);
    expect([left.outcome, stayed.outcome, requests.length]).toEqual(['rejected with gone', 'verified', 1]);
    expect(cache.get(FINGERPRINT)).toBeDefined();
  });

  test('joins only a flight that was sent recently enough, where it wants a recent verdict', async () => {
    const { load, requests, clock } = loaderOf();
    await load();
    await clock.advance(99);
    await load(KEY, { maxAgeMs: 100 });
    expect(requests).toHaveLength(1);
    await clock.advance(1);
    await load(KEY, { maxAgeMs: 100 });
    expect(requests).toHaveLength(2);
    await load();
    expect(requests).toHaveLength(2);
  });

  test('joins a flight that is not sent yet, however recent it wants its verdict', () => {
    const { loader } = loaderOf({ serviceToken: async () => await never });
    const first = loader.load(FINGERPRINT, KEY, {});
    expect(loader.load(FINGERPRINT, KEY, { maxAgeMs: 0 })).toBe(first);
  });

  test('starts anew once the flight is detached, whose verdict is not kept if the key was invalidated', async () => {
    const { load, loader, cache, requests, answer, clock } = loaderOf();
    const first = await load();
    loader.detach(FINGERPRINT);
    cache.invalidate([{ selector: { fingerprint: FINGERPRINT } }], 0);
    const second = await load();
    expect(requests).toHaveLength(2);
    await clock.advance(1);
    requests[0]?.answer(GOOD);
    await answer(OUT);
    expect([first.outcome, second.outcome]).toEqual([undefined, 'server_error']);
    expect(cache.get(FINGERPRINT)).toBeUndefined();
    loader.detach();
    await load();
    // The first was asked anew.
    expect(requests.filter(({ key }) => key === KEY)).toHaveLength(4);
  });

  describe('whose verdict is invalidated in flight', () => {
    const REVOKED = response(200, { valid: false, reason: 'revoked' });

    /** 100 ms after it was asked, the tenant is invalidated; 100 ms later the answer to that comes. */
    const overtaken = async (reply = GOOD) => {
      const rig = loaderOf({ failOpen: true });
      const { load, answer, cache, clock } = rig;
      const loading = await load();
      await clock.advance(100);
      const invalidate = (): number => cache.invalidate([{ selector: { tenant: 'cust-A' } }], clock.monotonic());
      invalidate();
      await clock.advance(100);
      await answer(reply);
      const asked = (): number => rig.requests.filter(({ key }) => key === KEY).length;
      return { ...rig, loading, invalidate, asked };
    };

    test.each([
      ['verified', GOOD],
      ['rejected', REVOKED],
    ])('is asked again, and the waiting callers get the second answer: %s', async (outcome, reply) => {
      const { loading, asked, answer, cache, events } = await overtaken();
      expect([loading.outcome, asked(), cache.isInvalidated(FINGERPRINT)]).toEqual([undefined, 2, true]);
      await answer(reply);
      expect([loading.outcome, events]).toEqual([outcome, [`key ${outcome} 1 200`]]);
      expect([cache.get(FINGERPRINT)?.result.valid, cache.isInvalidated(FINGERPRINT)]).toEqual([reply === GOOD, false]);
    });

    test('is not asked again for a rejection', async () => {
      const { loading, asked } = await overtaken(REVOKED);
      expect([loading.outcome, asked()]).toEqual(['rejected', 1]);
    });

    test('fails within its own time', async () => {
      const { loading, clock } = await overtaken();
      await clock.advance(1_799);
      expect(loading.outcome).toBeUndefined();
      await clock.advance(1);
      expect(loading.outcome).toBe('timeout');
    });

    test('fails within its own time where it has to wait for a slot', async () => {
      const { load, answer, cache, clock } = loaderOf({ maxConcurrency: 1 });
      const loading = await load();
      await clock.advance(1_000);
      await load('sk-other');
      await clock.advance(700);
      cache.invalidate([{ selector: { tenant: 'cust-A' } }], clock.monotonic());
      await answer(GOOD);
      await clock.advance(299);
      expect(loading.outcome).toBeUndefined();
      await clock.advance(1);
      // There was no slot, and nobody was answered meanwhile.
      expect(loading.outcome).toBe('timeout');
    });

    test('fails where the second answer is invalidated, too', async () => {
      const { loading, asked, answer, invalidate, cache, loader } = await overtaken();
      const joined = loader.load(FINGERPRINT, KEY, {});
      invalidate();
      await answer(GOOD);
      expect([loading.outcome, asked(), cache.get(FINGERPRINT)]).toEqual(['overloaded', 2, undefined]);
      expect(cache.isInvalidated(FINGERPRINT)).toBe(true);
      expect(await joined).toMatchObject({ message: 'keyverify: invalidated twice in flight' });
    });
  });
});

describe('a failure', () => {
  test('is reported, and never cached as a verdict', async () => {
    const { load, answer, cache, events, warnings } = loaderOf();
    const loading = await load();
    await answer(response(404));
    expect([loading.outcome, events]).toEqual(['misconfigured', ['key misconfigured']]);
    expect(cache.get(FINGERPRINT)).toBeUndefined();
    expect(warnings).toHaveLength(1);
  });

  test('comes with the events of control questions and of the breaker', async () => {
    const { load, transport, events, loader, clock } = loaderOf({ breaker: { failureThreshold: 1 } });
    transport.script = () => OUT;
    await load();
    expect(events).toEqual(['breaker open server_error', 'control server_error 0', 'key server_error']);
    expect(loader.blockedBy(clock.monotonic())).toMatchObject({ kind: 'circuit_open' });
  });

  test('backs a cached key off for half a second', async () => {
    const { load, answer, cache, clock } = loaderOf();
    await load();
    await answer(GOOD);
    const loading = await load();
    await answer(response(404));
    expect(loading.outcome).toBe('misconfigured');
    const now = clock.monotonic();
    const entry = cache.get(FINGERPRINT);
    expect(entry?.backoffFailure(now + 499)).toMatchObject({ kind: 'misconfigured' });
    expect(entry?.backoffFailure(now + 500)).toBeUndefined();
  });

  test('is remembered as long as the key fails, until the next verdict', async () => {
    const { load, answer, cache, clock } = loaderOf();
    await load();
    await answer(GOOD);
    expect(cache.get(FINGERPRINT)?.failingMs(clock.monotonic())).toBe(0);
    await load();
    await answer(LIMITED);
    await clock.advance(3_100);
    await load();
    await answer(response(404));
    expect(cache.get(FINGERPRINT)?.failingMs(clock.monotonic())).toBe(3_100);
    await clock.advance(1_000);
    await load();
    await answer(GOOD);
    await clock.advance(100);
    expect(cache.get(FINGERPRINT)?.failingMs(clock.monotonic())).toBe(0);
  });

  test('is dropped when its back-off is over: in a long outage every entry would hold one', async () => {
    const { load, cache, clock, transport } = loaderOf();
    transport.script = () => GOOD;
    const keys = ['sk-1', 'sk-2', 'sk-3', 'sk-4'];
    for (const key of keys) await load(key);
    transport.script = () => response(404);
    const held = () => keys.map((key) => cache.get(sha256(key))?.backoff?.failure !== undefined);
    await load('sk-1');
    await clock.advance(300);
    await load('sk-2');
    // Asked again, so the youngest.
    await load('sk-1');
    await clock.advance(250);
    await load('sk-3');
    expect(held()).toEqual([true, true, true, false]);
    await clock.advance(250);
    await load('sk-4');
    expect(held()).toEqual([false, false, true, true]);
    await clock.advance(250);
    await load('sk-4');
    expect(held()).toEqual([false, false, false, true]);
  });
});

describe('a refresh', () => {
  test('asks in the background, and keeps the runtime alive for it', async () => {
    const { loader, answer, cache, requests } = loaderOf();
    const kept: Promise<unknown>[] = [];
    expect(loader.refresh(FINGERPRINT, KEY, { waitUntil: (work) => kept.push(work) })).toBe(true);
    expect(loader.refresh(FINGERPRINT, KEY, {})).toBe(true);
    expect([requests.length, kept.length]).toEqual([1, 1]);
    await answer(GOOD);
    expect(await kept[0]).toMatchObject({ status: 'verified' });
    expect(cache.get(FINGERPRINT)).toBeDefined();
  });

  test('is not harmed by a waitUntil that throws', () => {
    const { loader } = loaderOf();
    const waitUntil = () => {
      throw new Error('the request is over');
    };
    expect(loader.refresh(FINGERPRINT, KEY, { waitUntil })).toBe(true);
  });

  test('may be joined at once where no verdicts are shared, with revocations or without', async () => {
    for (const options of [{}, { revocations: memoryFleet().revocations }]) {
      const { loader, load, answer, requests } = loaderOf(options);
      loader.refresh(FINGERPRINT, KEY, {});
      const loading = await load();
      await answer(GOOD);
      expect([loading.outcome, requests.length]).toEqual(['verified', 1]);
      expect(loader.counts).toMatchObject({ coalesced: 1, refreshes: 1 });
    }
  });

  test('asks nothing if another process has refreshed the verdict', async () => {
    const clock = testClock();
    const { sharedCache } = memoryFleet({ clock });
    const [own, other] = [loaderOf({ clock, sharedCache }), loaderOf({ clock, sharedCache })];
    for (const { load, answer } of [own, other]) {
      await load(KEY, { maxAgeMs: 1 });
      await clock.advance(0);
      await answer(GOOD);
      await clock.advance(1_000);
    }
    own.loader.refresh(FINGERPRINT, KEY, {});
    await clock.advance(10);
    expect([own.requests.length, other.requests.length, own.loader.counts.refreshes]).toEqual([1, 1, 0]);
    expect(own.cache.get(FINGERPRINT)?.isFrom(clock.wall() - 1_010)).toBe(true);
  });

  test('does not start once the loader is closed', async () => {
    const { loader, requests } = loaderOf();
    await loader.close();
    expect(loader.refresh(FINGERPRINT, KEY, {})).toBe(false);
    expect(requests).toHaveLength(0);
  });
});

describe('the trickle', () => {
  const paused = async (options: KeyVerifierOptions = {}) => {
    const given = loaderOf(options);
    await given.load();
    await given.answer(GOOD);
    await given.load('sk-2');
    await given.answer(LIMITED);
    given.requests.length = 0;
    const trickle = (key: string, call: VerifyOptions = {}): void =>
      given.loader.trickle(sha256(key), key, entryOf(given.cache, key), given.clock.monotonic(), call);
    return { ...given, trickle };
  };

  test('asks although the gate refuses, in the lane of the key', async () => {
    const { trickle, requests, load, answer, events, clock } = await paused();
    expect((await load('sk-3')).outcome).toBeUndefined();
    expect((await load('sk-4')).outcome).toBe('rate_limited');
    trickle(KEY);
    await clock.advance(50);
    expect(requests.map(({ key }) => key)).toEqual(['sk-3', KEY]);
    events.length = 0;
    await answer(GOOD);
    expect(events).toEqual(['key verified 1 0']);
  });

  test('asks at once about a key that was bad, if a question is left, and keeps the process at work until then', async () => {
    const { trickle, requests, answer, clock } = await paused();
    const kept: Promise<unknown>[] = [];
    for (const key of ['sk-3', 'sk-4']) trickle(key, { waitUntil: (work) => kept.push(work) });
    await clock.advance(0);
    expect(requests.map(({ key }) => key)).toEqual(['sk-3']);
    await answer(GOOD);
    expect(await kept[0]).toMatchObject({ status: 'verified' });
  });

  test('asks about a key that has become known, however often it was limited while it was new', async () => {
    const { load, answer, clock, requests } = loaderOf();
    for (const ms of [250, 500, 1_000, 2_000]) {
      await load();
      await answer(LIMITED);
      await clock.advance(ms);
    }
    await load();
    await answer(LIMITED);
    // The pause is over, but in another one the key would have to wait for a second more.
    await clock.advance(3_000);
    await load();
    await answer(GOOD);
    await load('sk-2');
    await answer(LIMITED);
    requests.length = 0;
    expect((await load()).outcome).toBeUndefined();
    expect(requests.map(({ key }) => key)).toEqual([KEY]);
  });

  test('is a refresh: nobody waits for it', async () => {
    const purposes: string[] = [];
    const onAsk: Observer['onAsk'] = async ({ purpose }, ask) => {
      purposes.push(purpose);
      await ask();
    };
    const { trickle, loader, answer, clock } = await paused({ observers: [{ onAsk }] });
    purposes.length = 0;
    trickle(KEY);
    await clock.advance(50);
    await answer(GOOD);
    expect([purposes, loader.counts.refreshes]).toEqual([['refresh'], 1]);
  });

  test('does not ask twice about one key', async () => {
    const { trickle, requests, clock } = await paused();
    trickle(KEY);
    await clock.advance(200);
    trickle(KEY);
    await clock.advance(0);
    expect(requests.filter(({ key }) => key === KEY)).toHaveLength(1);
  });

  test('is over once the loader is closed', async () => {
    const { trickle, loader, requests, clock, events } = await paused();
    trickle(KEY);
    await loader.close();
    events.length = 0;
    await clock.advance(100);
    trickle(KEY);
    await clock.advance(100);
    expect([requests, events, clock.pending]).toEqual([[], [], 0]);
  });
});

test('a revocation is not published where nothing follows one', async () => {
  const { loader } = loaderOf();
  await expect(loader.publish({ keyId: 'k-1' })).rejects.toThrow(
    new NotPublishedError('keyverify: revoke() needs the option revocations; forgotten in this process only'),
  );
});

describe('warming up', () => {
  test('fetches a token, once', async () => {
    const serviceToken = vi.fn(() => 'token-2');
    const { loader, load, requests } = loaderOf({ serviceToken });
    await loader.warmUp();
    await loader.warmUp();
    await load();
    expect([serviceToken.mock.calls.length, requests.length]).toEqual([1, 1]);
  });

  test('has nothing to do where the token is given and the transport needs none', async () => {
    const { loader, clock, requests } = loaderOf();
    await loader.warmUp();
    expect([requests.length, clock.pending]).toEqual([0, 0]);
  });

  test('warms its transport up, and rejects as that does', async () => {
    const { loader, transport } = loaderOf();
    Object.assign(transport, { warmUp: async () => await Promise.reject(new Error('no route')) });
    await expect(loader.warmUp()).rejects.toThrow('no route');
  });

  test('ends after timeoutMs, and the next one asks for a token anew', async () => {
    const serviceToken = vi.fn(async () => await never);
    const { loader, clock } = loaderOf({ serviceToken, timeoutMs: 1_000 });
    const warm = expect(loader.warmUp()).rejects.toEqual(
      new VerifyFailure('misconfigured', 'keyverify: serviceToken() or the transport took too long'),
    );
    await clock.advance(1_000);
    await warm;
    void loader.warmUp().catch(() => undefined);
    expect(serviceToken).toHaveBeenCalledTimes(2);
    await clock.advance(1_000);
  });
});

describe('close', () => {
  test('waits for what is being asked, and asks no more', async () => {
    const { loader, load, answer, transport, requests } = loaderOf();
    const close = vi.fn();
    Object.assign(transport, { close });
    const loading = await load();
    let closed = false;
    const closing = loader.close().then(() => (closed = true));
    expect((await load('sk-2')).outcome).toBe('misconfigured');
    expect([closed, requests.length]).toEqual([false, 1]);
    await answer(GOOD);
    await closing;
    expect(loading.outcome).toBe('verified');
    // The caller's own transport is the caller's to close.
    expect(close).not.toHaveBeenCalled();
  });

  test('stops the probes of the breaker', async () => {
    const { loader, load, transport, clock } = loaderOf({ breaker: { failureThreshold: 1 } });
    transport.script = () => OUT;
    await load();
    // Until then, the event loop is looked at.
    await clock.advance(20);
    // One of the breaker, one of the health.
    expect(clock.pending).toBe(2);
    await loader.close();
    expect(clock.pending).toBe(0);
  });

  test('closes the connections of a transport of its own', async () => {
    const { server, build } = await rig();
    const verifier = build();
    expect(await verifier.verify(SERVED)).toMatchObject({ status: 'verified' });
    expect(server.counts.openConnections).toBe(1);
    await verifier.close();
    await expect.poll(() => server.counts.openConnections).toBe(0);
  });
});
