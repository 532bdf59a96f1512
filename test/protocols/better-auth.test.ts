import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

import { describe, expect, onTestFinished, test, vi } from 'vitest';

import { KeyVerifier } from 'keyverify';
import { defineProtocol } from 'keyverify/protocols';

import { brief } from '../helpers/rig.js';

// The recipe of docs/key-server.md, against better-auth with its plugin for API keys.

/** Among the packages that are compared, which `npm ci` alone does not install: `npm ci --prefix bench` does. */
const bench = (path: string): string => fileURLToPath(new URL(`../../bench/${path}`, import.meta.url));
const isMissing = !existsSync(bench('node_modules/better-auth/package.json'));
if (isMissing && process.env['KEYVERIFY_PEERS'] !== undefined)
  throw new Error('better-auth is not installed in bench/');

interface Issued {
  readonly id: string;
  readonly key: string;
}

interface BetterAuthServer {
  readonly url: string;
  readonly userId: string;
  readonly database: { down: boolean };
  issue(options?: object): Promise<Issued>;
  disable(keyId: string): Promise<void>;
  close(): Promise<void>;
}

const SECRET = 'internal-secret-0123456789';

async function setUp() {
  const path = bench('servers/better-auth.mjs');
  const { startBetterAuth } = (await import(path)) as {
    startBetterAuth: (secret: string) => Promise<BetterAuthServer>;
  };
  const server = await startBetterAuth(SECRET);
  const verifier = new KeyVerifier({
    verifyUrl: server.url,
    serviceToken: SECRET,
    protocol: defineProtocol({
      auth: { header: 'x-internal-secret' },
      verdict: {
        flag: 'valid',
        client: 'key.userId',
        tenant: 'key.metadata.tenant',
        keyId: 'key.id',
        expires: { at: 'key.expiresAt', unit: 'iso' },
        reason: 'error.code',
        reasons: {
          INVALID_API_KEY: 'unknown_key',
          KEY_NOT_FOUND: 'unknown_key',
          KEY_DISABLED: 'disabled',
          KEY_EXPIRED: 'expired',
          RATE_LIMITED: 'rate_limited',
          USAGE_EXCEEDED: 'usage_exceeded',
        },
        faults: ['INTERNAL_SERVER_ERROR'],
        claims: 'key',
      },
    }),
    controlKey: () => crypto.randomUUID().repeat(2),
    retries: 0,
    logger: { warn: () => undefined },
  });
  onTestFinished(async () => {
    vi.useRealTimers();
    await verifier.close();
    await server.close();
  });
  return { server, verifier };
}

describe.skipIf(isMissing)('better-auth, if `npm ci --prefix bench` has installed it', { timeout: 60_000 }, () => {
  test('verifies a good key', async () => {
    const { server, verifier } = await setUp();
    const { id, key } = await server.issue({ expiresIn: 86_400 });
    const result = await verifier.verify(key);
    expect(result).toMatchObject({ client: server.userId, tenant: 'cust-A', keyId: id, claims: { enabled: true } });
    expect(result.status === 'verified' && (result.expiresAt ?? 0) > Date.now()).toBe(true);
  });

  test('rejects a disabled, an expired, a rate-limited and an unknown key, each by its reason', async () => {
    const { server, verifier } = await setUp();
    const disabled = await server.issue();
    await server.disable(disabled.id);
    const expired = await server.issue({ expiresIn: 86_400 });
    const limited = await server.issue({ rateLimitEnabled: true, rateLimitMax: 1, rateLimitTimeWindow: 3_600_000 });
    await verifier.verify(limited.key);
    verifier.clear();
    expect(brief(await verifier.verify(limited.key))).toBe('rejected server rate_limited');
    expect(brief(await verifier.verify(disabled.key))).toBe('rejected server disabled');
    for (const unknown of ['short', 'x'.repeat(64)])
      expect(brief(await verifier.verify(unknown))).toBe('rejected server unknown_key');
    vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + 2 * 86_400_000 });
    expect(brief(await verifier.verify(expired.key))).toBe('rejected server expired');
  });

  test('is down when its database is, and no key is bad for that', async () => {
    const { server, verifier } = await setUp();
    const { key } = await server.issue();
    await verifier.verify(key);
    server.database.down = true;
    expect(brief(await verifier.verify('x'.repeat(64)))).toBe('closed server_error');
    expect(brief(await verifier.verify(key, { maxAgeMs: 0.001 }))).toBe('closed server_error');
    expect(brief(await verifier.verify(key))).toBe('valid cache');
    server.database.down = false;
    expect(brief(await verifier.verify(key, { maxAgeMs: 0.001 }))).toBe('valid server');
  });
});

test('the recipe has the code that is tested', () => {
  const code = readFileSync(bench('servers/key-route.mjs'), 'utf8');
  const recipe = readFileSync(fileURLToPath(new URL('../../docs/key-server.md', import.meta.url)), 'utf8');
  expect(recipe).toContain(code.slice(code.indexOf('export async function')).replace('export ', '').trim());
});
