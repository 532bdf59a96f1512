import { metrics, trace } from '@opentelemetry/api';
import {
  AggregationTemporality,
  DataPointType,
  InMemoryMetricExporter,
  MeterProvider,
  PeriodicExportingMetricReader,
} from '@opentelemetry/sdk-metrics';
import { describe, expect, onTestFinished, test } from 'vitest';

import { InvalidOptionsError, type RevocationSource } from 'keyverify';
import { otel, type OtelOptions } from 'keyverify/otel';
import { memoryFleet } from 'keyverify/testing';

import { GOOD, OTHER, rig, settle, until } from '../helpers/rig.js';
import { faultyStore } from '../helpers/store.js';

/** The real SDK, read on demand. */
function meters() {
  const exporter = new InMemoryMetricExporter(AggregationTemporality.CUMULATIVE);
  const reader = new PeriodicExportingMetricReader({ exporter, exportIntervalMillis: 2 ** 30 });
  const meterProvider = new MeterProvider({ readers: [reader] });
  onTestFinished(async () => await meterProvider.shutdown());
  const collect = async () => {
    exporter.reset();
    await reader.forceFlush();
    const [resource] = exporter.getMetrics();
    return resource?.scopeMetrics.flatMap(({ metrics }) => metrics) ?? [];
  };
  return {
    meterProvider,
    collect,
    /** The series of one metric: attributes, in order and joined, to value. */
    series: async (name: string): Promise<Record<string, unknown>> => {
      const found = (await collect()).find(({ descriptor }) => descriptor.name === name);
      const points = found?.dataPoints ?? [];
      return Object.fromEntries(
        points.map(({ attributes, value }) => [
          Object.values(attributes).join(' '),
          typeof value === 'number' ? value : value.count,
        ]),
      );
    },
  };
}

const NONE = {
  'verified server': 0,
  'verified shared': 0,
  'verified cache': 0,
  'verified stale': 0,
  'rejected server': 0,
  'rejected shared': 0,
  'rejected cache': 0,
  'rejected stale': 0,
  'rejected local': 0,
  'failed-open fail-open': 0,
  'failed-closed fail-closed': 0,
};

test('the metrics, their instruments, units and attributes', async () => {
  const { meterProvider, collect } = meters();
  const { build } = await rig();
  await build({ observers: [otel({ meterProvider })] }).verify(GOOD);
  const all = await collect();
  const summary = all.map(({ descriptor: { name, unit }, dataPointType, dataPoints }) => [
    name,
    unit,
    DataPointType[dataPointType],
    [...new Set(dataPoints.flatMap(({ attributes }) => Object.keys(attributes)))].sort(),
  ]);
  expect(summary.toSorted()).toEqual([
    ['keyverify.breaker.status', '{verifier}', 'SUM', ['keyverify.breaker.state']],
    ['keyverify.cache.entry.count', '{entry}', 'SUM', ['keyverify.cache.kind']],
    ['keyverify.question.active', '{question}', 'SUM', []],
    ['keyverify.question.duration', 's', 'HISTOGRAM', ['keyverify.outcome', 'server.address']],
    ['keyverify.question.queued', '{question}', 'SUM', []],
    ['keyverify.verifications', '{verification}', 'SUM', ['keyverify.source', 'keyverify.status']],
  ]);
});

test('those of a fleet, with a zero for each count before its first event', async () => {
  const { meterProvider, collect } = meters();
  const { build, clock } = await rig();
  await build({ ...memoryFleet({ clock }), observers: [otel({ meterProvider })] }).verify(GOOD);
  const summary = (await collect())
    .filter(({ descriptor: { name } }) => /shared|revocation/.test(name))
    .map(({ descriptor: { name, unit }, dataPointType, dataPoints }) => [
      name,
      unit,
      DataPointType[dataPointType],
      dataPoints.map(({ attributes, value }) => [attributes, typeof value === 'number' ? value : value.count]),
    ]);
  expect(summary.toSorted()).toEqual([
    [
      'keyverify.revocation.events',
      '{event}',
      'SUM',
      [
        [{ 'keyverify.revocation.type': 'revoked' }, 0],
        [{ 'keyverify.revocation.type': 'changed' }, 0],
      ],
    ],
    [
      'keyverify.revocation.gaps',
      '{gap}',
      'SUM',
      [
        [{ 'keyverify.revocation.gap.reason': 'lost' }, 0],
        [{ 'keyverify.revocation.gap.reason': 'unreadable' }, 0],
        [{ 'keyverify.revocation.gap.reason': 'silent' }, 0],
      ],
    ],
    ['keyverify.revocation.lag', 's', 'GAUGE', [[{}, 0]]],
    [
      'keyverify.shared.operation.duration',
      's',
      'HISTOGRAM',
      [
        [{ 'keyverify.shared.operation': 'get', 'keyverify.outcome': 'miss' }, 1],
        [{ 'keyverify.shared.operation': 'put', 'keyverify.outcome': 'hit' }, 1],
      ],
    ],
  ]);
});

