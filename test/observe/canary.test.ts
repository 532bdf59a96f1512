import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { inspect } from 'node:util';

import {
  InMemoryMetricExporter,
  AggregationTemporality,
  MeterProvider,
  PeriodicExportingMetricReader,
} from '@opentelemetry/sdk-metrics';
import { BasicTracerProvider, InMemorySpanExporter, SimpleSpanProcessor } from '@opentelemetry/sdk-trace-base';
import { expect, onTestFinished, test } from 'vitest';

import { fingerprint, KeyVerifier, type KeyVerifierOptions, type RevocationSource } from 'keyverify';
import { otel } from 'keyverify/otel';
import { memoryFleet, startKeyServer, type Fault } from 'keyverify/testing';

import { faultyStore, type StoreFault } from '../helpers/store.js';

const KEY = 'sk-canary-0123456789abcdef';
const TOKEN = 'token-canary-0123456789abcdef';
const RECORD = {
  client: 'client-canary',
  tenant: 'tenant-canary',
  keyId: 'id-canary',
  claims: { plan: 'plan-canary' },
};
const BASE64 = Buffer.from(fingerprint(KEY), 'hex').toString('base64');
/** In the query of the URL: some put a secret there. */
const CANARIES = [
  KEY,
  TOKEN,
  'client-canary',
  'tenant-canary',
  'id-canary',
  'plan-canary',
  'url-canary',
  fingerprint(KEY),
  BASE64,
];

/** The channels whose messages name nobody; those of verdicts and invalidations hold what an observer is told. */
const CHANNELS = ['tracing:keyverify:ask:asyncEnd', 'tracing:keyverify:shared:asyncEnd', 'keyverify:breaker'];

const FAULTS: readonly (Fault | undefined)[] = [
  undefined,
  { kind: 'status', status: 401 },
  { kind: 'status', status: 500 },
  { kind: 'status', status: 429 },
  { kind: 'reset-before-headers' },
  { kind: 'hang' },
  { kind: 'html' },
  {
    kind: 'raw',
    status: 200,
    headers: { 'content-type': 'application/json' },
    body: `{"valid":true,"client":"${KEY}"}`,
  },
  {
    kind: 'raw',
    status: 200,
    headers: { 'content-type': 'application/json' },
    body: `{"valid":false,"reason":"${KEY}"}`,
  },
  { kind: 'raw', status: 500, body: `${KEY} ${TOKEN}` },
];

/** A verifier of which all that it tells is kept: metrics, spans, lines, and the messages of its traces. */
async function observed(options: KeyVerifierOptions<true>) {
  const spans = new InMemorySpanExporter();
  const tracerProvider = new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(spans)] });
  const series = new InMemoryMetricExporter(AggregationTemporality.CUMULATIVE);
  const reader = new PeriodicExportingMetricReader({ exporter: series, exportIntervalMillis: 2 ** 30 });
  const meterProvider = new MeterProvider({ readers: [reader] });
  const heard: string[] = [];
  const hear = (text: string): number => heard.push(text);
  const listen = (message: unknown): number => hear(inspect(message, { depth: null, showHidden: true }));
  for (const name of CHANNELS) subscribe(name, listen);
  const server = await startKeyServer({ keys: { [KEY]: RECORD }, serviceTokens: [TOKEN], cacheControl: 'no-store' });
  const verifier = new KeyVerifier({
    verifyUrl: `${server.verifyUrl}?secret=url-canary`,
    serviceToken: TOKEN,
    observers: [otel({ meterProvider, tracerProvider })],
    logger: { warn: hear, info: hear },
    failOpen: true,
    timeoutMs: 200,
    breaker: { failureThreshold: 1, openMs: 1 },
    ...options,
  });
  onTestFinished(async () => {
    for (const name of CHANNELS) unsubscribe(name, listen);
    await server.close();
    await verifier.close();
    await meterProvider.shutdown();
  });
  const told = async (): Promise<readonly string[]> => {
    await reader.forceFlush();
    expect(spans.getFinishedSpans().length).toBeGreaterThan(0);
    return [
      ...spans
        .getFinishedSpans()
        .map(({ name, attributes, status, events, links }) =>
          JSON.stringify({ name, attributes, status, events, links }),
        ),
      ...series.getMetrics().flatMap(({ scopeMetrics }) => scopeMetrics.map((scope) => JSON.stringify(scope.metrics))),
      ...heard,
      JSON.stringify([verifier.health(), verifier.health().failure?.message, verifier.stats()]),
    ];
  };
  return { server, verifier, told };
}

function expectNoCanary(told: readonly string[]): void {
  for (const text of told) for (const canary of CANARIES) expect(text).not.toContain(canary);
}

test.each(FAULTS)(
  'nothing that names a key, a client or a tenant is in a metric, a span or a line: %j',
  async (fault) => {
    const { server, verifier, told } = await observed({});
    if (fault !== undefined) server.injectFault(fault);
    await verifier.verify(KEY);
    await verifier.verify(KEY, { maxAgeMs: 0 });
    verifier.invalidate({ key: KEY });
    await verifier.check();
    server.clearFaults();
    await verifier.check();
    expectNoCanary(await told());
  },
);

test.each<StoreFault | undefined>([undefined, 'throw', 'hang'])(
  'nor of what processes share, with a store that would %s, and a stream that fails',
  async (fault) => {
    const fleet = memoryFleet();
    const { sharedCache, state } = faultyStore(fleet);
    const failing: RevocationSource = {
      fleet: sharedCache.fleet,
      name: `sse:https://admin.test/revocations?secret=url-canary`,
      heartbeatMs: 20,
      follow: async ({ sink, token, verifyUrl }) => {
        sink.deliver([{ position: '1-1', json: `{"v":1,"type":"unknown","select":{"keyId":"id-canary"}}` }]);
        throw new Error(`refused at ${verifyUrl} with ${await token()}`);
      },
    };
    const { verifier, told } = await observed({
      sharedCache,
      revocations: [fleet.revocations, failing],
      sharedTimeoutMs: 20,
    });
    await verifier.verify(KEY);
    state.fault = fault;
    for (let i = 0; i < 6; i++) await verifier.verify(KEY, { maxAgeMs: 0 });
    await verifier.revoke({ keyId: 'id-canary' });
    await verifier.revoke({ tenant: 'tenant-canary' });
    await verifier.revoke({ client: 'client-canary' });
    await verifier.revoke({ key: KEY });
    fleet.revocations.gap();
    while (!verifier.stats().revocations.down || (fault !== undefined && verifier.stats().shared.failures < 5))
      await new Promise((resolve) => setTimeout(resolve, 5));
    const texts = await told();
    expectNoCanary(texts);
    for (const what of ['keyverify.shared', 'keyverify.revocation.gaps', 'revocations may have been lost'])
      expect(
        texts.some((text) => text.includes(what)),
        what,
      ).toBe(true);
  },
);
