import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';

import { describe, expect, test } from 'vitest';

import type { KeyVerifier } from 'keyverify';

import { CLIENTS, withoutRedis } from '../helpers/redis.js';
import { STREAM, fleetRig, nameOf, raw, secret, type FleetRig } from '../helpers/redis-fleet.js';
import { ACME, GOOD, TOKEN, brief, until } from '../helpers/rig.js';
import { floodFleet } from '../stress/fleet/flood.js';

describe.skipIf(withoutRedis)('Redis', { timeout: 60_000 }, () => {
  test.each(CLIENTS)('shares verdicts and revocations through %s', async (client) => {
    const fleet = await fleetRig(client);
    const { server, member } = fleet;
    expect(brief(await member().verify(GOOD))).toBe('valid server');
    await fleet.entries(1);
    const [a, b] = [member(), member()];
    for (const verifier of [a, b]) expect(brief(await verifier.verify(GOOD))).toBe('valid shared');
    await b.warmUp();
    server.revoke(GOOD);
    await a.revoke({ keyId: 'k-1' });
    await until(() => b.stats().revocations.messages === 1);
    expect(brief(await b.verify(GOOD))).toBe('rejected server revoked');
    // One XADD, as any language has it.
    server.issue(GOOD, ACME);
    const event = '{"v":1,"type":"changed","select":{"all":true}}';
    await fleet.send(['XADD', STREAM, '*', 'event', event], STREAM);
    await until(() => b.stats().revocations.messages === 2);
    expect(brief(await b.verify(GOOD))).toBe('valid server');
  });

  test('serves every known key to a process that starts during an outage, from its first request', async () => {
    const fleet = await fleetRig();
    const { server, member } = fleet;
    const keys = Array.from({ length: 100 }, (_, i) => `${GOOD}-${i}`);
    for (const key of keys) server.issue(key, ACME);
    const first = member();
    await Promise.all(keys.map(async (key) => await first.verify(key)));
    await fleet.entries(100);
    await server.stop();
    const late = member();
    const results = await Promise.all(keys.map(async (key) => brief(await late.verify(key))));
    expect(new Set(results)).toEqual(new Set(['valid shared']));
  });

  test('does not bring back what was revoked while a process was down', async () => {
    const fleet = await fleetRig();
    const { server, member } = fleet;
    await member().verify(GOOD);
    await fleet.entries(1);
    await server.stop();
    await fleet.send(['XADD', STREAM, '*', 'event', '{"v":1,"type":"revoked","select":{"tenant":"cust-A"}}'], STREAM);
    expect(brief(await member({ failOpen: true }).verify(GOOD))).toMatch(/^closed/);
  });

  test('holds an entry to its place, its time and its secret', async () => {
    const fleet = await fleetRig();
    const { server, member, send } = fleet;
    server.issue('sk-other-key', { client: 'other', tenant: 'cust-B' });
    await member().verify(GOOD);
    const good = await nameOf(fleet);
    const value = await raw(fleet, good);
    await member().verify('sk-other-key');
    const other = (await fleet.entries(2)).find((name) => name !== good) ?? '';
    const otherValue = await raw(fleet, other);
    const [fence = '', sealed = ''] = value.split(':');
    const flipped = sealed.slice(0, 40) + (sealed[40] === 'A' ? 'B' : 'A') + sealed.slice(41);
    const forged = [
      otherValue,
      `${fence}:${flipped}`,
      `${Number(fence) + 1}:${sealed}`,
      `${fence}:${sealed.slice(0, -8)}`,
      `${fence}:AAAA`,
      `${fence}:`,
      value.slice(1),
      'rubbish',
      randomBytes(200).toString('latin1'),
    ];
    for (const [i, text] of forged.entries()) {
      await send(['SET', good, text], good);
      const verifier = member();
      expect([i, brief(await verifier.verify(GOOD))]).toEqual([i, 'valid server']);
      expect(verifier.stats().shared).toMatchObject({ hits: 0, unsealable: 1, failures: 0 });
      await verifier.close();
    }
    for (const [command, ...values] of [
      ['LPUSH', 'x'],
      ['HSET', 'f', 'v'],
      ['XADD', '*', 'f', 'v'],
    ] as const) {
      await send(['DEL', good], good);
      await send([command, good, ...values], good);
      const verifier = member();
      expect(brief(await verifier.verify(GOOD))).toBe('valid server');
      await verifier.close();
      // And it is put right.
      expect(brief(await member().verify(GOOD))).toBe('valid shared');
    }
    expect(brief(await member({}, { secret: `another-${secret}` }).verify(GOOD))).toBe('valid server');
  });

  test('keeps a replayed entry within its bounds, and the log of revocations holds against it', async () => {
    const fleet = await fleetRig();
    const { server, member, send } = fleet;
    await member().verify(GOOD);
    const name = await nameOf(fleet);
    const value = await raw(fleet, name);
    server.revoke(GOOD);
    const witness = member();
    await witness.revoke({ key: GOOD });
    expect(brief(await witness.verify(GOOD))).toBe('rejected server revoked');
    await witness.close();
    expect(await raw(fleet, name)).not.toBe(value);
    await send(['SET', name, value], name);
    expect(brief(await member().verify(GOOD))).toBe('rejected server revoked');
  });

  test('shows nothing: no key, fingerprint, client, tenant or token', async () => {
    const fleet = await fleetRig();
    const { member, send } = fleet;
    const verifier = member();
    await verifier.verify(GOOD);
    const name = await nameOf(fleet);
    await verifier.revoke({ keyId: 'k-1' });
    await verifier.close();
    const { fingerprint } = await import('keyverify');
    const dump = [name, await raw(fleet, name), JSON.stringify(await send(['KEYS', '*'], ''))].join();
    const plain = Buffer.from((await raw(fleet, name)).split(':')[1] ?? '', 'base64url').toString('latin1');
    const digest = fingerprint(GOOD);
    for (const secretText of [GOOD, digest, Buffer.from(digest, 'hex').toString('base64url'), 'acme', 'cust-A', TOKEN])
      expect(dump + plain).not.toContain(secretText);
  });

  test('takes in nothing from a flood of made-up keys', async () => {
    expect(await floodFleet(20_000)).toEqual({ rejected: 20_000, looks: 20_000, names: [] });
  });

  test('makes refusals and grants look alike', async () => {
    const fleet = await fleetRig();
    const { server, member } = fleet;
    const verifier = member();
    await verifier.verify(GOOD);
    const name = await nameOf(fleet);
    const granted = await raw(fleet, name);
    server.revoke(GOOD);
    await sleep(2);
    expect(brief(await verifier.verify(GOOD, { maxAgeMs: 1 }))).toBe('rejected server revoked');
    await until(() => verifier.stats().active === 0);
    await verifier.close();
    const refused = await raw(fleet, name);
    expect(refused).not.toBe(granted);
    expect(refused).toHaveLength(granted.length);
  });

  test('takes another secret in steps, without asking again', async () => {
    const fleet = await fleetRig();
    const { server, member } = fleet;
    const next = `the-next-${secret}`;
    await member().verify(GOOD);
    await fleet.entries(1);
    const step = async (list: readonly string[]): Promise<string> =>
      brief(await member({}, { secret: list }).verify(GOOD));
    expect(await step([secret, next])).toBe('valid shared');
    const moving = member({}, { secret: [next, secret] });
    expect(brief(await moving.verify(GOOD))).toBe('valid shared');
    await sleep(2);
    expect(brief(await moving.verify(GOOD, { maxAgeMs: 1 }))).toBe('valid server');
    await fleet.entries(2);
    expect(await step([secret, next])).toBe('valid shared');
    expect(await step([next])).toBe('valid shared');
    expect(server.asked(GOOD)).toBe(2);
  });

  test('that freezes, dies, comes back empty or is flushed changes no verdict', async () => {
    const fleet = await fleetRig();
    const { redis, server, member, send } = fleet;
    const verifier = member({ sharedTimeoutMs: 50 });
    expect(brief(await verifier.verify(GOOD))).toBe('valid server');
    await fleet.entries(1);
    const check = async (): Promise<void> => {
      const results = [await verifier.verify(GOOD), await verifier.verify(GOOD, { maxAgeMs: 0.001 })];
      results.push(await verifier.verify(`sk-${randomBytes(4).toString('hex')}`));
      expect(results.map(({ status }) => status)).toEqual(['verified', 'verified', 'rejected']);
    };
    redis.freeze();
    for (let i = 0; i < 10; i++) await check();
    expect(verifier.stats().shared.failures).toBeGreaterThanOrEqual(5);
    redis.thaw();
    await check();
    await redis.kill();
    for (let i = 0; i < 3; i++) await check();
    await redis.start();
    await check();
    await until(() => verifier.stats().revocations.gaps > 0);
    await send(['FLUSHALL'], '');
    await check();
    expect(server.counts.faults).toBe(0);
  });
});

