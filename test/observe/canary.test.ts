import {
  InMemoryMetricExporter,
  AggregationTemporality,
  MeterProvider,
  PeriodicExportingMetricReader,
} from '@opentelemetry/sdk-metrics';
import { BasicTracerProvider, InMemorySpanExporter, SimpleSpanProcessor } from '@opentelemetry/sdk-trace-base';
import { expect, onTestFinished, test } from 'vitest';

import { fingerprint, KeyVerifier } from 'keyverify';
import { otel } from 'keyverify/otel';
import { startKeyServer, type Fault } from 'keyverify/testing';

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

test.each(FAULTS)(
  'nothing that names a key, a client or a tenant is in a metric, a span or a line: %j',
  async (fault) => {
    const spans = new InMemorySpanExporter();
    const tracerProvider = new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(spans)] });
    const series = new InMemoryMetricExporter(AggregationTemporality.CUMULATIVE);
    const reader = new PeriodicExportingMetricReader({ exporter: series, exportIntervalMillis: 2 ** 30 });
    const meterProvider = new MeterProvider({ readers: [reader] });
    const lines: string[] = [];
    const server = await startKeyServer({ keys: { [KEY]: RECORD }, serviceTokens: [TOKEN], cacheControl: 'no-store' });
    const verifier = new KeyVerifier({
      verifyUrl: `${server.verifyUrl}?secret=url-canary`,
      serviceToken: TOKEN,
      observers: [otel({ meterProvider, tracerProvider })],
      logger: { warn: (line) => lines.push(line), info: (line) => lines.push(line) },
      failOpen: true,
      timeoutMs: 200,
      breaker: { failureThreshold: 1, openMs: 1 },
    });
    onTestFinished(async () => {
      await server.close();
      await verifier.close();
      await meterProvider.shutdown();
    });
    if (fault !== undefined) server.injectFault(fault);
    await verifier.verify(KEY);
    await verifier.verify(KEY, { maxAgeMs: 0 });
    verifier.invalidate({ key: KEY });
    await verifier.check();
    server.clearFaults();
    await verifier.check();
    await reader.forceFlush();
    expect(spans.getFinishedSpans().length).toBeGreaterThan(0);
    const told = [
      ...spans
        .getFinishedSpans()
        .map(({ name, attributes, status, events, links }) =>
          JSON.stringify({ name, attributes, status, events, links }),
        ),
      ...series.getMetrics().flatMap(({ scopeMetrics }) => scopeMetrics.map((scope) => JSON.stringify(scope.metrics))),
      ...lines,
      JSON.stringify([verifier.health(), verifier.health().failure?.message, verifier.stats()]),
    ];
    for (const text of told) for (const canary of CANARIES) expect(text).not.toContain(canary);
  },
);
