import { createHash } from 'node:crypto';
import { inspect } from 'node:util';

import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { KeyVerifier } from 'keyverify';
import { startKeyServer, testClock, type KeyServer } from 'keyverify/testing';

import { ask, until } from './client.js';

const NOW = Date.parse('2026-06-01T00:00:00Z');
const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex');
const verdict = async (...args: Parameters<typeof ask>): Promise<unknown> => JSON.parse((await ask(...args)).body);

describe('the contract', () => {
  let server: KeyServer;
  beforeAll(async () => {
    server = await startKeyServer({
      keys: {
        'sk-1': { client: 'acme', tenant: 'cust-A' },
        'sk-full': {
          client: 'acme',
          tenant: 'cust-A',
          keyId: 'k1',
          scopes: ['cust-A', 'cust-B'],
          expiresAt: new Date(NOW + 1),
          claims: { plan: 'gold' },
        },
        'sk-old': { client: 'acme', tenant: 'cust-A', expiresAt: NOW },
        'sk-off': { client: 'acme', tenant: 'cust-A', reason: 'disabled' },
      },
      now: () => NOW,
    });
  });
  afterAll(async () => {
    await server.close();
  });

  it('answers a good key with its client and tenant, and with nothing it does not know', async () => {
    const { status, headers, body } = await ask(server, 'sk-1');
    expect(status).toBe(200);
    expect(headers['content-type']).toBe('application/json');
    expect(headers).not.toHaveProperty('cache-control');
    expect(JSON.parse(body)).toEqual({ valid: true, client: 'acme', tenant: 'cust-A' });
  });

  it('answers with key id, expiry in RFC 3339 and claims where it knows them', async () => {
    expect(await verdict(server, 'sk-full')).toEqual({
      valid: true,
      client: 'acme',
      tenant: 'cust-A',
      key_id: 'k1',
      expires_at: '2026-06-01T00:00:00.001Z',
      plan: 'gold',
    });
  });

  it.each([
    ['sk-none', undefined, 'unknown_key'],
    ['sk-old', undefined, 'expired'],
    ['sk-off', undefined, 'disabled'],
    ['sk-1', 'cust-B', 'scope_mismatch'],
    ['sk-full', 'cust-C', 'scope_mismatch'],
  ])('rejects %s in scope %s as %s', async (key, scope, reason) => {
    expect(await verdict(server, key, { scope })).toEqual({ valid: false, reason });
  });

  it.each([
    ['sk-1', 'cust-A'],
    ['sk-full', 'cust-B'],
  ])('takes %s in scope %s', async (key, scope) => {
    expect(await verdict(server, key, { scope })).toMatchObject({ valid: true });
  });

  it.each<[string, Parameters<typeof ask>[2], number]>([
    ['a wrong service token', { token: 'guess' }, 401],
    ['another path', { path: '/internal/verify' }, 404],
    ['another method', { method: 'GET' }, 405],
    ['a body over 64 KiB', { body: JSON.stringify({ key: 'x'.repeat(65_536) }) }, 413],
    ['a body that is not JSON', { body: '{' }, 400],
    ['a body that is no object', { body: '"sk-1"' }, 400],
    ['a body that is null', { body: 'null' }, 400],
    ['a body without a key', { body: '{"scope":"cust-A"}' }, 400],
    ['an empty key', { body: '{"key":""}' }, 400],
    ['a key that is no string', { body: '{"key":1}' }, 400],
    ['a scope that is no string', { body: '{"key":"sk-1","scope":null}' }, 400],
  ])('refuses %s', async (_what, how, status) => {
    const before = server.counts;
    const answer = await ask(server, 'sk-1', how);
    expect(answer.status).toBe(status);
    expect(JSON.parse(answer.body)).toEqual({ error: expect.any(String) as string });
    expect(server.counts).toMatchObject({ requests: before.requests + 1, refused: before.refused + 1 });
  });

  it('names the method that it allows', async () => {
    expect((await ask(server, 'sk-1', { method: 'PUT' })).headers['allow']).toBe('POST');
  });

  it('finds the path with a query behind it', async () => {
    expect((await ask(server, 'sk-1', { path: '/internal/verify-key?trace=1' })).status).toBe(200);
    expect(server.requests.at(-1)?.path).toBe('/internal/verify-key');
  });
});

