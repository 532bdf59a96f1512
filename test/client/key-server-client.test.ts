import { describe, expect, test, vi } from 'vitest';

import { TransportError } from '../../src/transport/transport.js';
import { clientOf } from '../helpers/client.js';
import { GOOD_BODY, response } from '../helpers/responses.js';

const GOOD = response(200, GOOD_BODY);
const UNKNOWN = response(200, { valid: false, reason: 'unknown_key' });
const OUT = response(503);
const REFUSED = new TransportError('unreachable', 'refused', { unconnected: true });

describe('a question', () => {
  test('reports its verdict, its attempts and its duration', async () => {
    const { ask, answer, clock, client } = clientOf({ retries: 1, random: () => 0.5 });
    const onSent = vi.fn();
    const asked = await ask('sk-1', { onSent });
    expect(client.counts).toMatchObject({ active: 1, queued: 0, controls: 0, breaker: 'closed' });
    await clock.advance(20);
    await answer('sk-1', OUT);
    // Not one control question: it is for failures that remain.
    await clock.advance(50);
    await answer('sk-1', GOOD);
    expect(asked.outcome).toMatchObject({ verdict: { result: { client: 'acme' } }, attempts: 2, durationMs: 70 });
    expect(client.counts).toMatchObject({ requests: 2, retries: 1 });
    expect(onSent).toHaveBeenCalledOnce();
    expect(client.counts).toMatchObject({ active: 0, queued: 0 });
  });

  test('that fails says how often it was asked, how long that took, and why', async () => {
    const { ask, answer, clock, client } = clientOf();
    const asked = await ask();
    await clock.advance(30);
    await answer('sk-1', response(404, '', { 'retry-after': '7' }));
    expect(asked.outcome).toMatchObject({ kind: 'misconfigured', attempts: 1, durationMs: 30, evidence: 'none' });
    expect(client.counts).toMatchObject({ active: 0, queued: 0, controls: 0, breaker: 'closed' });
  });

  test('keeps the Retry-After and the cause of its failure', async () => {
    const { ask, answerAll } = clientOf();
    answerAll(response(503, '', { 'retry-after': '7' }));
    expect((await ask()).outcome).toMatchObject({ kind: 'server_error', retryAfterMs: 7_000, evidence: 'proven' });
    answerAll(new TransportError('misconfigured', 'wrong host', { cause: new Error('not in the certificate') }));
    const other = clientOf();
    other.answerAll(REFUSED);
    expect((await other.ask()).outcome).toMatchObject({ kind: 'unreachable', cause: { message: 'refused' } });
  });

  test('about a known key goes before those about unknown ones', async () => {
    const { ask, answer, keys } = clientOf({ maxConcurrency: 1 });
    await ask('sk-first');
    await ask('sk-unknown');
    await ask('sk-known', { isKnown: true });
    for (const key of ['sk-first', 'sk-known', 'sk-unknown']) await answer(key, GOOD);
    expect(keys()).toEqual(['sk-first', 'sk-known', 'sk-unknown']);
  });
});