test('what a fleet does is counted and measured: operations by outcome, revocations and gaps by type, lag of the worst', async () => {
  const { meterProvider, series } = meters();
  const { build, clock } = await rig();
  const fleet = memoryFleet({ clock });
  const { sharedCache, state } = faultyStore(fleet);
  const observers = [otel({ meterProvider })];
  const verifier = build({ ...fleet, sharedCache, observers });
  await verifier.verify(GOOD);
  await until(() => fleet.sharedCache.size === 1);
  const silent: RevocationSource = {
    fleet: sharedCache.fleet,
    name: 's',
    heartbeatMs: 1_000,
    follow: async () => await new Promise(() => undefined),
  };
  await settle(build({ observers, revocations: silent }).warmUp(), clock, 5_000);
  const other = build({ sharedCache, observers, sharedTimeoutMs: 10 });
  await other.verify(GOOD);
  state.fault = 'throw';
  await other.verify(OTHER);
  state.fault = 'hang';
  await settle(other.verify('sk-new'), clock, 1_000);
  expect(await series('keyverify.shared.operation.duration')).toEqual({
    'get miss': 1,
    'put hit': 1,
    'get hit': 1,
    'get failed error': 1,
    'get failed timeout': 1,
  });
  await fleet.revocations.publish({ type: 'revoked', select: { keyId: 'k-1' } });
  await fleet.revocations.publish({ type: 'changed', select: { keyId: 'k-1' } });
  fleet.revocations.gap();
  state.fault = undefined;
  await clock.advance(4_000);
  expect(await series('keyverify.revocation.events')).toEqual({ revoked: 1, changed: 1 });
  expect(await series('keyverify.revocation.gaps')).toEqual({ lost: 1, unreadable: 0, silent: 1 });
  const { '': lag } = await series('keyverify.revocation.lag');
  expect(lag).toBeGreaterThanOrEqual(4);
});

test('results are counted by status and source', async () => {
  const { meterProvider, series } = meters();
  const { build, server, clock } = await rig();
  const verifier = build({ observers: [otel({ meterProvider })], retries: 0, failOpen: true });
  for (const key of [GOOD, GOOD, GOOD, OTHER, OTHER, '']) await verifier.verify(key);
  await server.stop();
  await clock.advance(300_000);
  for (const key of [GOOD, OTHER, 'sk-new']) await settle(verifier.verify(key), clock, 5_000);
  await settle(verifier.verify('sk-new', { failOpen: false }), clock, 5_000);
  expect(await series('keyverify.verifications')).toEqual({
    'verified server': 1,
    'verified shared': 0,
    'verified cache': 2,
    'verified stale': 1,
    'rejected server': 1,
    'rejected shared': 0,
    'rejected cache': 1,
    'rejected stale': 1,
    'rejected local': 1,
    'failed-open fail-open': 1,
    'failed-closed fail-closed': 1,
  });
});

test('state is read when it is collected: cached keys, questions, the breaker', async () => {
  const { meterProvider, series } = meters();
  const { build, server, clock } = await rig();
  const observers = [otel({ meterProvider })];
  const verifier = build({ observers, maxConcurrency: 1, breaker: { failureThreshold: 1 }, retries: 0 });
  await verifier.verify(GOOD);
  await verifier.verify(OTHER);
  expect(await series('keyverify.cache.entry.count')).toEqual({ verified: 1, rejected: 1 });
  server.injectFault({ kind: 'hang' });
  const waiting = ['sk-1', 'sk-2', 'sk-3'].map(async (key) => await verifier.verify(key));
  await until(() => server.counts.faults > 0);
  expect(await series('keyverify.question.active')).toEqual({ '': 1 });
  expect(await series('keyverify.question.queued')).toEqual({ '': 2 });
  expect(await series('keyverify.breaker.status')).toEqual({ closed: 1, open: 0, 'half-open': 0 });
  await settle(Promise.all(waiting), clock, 20_000);
  const { open, closed, 'half-open': halfOpen } = await series('keyverify.breaker.status');
  expect([closed, Number(open) + Number(halfOpen)]).toEqual([0, 1]);
});

