import { describe, expect, test } from 'vitest';

import { TransportError } from '../../src/transport/transport.js';
import { clientOf } from '../helpers/client.js';
import { GOOD_BODY, response } from '../helpers/responses.js';

const GOOD = response(200, GOOD_BODY);
const OUT = response(503);
const REFUSED = new TransportError('unreachable', 'refused', { unconnected: true });
/** An eighth of `timeoutMs`. */
const BRIEF_MS = 250;

/** The breaker is open, and the only question that the trickle allows hangs. From now on, the server does. */
const opened = async ({
  reply = OUT,
  isAnswered = false,
  ...setup
}: Parameters<typeof clientOf>[0] & {
  readonly reply?: typeof OUT;
  readonly isAnswered?: boolean;
} = {}) => {
  const rig = clientOf({ breaker: { failureThreshold: 1, openMs: 10_000, maxOpenMs: 10_000 }, ...setup });
  const { ask, answer, answerAll, clock, transport, keys } = rig;
  if (isAnswered) {
    await ask('sk-slow');
    await clock.advance(200);
    await answer('sk-slow', GOOD);
    await clock.advance(2_000);
  }
  answerAll(reply);
  await ask();
  transport.script = () => undefined;
  const trickled = await ask('sk-trickled');
  expect(rig.client.counts.breaker).toBe('open');
  expect(keys().at(-1)).toBe('sk-trickled');
  return { ...rig, trickled };
};

describe('a brief question, about a new key while the breaker is open', () => {
  test('is asked once for up to a quarter of maxConcurrency at a time, and takes an eighth of timeoutMs', async () => {
    const { ask, blocked, clock, client, keys, trickled } = await opened();
    const brief = [await ask('sk-2'), await ask('sk-3')];
    expect(keys().slice(-2)).toEqual(['sk-2', 'sk-3']);
    expect((await ask('sk-4')).outcome).toBe(blocked());
    await clock.advance(BRIEF_MS - 1);
    expect(brief.map(({ outcome }) => outcome)).toEqual([undefined, undefined]);
    await clock.advance(1);
    expect(brief.map(({ outcome }) => outcome)).toEqual([blocked(), blocked()]);
    // The trickle allows one more.
    for (const key of ['sk-5', 'sk-6', 'sk-7', 'sk-8']) await ask(key);
    expect(keys().slice(-3)).toEqual(['sk-5', 'sk-6', 'sk-7']);
    expect(trickled.outcome).toBeUndefined();
    expect(client.counts.active).toBe(4);
  });

  test('needs no room in the limit that adapts: it may be low because the server has been silent', async () => {
    const { ask, keys, client } = await opened({ maxConcurrency: 64 });
    for (let key = 0; key < 20; key++) await ask(`sk-cold-${String(key)}`);
    expect([keys().at(-1), client.counts.active]).toEqual(['sk-cold-15', 17]);
  });

  test('may take three times as long as an answer usually does', async () => {
    const { ask, blocked, clock } = await opened({ isAnswered: true });
    const brief = await ask('sk-2');
    await clock.advance(599);
    expect(brief.outcome).toBeUndefined();
    await clock.advance(1);
    expect(brief.outcome).toBe(blocked());
  });

  test('may never take longer than timeoutMs', async () => {
    const { ask, clock } = await opened({ isAnswered: true, timeoutMs: 500 });
    const brief = await ask('sk-2');
    await clock.advance(499);
    expect(brief.outcome).toBeUndefined();
    await clock.advance(1);
    expect(brief.outcome).toBeDefined();
  });

  test('closes the breaker when it is answered', async () => {
    const { ask, answer, blocked } = await opened();
    const brief = await ask('sk-2');
    await answer('sk-2', GOOD);
    expect(brief.outcome).toHaveProperty('verdict');
    expect(blocked()).toBeUndefined();
  });

  test.each([
    ['a 503', OUT],
    ['a refused connection', REFUSED],
  ])('leaves the breaker as it is after %s', async (_, reply) => {
    const { ask, answer, blocked } = await opened();
    const brief = await ask('sk-2');
    await answer('sk-2', reply);
    expect(brief.outcome).toBe(blocked());
    expect(brief.outcome).toMatchObject({ kind: 'circuit_open', isOutage: true });
  });

  test('says what the server said of the key alone', async () => {
    const { ask, answer } = await opened();
    const brief = await ask('sk-2');
    await answer('sk-2', response(429));
    expect(brief.outcome).toMatchObject({ kind: 'rate_limited', isOutage: false });
  });

  test('that others were answered meanwhile is the key’s own failure', async () => {
    const { ask, answer, clock } = await opened();
    const brief = await ask('sk-2');
    await clock.advance(10);
    await answer('sk-trickled', GOOD);
    await answer('sk-2', OUT);
    expect(brief.outcome).toMatchObject({ kind: 'server_error', evidence: 'none' });
  });

  test.each([
    ['a known key', {}, { isKnown: true }],
    ['a key on an isolate, where a slot might never come back', { sharesPromises: false }, {}],
    ['a key where the server asks for a pause', { reply: response(503, '', { 'retry-after': '2' }) }, {}],
  ])('is not asked about %s', async (_, setup, question) => {
    const { ask, blocked, keys } = await opened(setup);
    // The first one about a known key is the trickle's.
    await ask('sk-2', question);
    const asked = keys().length;
    const refused = await ask('sk-3', question);
    expect(refused.outcome).toBe(blocked());
    expect(keys()).toHaveLength(asked);
  });

  test('is asked although a firewall answers some keys with a Retry-After', async () => {
    const { ask, answer, keys } = await opened();
    await answer('sk-trickled', response(503, '', { 'retry-after': '60' }));
    await ask('sk-2');
    expect(keys()).toContain('sk-2');
  });

  test('is not asked where all slots are taken', async () => {
    const { ask, blocked, keys, transport, answerAll } = clientOf({
      maxConcurrency: 2,
      breaker: { failureThreshold: 1, openMs: 10_000, maxOpenMs: 10_000 },
    });
    await ask('sk-hangs');
    answerAll(OUT);
    await ask('sk-1');
    transport.script = () => undefined;
    await ask('sk-trickled');
    expect((await ask('sk-2')).outcome).toBe(blocked());
    expect(keys()).not.toContain('sk-2');
  });

  test('makes the server look neither busy, which would hide the outage, nor congested', async () => {
    const { ask, clock, keys } = await opened({ isAnswered: true, maxConcurrency: 64 });
    for (let round = 0; round < 10; round++) {
      for (let key = 0; key < 17; key++) await ask(`sk-${String(round)}-${String(key)}`);
      expect(keys().slice(-16)).toContain(`sk-${String(round)}-15`);
      await clock.advance(600);
    }
    const last = await ask('sk-last');
    await clock.advance(2_000);
    expect(last.outcome).toMatchObject({ kind: 'timeout', evidence: 'unproven' });
  });
});