describe('a failure', () => {
  test('is the key’s own where the control question is answered', async () => {
    const { ask, answer, clock, client, events } = clientOf();
    const asked = await ask();
    await answer('sk-1', OUT);
    await clock.advance(40);
    await answer('control-1', UNKNOWN);
    expect(asked.outcome).toMatchObject({ kind: 'server_error', isOutage: false, durationMs: 40 });
    expect(events).toEqual(['control answered 40']);
    expect(client.counts).toMatchObject({ controls: 1, breaker: 'closed' });
  });

  test('is an outage where the control question fails, too, and both count for the breaker', async () => {
    const { ask, answerAll, client, events } = clientOf({
      breaker: { failureThreshold: 2, openMs: 1_000, maxOpenMs: 5_000 },
    });
    answerAll(OUT);
    expect((await ask()).outcome).toMatchObject({ kind: 'server_error', isOutage: true, evidence: 'proven' });
    expect(events).toEqual(['control server_error proven 0', 'breaker open server_error']);
    expect(client.counts).toMatchObject({ controls: 1, breaker: 'open' });
  });

  test('is an outage without a breaker, too', async () => {
    const { ask, answerAll, client, blocked } = clientOf({ breaker: false });
    answerAll(OUT);
    for (let count = 0; count < 9; count++) expect((await ask()).outcome).toMatchObject({ isOutage: true });
    expect([client.counts.breaker, blocked()]).toEqual(['closed', undefined]);
  });

  test('of a control question for another reason is no evidence, and counts for nothing', async () => {
    const { ask, answer, client, events, blocked } = clientOf({
      breaker: { failureThreshold: 1, openMs: 1_000, maxOpenMs: 5_000 },
    });
    const asked = await ask();
    await answer('sk-1', OUT);
    await answer('control-1', response(429));
    expect(asked.outcome).toMatchObject({ kind: 'server_error', isOutage: false });
    expect(events).toEqual(['control rate_limited none 0']);
    // It would pause all callers, for what a question of our own met.
    expect([client.counts.breaker, blocked()]).toEqual(['closed', undefined]);
  });

  test('is told from an outage over the connection that is kept for it, and over a new one after a hang-up', async () => {
    const { ask, answer, transport } = clientOf();
    await ask('sk-1');
    await answer('sk-1', new TransportError('unreachable', 'reset'));
    expect(transport.latest).toMatchObject({ key: 'control-1', options: { reserved: true } });
    await answer('control-1', new TransportError('unreachable', 'reset'));
    expect(transport.latest).toMatchObject({ key: 'control-2', options: { fresh: true } });
  });

  test('counts a retry that was needed as a failure of a flaky server', async () => {
    const { ask, answer, answerAll, clock } = clientOf({ retries: 1 });
    await ask('sk-1');
    await answer('sk-1', OUT);
    await clock.advance(0);
    await answer('sk-1', GOOD);
    await clock.advance(1_100);
    answerAll(OUT);
    const asked = await ask('sk-2', { onSent: () => undefined });
    await clock.advance(1);
    expect(asked.outcome).toBeUndefined();
    await clock.advance(2_000);
    expect(asked.outcome).toMatchObject({ isOutage: false });
  });

  test.each([
    ['is an outage where the control question hangs, too', undefined, 'timeout', true],
    ['is none where all of them still wait in our own pool', false, 'overloaded', false],
  ])('%s', async (_, isSent, kind, isOutage) => {
    const { ask, clock, transport, keys } = clientOf({ retries: 1 });
    transport.isSent = isSent;
    const asked = await ask();
    await clock.advance(1_999);
    // The first attempt has half of the time. What it failed by starts the control question.
    expect([keys(), asked.outcome]).toEqual([['sk-1', 'control-1', 'sk-1'], undefined]);
    await clock.advance(1);
    expect(asked.outcome).toMatchObject({ kind, isOutage, attempts: 2 });
  });

  /** Each delay by itself is too short for `Deadline.isOwnLoad()`. */
  test.each([
    ['is none where our own event loop was late again and again, for more than half of the time', 44, 'none'],
    ['is an outage where it was late for half of the time', 40, 'unproven'],
  ])('%s', async (_, stepMs, evidence) => {
    const { ask, answer, clock, transport, client, events } = clientOf({
      breaker: { failureThreshold: 1, openMs: 1_000, maxOpenMs: 5_000 },
    });
    transport.isSent = true;
    await ask('sk-good');
    await answer('sk-good', GOOD);
    await clock.advance(1);
    const asked = await ask();
    const live = async (ms: number) => {
      for (const end = clock.monotonic() + ms; clock.monotonic() < end;) {
        clock.jumpMono(stepMs);
        await clock.advance(0);
      }
    };
    await live(2_100);
    expect(asked.outcome).toMatchObject({ kind: 'timeout', evidence });
    await live(1_000);
    expect(events[0]).toMatch(evidence === 'none' ? /^control overloaded none / : /^breaker open timeout$/);
    expect(client.counts.breaker === 'closed').toBe(evidence === 'none');
  });

  test('is none where the control question waited in our own pool for a tenth of its time, even if it hangs then', async () => {
    const outcomes = await Promise.all(
      [199, 200].map(async (waitMs) => {
        const { ask, clock, transport, client } = clientOf({ retries: 1 });
        transport.isSent = true;
        const asked = await ask();
        // The wait is suspicious after a quarter of the time.
        await clock.advance(500);
        transport.isSent = false;
        await clock.advance(waitMs);
        transport.isSent = true;
        await clock.advance(1_500 - waitMs);
        // The control question itself is out of time a second later.
        await clock.advance(1_000);
        return [asked.outcome, client.counts.breaker];
      }),
    );
    expect(outcomes).toMatchObject([
      [{ kind: 'timeout', isOutage: true }, 'closed'],
      [{ kind: 'timeout', isOutage: false }, 'closed'],
    ]);
  });
});

