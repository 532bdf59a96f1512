import { subscribe, tracingChannel, unsubscribe, type TracingChannelSubscribers } from 'node:diagnostics_channel';

import { expect, onTestFinished, test } from 'vitest';

import { diagnosticsObserver } from '../../src/platform/server.js';
import { diagnosticsObserver as web } from '../../src/platform/web.js';
import { GOOD, OTHER, rig, settle } from '../helpers/rig.js';

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

function hearAsk(): unknown[][] {
  const events: unknown[][] = [];
  const record =
    (name: string) =>
    (message: object): number =>
      events.push([name, { ...message }]);
  const subscribers = Object.fromEntries(
    ['start', 'end', 'asyncStart', 'asyncEnd', 'error'].map((name) => [name, record(name)]),
  ) as unknown as TracingChannelSubscribers<object>;
  const asking = tracingChannel<object, object>('keyverify:ask');
  asking.subscribe(subscribers);
  onTestFinished(() => asking.unsubscribe(subscribers));
  return events;
}

test('without a subscriber there is nothing to call, so no event is built', () => {
  const [observer] = diagnosticsObserver();
  const methods = ['onVerdict', 'onFailure', 'onStale', 'onFailOpen', 'onBreaker', 'onInvalidate', 'onAsk'] as const;
  const there = (): readonly string[] => methods.filter((name) => Reflect.get(observer ?? {}, name) !== undefined);
  expect(there()).toEqual([]);
  hear('stale');
  expect(there()).toEqual(['onStale']);
});

test('there are none on the web', () => {
  expect(web()).toEqual([]);
});

test('without any set-up, subscribers are told what happens', async () => {
  const messages = Object.fromEntries(POINTS.map((name) => [name, hear(name)]));
  const { build, server, clock } = await rig();
  const verifier = build({ retries: 0, failOpen: true, breaker: { failureThreshold: 2 } });
  await verifier.verify(GOOD);
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
  const events = hearAsk();
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
