import { describe, expect, test } from 'vitest';

import { TransportError } from '../../src/transport/transport.js';
import { clientOf, type Asked, type ClientSetup } from '../helpers/client.js';
import { GOOD_BODY, response } from '../helpers/responses.js';

const GOOD = response(200, GOOD_BODY);
const UNKNOWN = response(200, { valid: false, reason: 'unknown_key' });
const OUT = response(503);
const LIMITED = response(429, '', { 'retry-after': '3' });
const GIVEN_UP = { kind: 'overloaded', message: expect.stringContaining('given up') as string, isOutage: false };

describe('a question that waits for a slot', () => {
  const full = async (setup: ClientSetup = {}) => {
    const rig = clientOf({ maxConcurrency: 1, ...setup });
    const first = await rig.ask('sk-first', { isKnown: true });
    return { ...rig, first, waiting: await rig.ask('sk-waiting') };
  };

  test('is not asked after half of timeoutMs, and it is our own load where others are answered', async () => {
    const { clock, answer, waiting, keys } = await full();
    await clock.advance(1_000);
    expect([keys(), waiting.outcome]).toEqual([['sk-first', 'control-1'], undefined]);
    await clock.advance(30);
    await answer('control-1', UNKNOWN);
    const message = 'keyverify: too many questions wait for the key server, see maxConcurrency';
    expect(waiting.outcome).toMatchObject({ kind: 'overloaded', message, attempts: 0, isOutage: false });
  });

  test('waits on for the evidence of an outage, within its own deadline', async () => {
    const { clock, answer, waiting } = await full();
    await clock.advance(1_500);
    await answer('control-1', OUT);
    const message = 'keyverify: too many questions wait for the key server, and it answers nobody';
    const failure = { kind: 'timeout', message, isOutage: false, attempts: 0 };
    expect(waiting.outcome).toBeUndefined();
    await clock.advance(500);
    expect(waiting.outcome).toMatchObject({ ...failure, evidence: 'proven', isOutage: true, durationMs: 2_000 });
  });

  test('is our own load where there is no evidence in time', async () => {
    const { clock, waiting, transport } = await full();
    transport.isSent = false;
    await clock.advance(2_000);
    expect(waiting.outcome).toMatchObject({ kind: 'overloaded', evidence: 'none' });
  });

  test('is refused at once where the queue is full, and asks no control question', async () => {
    const { ask, keys } = await full();
    for (let count = 0; count < 63; count++) await ask(`sk-${String(count)}`);
    const late = await ask('sk-late');
    expect(late.outcome).toMatchObject({ kind: 'overloaded', durationMs: 0 });
    expect(keys()).toEqual(['sk-first']);
  });

  test('is not asked where the server limits our rate meanwhile', async () => {
    const { answer, waiting, keys, client } = await full();
    await answer('sk-first', LIMITED);
    expect(waiting.outcome).toMatchObject({ kind: 'rate_limited', retryAfterMs: 3_000, attempts: 0 });
    expect(keys()).toEqual(['sk-first']);
    expect(client.counts).toMatchObject({ active: 0, queued: 0 });
  });

  test('takes the evidence of a breaker that has opened meanwhile, and asks no control question of its own', async () => {
    const { ask, answer, clock, client } = clientOf({
      maxConcurrency: 2,
      breaker: { failureThreshold: 1, openMs: 5_000, maxOpenMs: 5_000 },
    });
    for (const key of ['sk-1', 'sk-2']) await ask(key);
    const waiting = await ask('sk-waiting');
    await ask('sk-admitted');
    await answer('sk-1', OUT);
    await answer('control-1', OUT);
    expect(client.counts).toMatchObject({ active: 2, queued: 1, controls: 1, breaker: 'open' });
    await clock.advance(1_000);
    expect(waiting.outcome).toMatchObject({ kind: 'timeout', isOutage: true, durationMs: 1_000 });
    await clock.advance(250);
    expect(client.counts.controls).toBe(1);
  });
});