describe.skipIf(withoutRedis)('the stream of revocations in Redis', { timeout: 60_000 }, () => {
  const revoke = async ({ send }: FleetRig, keyId = 'k-1'): Promise<void> => {
    const event = JSON.stringify({ v: 1, type: 'revoked', select: { keyId } });
    await send(['XADD', STREAM, '*', 'event', event], STREAM);
  };
  /** A verifier that follows the stream, and has read all that was in it. */
  async function follower(fleet: FleetRig): Promise<KeyVerifier> {
    const verifier = fleet.member();
    await verifier.warmUp();
    await verifier.verify(GOOD);
    return verifier;
  }
  const losses: Readonly<Record<string, (fleet: FleetRig) => Promise<unknown>>> = {
    'DEL of the stream': async ({ send }) => await send(['DEL', STREAM], STREAM),
    FLUSHALL: async ({ send }) => await send(['FLUSHALL'], ''),
    'a trim of more than was read': async (fleet) => {
      fleet.redis.freeze();
      fleet.redis.thaw();
      await fleet.send(['MULTI'], STREAM);
      await revoke(fleet, 'lost');
      await revoke(fleet, 'kept');
      await fleet.send(['XTRIM', STREAM, 'MAXLEN', '1'], STREAM);
      await fleet.send(['EXEC'], STREAM);
    },
    'a failover that lost the tail': async ({ send }) => {
      await send(['MULTI'], STREAM);
      await send(['DEL', STREAM], STREAM);
      await send(['XADD', STREAM, '1-1', 'event', '{"v":1,"type":"heartbeat"}'], STREAM);
      await send(['EXEC'], STREAM);
    },
    'a restart without its data': async ({ redis }) => {
      await redis.kill();
      await redis.start();
    },
    'something else in its place': async ({ send }) => await send(['SET', STREAM, 'x'], STREAM),
    'an event that cannot be read': async ({ send }) =>
      await send(['XADD', STREAM, '*', 'event', '{"v":2,"type":"renamed"}'], STREAM),
    'an event of an unknown selector': async ({ send }) =>
      await send(['XADD', STREAM, '*', 'event', '{"v":1,"type":"revoked","select":{"colour":"red"}}'], STREAM),
    'an entry without an event': async ({ send }) => await send(['XADD', STREAM, '*', 'other', 'x'], STREAM),
    'an entry with two events': async ({ send }) => {
      const event = '{"v":1,"type":"revoked","select":{"keyId":"other"}}';
      await send(['XADD', STREAM, '*', 'event', event, 'event', event], STREAM);
    },
    'a reset': async ({ send }) => await send(['XADD', STREAM, '*', 'event', '{"v":1,"type":"reset"}'], STREAM),
  };

  test.each(Object.keys(losses))('finds the gap: %s', async (name) => {
    const fleet = await fleetRig();
    const verifier = await follower(fleet);
    expect(verifier.stats().revocations.gaps).toBe(0);
    await losses[name]?.(fleet);
    await until(() => verifier.stats().revocations.gaps > 0);
    expect(brief(await verifier.verify(GOOD))).toBe('valid cache');
  });

  test('is followed from its end where all of it is too old to matter, and a loss there is a gap, too', async () => {
    const fleet = await fleetRig();
    await fleet.send(['XADD', STREAM, '1-1', 'event', '{"v":1,"type":"revoked","select":{"all":true}}'], STREAM);
    const verifier = await follower(fleet);
    expect(verifier.stats().revocations).toMatchObject({ messages: 0, gaps: 0, down: false });
    // At once, so that no poll comes between.
    const lose =
      "redis.call('XADD', KEYS[1], '*', 'event', ARGV[1]); return redis.call('XTRIM', KEYS[1], 'MAXLEN', '0')";
    await fleet.send(['EVAL', lose, '1', STREAM, '{"v":1,"type":"revoked","select":{"all":true}}'], STREAM);
    await until(() => verifier.stats().revocations.gaps > 0);
  });

  test('sees no gap where nothing was lost: idle, trimmed when idle, other selectors', async () => {
    const fleet = await fleetRig();
    const verifier = await follower(fleet);
    await revoke(fleet, 'another');
    await until(() => verifier.stats().revocations.messages === 1);
    await fleet.send(['XTRIM', STREAM, 'MAXLEN', '0'], STREAM);
    await sleep(100);
    await revoke(fleet);
    await until(() => verifier.stats().revocations.messages === 2);
    // What it had read last is gone, and so whether there was more: that has to count as a gap.
    expect(verifier.stats().revocations.gaps).toBeLessThanOrEqual(1);
  });

  test('goes on after a pause of the server, with nothing lost', async () => {
    const fleet = await fleetRig();
    const verifier = await follower(fleet);
    fleet.redis.freeze();
    await until(() => verifier.stats().revocations.down);
    fleet.redis.thaw();
    await revoke(fleet);
    await until(() => verifier.stats().revocations.messages === 1);
    expect(verifier.stats().revocations.down).toBe(false);
  });

  test('reads a long history in pages', async () => {
    const fleet = await fleetRig();
    for (let i = 0; i < 2_500; i += 500)
      await Promise.all(Array.from({ length: 500 }, async (_, n) => await revoke(fleet, `k-${i + n + 10}`)));
    const verifier = await follower(fleet);
    expect(verifier.stats().revocations).toEqual({ messages: 2_500, revoked: 2_500, gaps: 0, down: false });
  });
});
