import { subscribe, tracingChannel, unsubscribe, type TracingChannelSubscribers } from 'node:diagnostics_channel';

import { expect, onTestFinished, test } from 'vitest';

import { memoryFleet } from 'keyverify/testing';

import { diagnosticsObserver } from '../../src/platform/server.js';
import { diagnosticsObserver as web } from '../../src/platform/web.js';
import { GOOD, OTHER, rig, settle, until } from '../helpers/rig.js';

const POINTS = ['verdict', 'failure', 'stale', 'fail-open', 'breaker', 'invalidate'] as const;

function hear(name: string): unknown[] {
  const messages: unknown[] = [];
  const listen = (message: unknown): number => messages.push(message);
  subscribe(`keyverify:${name}`, listen);
  onTestFinished(() => {
    unsubscribe(`keyverify:${name}`, listen);
  });
  return messages;
}

function hearTracing(channel: string): unknown[][] {
  const events: unknown[][] = [];
  const record =
    (name: string) =>
    (message: object): number =>
      events.push([name, { ...message }]);
  const subscribers = Object.fromEntries(
    ['start', 'end', 'asyncStart', 'asyncEnd', 'error'].map((name) => [name, record(name)]),
  ) as unknown as TracingChannelSubscribers<object>;
  const asking = tracingChannel<object, object>(channel);
  asking.subscribe(subscribers);
  onTestFinished(() => asking.unsubscribe(subscribers));
  return events;
}

test('without a subscriber there is nothing to call, so no event is built', () => {
  const [observer] = diagnosticsObserver();
  const points = ['onVerdict', 'onFailure', 'onStale', 'onFailOpen', 'onBreaker', 'onInvalidate'] as const;
  const methods = [...points, 'onRevocation', 'onRevocationGap', 'onAsk', 'onShared'] as const;
  const there = (): readonly string[] => methods.filter((name) => Reflect.get(observer ?? {}, name) !== undefined);
  expect(there()).toEqual([]);
  hear('stale');
  hearTracing('keyverify:shared');
  expect(there()).toEqual(['onStale', 'onShared']);
});

test('there are none on the web', () => {
  expect(web()).toEqual([]);
});

test('without any set-up, subscribers are told what happens', async () => {
  const messages = Object.fromEntries(POINTS.map((name) => [name, hear(name)]));
  const { build, server, clock } = await rig();
  const verifier = build({ retries: 0, failOpen: true, breaker: { failureThreshold: 2 } });
  const asked = hearTracing('keyverify:ask');
  await verifier.verify(GOOD);
  // With failOpen, a control question follows the first verdict.
  await until(() => asked.filter(([name]) => name === 'asyncEnd').length === 2);
  await server.stop();
  await clock.advance(300_000);
  await settle(verifier.verify(GOOD), clock, 5_000);
  await settle(verifier.verify(OTHER), clock, 5_000);
  verifier.clear();
  expect(messages).toMatchObject({
    verdict: [{ result: { status: 'verified' } }],
    failure: [{ failure: { kind: 'unreachable' } }, {}],
    stale: [{ result: { source: 'stale' } }],
    'fail-open': [{ result: { status: 'failed-open' } }],
    breaker: [{ state: 'open' }],
    invalidate: [{ selector: 'all' }],
  });
});

test('a question is traced from its start to its outcome, its fingerprint left out', async () => {
  const events = hearTracing('keyverify:ask');
  const { build, server } = await rig();
  const verifier = build();
  expect((await verifier.verify(GOOD)).status).toBe('verified');
  const asked = { purpose: 'verify', url: server.verifyUrl };
  const result = { outcome: 'verified', failure: undefined, attempts: 1, durationMs: 0 };
  expect(events).toEqual([
    ['start', asked],
    ['end', asked],
    ['asyncStart', { ...asked, result }],
    ['asyncEnd', { ...asked, result }],
  ]);
});

test('so is an operation on the shared cache, and revocations and gaps are told', async () => {
  const events = hearTracing('keyverify:shared');
  const [revocations, gaps] = [hear('revocation'), hear('revocation-gap')];
  const { build, clock } = await rig();
  const fleet = memoryFleet({ clock });
  const verifier = build(fleet);
  await verifier.verify(GOOD);
  await until(() => events.length === 8);
  const result = { outcome: 'miss', error: undefined, durationMs: 0 };
  expect(events.slice(0, 4)).toEqual([
    ['start', { operation: 'get' }],
    ['end', { operation: 'get' }],
    ['asyncStart', { operation: 'get', result }],
    ['asyncEnd', { operation: 'get', result }],
  ]);
  await fleet.revocations.publish({ type: 'revoked', select: { keyId: 'k-1' } });
  fleet.revocations.gap();
  expect(revocations).toEqual([{ source: 'memory', messages: 1, revoked: 1, count: 1 }]);
  expect(gaps).toEqual([{ source: 'memory', reason: 'lost' }]);
});