describe('the question about an unknown key that has hung for longest', () => {
  /** Three hang, from 0, 10 and 20 ms on; another was answered at 15 ms, after as many milliseconds. */
  const hanging = async ({ isKnown = false, isAnswered = true } = {}) => {
    const rig = clientOf({ maxConcurrency: 3 });
    const { ask, answer, clock } = rig;
    const one = await ask('sk-hangs-1', { isKnown });
    await clock.advance(10);
    const other = await ask('sk-hangs-2', { isKnown });
    const good = await ask('sk-good');
    await clock.advance(10);
    if (isAnswered) await answer('sk-good', GOOD);
    await clock.advance(1);
    const third = isAnswered ? await ask('sk-hangs-3') : good;
    return { ...rig, one, other, third };
  };

  test('is given up when room is needed, after an eighth of timeoutMs and while others are answered', async () => {
    const { ask, clock, one, other, third, keys } = await hanging();
    await clock.advance(228);
    const early = await ask('sk-early');
    expect([one.outcome, keys().includes('sk-early')]).toEqual([undefined, false]);
    await clock.advance(1);
    await ask('sk-new');
    expect(one.outcome).toMatchObject(GIVEN_UP);
    // The latest to come is the first to go.
    expect([keys().includes('sk-new'), keys().includes('sk-early')]).toEqual([true, false]);
    await clock.advance(10);
    await ask('sk-newer');
    expect(other.outcome).toMatchObject(GIVEN_UP);
    await clock.advance(300);
    await ask('sk-newest');
    // It was sent after the last answer: nobody knows that it hangs alone.
    expect([third.outcome, early.outcome]).toEqual([undefined, undefined]);
  });

  test('is given up for a known key, too', async () => {
    const { ask, clock, one, keys } = await hanging();
    await clock.advance(229);
    await ask('sk-known', { isKnown: true });
    expect(one.outcome).toMatchObject(GIVEN_UP);
    expect(keys()).toContain('sk-known');
  });

  test('is not given up for a known key that it would not make room for', async () => {
    const { ask, answer, clock } = clientOf({ maxConcurrency: 8 });
    const hung = await ask('sk-hangs');
    await clock.advance(10);
    await ask('sk-good');
    await answer('sk-good', GOOD);
    for (let known = 0; known < 7; known++) await ask(`sk-known-${known}`, { isKnown: true });
    await clock.advance(400);
    await ask('sk-known', { isKnown: true });
    expect(hung.outcome).toBeUndefined();
    await ask('sk-new');
    expect(hung.outcome).toMatchObject(GIVEN_UP);
  });

  test.each([
    ['where nobody is answered', { isAnswered: false }],
    ['where it is about a known key', { isKnown: true }],
  ])('is not given up %s', async (_, given) => {
    const { ask, clock, one, other } = await hanging(given);
    await clock.advance(400);
    await ask('sk-new');
    expect([one.outcome, other.outcome]).toEqual([undefined, undefined]);
  });

  test('is given up where nobody is answered, once the server is known to fail on unknown keys alone', async () => {
    const { ask, answer, answerAll, clock, transport } = clientOf({ maxConcurrency: 3 });
    answerAll(response(500));
    await ask('sk-made-up');
    transport.script = () => undefined;
    await ask('sk-good');
    await answer('sk-good', GOOD);
    await clock.advance(2_000);
    const one = await ask('sk-hangs-1');
    await ask('sk-hangs-2');
    await ask('sk-hangs-3');
    await clock.advance(249);
    await ask('sk-early');
    expect(one.outcome).toBeUndefined();
    await clock.advance(1);
    await ask('sk-new');
    expect(one.outcome).toMatchObject(GIVEN_UP);
  });

  test('is one that takes three times as long as usual', async () => {
    const { ask, answer, clock } = clientOf({ maxConcurrency: 2 });
    const slow = await ask('sk-slow');
    await ask('sk-good');
    await clock.advance(100);
    await answer('sk-good', GOOD);
    await ask('sk-other');
    await clock.advance(199);
    await ask('sk-early');
    expect(slow.outcome).toBeUndefined();
    await clock.advance(1);
    await ask('sk-new');
    expect(slow.outcome).toMatchObject(GIVEN_UP);
  });

  test('takes no longer to be one where made-up keys are answered slowly', async () => {
    const { ask, answer, clock } = clientOf({ maxConcurrency: 3 });
    const hung = await ask('sk-hangs');
    await ask('sk-made-up');
    await clock.advance(240);
    await ask('sk-good');
    await answer('sk-good', GOOD);
    // Slow by itself: the good key has overtaken it.
    await answer('sk-made-up', UNKNOWN);
    for (const key of ['sk-2', 'sk-3', 'sk-early']) await ask(key);
    expect(hung.outcome).toBeUndefined();
    await clock.advance(10);
    await ask('sk-new');
    expect(hung.outcome).toMatchObject(GIVEN_UP);
  });

  // Many callers have a known key, or a made-up one: they may overtake others by being many.
  test.each([
    ['a known key', { isKnown: true }, GOOD],
    ['a made-up key', {}, UNKNOWN],
  ])('takes longer to be one where %s has overtaken slow ones', async (_, given, reply) => {
    const { ask, answer, clock } = clientOf({ maxConcurrency: 3 });
    const hung = await ask('sk-hangs');
    await ask('sk-slow');
    await clock.advance(240);
    await ask('sk-other', given);
    await answer('sk-other', reply);
    await answer('sk-slow', UNKNOWN);
    for (const key of ['sk-2', 'sk-3']) await ask(key);
    await clock.advance(10);
    await ask('sk-new');
    expect(hung.outcome).toBeUndefined();
  });

  test('is not given up for the time that our own event loop was late', async () => {
    const { ask, answer, clock } = clientOf({ maxConcurrency: 2 });
    // Answers usually take no time.
    for (let count = 0; count < 32; count++) {
      await ask(`sk-quick-${String(count)}`);
      await answer(`sk-quick-${String(count)}`, GOOD);
    }
    const slow = await ask('sk-slow');
    await ask('sk-good');
    clock.jumpMono(400);
    await answer('sk-good', GOOD);
    await ask('sk-other');
    await ask('sk-waits');
    expect(slow.outcome).toBeUndefined();
  });

  test('is one that was sent', async () => {
    const { ask, clock } = clientOf({ maxConcurrency: 1, source: () => new Promise<string>(() => undefined) });
    const unsent = await ask('sk-1');
    await clock.advance(500);
    await ask('sk-2');
    expect(unsent.outcome).toBeUndefined();
  });
});

