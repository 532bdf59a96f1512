import { randomUUID } from 'node:crypto';
import { gzipSync } from 'node:zlib';

import { Agent, interceptors } from 'undici';
import { describe, expect, test } from 'vitest';

import { KeyVerifier, type Dispatcher } from 'keyverify';

import { TOKEN } from '../helpers/rig.js';
import {
  REPELLED,
  SLACK_MS,
  besiege,
  build,
  everyWay,
  lab,
  madeUp,
  newcomer,
  settleIn,
  sleep,
  startServer,
} from './lab.js';

describe.concurrent('a redirect is not followed', () => {
  test.for([301, 302, 303, 307, 308])('%i, by a dispatcher with a redirect interceptor', async (status, context) => {
    const [server, elsewhere] = await Promise.all([startServer(context), startServer(context)]);
    server.fault = () => ({ status, headers: { location: elsewhere.url } });
    const dispatcher = new Agent().compose(interceptors.redirect({ maxRedirections: 5 }));
    const verifier = build(context, server.url, { dispatcher: dispatcher satisfies Dispatcher, failOpen: true });
    expect(await verifier.verify(newcomer())).toMatchObject({ valid: false, failure: { kind: 'misconfigured' } });
    expect(elsewhere.asked).toEqual([]);
  });
});

describe.concurrent('a content coding that was not asked for', () => {
  test.for(everyWay([{}]))('$way, failOpen: $failOpen', async (row, context) => {
    const { server, verifier } = await lab(context, row.options);
    const answer = gzipSync(JSON.stringify({ valid: true, client: 'acme', tenant: 'cust-A' }));
    server.fault = () => (_answer, response) => {
      response.writeHead(200, { 'content-type': 'application/json', 'content-encoding': 'gzip' }).end(answer);
    };
    const result = await verifier.verify(newcomer());
    if (result.valid) expect(result).toMatchObject({ client: 'acme', source: 'server' });
    else expect(result).toMatchObject({ failure: { kind: 'invalid_response' } });
    if ('failure' in result) expect(result.failure.message).not.toMatch(/broken JSON/);
    expect(new Set(server.asked.map(({ headers }) => headers['accept-encoding']))).toEqual(new Set(['identity']));
  });
});

describe.concurrent('idle connections', () => {
  // As long as it takes: the pool has its own timers.
  test('are closed long before the 300 s that the server hints at', async (context) => {
    const { server, verifier } = await lab(context, {});
    server.headers = { 'keep-alive': 'timeout=300' };
    await Promise.all(Array.from({ length: 4 }, async () => await verifier.verify(newcomer())));
    expect(server.openConnections).toBeGreaterThan(0);
    for (let i = 0; i < 100 && server.openConnections > 0; i++) await sleep(100);
    expect(server.openConnections).toBe(0);
  });
});

describe.concurrent('warmUp() has a deadline', () => {
  test.for(everyWay([{}]))('$way, failOpen: $failOpen', async (row, context) => {
    const server = await startServer(context);
    const never = (): Promise<string> => new Promise(() => undefined);
    const verifier = build(context, server.url, { ...row.options, serviceToken: never, timeoutMs: 300 });
    const startedAt = performance.now();
    const outcome = await Promise.race([
      verifier.warmUp().then(
        () => 'resolved',
        () => 'rejected',
      ),
      sleep(2_000).then(() => 'still waiting'),
    ]);
    expect(outcome).toBe('rejected');
    expect(performance.now() - startedAt).toBeLessThan(300 + SLACK_MS);
  });
});

describe.concurrent('keys for which the server answers 401', () => {
  test.for(everyWay([{}]))('make us fetch few tokens; $way, failOpen: $failOpen', async (row, context) => {
    const server = await startServer(context);
    const beganAt = performance.now();
    let renewals = -1;
    const serviceToken = (): string => {
      renewals++;
      return TOKEN;
    };
    const verifier = build(context, server.url, { ...row.options, serviceToken });
    await settleIn(verifier);
    server.fault = (key) => (key.startsWith('sk-poison-') ? { status: 401 } : undefined);
    const siege = { ms: 1_500, key: () => `sk-poison-${randomUUID()}`, everyMs: 10 };
    expect(await besiege(verifier, siege)).toEqual(REPELLED);
    // Of 150 such answers: one at once, then one a second at most.
    const seconds = Math.ceil((performance.now() - beganAt) / 1_000);
    expect(renewals).toBeGreaterThan(0);
    expect(renewals).toBeLessThanOrEqual(1 + seconds);
  });
});

