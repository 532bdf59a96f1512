import type { IncomingMessage } from 'node:http';

import { describe, expect, onTestFinished, test } from 'vitest';

import { KeyVerifier, type KeyVerifierOptions } from 'keyverify';
import { defineProtocol, type ProtocolDefinition } from 'keyverify/protocols';
import { testClock } from 'keyverify/testing';

import { serve } from '../helpers/http.js';
import { brief, settle, until } from '../helpers/rig.js';

const TTL = 300_000;
const TOKEN = 'token-1-0123456789';
const KEYS = ['sk-a-0123456789', 'sk-b-0123456789', 'sk-c-0123456789', 'sk-d-0123456789'] as const;
const [A, B, C, D] = KEYS;
const VERDICT = { flag: 'valid', client: 'client', tenant: 'tenant' };
const GOOD = { valid: true, client: 'acme', tenant: 'cust-A' };

interface Reply {
  readonly status: number;
  readonly json?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
}

/** A key server of its own contract, on a real socket, and a verifier in front of it. */
async function setUp(
  definition: Partial<ProtocolDefinition>,
  reply: (key: string, request: IncomingMessage) => Reply,
  options: KeyVerifierOptions<boolean> = {},
) {
  const clock = testClock();
  const server = await serve((response, request) => {
    const { body } = server.heard.at(-1) ?? { body: '' };
    const { status, json, headers } = reply((JSON.parse(body) as { key: string }).key, request);
    response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(json));
  });
  const verifier = new KeyVerifier({
    verifyUrl: server.origin,
    serviceToken: TOKEN,
    protocol: defineProtocol({ verdict: VERDICT, ...definition }),
    clock,
    random: () => 0,
    refreshAheadRatio: 1,
    logger: { warn: () => undefined },
    ...options,
  });
  onTestFinished(async () => await settle(verifier.close(), clock, 60_000));
  const verify = async (key: string): Promise<string> => brief(await settle(verifier.verify(key), clock, 10_000));
  const verifyAll = async (): Promise<string[]> => {
    const briefs: string[] = [];
    for (const key of KEYS) briefs.push(await verify(key));
    return briefs;
  };
  return { server, clock, verifier, verify, verifyAll };
}

describe('bad keys by a bare status', () => {
  const rejects = [{ status: 401, ambiguous: true as const }];

  test('are rejected, one revoked key among good ones and made-up keys too', async () => {
    const revoked = new Set<string>();
    const { clock, verifyAll, verify } = await setUp({ rejects }, (key) =>
      revoked.has(key) || key.startsWith('made') ? { status: 401 } : { status: 200, json: GOOD },
    );
    expect(await verifyAll()).toEqual(KEYS.map(() => 'valid server'));
    for (let i = 0; i < 10; i++) expect(await verify(`made-up-${i}`)).toBe('rejected server rejected');
    for (const key of KEYS) {
      revoked.add(key);
      await clock.advance(TTL);
      expect(await verify(key)).toBe('rejected server rejected');
    }
  });

  test('are not believed when several good keys turn bad at once: our own token may be wrong', async () => {
    let token = TOKEN;
    const { clock, verify, verifyAll, verifier } = await setUp({ rejects }, (_, { headers }) =>
      headers['x-service-token'] === token ? { status: 200, json: GOOD } : { status: 401 },
    );
    await verifyAll();
    await clock.advance(TTL);
    token = 'another';
    expect(await verifyAll()).toEqual([
      'rejected server rejected',
      'rejected server rejected',
      'valid stale',
      'valid stale',
    ]);
    expect(await verify('made-up')).toBe('closed misconfigured');
    // A key that may have been revoked is honored for one more TTL at most.
    await clock.advance(TTL);
    const result = await settle(verifier.verify(C), clock, 10_000);
    expect(brief(result)).toBe('closed misconfigured');
    expect(result).toMatchObject({
      failure: {
        ambiguous: true,
        message: 'keyverify: the key server answered 401 to keys that were good: check serviceToken and verifyUrl',
      },
    });
    token = TOKEN;
    await clock.advance(1_000);
    expect(await verify(D)).toBe('valid server');
    expect(await verify('made-up')).toBe('valid server');
  });

  test('cost no good key anything while a token function has a new token', async () => {
    let token = TOKEN;
    let fetched = 0;
    const serviceToken = (): string => {
      fetched++;
      return token;
    };
    const { clock, verifyAll, verify } = await setUp(
      { rejects },
      (key, { headers }) =>
        headers['x-service-token'] !== token || key.startsWith('made') ? { status: 401 } : { status: 200, json: GOOD },
      { serviceToken },
    );
    await verifyAll();
    await clock.advance(TTL);
    token = 'token-2-0123456789';
    expect(await verifyAll()).toEqual(KEYS.map(() => 'valid server'));
    expect(fetched).toBe(2);
    // Made-up keys can't make us fetch tokens.
    for (let i = 0; i < 5; i++) expect(await verify(`made-up-${i}`)).toBe('rejected server rejected');
    expect(fetched).toBe(2);
  });

  test('that a new token does not make good again are revoked', async () => {
    let revoked = '';
    const { clock, verifyAll, verify } = await setUp(
      { rejects },
      (key) => (key === revoked ? { status: 401 } : { status: 200, json: GOOD }),
      { serviceToken: () => TOKEN },
    );
    await verifyAll();
    revoked = B;
    await clock.advance(TTL);
    expect(await verify(B)).toBe('rejected server rejected');
    expect(await verify(A)).toBe('valid server');
  });

  test('or limits by a bare 429 are no verdict: they are of the key, and pass', async () => {
    let limited = true;
    const { clock, verify, verifyAll } = await setUp({ rejects: [{ status: 429, ambiguous: true }] }, () =>
      limited ? { status: 429 } : { status: 200, json: GOOD },
    );
    limited = false;
    await verifyAll();
    await clock.advance(TTL);
    limited = true;
    expect(await verifyAll()).toEqual(KEYS.map(() => 'rejected server rate_limited'));
    limited = false;
    expect(await verify(A)).toBe('valid server');
  });
});