describe('a congested server', () => {
  const CONGESTED = 'keyverify: no answer in time: more questions are in flight than the key server can answer in time';

  /** Forty questions about unknown keys are in flight when the first is answered, after so long. */
  const crowd = async (latencyMs = 501, setup: ClientSetup = {}) => {
    const rig = clientOf({ maxConcurrency: 100, ...setup });
    const asked = [];
    for (const key of ['sk-first', 'sk-second', 'sk-third']) {
      await rig.ask(key);
      await rig.answer(key, GOOD);
    }
    for (let count = 0; count < 40; count++) asked.push(await rig.ask(`sk-${String(count)}`));
    await rig.clock.advance(latencyMs);
    await rig.answer('sk-0', GOOD);
    return { ...rig, others: asked.slice(1) };
  };

  test('answers so late that nobody is answered in time: it is our own load, and no control question is asked', async () => {
    const { clock, keys, others, client } = await crowd();
    const asked = keys().filter((key) => key.startsWith('control')).length;
    await clock.advance(1_499);
    for (const { outcome } of others)
      expect(outcome).toMatchObject({ kind: 'overloaded', message: CONGESTED, evidence: 'none', durationMs: 2_000 });
    expect(client.counts.controls).toBe(asked);
    expect(client.counts.breaker).toBe('closed');
  });

  test('is asked less about unknown keys after that', async () => {
    const { clock, ask, keys } = await crowd();
    await clock.advance(1_499);
    // An eighth of all slots is left.
    for (let count = 0; count < 13; count++) await ask(`sk-new-${String(count)}`);
    expect(keys()).toContain('sk-new-11');
    expect(keys()).not.toContain('sk-new-12');
  });

  test('does not answer later questions either: they are our own load, too', async () => {
    const { clock, ask } = await crowd();
    await clock.advance(1_499);
    const late = await ask('sk-late');
    await clock.advance(2_000);
    expect(late.outcome).toMatchObject({ kind: 'overloaded', evidence: 'none' });
  });

  /** All of that has ended, the control question included that was asked before the first answer. */
  const after = async (setup: ClientSetup = {}) => {
    const rig = await crowd(501, setup);
    await rig.clock.advance(2_100);
    return rig;
  };

  test('counts as down after twenty times timeoutMs without an answer', async () => {
    const { clock, ask } = await after({ breaker: false });
    await clock.advance(35_899);
    const early = await ask('sk-early');
    await clock.advance(2_000);
    expect(early.outcome).toMatchObject({ kind: 'overloaded', evidence: 'none' });
    const late = await ask('sk-late');
    await clock.advance(2_000);
    expect(late.outcome).toMatchObject({ kind: 'timeout', evidence: 'unproven' });
  });

  test.each([249, 250, 900])(
    'is asked a control question where somebody is answered after %d ms: only a few keys may be slow',
    async (latencyMs) => {
      const { clock, ask, answer, client } = clientOf({ maxConcurrency: 100 });
      await ask('sk-first');
      await answer('sk-first', GOOD);
      const asked = [];
      for (let count = 0; count < 40; count++) asked.push(await ask(`sk-${String(count)}`));
      await clock.advance(500);
      await answer('control-1', GOOD);
      await clock.advance(1);
      await answer('sk-0', GOOD);
      await ask('sk-new');
      await clock.advance(latencyMs);
      await answer('sk-new', GOOD);
      await clock.advance(1_000);
      expect(client.counts.controls).toBe(2);
    },
  );

  test('counts as down if no connection can be made', async () => {
    const { ask, answerAll, client, clock } = await after();
    answerAll(new TransportError('unreachable', 'refused', { unconnected: true }));
    client.controls.request();
    const late = await ask('sk-late');
    await clock.advance(1_000);
    expect(late.outcome).toMatchObject({ kind: 'unreachable', evidence: 'proven' });
  });

  test('may fail in any other way: a control question that fails proves nothing', async () => {
    const { ask, answerAll, client, events, clock } = await after({
      breaker: { failureThreshold: 1, openMs: 1_000, maxOpenMs: 5_000 },
    });
    answerAll(OUT);
    client.controls.request();
    const late = await ask('sk-late');
    await clock.advance(1_000);
    expect(late.outcome).toMatchObject({ kind: 'server_error', evidence: 'none' });
    expect(events.at(-1)).toBe('control server_error none 0');
    expect(client.counts.breaker).toBe('closed');
  });

  test('is congested no more after a quick answer to a control question', async () => {
    const { ask, answer, answerAll, client, clock } = await after();
    client.controls.request();
    await clock.advance(500);
    await answer('control-2', UNKNOWN);
    answerAll(OUT);
    const late = await ask('sk-late');
    await clock.advance(1_000);
    expect(late.outcome).toMatchObject({ kind: 'server_error', evidence: 'proven' });
  });

  test('is asked only once about each key', async () => {
    const { clock, keys } = await crowd(501, { retries: 1 });
    await clock.advance(1_499);
    expect(keys().filter((key) => key === 'sk-1')).toEqual(['sk-1']);
  });

  test.each([
    ['answers within a quarter of timeoutMs', async () => await crowd(500)],
    [
      'seems so only because our own event loop is late',
      async () => {
        const rig = clientOf({ maxConcurrency: 100 });
        const asked = [];
        await rig.ask('sk-first');
        await rig.answer('sk-first', GOOD);
        for (let count = 0; count < 40; count++) asked.push(await rig.ask(`sk-${String(count)}`));
        rig.clock.jumpMono(900);
        await rig.answer('sk-0', GOOD);
        return { ...rig, others: asked.slice(1) };
      },
    ],
  ])('is not one that %s', async (_, rig) => {
    const { clock, others } = await rig();
    await clock.advance(2_000);
    expect(others[0]?.outcome).toMatchObject({ kind: 'timeout' });
  });
});

