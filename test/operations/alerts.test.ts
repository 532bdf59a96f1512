import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';

import { PrometheusExporter } from '@opentelemetry/exporter-prometheus';
import { MeterProvider } from '@opentelemetry/sdk-metrics';
import { expect, onTestFinished, test } from 'vitest';

import { KeyVerifier } from 'keyverify';
import { apiKeyAuth } from 'keyverify/node';
import { otel } from 'keyverify/otel';
import { redisCache, redisRevocations, type SendCommand } from 'keyverify/redis';
import { startKeyServer } from 'keyverify/testing';

import { connectClient, startRedis, withoutRedis } from '../helpers/redis.js';
import { alertNames, dashboard, isInstalled, startPrometheus } from './prometheus.js';

const REVOCATION = '{"v":1,"type":"revoked","select":{"keyId":"key_1"}}';
const GOOD = 'sk-good-0123456789abcdef';
const IDENTITY = { client: 'acme', tenant: 'cust-A' };

/** A service behind the guard for Node, with the real SDK, that shares what it knows by Redis; `open` fails open. */
async function startService(verifyUrl: string, open: boolean, send: SendCommand) {
  const exporter = new PrometheusExporter({ host: '127.0.0.1', port: 0, preventServerStart: true });
  const meterProvider = new MeterProvider({ readers: [exporter] });
  const scraped = createServer((request, response) => exporter.getMetricsRequestHandler(request, response));
  const verifier = new KeyVerifier({
    verifyUrl,
    serviceToken: 'service-token',
    failOpen: open,
    // A TTL of a second, so that verdicts become stale soon.
    cacheTtlMs: 1_000,
    timeoutMs: 500,
    breaker: { failureThreshold: 2, openMs: 200, maxOpenMs: 400 },
    sharedCache: redisCache({ send, secret: 'a-secret-of-at-least-thirty-two-characters' }),
    revocations: redisRevocations({ send, pollMs: 200 }),
    observers: [otel({ meterProvider })],
    logger: false,
  });
  const guarded = createServer(
    apiKeyAuth(verifier, (_request: IncomingMessage, response: ServerResponse) => {
      response.end('hello');
    }),
  );
  for (const server of [scraped, guarded]) {
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
  }
  onTestFinished(async () => {
    for (const server of [scraped, guarded]) {
      server.close();
      server.closeAllConnections();
    }
    await verifier.close();
    await meterProvider.shutdown();
  });
  const portOf = (server: typeof guarded): number => {
    const address = server.address();
    return typeof address === 'object' ? (address?.port ?? 0) : 0;
  };
  return {
    metrics: portOf(scraped),
    ask: async (key: string): Promise<number> => {
      const url = `http://127.0.0.1:${portOf(guarded)}/`;
      const response = await fetch(url, { headers: { authorization: `Bearer ${key}` } });
      await response.text();
      return response.status;
    },
  };
}

if (!isInstalled) console.warn('Prometheus is not installed: apt install prometheus. Its alerts are not tested.');

test.skipIf(!isInstalled || withoutRedis)(
  'every alert fires while what it is about fails, and resolves after that; every query of the dashboard has data',
  { timeout: 400_000 },
  async () => {
    const keyServer = await startKeyServer({ keys: { [GOOD]: IDENTITY } });
    onTestFinished(async () => await keyServer.close());
    const redis = await startRedis();
    const send = await connectClient('ioredis', redis.port);
    const { verifyUrl } = keyServer;
    const services = [await startService(verifyUrl, false, send), await startService(verifyUrl, true, send)];
    const prometheus = await startPrometheus(services.map(({ metrics }) => metrics));

    let made = 0;
    // How many of ten calls are about a new key.
    let strangers = 0;
    const end = new AbortController();
    const traffic = (async () => {
      while (!end.signal.aborted) {
        for (let call = 0; call < 10; call++) {
          const key = call < strangers ? `sk-stranger-${++made}-0123456789` : GOOD;
          await Promise.all(services.map(async ({ ask }) => await ask(key)));
        }
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
    })();
    onTestFinished(async () => {
      end.abort();
      await traffic;
    });
    const until = async (happened: () => Promise<boolean>): Promise<void> => {
      while (!(await happened())) await new Promise((resolve) => setTimeout(resolve, 250));
    };
    const fired = new Set<string>();
    const fires = async (...names: readonly string[]): Promise<void> => {
      await until(async () => {
        const firing = await prometheus.firing();
        return names.every((name) => firing.has(name));
      });
      for (const name of names) fired.add(name);
    };
    const resolves = async (): Promise<void> => await until(async () => (await prometheus.firing()).size === 0);

    // Well, for as long as yesterday lasts here.
    await until(async () => (await prometheus.query('keyverify_verifications_total')).length > 0);
    await new Promise((resolve) => setTimeout(resolve, 15_000));
    expect([...(await prometheus.firing())]).toEqual([]);

    // An outage.
    strangers = 3;
    await keyServer.stop();
    await fires('KeyverifyFailingOpen', 'KeyverifyFailingClosed', 'KeyverifyServingStale', 'KeyverifyBreakerOpen');
    await keyServer.start();
    strangers = 0;
    await resolves();

    // Our token is no longer taken.
    keyServer.setServiceTokens(['another-token']);
    strangers = 3;
    await fires('KeyverifyMisconfigured');
    keyServer.setServiceTokens(['service-token']);
    strangers = 0;
    await resolves();

    // It is slow.
    keyServer.injectFault({ kind: 'delay', ms: 300 });
    strangers = 3;
    await fires('KeyverifySlow');
    keyServer.clearFaults();
    strangers = 0;
    await resolves();

    // It rejects everybody.
    keyServer.revoke(GOOD);
    await fires('KeyverifyRejectingEverybody');
    keyServer.issue(GOOD, IDENTITY);
    await resolves();

    // The shared cache does not answer, and its stream of revocations is silent.
    strangers = 3;
    redis.freeze();
    await fires('KeyverifySharedCacheDown', 'KeyverifyRevocationLag');
    redis.thaw();
    await resolves();

    // It comes back empty.
    await redis.kill();
    await redis.start();
    await fires('KeyverifyRevocationGap');
    strangers = 0;
    await resolves();

    // A revocation reaches both.
    await send(['XADD', 'keyverify:revocations', '*', 'event', REVOCATION], 'keyverify:revocations');
    const reached = 'count(keyverify_revocation_events_total{keyverify_revocation_type="revoked"} > 0) == 2';
    await until(async () => (await prometheus.query(reached)).length > 0);

    // A flood of keys that nobody knows.
    await new Promise((resolve) => setTimeout(resolve, 10_000));
    strangers = 9;
    await fires('KeyverifyHitRateCollapsed');
    strangers = 0;
    await resolves();

    expect([...fired].toSorted()).toEqual(await alertNames());

    const { panels } = JSON.parse(await dashboard()) as {
      panels: readonly { title: string; targets: readonly { expr: string }[] }[];
    };
    expect(panels.length).toBeGreaterThan(16);
    for (const { title, targets } of panels)
      for (const { expr } of targets) {
        // Over the whole of the test, since a series of failures ends with them.
        const expression = expr.replaceAll('$__rate_interval', '5m').replaceAll(/\$(?:job|instance)/g, '.*');
        const values = (await prometheus.query(expression)).map(({ value: [, number] }) => number);
        expect(
          values.filter((number) => number !== 'NaN'),
          `${title}: ${expr}`,
        ).not.toEqual([]);
      }
  },
);
