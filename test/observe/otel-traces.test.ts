import { AsyncLocalStorage } from 'node:async_hooks';

import { context, trace, type Span } from '@opentelemetry/api';
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks';
import { UndiciInstrumentation } from '@opentelemetry/instrumentation-undici';
import { BasicTracerProvider, InMemorySpanExporter, SimpleSpanProcessor } from '@opentelemetry/sdk-trace-base';
import type { ReadableSpan } from '@opentelemetry/sdk-trace-base';
import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';

import { fingerprint, type SharedCache } from 'keyverify';
import { otel } from 'keyverify/otel';
import { memoryFleet } from 'keyverify/testing';

import { GOOD, OTHER, rig, settle, until } from '../helpers/rig.js';
import { faultyStore } from '../helpers/store.js';

const exporter = new InMemorySpanExporter();
const tracerProvider = new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] });
const tracer = tracerProvider.getTracer('test');
const instrumentation = new UndiciInstrumentation();

beforeAll(() => {
  context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
  instrumentation.setTracerProvider(tracerProvider);
  instrumentation.enable();
});
beforeEach(() => exporter.reset());
afterAll(async () => {
  instrumentation.disable();
  context.disable();
  await tracerProvider.shutdown();
});

const asks = (): readonly ReadableSpan[] => exporter.getFinishedSpans().filter(({ name }) => name === 'keyverify.ask');
const requests = (): readonly ReadableSpan[] => exporter.getFinishedSpans().filter(({ name }) => name === 'POST');
const idOf = (span: Span | ReadableSpan | undefined): string | undefined => span?.spanContext().spanId;
const parentOf = (span: ReadableSpan | undefined): string | undefined => span?.parentSpanContext?.spanId;

/** Runs within a span of its own, as a request to the service does. */
async function within<T>(run: () => Promise<T>): Promise<{ readonly span: Span; readonly result: T }> {
  const span = tracer.startSpan('request');
  const result = await context.with(trace.setSpan(context.active(), span), run);
  span.end();
  return { span, result };
}

const observers = [otel({ tracerProvider })];

test('a question is a child of the caller, and its request a child of the question', async () => {
  const { build, server } = await rig();
  const verifier = build({ observers });
  const { span } = await within(async () => await verifier.verify(GOOD));
  await until(() => requests().length === 1);
  const [ask] = asks();
  expect(parentOf(ask)).toBe(idOf(span));
  expect(parentOf(requests()[0])).toBe(idOf(ask));
  expect(ask?.instrumentationScope.name).toBe('keyverify');
  expect(ask?.attributes).toEqual({
    'keyverify.purpose': 'verify',
    'keyverify.outcome': 'verified',
    'keyverify.attempts': 1,
    'server.address': '127.0.0.1',
    'server.port': server.port,
  });
});

test('a hit has no span', async () => {
  const { build } = await rig();
  const verifier = build({ observers });
  await verifier.verify(GOOD);
  exporter.reset();
  await within(async () => await verifier.verify(GOOD));
  expect(exporter.getFinishedSpans().map(({ name }) => name)).toEqual(['request']);
});

test('callers who are coalesced are linked to the one span, and each keeps a context of its own', async () => {
  const { build, server } = await rig();
  const verifier = build({ observers });
  server.injectFault({ kind: 'delay', ms: 20 });
  const storage = new AsyncLocalStorage<number>();
  const callers = await Promise.all(
    [0, 1, 2].map(
      async (number) =>
        await within(
          async () =>
            await storage.run(number, async () => {
              await verifier.verify(GOOD);
              return { number: storage.getStore(), active: idOf(trace.getActiveSpan()) };
            }),
        ),
    ),
  );
  const [first, ...others] = callers;
  expect(asks()).toHaveLength(1);
  expect(parentOf(asks()[0])).toBe(idOf(first?.span));
  expect(asks()[0]?.links.map((link) => link.context.spanId)).toEqual(others.map(({ span }) => idOf(span)));
  expect(callers.map(({ result }) => result)).toEqual(
    callers.map(({ span }, number) => ({ number, active: idOf(span) })),
  );
});