describe('a burst at a server that works on all of it at once', () => {
  /** A server that has answered one question and a control question, after 50 ms each, and then so many at once not at all. */
  const burst = async (count: number, setup: ClientSetup = {}) => {
    const rig = clientOf({ maxConcurrency: 64, ...setup });
    await rig.ask('sk-first');
    await rig.clock.advance(50);
    await rig.answer('sk-first', GOOD);
    rig.client.controls.request();
    await rig.clock.advance(50);
    await rig.answer('control-1', UNKNOWN);
    await rig.clock.advance(5_000);
    const asked: Asked[] = [];
    for (let at = 0; at < count; at++) asked.push(await rig.ask(`sk-${String(at)}`));
    return { ...rig, asked, outcomes: () => asked.map(({ outcome }) => outcome) };
  };
  const LATE = { kind: 'overloaded', evidence: 'none', durationMs: 2_000 };

  test('is our own load, control questions included', async () => {
    const { clock, outcomes, client, events } = await burst(48);
    await clock.advance(2_000);
    expect(outcomes()).toEqual(Array(48).fill(expect.objectContaining(LATE)));
    await clock.advance(500);
    expect(events.at(-1)).toBe('control timeout none 2000');
    expect(client.counts.breaker).toBe('closed');
  });

  test('is our own load for those that got no slot, too', async () => {
    const { clock, asked } = await burst(60);
    await clock.advance(2_000);
    expect(asked[50]?.outcome).toMatchObject({ kind: 'overloaded', evidence: 'none' });
  });

  test('is sent once, and a smaller one after that', async () => {
    const { clock, ask, keys } = await burst(48, { retries: 1 });
    await clock.advance(2_000);
    expect(keys().filter((key) => key.startsWith('sk-'))).toHaveLength(49);
    for (let count = 0; count < 20; count++) await ask(`sk-new-${String(count)}`);
    expect(keys().filter((key) => key.startsWith('sk-new-'))).toHaveLength(8);
  });

  test('fails in an outage, which is found when the server would have answered all of it', async () => {
    const { clock, ask } = await burst(48);
    await clock.advance(1.25 * 48 * 50);
    const late = await ask('sk-late');
    await clock.advance(2_000);
    expect(late.outcome).toMatchObject({ kind: 'timeout', evidence: 'proven' });
  });

  test.each([
    ['a few', 8, undefined],
    ['many that are refused', 48, OUT],
  ])('is not %s', async (_, count, reply) => {
    const { clock, outcomes, keys, answer } = await burst(count);
    if (reply !== undefined) for (const key of keys().slice(-count)) await answer(key, reply);
    await clock.advance(1_000);
    if (reply !== undefined) await answer('control-2', reply);
    await clock.advance(1_000);
    expect(outcomes()).toEqual(Array(count).fill(expect.objectContaining({ evidence: 'proven' })));
  });

  test('does not explain a reset', async () => {
    const { clock, asked, answer } = await burst(48);
    const reset = new TransportError('unreachable', 'reset');
    await clock.advance(1_000);
    for (const key of ['sk-0', 'control-2', 'control-3']) await answer(key, reset);
    await clock.advance(1_000);
    expect(asked[0]?.outcome).toMatchObject({ kind: 'unreachable', evidence: 'proven' });
  });

  test('has no bound on isolates, where one whose request was ended would count for ever', async () => {
    const { clock, asked } = await burst(48, { maxConcurrency: Infinity, sharesPromises: false });
    await clock.advance(2_000);
    expect(asked[0]?.outcome).toMatchObject({ kind: 'timeout' });
  });
});