describe('plain HTTP to a name that the resolver decides about', () => {
  test.each(['keys.localhost', 'a.b.localhost', 'KEYS.LOCALHOST', 'keys.localhost.', '127.0.0.1.localhost'])(
    '%s',
    (host) => {
      const make = () => new KeyVerifier({ verifyUrl: `http://${host}:8080/verify`, serviceToken: TOKEN });
      expect(make).toThrow(/https/);
      expect(() => new KeyVerifier({ verifyUrl: `https://${host}/verify`, serviceToken: TOKEN })).not.toThrow();
    },
  );
});

test('many calls on one AbortSignal do not warn of a leak', async (context) => {
  const { server, verifier } = await lab(context, {});
  server.fault = () => ({ slowMs: 50 });
  const warnings: string[] = [];
  const hear = (warning: Error): number => warnings.push(warning.name);
  process.on('warning', hear);
  context.onTestFinished(() => void process.off('warning', hear));
  const { signal } = new AbortController();
  const same = newcomer();
  const keys = [...Array.from({ length: 30 }, madeUp), ...Array.from({ length: 30 }, () => same)];
  await Promise.all(keys.map(async (key) => await verifier.verify(key, { signal })));
  await sleep(10);
  expect(warnings).toEqual([]);
});

test.each([' ', '  ', ' '.repeat(40)])('a key of blanks alone is a missing key: %j', async (key) => {
  const verifier = new KeyVerifier({ verifyUrl: 'http://127.0.0.1:9/', serviceToken: TOKEN });
  const missing = { status: 'rejected', valid: false, source: 'local', reason: 'missing_key' };
  expect(await verifier.verify(key)).toMatchObject(missing);
  expect(verifier.verifyCached(key)).toMatchObject(missing);
  expect(verifier.peek(key)).toMatchObject(missing);
});

describe.concurrent('claims that a schema made cannot be changed by one caller for the next', () => {
  const KINDS: readonly {
    readonly kind: string;
    readonly make: () => object;
    readonly change: (value: never) => unknown;
  }[] = [
    { kind: 'a Date', make: () => new Date(0), change: (date: Date) => date.setTime(9e12) },
    { kind: 'a Set', make: () => new Set(['reader']), change: (set: Set<string>) => set.add('admin') },
    {
      kind: 'a Map',
      make: () => new Map([['role', 'reader']]),
      change: (map: Map<string, string>) => map.set('role', 'admin'),
    },
    { kind: 'a list', make: () => ['reader'], change: (list: string[]) => list.push('admin') },
    { kind: 'a Set in a list', make: () => [new Set(['reader'])], change: ([set]: [Set<string>]) => set.add('admin') },
    {
      kind: 'an object in a Map',
      make: () => new Map([['a', { b: 1 }]]),
      change: (map: Map<string, { b: number }>) => ((map.get('a') ?? { b: 0 }).b = 2),
    },
    {
      kind: 'an object in a Set',
      make: () => new Set([{ b: 1 }]),
      change: (set: Set<{ b: number }>) => set.forEach((item) => (item.b = 2)),
    },
    {
      kind: 'a Date in an object',
      make: () => ({ at: { on: new Date(0) } }),
      change: ({ at }: { at: { on: Date } }) => at.on.setTime(9e12),
    },
  ];

  test.for(KINDS)('$kind', async ({ make, change }, context) => {
    const server = await startServer(context);
    const validate = () => ({ value: { it: make() } as Record<string, unknown> });
    const claims = { '~standard': { version: 1, vendor: 'test', validate } } as const;
    const options = { verifyUrl: server.url, serviceToken: TOKEN, claims, logger: { warn: () => undefined } };
    const verifier = new KeyVerifier<false, Record<string, unknown>>(options);
    context.onTestFinished(async () => await verifier.close());
    const key = newcomer();
    const first = await verifier.verify(key);
    if (!first.valid) return;
    try {
      change(first.claims['it'] as never);
    } catch {
      // That is how frozen things refuse.
    }
    const next = await verifier.verify(key);
    expect(next.valid && next.claims['it']).toEqual(make());
  });
});