test('questions are measured by their outcome, control questions left out', async () => {
  const { meterProvider, series } = meters();
  const { build, server, clock } = await rig();
  const verifier = build({ observers: [otel({ meterProvider })], retries: 0 });
  await verifier.verify(GOOD);
  await verifier.verify(GOOD);
  await verifier.verify(OTHER);
  await settle(verifier.check(), clock, 5_000);
  await server.stop();
  await settle(verifier.verify('sk-new'), clock, 5_000);
  expect(await series('keyverify.question.duration')).toEqual({
    'verified 127.0.0.1': 1,
    'rejected 127.0.0.1': 1,
    'failed 127.0.0.1 unreachable': 1,
  });
});

describe('several verifiers', () => {
  test('add up, whether they share an observer or only the provider, and counters do not fall when one is closed', async () => {
    const { meterProvider, series } = meters();
    const { build, server } = await rig();
    const shared = otel({ meterProvider });
    const verifiers = [shared, shared, otel({ meterProvider })].map((observer) => build({ observers: [observer] }));
    for (const verifier of verifiers) for (const key of [GOOD, GOOD]) await verifier.verify(key);
    const expected = { ...NONE, 'verified server': 3, 'verified cache': 3 };
    expect(await series('keyverify.verifications')).toEqual(expected);
    await verifiers[0]?.close();
    await verifiers[0]?.close();
    expect(await series('keyverify.verifications')).toEqual(expected);
    expect(await series('keyverify.cache.entry.count')).toEqual({ verified: 2, rejected: 0 });
    expect(server.counts.valid).toBe(3);
  });
});

test('without a provider, metrics go to the global one, as it is when the verifier is built', async () => {
  const observer = otel();
  const { meterProvider, series } = meters();
  metrics.setGlobalMeterProvider(meterProvider);
  onTestFinished(() => metrics.disable());
  const { build } = await rig();
  await build({ observers: [observer] }).verify(GOOD);
  expect(await series('keyverify.verifications')).toMatchObject({ 'verified server': 1 });
});

test('an observer that was never given to a verifier records nothing, and breaks nothing', async () => {
  const observer = otel();
  const outcome = { outcome: 'verified', failure: undefined, attempts: 1, durationMs: 1 } as const;
  const ask = { purpose: 'verify', url: 'https://admin.test/verify' } as const;
  const { build } = await rig();
  observer.onDetach?.(build());
  expect(() => observer.onAsk?.(ask, async () => await Promise.resolve(outcome))).not.toThrow();
  const shared = { outcome: 'hit', error: undefined, durationMs: 1 } as const;
  expect(() => observer.onShared?.({ operation: 'get' }, async () => await Promise.resolve(shared))).not.toThrow();
  expect(() => observer.onRevocation?.({ source: 's', messages: 1, revoked: 1, count: 0 })).not.toThrow();
  expect(() => observer.onRevocationGap?.({ source: 's', reason: 'lost' })).not.toThrow();
});

describe('otel() refuses', () => {
  const meterProvider = new MeterProvider();

  test.each<[string, unknown, string]>([
    [
      'a misspelled option',
      { meterprovider: meterProvider },
      'meterprovider: there is no such option, did you mean meterProvider?',
    ],
    ['what is no meter provider', { meterProvider: 1 }, 'meterProvider: expected an object with getMeter(), got 1'],
    [
      'what is no tracer provider',
      { tracerProvider: {} },
      'tracerProvider: expected an object with getTracer(), got an object',
    ],
    ['a meter provider in place of options', meterProvider, 'options: got a provider: write otel({ meterProvider })'],
    ['a tracer provider in place of options', trace, 'options: got a provider: write otel({ tracerProvider })'],
    ['what is no options', null, 'options: expected an object, got null'],
  ])('%s', (_, options, issue) => {
    expect(() => otel(options as OtelOptions)).toThrow(new InvalidOptionsError([issue]));
  });
});
