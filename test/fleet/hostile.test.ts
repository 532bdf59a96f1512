import { setTimeout as sleep } from 'node:timers/promises';

import { describe, expect, test } from 'vitest';

import { NotPublishedError, type KeyVerifier } from 'keyverify';
import { redisCache, type SendCommand } from 'keyverify/redis';

import { CLIENTS, withoutRedis } from '../helpers/redis.js';
import { STREAM, fleetRig, nameOf, raw, secret, type FleetRig } from '../helpers/redis-fleet.js';
import { ACME, GOOD, brief, until } from '../helpers/rig.js';

const HEARTBEAT = '{"v":1,"type":"heartbeat"}';
const REVOKED = '{"v":1,"type":"revoked","select":{"keyId":"k-1"}}';
const ALL = '{"v":1,"type":"revoked","select":{"all":true}}';
const FAR = '9999999999999999-1';
const LAST = '18446744073709551615-18446744073709551615';

const add = async ({ send }: FleetRig, event: string, id = '*'): Promise<string> =>
  String(await send(['XADD', STREAM, id, 'event', event], STREAM));
const del = async ({ send }: FleetRig): Promise<unknown> => await send(['DEL', STREAM], STREAM);
/** As one: no process reads in between. */
const atOnce = async ({ send }: FleetRig, ...commands: readonly [string, ...string[]][]): Promise<void> => {
  await send(['MULTI'], STREAM);
  for (const command of commands) await send(command, STREAM);
  await send(['EXEC'], STREAM);
};

const generationIn = async ({ send }: FleetRig): Promise<string> => {
  const groups = (await send(['XINFO', 'GROUPS', STREAM], STREAM)) as string[][];
  return groups.map(([, name = '']) => name).find((name) => name.startsWith('generation')) ?? '';
};
/** What is written in the background in place of this entry. */
const replaced = async (fleet: FleetRig, name: string, entry: string): Promise<string> => {
  for (;;) {
    const now = await raw(fleet, name);
    if (now !== entry) return now;
    await sleep(1);
  }
};

/** A verifier that follows the stream, has read all that was in it, and knows the key. */
async function follower(fleet: FleetRig): Promise<KeyVerifier> {
  const verifier = fleet.member();
  await verifier.warmUp();
  await verifier.verify(GOOD);
  return verifier;
}
const gaps = async (verifier: Pick<KeyVerifier, 'stats'>, count: number): Promise<void> =>
  await until(() => verifier.stats().revocations.gaps >= count);
const messages = async (verifier: Pick<KeyVerifier, 'stats'>, count: number): Promise<void> =>
  await until(() => verifier.stats().revocations.messages >= count);