describe('the breaker', () => {
  const opened = async (setup: Parameters<typeof clientOf>[0] = {}) => {
    const rig = clientOf({ breaker: { failureThreshold: 1, openMs: 1_000, maxOpenMs: 5_000 }, ...setup });
    rig.answerAll(OUT);
    await rig.ask();
    rig.transport.requests.length = 0;
    rig.events.length = 0;
    return rig;
  };

  test('refuses all but a trickle while it is open, whose failures take its evidence', async () => {
    const { ask, blocked, keys } = await opened({ sharesPromises: false, random: () => 0.5 });
    expect(blocked()).toMatchObject({ kind: 'circuit_open', isOutage: true });
    expect((await ask('sk-2')).outcome).toMatchObject({ kind: 'server_error', isOutage: true });
    expect((await ask('sk-3')).outcome).toBe(blocked());
    expect((await ask('sk-4', { isKnown: true })).outcome).toMatchObject({ kind: 'server_error' });
    expect((await ask('sk-6')).outcome).toBe(blocked());
    expect((await ask('sk-7', { isKnown: true })).outcome).toBe(blocked());
    expect((await ask('sk-5', {}, true)).outcome).toMatchObject({ kind: 'server_error' });
    expect(keys()).toEqual(['sk-2', 'sk-4', 'sk-5']);
  });

  test('asks about a known key that waits in the background', async () => {
    const { ask, blocked, keys, events, clock } = await opened();
    await ask('sk-2', { isKnown: true });
    expect((await ask('sk-3', { isKnown: true })).outcome).toBe(blocked());
    await clock.advance(100);
    expect([keys(), events]).toEqual([['sk-2'], ['refresh sk-3']]);
  });

  test.each([true, false])(
    'lets what is asked meanwhile be asked once, without a retry: by trickle %s',
    async (trickle) => {
      const { ask, keys } = await opened({ retries: 3 });
      expect((await ask('sk-2', {}, trickle)).outcome).toMatchObject({ attempts: 1 });
      expect(keys()).toEqual(['sk-2']);
    },
  );

  test('is probed by a control question each second, on a background timer, until that is answered', async () => {
    const { answerAll, clock, keys, events, blocked } = await opened();
    const after = vi.spyOn(clock, 'after');
    await clock.advance(999);
    expect([keys(), clock.pending]).toEqual([[], 1]);
    await clock.advance(1);
    expect(keys()).toEqual(['control-2']);
    // A probe keeps no process alive.
    expect(after).toHaveBeenCalledWith(1_000, expect.any(Function), true);
    expect(events).toEqual([
      'breaker half-open server_error',
      'breaker open server_error',
      'control server_error proven 0',
    ]);
    events.length = 0;
    answerAll(UNKNOWN);
    await clock.advance(1_000);
    expect(keys()).toEqual(['control-2', 'control-3']);
    expect(events).toEqual(['breaker half-open server_error', 'breaker closed undefined', 'control answered 0']);
    expect(blocked()).toBeUndefined();
    await clock.advance(60_000);
    expect([keys().length, clock.pending]).toEqual([2, 0]);
  });

  test.each([
    ['closes where its probe gets a 404', 404, 'closed'],
    ['stays open where its probe gets a 503', 503, 'open'],
  ])('%s', async (_, status, state) => {
    const { answerAll, clock, client } = await opened();
    answerAll(response(status));
    await clock.advance(1_000);
    expect(client.counts.breaker).toBe(state);
  });

  test('is probed over a new connection: an old one may lead nowhere since the outage', async () => {
    const { clock, transport } = await opened();
    await clock.advance(1_000);
    expect(transport.latest).toMatchObject({ key: 'control-2', options: { fresh: true } });
  });

  test('closes with any verdict, and is probed no more', async () => {
    const { ask, answerAll, clock, keys, events, blocked } = await opened();
    answerAll(GOOD);
    expect((await ask('sk-2')).outcome).toHaveProperty('verdict');
    expect([events, blocked()]).toEqual([['breaker closed undefined'], undefined]);
    await clock.advance(60_000);
    // It was never known how the server answers a control question, so one is asked that tells.
    expect([keys(), clock.pending]).toEqual([['sk-2', 'control-2'], 0]);
  });

  test.each([
    ['1.2 seconds', 2_000, 0, 1_200],
    ['no more than timeoutMs', 500, 0, 500],
    ['twice as long as an answer usually takes', 2_000, 700, 1_400],
  ])('gives its probe %s', async (_, timeoutMs, usualMs, probeMs) => {
    const { ask, answer, answerAll, clock, events, transport } = clientOf({
      timeoutMs,
      breaker: { failureThreshold: 1, openMs: 1_000, maxOpenMs: 5_000 },
    });
    await ask();
    await clock.advance(usualMs);
    await answer('sk-1', GOOD);
    await clock.advance(2_000);
    answerAll(REFUSED);
    await ask('sk-2');
    transport.script = () => undefined;
    await clock.advance(1_000);
    events.length = 0;
    await clock.advance(probeMs - 1);
    expect(events).toEqual([]);
    await clock.advance(1);
    expect(events.at(-1)).toMatch(new RegExp(`^(?:control timeout \\w+ ${String(probeMs)}|breaker open timeout)$`));
  });

  test('is probed again as soon as the interval allows where a probe hangs', async () => {
    const { clock, keys, transport } = await opened();
    transport.script = () => undefined;
    await clock.advance(1_000 + 1_249);
    expect(keys()).toEqual(['control-2']);
    await clock.advance(1);
    expect(keys()).toEqual(['control-2', 'control-3']);
  });

  test('is closed by a probe that takes all of timeoutMs where it has been open for ten seconds', async () => {
    const { clock, client, transport } = await opened();
    // It has become slow.
    transport.script = (request) => {
      clock.after(1_999, () => request.answer(UNKNOWN));
      return undefined;
    };
    await clock.advance(10_000);
    expect(client.counts.breaker).not.toBe('closed');
    await clock.advance(5_000);
    expect(client.counts.breaker).toBe('closed');
  });

  test('is probed by a caller where timers end with their request', async () => {
    const { ask, answerAll, clock, keys, events } = await opened({ sharesPromises: false });
    // No timer but those of the caller, who looks for evidence, and for how late the event loop was.
    await clock.advance(20);
    expect(clock.pending).toBe(0);
    await clock.advance(1_000);
    expect(keys()).toEqual([]);
    answerAll(GOOD);
    expect((await ask('sk-2')).outcome).toHaveProperty('verdict');
    expect(keys()).toEqual(['sk-2', 'control-2']);
    expect(events).toEqual(['breaker half-open server_error', 'breaker closed undefined', 'control answered 0']);
  });

  test('counts a failure as the key’s own if others were answered since, though it has opened again', async () => {
    const { ask, answer, answerAll, clock } = clientOf({
      breaker: { failureThreshold: 1, openMs: 1_000, maxOpenMs: 5_000 },
    });
    const poison = await ask('sk-poison');
    await clock.advance(10);
    await ask('sk-good');
    await answer('sk-good', GOOD);
    await clock.advance(10);
    answerAll(REFUSED);
    expect((await ask('sk-2')).outcome).toBeUndefined();
    await answer('sk-poison', OUT);
    expect(poison.outcome).toMatchObject({ evidence: 'none' });
  });

  test('leaves no timer once the client is closed', async () => {
    const { client, clock, keys } = await opened();
    client.close();
    // Until then, the event loop is looked at.
    await clock.advance(20);
    expect(clock.pending).toBe(0);
    await clock.advance(60_000);
    expect(keys()).toEqual([]);
  });

  test('needs no close', () => {
    const { client, clock } = clientOf({ breaker: false });
    client.close();
    expect(clock.pending).toBe(0);
  });
});

test('what is known of the server: when it last gave a verdict, and whether it gives one to callers alone', async () => {
  const { ask, client, clock, transport } = clientOf();
  const known = () => [client.evidence.lastAnswerAt, client.evidence.trust.controlsFail];
  transport.script = ({ key }) => (key.startsWith('control') ? OUT : GOOD);
  expect(known()).toEqual([-Infinity, false]);
  await ask('sk-1', { mayOpen: true });
  const first = clock.monotonic();
  expect(known()).toEqual([first, false]);
  await clock.advance(100);
  await ask('sk-2');
  expect(known()).toEqual([first + 100, true]);
  transport.script = () => UNKNOWN;
  client.controls.request();
  await clock.advance(2_000);
  expect(client.evidence.trust.controlsFail).toBe(false);
});