describe('a burst of new keys', () => {
  /** How many of so many keys get an answer from a server that takes so long for each. */
  const answered = async (keys: number, latencyMs: number): Promise<number> => {
    const { ask, clock, transport, client } = clientOf({ maxConcurrency: 64, retries: 1 });
    const burst = [];
    for (let count = 0; count < keys; count++) burst.push(await ask(`sk-${String(count)}`));
    for (let at = 0; client.counts.active > 0;) {
      const { length } = transport.requests;
      await clock.advance(latencyMs);
      for (; at < length; at++) transport.requests[at]?.answer(GOOD);
      await clock.advance(0);
    }
    return burst.filter(({ outcome }) => outcome !== undefined && 'verdict' in outcome).length;
  };

  test.each([1, 5, 60, 90])('is answered whole by a server that takes %d ms', async (latencyMs) => {
    expect(await answered(1_000, latencyMs)).toBe(1_000);
  });

  test('gets as many answers from a slow server as there is time for', async () => {
    // Asked at 0, 400 and 800 ms, 8 at first and then 56 and 64: after 1 200 ms there is no time for two more answers.
    expect(await answered(1_000, 400)).toBe(8 + 56 + 64);
  });
});

describe('a retry', () => {
  /** How many requests a question sends that is shed. */
  const requests = async ({ isFull = true, isAnswered = true }) => {
    const { ask, answer, clock, keys } = clientOf({ maxConcurrency: 2, retries: 1 });
    await ask('sk-shed');
    await ask('sk-good');
    await clock.advance(10);
    if (isAnswered) await answer('sk-good', GOOD);
    if (isFull && isAnswered) await ask('sk-other');
    await answer('sk-shed', OUT);
    await clock.advance(0);
    return keys().filter((key) => key === 'sk-shed').length;
  };

  test.each([
    ['is not made where every slot is taken while others are answered', {}, 1],
    ['is made where there is room', { isFull: false }, 2],
    ['is made where nobody is answered', { isAnswered: false }, 2],
  ])('%s', async (_, given, expected) => {
    expect(await requests(given)).toBe(expected);
  });
});

