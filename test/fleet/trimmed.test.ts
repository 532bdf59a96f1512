import { describe, expect, onTestFinished, test } from 'vitest';

import { KeyVerifier } from 'keyverify';
import type { SendCommand } from 'keyverify/redis';
import { sseRevocations } from 'keyverify/sse';
import { memoryFleet, startKeyServer } from 'keyverify/testing';

import { serve } from '../helpers/http.js';
import { withoutRedis } from '../helpers/redis.js';
import { STREAM, fleetRig, nameOf, raw, type FleetRig } from '../helpers/redis-fleet.js';
import { ACME, GOOD, TOKEN, breathe, brief, until } from '../helpers/rig.js';

const HEARTBEAT = '{"v":1,"type":"heartbeat"}';
const REVOKED = '{"v":1,"type":"revoked","select":{"keyId":"k-1"}}';
const OTHER = '{"v":1,"type":"revoked","select":{"keyId":"other"}}';
const DAY = 86_400_000;

const add = async ({ send }: FleetRig, event: string, ...id: readonly [] | readonly [string]): Promise<string> =>
  String(await send(['XADD', STREAM, ...(id.length === 0 ? ['*'] : id), 'event', event], STREAM));

/** A verifier that follows the stream, and has shared its verdict on the key. */
async function follower(fleet: FleetRig): Promise<KeyVerifier> {
  const verifier = fleet.member();
  await verifier.warmUp();
  await verifier.verify(GOOD);
  await fleet.entries(1);
  return verifier;
}
const messages = async (verifier: KeyVerifier, count: number): Promise<void> =>
  await until(() => verifier.stats().revocations.messages === count);

/** Waits until something else is written in the background in place of this entry. */
async function replaced(fleet: FleetRig, name: string, entry: string): Promise<void> {
  while ((await raw(fleet, name)) === entry) await breathe();
}

/** What a process says of the key that starts now. */
async function late(fleet: FleetRig, send?: SendCommand): Promise<string> {
  const verifier = fleet.member({}, send && { send });
  await verifier.warmUp();
  return brief(await verifier.verify(GOOD));
}

describe.skipIf(withoutRedis)('a verdict that stands before what a stream has lost', { timeout: 60_000 }, () => {
  /** A follower that has read all of it doesn't notice, and need not. */
  const losses: Readonly<Record<string, (fleet: FleetRig, id: string, verifier: KeyVerifier) => Promise<unknown>>> = {
    'all is trimmed': async ({ send }) => await send(['XTRIM', STREAM, 'MAXLEN', '0'], STREAM),
    'all but a later event is trimmed': async (fleet, _, verifier) => {
      await add(fleet, OTHER);
      await messages(verifier, 2);
      await fleet.send(['XTRIM', STREAM, 'MAXLEN', '1'], STREAM);
    },
    'a publisher keeps two events': async ({ send }, _, verifier) => {
      for (const count of [2, 3]) {
        await send(['XADD', STREAM, 'MAXLEN', '2', '*', 'event', OTHER], STREAM);
        await messages(verifier, count);
      }
    },
    'the event is deleted': async ({ send }, id) => await send(['XDEL', STREAM, id], STREAM),
    'the event is deleted, and another one has come': async (fleet, id, verifier) => {
      await add(fleet, OTHER);
      await messages(verifier, 2);
      await fleet.send(['XDEL', STREAM, id], STREAM);
    },
  };

  test.each(Object.keys(losses))('is used only in an outage by a process that starts later: %s', async (name) => {
    const fleet = await fleetRig();
    const { server, send } = fleet;
    const verifier = await follower(fleet);
    const entry = await nameOf(fleet);
    const old = await raw(fleet, entry);
    server.revoke(GOOD);
    const id = await add(fleet, REVOKED);
    await messages(verifier, 1);
    await losses[name]?.(fleet, id, verifier);
    // Nobody has asked since.
    expect(await raw(fleet, entry)).toBe(old);
    expect(await late(fleet)).toBe('rejected server revoked');
    expect(verifier.stats().revocations.gaps).toBe(0);
    await replaced(fleet, entry, old);
    await send(['SET', entry, old], entry);
    await server.stop();
    expect(await late(fleet)).toBe('valid stale');
  });

  test('is found out before Redis 7 as well, unless a single event was deleted that others follow', async () => {
    const fleet = await fleetRig();
    // It didn't say what was deleted.
    const send: SendCommand = async (command, key) => {
      const reply: unknown = await fleet.send(command, key);
      return Array.isArray(reply) && reply.length === 5 ? reply.with(2, '') : reply;
    };
    const verifier = await follower(fleet);
    const id = await add(fleet, OTHER);
    await messages(verifier, 1);
    await fleet.send(['XDEL', STREAM, id], STREAM);
    expect(await late(fleet, send)).toBe('valid server');
  });

  test('is one that was shared by a process without revocations, too', async () => {
    const fleet = await fleetRig();
    const { server, send } = fleet;
    const verifier = fleet.member();
    await verifier.warmUp();
    await fleet.member({ revocations: undefined }).verify(GOOD);
    await fleet.entries(1);
    server.revoke(GOOD);
    await add(fleet, REVOKED);
    await messages(verifier, 1);
    await send(['XTRIM', STREAM, 'MAXLEN', '0'], STREAM);
    expect(await late(fleet)).toBe('rejected server revoked');
  });

  test.each<[string, (fleet: FleetRig, verifier: KeyVerifier) => Promise<unknown>]>([
    ['nothing was removed', async () => await Promise.resolve()],
    [
      'something has come since',
      async (fleet, verifier) => {
        await add(fleet, OTHER);
        await messages(verifier, 1);
      },
    ],
    ['all was trimmed, and nothing has come', async ({ send }) => await send(['XTRIM', STREAM, 'MAXLEN', '0'], STREAM)],
  ])('is not one where %s', async (_, happen) => {
    const fleet = await fleetRig();
    const verifier = await follower(fleet);
    await happen(fleet, verifier);
    expect(await late(fleet)).toBe('valid shared');
  });

  test('is not one that was asked for since, though it had been before', async () => {
    const fleet = await fleetRig();
    const verifier = await follower(fleet);
    await add(fleet, OTHER);
    await messages(verifier, 1);
    await fleet.send(['XTRIM', STREAM, 'MAXLEN', '0'], STREAM);
    expect(await late(fleet)).toBe('valid server');
    // That answer is shared, and stands at the end.
    const entry = await nameOf(fleet);
    const before = await raw(fleet, entry);
    await verifier.verify(GOOD, { maxAgeMs: 0.001 });
    await replaced(fleet, entry, before);
    expect(await late(fleet)).toBe('valid shared');
  });

  test('is not one where verifiers have trimmed events by their age, also after days without one', async () => {
    const fleet = await fleetRig();
    const { send } = fleet;
    // Each entry in a node of its own: else a few of them are never trimmed.
    await send(['CONFIG', 'SET', 'stream-node-max-entries', '1'], '');
    for (const days of [4, 3, 2]) await add(fleet, OTHER, `${Date.now() - days * DAY}-1`);
    const verifier = await follower(fleet);
    await add(fleet, OTHER);
    await messages(verifier, 1);
    const lease = `${STREAM}:trim`;
    await send(['DEL', lease], lease);
    await fleet.member().warmUp();
    // One of those from before, and the new one.
    while (Number(await send(['XLEN', STREAM], STREAM)) > 2) await breathe();
    expect(await late(fleet)).toBe('valid shared');
    expect(verifier.stats().revocations.gaps).toBe(0);
  });
});

