import { createHmac } from 'node:crypto';

import { describe, expect, test } from 'vitest';

import type { KeyVerifier, Observer } from 'keyverify';
import { redisRevocations } from 'keyverify/redis';

import { CLIENTS, withoutRedis } from '../helpers/redis.js';
import { STREAM, fleetRig, type FleetRig } from '../helpers/redis-fleet.js';
import { GOOD, brief, until } from '../helpers/rig.js';

const NEW = 'a-signing-secret-of-at-least-thirty-two-characters';
const OLD = 'another-signing-secret-of-thirty-two-characters';

const ALL = '{"v":1,"type":"revoked","select":{"all":true}}';
const OTHER = '{"v":1,"type":"revoked","select":{"keyId":"other"}}';
const ANOTHER = '{"v":1,"type":"revoked","select":{"keyId":"another"}}';

/** As a publisher in any language signs. */
const signature = (event: string, secret = NEW): string => createHmac('sha256', secret).update(event).digest('hex');

const add = async ({ send }: FleetRig, event: string, ...fields: string[]): Promise<unknown> =>
  await send(['XADD', STREAM, '*', 'event', event, ...fields], STREAM);

/** A verifier that believes signed events alone, follows the stream and knows the key. */
async function follower(
  fleet: FleetRig,
  signingSecret: string | readonly string[] = NEW,
  observer: Observer = {},
): Promise<KeyVerifier> {
  const revocations = redisRevocations({ send: fleet.send, pollMs: 20, signingSecret });
  const verifier = fleet.member({ revocations, observers: [observer] });
  await verifier.warmUp();
  await verifier.verify(GOOD);
  expect(verifier.stats().revocations).toMatchObject({ messages: 0, gaps: 0 });
  return verifier;
}

describe.skipIf(withoutRedis)('with a signing secret', { timeout: 60_000 }, () => {
  test.each<[string, readonly [event: string, ...fields: string[]]]>([
    ['no signature', [ALL]],
    ['an empty one', [ALL, 'signature', '']],
    ['one by another secret', [ALL, 'signature', signature(ALL, OLD)]],
    ['one of another event', [ALL, 'signature', signature(OTHER)]],
    ['a part of its own', [ALL, 'signature', signature(ALL).slice(0, 62)]],
    ['more than its own', [ALL, 'signature', `${signature(ALL)}00`]],
    ['one that is not in hexadecimal digits', [ALL, 'signature', 'g'.repeat(64)]],
    ['its own in base64', [ALL, 'signature', Buffer.from(signature(ALL), 'hex').toString('base64')]],
    ['its own, and an event like it', [` ${ALL}`, 'signature', signature(ALL)]],
  ])('an event with %s is a gap, which denies nobody in an outage', async (_, [event, ...fields]) => {
    const fleet = await fleetRig();
    const reasons: string[] = [];
    const verifier = await follower(fleet, NEW, { onRevocationGap: ({ reason }) => reasons.push(reason) });
    await fleet.server.stop();
    await add(fleet, event, ...fields);
    await until(() => verifier.stats().revocations.gaps > 0);
    expect(reasons).toEqual(['unreadable']);
    expect(verifier.stats().revocations.messages).toBe(0);
    expect(brief(await verifier.verify(GOOD))).toMatch(/^valid/);
  });

  test.each(CLIENTS)('one that is signed takes effect, through %s', async (client) => {
    const fleet = await fleetRig(client);
    const verifier = await follower(fleet);
    fleet.server.revoke(GOOD);
    await add(fleet, ALL, 'signature', signature(ALL));
    await until(() => verifier.stats().revocations.messages === 1);
    expect(brief(await verifier.verify(GOOD))).toBe('rejected server revoked');
    expect(verifier.stats().revocations.gaps).toBe(0);
  });

  test('what revoke() publishes is signed, by the first of several', async () => {
    const fleet = await fleetRig();
    const [publisher, reader] = [await follower(fleet, [NEW, OLD]), await follower(fleet, NEW)];
    await publisher.revoke({ keyId: 'other' });
    for (const { stats } of [publisher, reader].map((one) => ({ stats: () => one.stats().revocations })))
      await until(() => stats().messages === 1);
    expect(reader.stats().revocations.gaps).toBe(0);
  });

  test('a secret is replaced without a gap', async () => {
    const fleet = await fleetRig();
    const verifier = await follower(fleet, [NEW, OLD]);
    await add(fleet, OTHER, 'signature', signature(OTHER, OLD));
    await add(fleet, ANOTHER, 'signature', signature(ANOTHER, NEW).toUpperCase());
    await until(() => verifier.stats().revocations.messages === 2);
    expect(verifier.stats().revocations.gaps).toBe(0);
  });
});

test.skipIf(withoutRedis)('without one, every event takes effect, signed or not', { timeout: 60_000 }, async () => {
  const fleet = await fleetRig();
  const verifier = fleet.member();
  await verifier.warmUp();
  await add(fleet, ANOTHER);
  await add(fleet, OTHER, 'signature', signature(OTHER));
  await until(() => verifier.stats().revocations.messages === 2);
  expect(verifier.stats().revocations.gaps).toBe(0);
});