describe('a process that is out of threads or file descriptors', () => {
  const MESSAGE = 'keyverify: out of threads or file descriptors';

  test.each<[string, () => Promise<boolean>, boolean]>([
    ['says so', async () => await Promise.resolve(true), true],
    ['cannot tell', async () => await Promise.reject(new Error('broken')), true],
    ['says no', async () => await Promise.resolve(false), false],
  ])('does not take silence for an outage if its transport %s', async (_, isOverloaded, expected) => {
    const { ask, answerAll, transport, client } = clientOf();
    Object.assign(transport, { isOverloaded });
    answerAll(new TransportError('unreachable', 'reset', { unconnected: true }));
    const { outcome } = await ask();
    if (expected) expect(outcome).toMatchObject({ kind: 'overloaded', message: MESSAGE, isOutage: false });
    else expect(outcome).toMatchObject({ kind: 'unreachable', isOutage: true });
    expect(client.counts.controls).toBe(1);
  });

  test('is asked about with the time for which the question waited', async () => {
    const { ask, transport, clock } = clientOf();
    const waited: number[] = [];
    Object.assign(transport, { isOverloaded: async (ms: number) => await Promise.resolve(waited.push(ms) === 0) });
    await ask();
    await clock.advance(2_000);
    expect(waited).toEqual([2_000]);
  });

  test('is not asked about where a connection was reset: something answered', async () => {
    const { ask, answerAll, transport } = clientOf();
    Object.assign(transport, { isOverloaded: async () => await Promise.resolve(true) });
    answerAll(new TransportError('unreachable', 'reset'));
    expect((await ask()).outcome).toMatchObject({ kind: 'unreachable', isOutage: true });
  });

  test.each([503, 404, 200])('is not asked about after an answer: %i', async (status) => {
    const { ask, answerAll, transport } = clientOf();
    let calls = 0;
    Object.assign(transport, { isOverloaded: async () => await Promise.resolve(++calls > 0) });
    answerAll(response(status, GOOD_BODY));
    await ask();
    expect(calls).toBe(0);
  });
});