test('no more than 32 callers are linked, and none without a span', async () => {
  const { build } = await rig();
  const verifier = build({ observers });
  const first = verifier.verify(GOOD);
  const outside = verifier.verify(GOOD);
  const many = Array.from({ length: 40 }, async () => await within(async () => await verifier.verify(GOOD)));
  await Promise.all([first, outside, ...many]);
  expect(asks()[0]?.links).toHaveLength(32);
  expect(verifier.stats().coalesced).toBe(41);
});

test('each retry is a request of its own below the one question', async () => {
  const { build, server, clock } = await rig();
  const verifier = build({ observers, retries: 2 });
  // Two requests about this key, not a control question.
  const asked = fingerprint(GOOD);
  server.injectFault((request) =>
    request.fingerprint === asked && server.asked(GOOD) <= 2 ? { kind: 'status', status: 500 } : undefined,
  );
  const { span } = await within(async () => await settle(verifier.verify(GOOD), clock, 1_900));
  await until(() => requests().length >= 3);
  const [ask] = asks().filter(({ attributes }) => attributes['keyverify.purpose'] === 'verify');
  expect(parentOf(ask)).toBe(idOf(span));
  expect(ask?.attributes['keyverify.attempts']).toBe(3);
  expect(requests().filter((request) => parentOf(request) === idOf(ask))).toHaveLength(3);
});

test('a refresh ahead is a child of the caller whose hit set it off', async () => {
  const { build, clock } = await rig();
  const verifier = build({ observers });
  await verifier.verify(GOOD);
  await clock.advance(280_000);
  exporter.reset();
  const { span, result } = await within(async () => await verifier.verify(GOOD));
  expect(result.source).toBe('cache');
  await until(() => requests().length === 1);
  const [ask] = asks();
  expect(ask?.attributes['keyverify.purpose']).toBe('refresh');
  expect(parentOf(ask)).toBe(idOf(span));
  expect(parentOf(requests()[0])).toBe(idOf(ask));
});

test('a failure has its kind, and the cause in a status without a secret', async () => {
  const { build, server, clock } = await rig();
  const verifier = build({ observers, retries: 0 });
  await server.stop();
  await settle(verifier.verify(OTHER), clock, 5_000);
  const ask = asks().find(({ attributes }) => attributes['keyverify.purpose'] === 'verify');
  expect(ask?.attributes).toMatchObject({ 'keyverify.outcome': 'failed', 'error.type': 'unreachable' });
  expect(ask?.status.code).toBe(2);
  expect(ask?.status.message).toMatch(/^keyverify: .*ECONNREFUSED/);
});

test('a failure without a cause has its message', async () => {
  const { build, server, clock } = await rig();
  const verifier = build({ observers, retries: 0 });
  server.injectFault({ kind: 'status', status: 401 });
  await settle(verifier.verify(OTHER), clock, 5_000);
  expect(asks()[0]?.status.message).toBe('keyverify: the key server answered 401: check serviceToken');
});

test('a control question belongs to no caller, whoever set its timer', async () => {
  const { build, server, clock } = await rig();
  const verifier = build({ observers, retries: 0 });
  await server.stop();
  await within(async () => await settle(verifier.verify(OTHER), clock, 5_000));
  await within(async () => await settle(verifier.check(), clock, 20_000));
  const controls = asks().filter(({ attributes }) => attributes['keyverify.purpose'] === 'control');
  expect(controls.length).toBeGreaterThan(0);
  for (const control of controls) expect(parentOf(control)).toBeUndefined();
});