describe.skipIf(withoutRedis)('someone who writes to the stream', { timeout: 60_000 }, () => {
  test.each<[string, (fleet: FleetRig) => Promise<unknown>]>([
    [
      'deletes the last entry',
      async (fleet) => {
        const id = `${Date.now() + 1_000}-1`;
        await atOnce(fleet, ['XADD', STREAM, id, 'event', REVOKED], ['XDEL', STREAM, id]);
      },
    ],
    [
      'deletes an entry and adds another one',
      async (fleet) => {
        const id = `${Date.now() + 1_000}-1`;
        await atOnce(
          fleet,
          ['XADD', STREAM, id, 'event', REVOKED],
          ['XADD', STREAM, '*', 'event', HEARTBEAT],
          ['XDEL', STREAM, id],
        );
      },
    ],
    [
      'trims it',
      async (fleet) => await atOnce(fleet, ['XADD', STREAM, '*', 'event', REVOKED], ['XTRIM', STREAM, 'MAXLEN', '0']),
    ],
    [
      'sets its last id forward',
      async ({ send }) => await send(['XSETID', STREAM, `${Date.now() + 10_000}-0`], STREAM),
    ],
    [
      'sets its last id back',
      async ({ send }) => {
        await send(['XTRIM', STREAM, 'MAXLEN', '0'], STREAM);
        await send(['XSETID', STREAM, '1-1'], STREAM);
      },
    ],
    [
      'puts another stream in its place, which ends with the same id',
      async ({ send }) => {
        const [[id] = ['']] = (await send(['XREVRANGE', STREAM, '+', '-', 'COUNT', '1'], STREAM)) as [string][];
        await send(['MULTI'], STREAM);
        await send(['DEL', STREAM], STREAM);
        await send(['XADD', STREAM, id, 'event', HEARTBEAT], STREAM);
        await send(['EXEC'], STREAM);
      },
    ],
    ['leaves no room for another id', async (fleet) => await add(fleet, HEARTBEAT, LAST)],
    ['adds an entry with an id from far in the future', async (fleet) => await add(fleet, HEARTBEAT, FAR)],
    [
      'ends its generation',
      async (fleet) => {
        await fleet.send(['XGROUP', 'DESTROY', STREAM, await generationIn(fleet)], STREAM);
      },
    ],
  ])('is found out: %s', async (_, attack) => {
    const fleet = await fleetRig();
    const verifiers = [await follower(fleet), await follower(fleet)];
    await attack(fleet);
    for (const verifier of verifiers) {
      await gaps(verifier, 1);
      expect(brief(await verifier.verify(GOOD))).toBe('valid cache');
    }
    // It goes on, in one generation, and every process reads it.
    const generations = new Set<unknown>();
    for (let count = 1; count <= 3; count++) {
      await verifiers[0]?.revoke({ keyId: 'other' });
      for (const verifier of verifiers) await messages(verifier, count);
      generations.add(await generationIn(fleet));
    }
    expect(generations.size).toBe(1);
    for (const verifier of verifiers) expect(verifier.stats().revocations).toMatchObject({ messages: 3, gaps: 1 });
  });

  /** As if its clock had been set back: ids go on from the last one. */
  const lead = async ({ send }: FleetRig, ms: number, count = 1): Promise<void> => {
    const add = "for i = 1, ARGV[3] do redis.call('XADD', KEYS[1], ARGV[1] .. '-' .. i, 'event', ARGV[2]) end";
    await send(['EVAL', add, '1', STREAM, String(Date.now() + ms), HEARTBEAT, String(count)], STREAM);
  };
  const DAY = 86_400_000;

  test.each([
    ['an hour', DAY / 24, 100_010],
    ['a year', 365 * DAY, 10],
  ])('loses nothing where the clock of Redis is set back by %s', async (_, ms, count) => {
    const fleet = await fleetRig();
    const verifier = await follower(fleet);
    await lead(fleet, ms, count);
    await add(fleet, REVOKED);
    await messages(verifier, 1);
    const late = await follower(fleet);
    expect([verifier, late].map((one) => one.stats().revocations)).toMatchObject([
      { revoked: 1, gaps: 0 },
      { revoked: 1, gaps: 0 },
    ]);
  });

  test('is bounded, where ids from far ahead keep it from being trimmed', async () => {
    const fleet = await fleetRig();
    const verifier = await follower(fleet);
    await lead(fleet, 2 * DAY, 100_001);
    await gaps(verifier, 1);
    expect(Number(await fleet.send(['XLEN', STREAM], STREAM))).toBeLessThan(10);
  });

  test('is found out before Redis 7 as well, where it deletes the last entry', async () => {
    const fleet = await fleetRig();
    // It didn't say what was deleted.
    const send: SendCommand = async (command, key) => {
      const reply: unknown = await fleet.send(command, key);
      return Array.isArray(reply) && reply.length === 5 ? reply.with(2, '') : reply;
    };
    const verifier = fleet.member({}, { send });
    await verifier.warmUp();
    const id = `${Date.now() + 1_000}-1`;
    await atOnce(fleet, ['XADD', STREAM, id, 'event', REVOKED], ['XDEL', STREAM, id]);
    await gaps(verifier, 1);
  });

  test('does no harm by other consumer groups, or by deleting what was read long ago', async () => {
    const fleet = await fleetRig();
    const verifier = await follower(fleet);
    const id = await add(fleet, HEARTBEAT);
    await add(fleet, '{"v":1,"type":"revoked","select":{"keyId":"other"}}');
    await messages(verifier, 1);
    for (const group of ['mine', 'generation:0', `generation:${'9'.repeat(21)}`])
      await fleet.send(['XGROUP', 'CREATE', STREAM, group, '0'], STREAM);
    await fleet.send(['XDEL', STREAM, id], STREAM);
    await verifier.revoke({ keyId: 'other' });
    await messages(verifier, 2);
    expect(verifier.stats().revocations).toMatchObject({ messages: 2, gaps: 0 });
  });

  test.each([
    [REVOKED, FAR],
    [ALL, FAR],
    [REVOKED, '18446744073709551615-1'],
    [REVOKED, `${Date.now() + 50_000}-1`],
    [ALL, `${Date.now() + 50_000}-18446744073709551615`],
  ])('cannot make later revocations count as earlier ones: %s at %s', async (event, id) => {
    const fleet = await fleetRig();
    const { server } = fleet;
    const [a, b] = [await follower(fleet), await follower(fleet)];
    const arrives = async (json: string): Promise<void> => {
      const read = [a, b].map((verifier) => [verifier, verifier.stats().revocations.messages] as const);
      await add(fleet, json);
      for (const [verifier, count] of read) await messages(verifier, count + 1);
    };
    await add(fleet, event, id);
    for (const { stats } of [a, b].map((verifier) => ({ stats: () => verifier.stats().revocations })))
      await until(() => stats().messages + stats().gaps > 0);
    await a.verify(GOOD);
    await del(fleet);
    await arrives('{"v":1,"type":"revoked","select":{"keyId":"other"}}');
    for (const verifier of [a, b]) expect(verifier.stats().revocations.gaps).toBeGreaterThan(0);
    // What is asked about from now on is shared again.
    const name = await nameOf(fleet);
    const before = await raw(fleet, name);
    await sleep(2);
    expect(brief(await a.verify(GOOD, { maxAgeMs: 0.001 }))).toBe('valid server');
    await replaced(fleet, name, before);
    expect(brief(await b.verify(GOOD, { maxAgeMs: 60_000 }))).toMatch(/^valid (shared|cache)$/);
    expect(brief(await fleet.member().verify(GOOD))).toBe('valid shared');
    server.revoke(GOOD);
    await arrives(REVOKED);
    for (const verifier of [a, b]) expect(brief(await verifier.verify(GOOD))).toMatch(/^rejected/);
  });

  test('cannot bring back a verdict from before a revocation by a generation that has ended', async () => {
    const fleet = await fleetRig();
    const { server, send } = fleet;
    const a = await follower(fleet);
    await add(fleet, HEARTBEAT, `${Date.now() + 50_000}-1`);
    await a.revoke({ keyId: 'other' });
    await messages(a, 1);
    const name = await nameOf(fleet);
    const before = await raw(fleet, name);
    await sleep(2);
    expect(brief(await a.verify(GOOD, { maxAgeMs: 0.001 }))).toBe('valid server');
    const old = await replaced(fleet, name, before);
    await del(fleet);
    await gaps(a, 1);
    server.revoke(GOOD);
    await add(fleet, '{"v":1,"type":"revoked","select":{"client":"acme"}}');
    await messages(a, 2);
    // It is still there.
    expect(brief(await a.verify(GOOD))).toBe('rejected server revoked');
    await replaced(fleet, name, old);
    await send(['SET', name, old], name);
    const late = fleet.member();
    await late.warmUp();
    expect(brief(await late.verify(GOOD))).toBe('rejected server revoked');
    await replaced(fleet, name, old);
    // Nor where the revocation itself has gone, in a process that starts later.
    await del(fleet);
    await gaps(a, 2);
    await send(['SET', name, old], name);
    const later = fleet.member();
    await later.warmUp();
    expect(brief(await later.verify(GOOD))).toBe('rejected server revoked');
    await replaced(fleet, name, old);
    await send(['SET', name, old], name);
    await server.stop();
    const outage = fleet.member({ retries: 0 });
    await outage.warmUp();
    expect(brief(await outage.verify(GOOD))).toBe('valid stale');
  });

  test('costs no fresh verdict by an entry of a generation that has ended', async () => {
    const fleet = await fleetRig();
    const [a, b] = [await follower(fleet), await follower(fleet)];
    const name = await nameOf(fleet);
    const before = await raw(fleet, name);
    await sleep(2);
    expect(brief(await a.verify(GOOD, { maxAgeMs: 0.001 }))).toBe('valid server');
    await replaced(fleet, name, before);
    await del(fleet);
    await gaps(b, 1);
    expect(brief(await b.verify(GOOD, { maxAgeMs: 0.001 }))).toBe('valid server');
    expect(brief(await b.verify(GOOD))).toBe('valid cache');
  });

  test('makes publishing fail for a moment at most', async () => {
    const fleet = await fleetRig();
    const { send } = fleet;
    await send(['XADD', STREAM, LAST, 'event', HEARTBEAT], STREAM);
    const verifier = fleet.member();
    await expect(verifier.revoke({ keyId: 'k-1' })).rejects.toThrow(NotPublishedError);
    await verifier.warmUp();
    await verifier.revoke({ keyId: 'k-1' });
    await messages(verifier, 1);
  });

  test('evicts no verdict by made-up fingerprints: what is known to be bad stays out, and what was revoked', async () => {
    const fleet = await fleetRig();
    const { server } = fleet;
    const verifier = fleet.member({ failOpen: true, retries: 0, maxRejectedEntries: 100 });
    await verifier.warmUp();
    expect(brief(await verifier.verify('sk-known-to-be-bad'))).toBe('rejected server unknown_key');
    expect(brief(await verifier.verify(GOOD))).toBe('valid server');
    const { fingerprint } = await import('keyverify');
    const revoke = async (hex: string): Promise<string> =>
      await add(fleet, JSON.stringify({ v: 1, type: 'revoked', select: { fingerprint: hex } }));
    await revoke(fingerprint('sk-revoked'));
    await Promise.all(Array.from({ length: 1_000 }, async (_, i) => await revoke(i.toString(16).padStart(64, '0'))));
    await messages(verifier, 1_001);
    expect(verifier.stats().entries).toMatchObject({ verified: 1, rejected: 1 });
    await server.stop();
    for (let i = 0; i < 20; i++) await verifier.verify(`sk-unknown-${i}`);
    expect(brief(await verifier.verify('sk-unknown'))).toMatch(/^open/);
    expect(brief(await verifier.verify('sk-known-to-be-bad'))).toMatch(/^rejected/);
    expect(brief(await verifier.verify('sk-revoked'))).toMatch(/^closed/);
  });

  test.each(CLIENTS)('is not sent what is too long, through %s', async (client) => {
    const fleet = await fleetRig(client);
    const { send, member } = fleet;
    const lengths: number[] = [];
    const measured: SendCommand = async (command, key) => {
      const reply: unknown = await send(command, key);
      lengths.push(JSON.stringify(reply).length);
      return reply;
    };
    await member().verify(GOOD);
    const name = await nameOf(fleet);
    const [fence = ''] = (await raw(fleet, name)).split(':');
    const huge = `${fence}:${'A'.repeat(1_000_000)}`;
    await send(['SET', name, huge], name);
    for (let i = 0; i < 3; i++) await add(fleet, 'A'.repeat(1_000_000));
    const verifier = member({}, { send: measured });
    await verifier.warmUp();
    await gaps(verifier, 1);
    expect(brief(await verifier.verify(GOOD))).toBe('valid server');
    expect(verifier.stats().shared).toMatchObject({ unsealable: 1, failures: 0 });
    await replaced(fleet, name, huge);
    // It has been put right.
    expect(brief(await member().verify(GOOD))).toBe('valid shared');
    expect(Math.max(...lengths)).toBeLessThan(10_000);
  });

  test('is not believed about lengths: what is sent all the same is not opened', async () => {
    let sealed: unknown;
    const send: SendCommand = async (command) => {
      if (command.length === 8) sealed = command[6];
      return await Promise.resolve(['1', '0', sealed]);
    };
    const cache = redisCache({ send, secret });
    const key = { fingerprint: 'ab'.repeat(32), namespace: 'n' };
    for (const [length, readable] of [
      [40_000, true],
      [50_000, false],
    ] as const) {
      await cache.put(key, 'x'.repeat(length), { fence: 1, replacesEqual: true, ttlMs: 1 });
      expect((await cache.get(key)).entry !== undefined).toBe(readable);
    }
  });
});

describe.skipIf(withoutRedis)('a verdict of the greatest length', () => {
  test('is shared', async () => {
    const fleet = await fleetRig();
    fleet.server.issue(GOOD, { ...ACME, claims: { text: '€'.repeat(16_000) } });
    await fleet.member().verify(GOOD);
    await fleet.entries(1);
    expect(brief(await fleet.member().verify(GOOD))).toBe('valid shared');
  });
});