describe('calibration', () => {
  test('asks one control question after the first verdict, where a failure may let a caller in', async () => {
    const { ask, answerAll, keys, client, clock } = clientOf();
    answerAll(GOOD);
    await ask('sk-1');
    expect(client.counts.controls).toBe(0);
    await ask('sk-2', { mayOpen: true });
    expect(keys()).toEqual(['sk-1', 'sk-2', 'control-1']);
    await clock.advance(5_000);
    await ask('sk-3');
    await ask('sk-4', { mayOpen: true });
    expect(client.counts.controls).toBe(1);
  });

  test('is tried again where the control question failed, each time after a pause twice as long', async () => {
    const { ask, transport, clock, client } = clientOf();
    transport.script = ({ key }) => (key.startsWith('control') ? response(500) : GOOD);
    const at: number[] = [];
    for (let second = 0, controls = 0; second < 1_200; second++) {
      await ask(`sk-${second}`, { mayOpen: true });
      if (client.counts.controls > controls) at.push(second);
      ({ controls } = client.counts);
      await clock.advance(1_000);
    }
    // Five minutes at most.
    expect(at).toEqual([0, 1, 3, 7, 15, 31, 63, 127, 255, 511, 811, 1_111]);
    expect(client.counts.breaker).toBe('closed');
    transport.script = () => GOOD;
    await clock.advance(300_000);
    await ask('sk-a', { mayOpen: true });
    await clock.advance(600_000);
    await ask('sk-b', { mayOpen: true });
    expect(client.counts.controls).toBe(at.length + 1);
  });

  test('once one is answered, goes on each second until so many were that control questions are believed again', async () => {
    const { ask, transport, clock, client } = clientOf({ breaker: false });
    const answers = (controls: typeof GOOD, callers: typeof GOOD) => {
      transport.script = ({ key }) => (key.startsWith('control') ? controls : callers);
    };
    /** Asks about a good key each second. Returns in how many of them control questions were asked, and how many. */
    const seconds = async (count: number): Promise<readonly [seconds: number, controls: number]> => {
      const before = client.counts.controls;
      let asking = 0;
      for (let second = 0; second < count; second++) {
        const { controls } = client.counts;
        await ask('sk-good', { mayOpen: true });
        await clock.advance(1_000);
        if (client.counts.controls > controls) asking++;
      }
      return [asking, client.counts.controls - before];
    };
    answers(GOOD, GOOD);
    await seconds(2);
    // What looks like an outage, though a caller is answered, and then another control question fails.
    answers(OUT, OUT);
    expect((await ask('sk-good', { mayOpen: true })).outcome).toMatchObject({ evidence: 'proven' });
    answers(OUT, GOOD);
    await seconds(600);
    answers(GOOD, GOOD);
    // The first of them is due up to five minutes later; the second at once.
    expect(await seconds(400)).toEqual([1, 2]);
    answers(OUT, OUT);
    expect((await ask('sk-new', { mayOpen: true })).outcome).toMatchObject({ evidence: 'proven' });
  });

  test('waits for a verdict: a server that answers nobody is not calibrated', async () => {
    const { ask, answerAll, client } = clientOf();
    answerAll(response(404));
    await ask('sk-1', { mayOpen: true });
    expect(client.counts.controls).toBe(0);
  });
});