describe('the shared cache', () => {
  const shared = (): readonly ReadableSpan[] =>
    exporter.getFinishedSpans().filter(({ name }) => name === 'keyverify.shared');
  const operationOf = ({ attributes }: ReadableSpan): unknown => attributes['keyverify.shared.operation'];

  /** Its client has a span for each command, as instrumented ones do. */
  async function sharedRig() {
    const made = await rig();
    const fleet = memoryFleet({ clock: made.clock });
    const { sharedCache, state } = faultyStore(fleet);
    const get: SharedCache['get'] = async (key) => {
      tracer.startSpan('GET').end();
      return await sharedCache.get(key);
    };
    const verifier = made.build({ sharedCache: { ...sharedCache, get }, observers, retries: 0 });
    return { ...made, state, fleet, verifier };
  }

  test('has a span for each operation, a child of the caller, with the client below', async () => {
    const { verifier, fleet } = await sharedRig();
    const { span } = await within(async () => await verifier.verify(GOOD));
    await until(() => shared().length === 2 && fleet.sharedCache.size === 1);
    const [get, put] = shared();
    expect(shared().map(operationOf)).toEqual(['get', 'put']);
    expect([parentOf(get), parentOf(put), parentOf(asks()[0])]).toEqual([idOf(span), idOf(span), idOf(span)]);
    expect(parentOf(exporter.getFinishedSpans().find(({ name }) => name === 'GET'))).toBe(idOf(get));
    expect(get?.attributes).toEqual({ 'keyverify.shared.operation': 'get', 'keyverify.outcome': 'miss' });
  });

  test('has none on a hit of the process itself', async () => {
    const { verifier } = await sharedRig();
    await verifier.verify(GOOD);
    await until(() => shared().length === 2);
    exporter.reset();
    await within(async () => await verifier.verify(GOOD));
    expect(exporter.getFinishedSpans().map(({ name }) => name)).toEqual(['request']);
  });

  test('is looked into and leased by a refresh for the caller whose hit set it off', async () => {
    const { verifier, clock } = await sharedRig();
    await verifier.verify(GOOD);
    await until(() => shared().length === 2);
    await clock.advance(280_000);
    exporter.reset();
    const { span } = await within(async () => await verifier.verify(GOOD));
    await until(() => shared().length === 3 && asks().length === 1);
    expect(shared().map(operationOf)).toEqual(['get', 'lease', 'put']);
    for (const each of [...shared(), ...asks()]) expect(parentOf(each)).toBe(idOf(span));
  });

  test('that fails has the kind and the cause, and what probes it belongs to no caller', async () => {
    const { verifier, clock, state } = await sharedRig();
    state.fault = 'throw';
    await within(async () => await verifier.verify(GOOD));
    state.fault = 'hang';
    // The timer of the test's clock fires within this one.
    await within(async () => {
      await clock.advance(1_000);
      await settle(
        until(() => shared().some((span) => operationOf(span) === 'probe')),
        clock,
        5_000,
      );
    });
    const [get] = shared();
    expect(get?.attributes).toMatchObject({ 'keyverify.outcome': 'failed', 'error.type': 'error' });
    expect(get?.status).toEqual({ code: 2, message: 'refused: "[redacted]" "[redacted]"' });
    const probe = shared().find((span) => operationOf(span) === 'probe');
    expect(probe?.attributes).toMatchObject({ 'keyverify.outcome': 'failed', 'error.type': 'timeout' });
    expect(probe?.status).toEqual({ code: 2, message: 'no answer in time' });
    expect(parentOf(probe)).toBeUndefined();
  });
});

test('the default port of a URL without one is known', async () => {
  const ask = { purpose: 'verify', url: 'https://admin.test/verify' } as const;
  const outcome = { outcome: 'verified', failure: undefined, attempts: 1, durationMs: 1 } as const;
  const run = async () => await Promise.resolve(outcome);
  for (const url of [ask.url, 'http://admin.test/verify']) observers[0]?.onAsk?.({ ...ask, url }, run);
  await until(() => asks().length === 2);
  expect(asks().map(({ attributes }) => attributes['server.port'])).toEqual([443, 80]);
});

test('a span processor that throws does not end the process', async () => {
  const onEnd = vi.fn(() => {
    throw new Error('a mistake in it');
  });
  const processor = { onStart: () => undefined, onEnd, forceFlush: vi.fn(), shutdown: vi.fn() };
  const observer = otel({ tracerProvider: new BasicTracerProvider({ spanProcessors: [processor] }) });
  const onUnhandled = vi.fn();
  process.on('unhandledRejection', onUnhandled);
  const { build } = await rig();
  const verifier = build({ observers: [observer], sharedCache: memoryFleet().sharedCache });
  expect(await verifier.verify(GOOD)).toMatchObject({ valid: true });
  await until(() => onEnd.mock.calls.length >= 2);
  await new Promise((resolve) => setImmediate(resolve));
  process.off('unhandledRejection', onUnhandled);
  expect(onUnhandled).not.toHaveBeenCalled();
});