describe('the book of keys', () => {
  it('issues, revokes and forgets while it runs', async () => {
    await using server = await startKeyServer();
    expect(await verdict(server, 'sk-2')).toEqual({ valid: false, reason: 'unknown_key' });
    server.issue('sk-2', { client: 'acme', tenant: 'cust-A' });
    expect(await verdict(server, 'sk-2')).toMatchObject({ valid: true });
    server.revoke('sk-2');
    expect(await verdict(server, 'sk-2')).toEqual({ valid: false, reason: 'revoked' });
    server.revoke('sk-2', 'left_the_firm');
    expect(await verdict(server, 'sk-2')).toEqual({ valid: false, reason: 'left_the_firm' });
    server.issue('sk-2', { client: 'acme', tenant: 'cust-B' });
    expect(await verdict(server, 'sk-2')).toMatchObject({ valid: true, tenant: 'cust-B' });
    server.revoke('sk-2');
    server.forget('sk-2');
    expect(await verdict(server, 'sk-2')).toEqual({ valid: false, reason: 'unknown_key' });
    expect(server.counts).toMatchObject({ requests: 6, valid: 2, rejected: 4, refused: 0, faults: 0 });
  });

  it('rotates service tokens', async () => {
    await using server = await startKeyServer({ serviceTokens: ['one', 'two'] });
    expect((await ask(server, 'sk-1', { token: 'two' })).status).toBe(200);
    server.setServiceTokens(['three']);
    expect((await ask(server, 'sk-1', { token: 'two' })).status).toBe(401);
    expect((await ask(server, 'sk-1', { token: 'three' })).status).toBe(200);
  });

  it('sends its Cache-Control with verdicts', async () => {
    await using server = await startKeyServer({ cacheControl: 'max-age=5' });
    expect((await ask(server, 'sk-1')).headers['cache-control']).toBe('max-age=5');
    expect((await ask(server, 'sk-1', { token: '' })).headers).not.toHaveProperty('cache-control');
  });
});

describe('the log', () => {
  it('shows control questions: requests for a key that nobody issued', async () => {
    await using server = await startKeyServer();
    await using verifier = new KeyVerifier({ verifyUrl: server.verifyUrl, serviceToken: 'service-token', retries: 0 });
    server.injectFault({ kind: 'status', status: 503 }, { times: 1 });
    await verifier.verify('sk-1');
    await until(() => server.requests.length === 2 && server.counts.inFlight === 0);
    const [question, control] = server.requests;
    expect(question).toMatchObject({ fingerprint: sha256('sk-1'), status: 503, fault: 'status' });
    expect(control).toMatchObject({ tokenAccepted: true, status: 200, fault: undefined });
    expect(control?.fingerprint).not.toBe(question?.fingerprint);
    expect(server.counts).toMatchObject({ requests: 2, rejected: 1, faults: 1 });
  });

  it('shows what came, and neither the key nor the service token', async () => {
    await using server = await startKeyServer({ now: () => NOW });
    await ask(server, 'sk-secret', { headers: { 'user-agent': 'keyverify/1', authorization: 'Bearer sk-secret' } });
    await ask(server, 'sk-secret', { scope: 'cust-A', token: 'service-secret' });
    await ask(server, '', { body: 'sk-secret' });
    const [first, second, third] = server.requests;
    expect(first).toEqual({
      at: NOW,
      method: 'POST',
      path: '/internal/verify-key',
      headers: expect.objectContaining({
        'user-agent': 'keyverify/1',
        'content-type': 'application/json',
        'x-service-token': '[redacted]',
        authorization: '[redacted]',
      }) as object,
      tokenAccepted: true,
      fingerprint: sha256('sk-secret'),
      scope: undefined,
      status: 200,
      fault: undefined,
    });
    expect(second).toMatchObject({ scope: 'cust-A', tokenAccepted: false, status: 401 });
    expect(third).toMatchObject({ fingerprint: undefined, scope: undefined, status: 400 });
    expect(inspect(server, { depth: null }) + JSON.stringify(server.requests)).not.toMatch(/sk-secret|service-secret/);
  });

  it('counts how often a key was asked for', async () => {
    await using server = await startKeyServer();
    await ask(server, 'sk-1');
    await ask(server, 'sk-1', { token: 'guess' });
    await ask(server, 'sk-2');
    expect([server.asked('sk-1'), server.asked('sk-2'), server.asked('sk-3')]).toEqual([2, 1, 0]);
  });
});

it('knows no time of day, so that a verifier with a test clock has nothing to warn of', async () => {
  await using server = await startKeyServer({ keys: { 'sk-1': { client: 'acme', tenant: 'cust-A' } } });
  const warnings: unknown[] = [];
  await using verifier = new KeyVerifier({
    verifyUrl: server.verifyUrl,
    serviceToken: 'service-token',
    clock: testClock(),
    logger: { warn: (...line: unknown[]) => warnings.push(line) },
  });
  expect((await verifier.verify('sk-1')).status).toBe('verified');
  expect(warnings).toEqual([]);
  expect((await ask(server, 'sk-1')).headers['date']).toBeUndefined();
});