test('a limit of one key pauses nobody else, and a limit of ours pauses all', async () => {
  const rejects = [{ status: 429, when: (json: unknown) => (json as { limit: string }).limit === 'key' }];
  let limit = 'key';
  const { verify, server } = await setUp({ rejects }, (key) =>
    key === A ? { status: 429, json: { limit } } : { status: 200, json: GOOD },
  );
  expect(await verify(A)).toBe('rejected server rate_limited');
  expect(await verify(B)).toBe('valid server');
  limit = 'service';
  expect(await verify(A)).toBe('closed rate_limited');
  const { length } = server.heard;
  for (const key of ['sk-1', 'sk-2', 'sk-3', 'sk-4', 'sk-5', 'sk-6']) await verify(key);
  expect(server.heard.length - length).toBeLessThan(6);
});

test('a 401 that the protocol does not take for a bad key renews the token', async () => {
  const tokens = ['token-1-0123456789', 'token-2-0123456789'];
  const rejects = [{ status: 401, when: (json: unknown) => (json as { error: string }).error === 'bad_key' }];
  const { verify } = await setUp(
    { rejects },
    (key, { headers }) => {
      if (headers['x-service-token'] !== 'token-2-0123456789') return { status: 401, json: { error: 'bad_token' } };
      return key === A ? { status: 200, json: GOOD } : { status: 401, json: { error: 'bad_key' } };
    },
    { serviceToken: () => tokens.shift() ?? 'none' },
  );
  expect(await verify(A)).toBe('valid server');
  expect(await verify(B)).toBe('rejected server rejected');
  expect(tokens).toEqual([]);
});

test('a scope that is enforced here rejects the keys of other tenants', async () => {
  const { verify } = await setUp(
    { scope: 'enforce-locally' },
    (key) => ({ status: 200, json: { ...GOOD, tenant: key === A ? 'cust-A' : 'cust-B' } }),
    { scope: 'cust-A' },
  );
  expect([await verify(A), await verify(B)]).toEqual(['valid server', 'rejected server scope_mismatch']);
});

test('a fault that the key server reports in a 200 is an outage of it, and no bad key', async () => {
  let down = false;
  const { clock, server, verify } = await setUp(
    { verdict: { ...VERDICT, reason: 'code', faults: ['DB_DOWN'] } },
    () => ({ status: 200, json: down ? { valid: false, code: 'DB_DOWN' } : GOOD }),
    { failOpen: true, retries: 0 },
  );
  await verify(A);
  // The control question by which the key server is known to answer.
  await until(() => server.heard.length === 2);
  down = true;
  await clock.advance(TTL);
  expect([await verify(A), await verify(B)]).toEqual(['valid stale', 'open server_error']);
});

test('a signature that takes too long is our own mistake', async () => {
  const { verify } = await setUp({ sign: async () => await new Promise<never>(() => undefined) }, () => ({
    status: 500,
  }));
  expect(await verify(A)).toBe('closed misconfigured');
});

describe('secrets that the key server repeats', () => {
  const echo = (keyPlace: ProtocolDefinition['key'], auth: ProtocolDefinition['auth'], serviceToken: string) =>
    setUp(
      { auth, key: keyPlace },
      (key, { headers }) => ({
        status: 200,
        json: { ...GOOD, echo: [key, headers.authorization, Buffer.from(key, 'hex').toString('base64')] },
      }),
      { serviceToken },
    );

  test('are taken out in each form: Basic credentials, and digests in hex and base64', async () => {
    const { verifier, clock } = await echo(
      { in: 'json', name: 'key', as: 'sha256-hex' },
      'basic',
      'user:pass-0123456789',
    );
    const result = await settle(verifier.verify(A), clock, 10_000);
    expect(result).toMatchObject({ status: 'verified', claims: { echo: ['[redacted]', '[redacted]', '[redacted]'] } });
  });
});
