import { expect, test } from 'vitest';

import { fingerprint, type Exchange } from 'keyverify';

import { ACME, GOOD, TOKEN, brief, rig, settle, until } from '../helpers/rig.js';

/** Found by flood, chaos and code review: each test was red before its bug was fixed. */

test('an answer that arrives after the end of its key does not let it in', async () => {
  const { server, clock, build } = await rig();
  const verifier = build({ retries: 0 });
  server.issue(GOOD, { ...ACME, expiresAt: clock.wall() + 500 });
  server.injectFault({ kind: 'delay', ms: 30 });
  const flying = verifier.verify(GOOD);
  await until(() => server.counts.inFlight === 1);
  await clock.advance(500);
  expect(brief(await flying)).toBe('rejected server expired');
  expect(brief(await verifier.verify(GOOD))).toBe('rejected cache expired');
});

test('a schema that finishes after the end of the key does not let it in', async () => {
  const { server, clock, build } = await rig();
  let finish: (() => void) | undefined;
  const verifier = build({
    claims: {
      '~standard': {
        version: 1,
        vendor: 'test',
        async validate(value) {
          await new Promise<void>((resolve) => {
            finish = resolve;
          });
          return { value: value as Record<string, unknown> };
        },
      },
    },
  });
  server.issue(GOOD, { ...ACME, expiresAt: clock.wall() + 500 });
  const flying = verifier.verify(GOOD);
  await until(() => finish !== undefined);
  await clock.advance(500);
  finish?.();
  expect(brief(await flying)).toBe('rejected server expired');
});

test('keys that hang fill the queue, and open for nobody while the server answers others', async () => {
  const { server, clock, build } = await rig();
  const poison = ['sk-made-up-1', 'sk-made-up-2', 'sk-made-up-3'];
  const hanging = new Set(poison.map(fingerprint));
  server.injectFault((request) => (hanging.has(request.fingerprint ?? '') ? { kind: 'hang' } : undefined));
  const verifier = build({ failOpen: true, retries: 0, maxConcurrency: 1, timeoutMs: 100 });
  const poisoned = poison.map(async (key) => await verifier.verify(key));
  await until(() => server.counts.inFlight === 1);
  await clock.advance(60);
  const late = verifier.verify('sk-made-up-4');
  for (const result of [...poisoned, late])
    expect(brief(await settle(result, clock, 500))).toMatch(/^closed (?:timeout|overloaded)$|^rejected server/);
  expect(brief(await settle(verifier.verify(GOOD), clock, 500))).toBe('valid server');
  expect(verifier.stats().breaker).toBe('closed');
});

test('a queue that never empties keeps no question until no time is left for its answer', async () => {
  const { clock, build } = await rig();
  let sent = 0;
  const transport = {
    send(): Exchange {
      sent++;
      const body = new TextEncoder().encode('{"valid":false,"reason":"unknown_key"}');
      const header = (): string => 'application/json';
      const response = new Promise<Awaited<Exchange['response']>>((resolve) => {
        clock.after(40, () => resolve({ status: 200, header, body }));
      });
      return { response, abort: () => undefined };
    },
  };
  const verifier = build({ transport, retries: 0, maxConcurrency: 1, timeoutMs: 200 });
  const answers: Promise<string>[] = [];
  for (let i = 0; i < 100; i++) {
    answers.push(verifier.verify(`sk-made-up-${i}`).then(brief));
    await clock.advance(10);
  }
  await clock.advance(200);
  const said = await Promise.all(answers);
  // One in four is asked, and each of those gets its answer.
  expect(sent).toBeGreaterThanOrEqual(25);
  expect(said.filter((answer) => answer === 'rejected server unknown_key')).toHaveLength(sent);
  expect(said.filter((answer) => answer === 'closed overloaded')).toHaveLength(100 - sent);
});

test.each(['EMFILE', 'ENFILE', 'ENOBUFS', 'ENOMEM'])(
  'running out of our own sockets does not open, nor count as an outage: %s',
  async (code) => {
    const { clock, build } = await rig();
    const fetch = () => Promise.reject(Object.assign(new Error(`connect ${code} 127.0.0.1:443`), { code }));
    const verifier = build({ failOpen: true, fetch, breaker: { failureThreshold: 1 } });
    const result = await settle(verifier.verify(GOOD), clock, 2_000);
    expect(brief(result)).toBe('closed overloaded');
    expect(result.source === 'fail-closed' && result.failure.message).toContain('out of sockets');
    expect(verifier.stats().breaker).toBe('closed');
  },
);

test.each(['sk-secret-0123456789\n', 'sk-secret-0123456789', 'sk-secret-\uD800'])(
  'no key is left in what the engine remembers of the last match: %j',
  async (key) => {
    const { build } = await rig();
    const verifier = build({ keyFormat: /^sk-/ });
    verifier.peek(key);
    expect(Reflect.get(RegExp, 'input')).not.toContain('sk-secret');
  },
);

test('neither key nor service token is left there after the key server has answered', async () => {
  const { build } = await rig();
  const verifier = build();
  expect(brief(await verifier.verify(GOOD))).toBe('valid server');
  for (const secret of [GOOD, TOKEN]) expect(Reflect.get(RegExp, 'input')).not.toContain(secret);
});

test('a service token is not left there when it is given or fetched', async () => {
  const { build } = await rig();
  build();
  expect(Reflect.get(RegExp, 'input')).not.toContain(TOKEN);
  await build({ serviceToken: () => TOKEN }).warmUp();
  expect(Reflect.get(RegExp, 'input')).not.toContain(TOKEN);
});