describe('a verdict that stands before the first event that a stream has kept', () => {
  const event = (id: string, json: string): string => `id: ${id}\ndata: ${json}\n\n`;

  /** Two processes that share verdicts: what each of them reads of the stream when it starts. */
  async function processes(first: string, second: string): Promise<string> {
    const server = await startKeyServer({ keys: { [GOOD]: ACME }, serviceTokens: [TOKEN] });
    onTestFinished(async () => await server.close());
    const texts = [first, second];
    const { origin } = await serve((response) =>
      response.writeHead(200, { 'content-type': 'text/event-stream' }).write(texts.shift()),
    );
    const { sharedCache } = memoryFleet();
    const verifiers = texts.map(() => {
      const revocations = sseRevocations({ url: `${origin}/revocations`, heartbeatMs: 60_000 });
      return new KeyVerifier({ verifyUrl: server.verifyUrl, serviceToken: TOKEN, sharedCache, revocations });
    });
    const results: string[] = [];
    for (const verifier of verifiers) {
      onTestFinished(async () => await verifier.close());
      await verifier.warmUp();
      results.push(brief(await verifier.verify(GOOD)));
      await until(() => sharedCache.size === 1);
    }
    return results.join(', ');
  }

  test.each([
    ['before', event('7-4', HEARTBEAT), event('7-5', OTHER), 'valid server, valid server'],
    ['at', event('7-5', HEARTBEAT), event('7-5', OTHER), 'valid server, valid shared'],
    ['after', event('7-6', HEARTBEAT), event('7-5', OTHER) + event('7-6', OTHER), 'valid server, valid shared'],
    ['at the end of an empty one', event('7-6', HEARTBEAT), event('7-6', HEARTBEAT), 'valid server, valid shared'],
  ])('is asked for again by a process that starts: %s', async (_, first, second, results) => {
    expect(await processes(first, second)).toBe(results);
  });
});

test('in a fleet in memory, no event is ever removed', async () => {
  const server = await startKeyServer({ keys: { [GOOD]: ACME }, serviceTokens: [TOKEN] });
  onTestFinished(async () => await server.close());
  const fleet = memoryFleet();
  const build = (): KeyVerifier => new KeyVerifier({ verifyUrl: server.verifyUrl, serviceToken: TOKEN, ...fleet });
  await using first = build();
  await first.warmUp();
  await first.verify(GOOD);
  await until(() => fleet.sharedCache.size === 1);
  await fleet.revocations.publish({ type: 'revoked', select: { keyId: 'other' } });
  await using second = build();
  await second.warmUp();
  expect(brief(await second.verify(GOOD))).toBe('valid shared');
});
