import { createHash } from 'node:crypto';
import { inspect } from 'node:util';

import { afterEach, describe, expect, it, vi } from 'vitest';
import { z } from 'zod';

import { KeyVerifier, VerifyFailure, type FailureKind } from 'keyverify';
import { startKeyServer, stubVerifier } from 'keyverify/testing';

const NOW = Date.parse('2026-06-01T00:00:00Z');
const known = { client: 'acme', tenant: 'cust-A' };
const keys = { 'sk-1': known };
const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex');

afterEach(() => {
  vi.useRealTimers();
});

describe('the verdicts of a stub', () => {
  it('knows no key by default', async () => {
    expect(await stubVerifier().verify('sk-1')).toEqual({
      status: 'rejected',
      valid: false,
      source: 'server',
      reason: 'unknown_key',
    });
  });

  it('are those of a KeyVerifier whose key server knows the same', async () => {
    const records = {
      'sk-1': known,
      'sk-full-1': {
        ...known,
        keyId: 'k1',
        expiresAt: 4e12,
        claims: { plan: 'gold', since: new Date(NOW), echo: 'sk-full-1' },
      },
      'sk-off': { ...known, reason: 'disabled' },
      'sk-over': { ...known, expiresAt: new Date(0) },
    };
    await using keyServer = await startKeyServer({ keys: records });
    await using verifier = new KeyVerifier({ verifyUrl: keyServer.verifyUrl, serviceToken: 'service-token' });
    const stub = stubVerifier({ keys: records });
    const withoutTime = (result: object): object => ({ ...result, verifiedAt: 0 });
    for (const key of [...Object.keys(records), 'sk-none', '', ' ', null, undefined, 'sk\r\n1', 'x'.repeat(5_000)]) {
      for (const times of ['first', 'second']) {
        const expected = await verifier.verify(key);
        expect(withoutTime(await stub.verify(key)), `${key ?? 'none'}, ${times}`).toEqual(withoutTime(expected));
        expect(withoutTime(stub.peek(key) ?? {})).toEqual(withoutTime(verifier.peek(key) ?? {}));
      }
    }
    const { results, entries } = verifier.stats();
    expect(stub.stats()).toMatchObject({ results, entries });
  });

  it('are failures if they are none', async () => {
    const record = { ...known, client: 'sk-long-1' };
    const result = await stubVerifier({ keys: { 'sk-long-1': record }, failOpen: true }).verify('sk-long-1');
    expect(result).toMatchObject({ status: 'failed-closed', failure: { kind: 'invalid_response' } });
  });

  it('are frozen, and do not freeze what they are made of', async () => {
    const claims = { plans: ['gold'] };
    const stub = stubVerifier({ keys: { 'sk-1': { ...known, claims } } });
    const result = await stub.verify('sk-1');
    expect(Object.isFrozen(result)).toBe(true);
    expect(result).toSatisfy(({ claims: { plans } }: { claims: typeof claims }) => Object.isFrozen(plans));
    expect(Object.isFrozen(claims.plans)).toBe(false);
  });

  it('change when a key is rejected', async () => {
    const stub = stubVerifier({ keys });
    await stub.verify('sk-1');
    stub.reject('sk-1');
    expect(await stub.verify('sk-1')).toMatchObject({ status: 'rejected', source: 'server', reason: 'revoked' });
    stub.reject('sk-1', 'scope_mismatch');
    expect(await stub.verify('sk-1')).toMatchObject({ status: 'rejected', source: 'server', reason: 'scope_mismatch' });
  });
});

describe('the claims of a stub', () => {
  const record = { 'sk-1': { ...known, claims: { plan: 'gold' } }, 'sk-2': { ...known, claims: { plan: 1 } } };

  it('are what a schema makes of them', async () => {
    const claims = z.object({ plan: z.string().transform((plan) => plan.length) });
    const stub = stubVerifier({ keys: record, claims });
    expect(await stub.verify('sk-1')).toMatchObject({ status: 'verified', claims: { plan: 4 } });
    expect(await stub.verify('sk-2')).toMatchObject({
      status: 'failed-closed',
      failure: { kind: 'misconfigured', message: expect.stringContaining('plan') as string },
    });
  });

  it('may be checked by a schema that is asynchronous, or fails', async () => {
    const slow = z.object({ plan: z.string() }).refine(async ({ plan }) => await Promise.resolve(plan === 'gold'));
    expect(await stubVerifier({ keys: record, claims: slow }).verify('sk-1')).toMatchObject({ status: 'verified' });
    const broken = z.unknown().refine(() => {
      throw new Error('sk-1');
    });
    const result = await stubVerifier({ keys: record, claims: broken }).verify('sk-1');
    expect(result).toMatchObject({ status: 'failed-closed', failure: { kind: 'misconfigured' } });
    expect(inspect(result)).not.toContain('sk-1');
  });
});

describe('health() and check() of a stub', () => {
  it('are well until it is unavailable, and after it', async () => {
    vi.useFakeTimers({ now: NOW, toFake: ['Date'] });
    const stub = stubVerifier({ keys });
    expect(stub.health()).toEqual({ status: 'ok', since: NOW, breaker: 'closed' });
    expect(await stub.check()).toEqual({ ok: true, latencyMs: 0 });
    vi.setSystemTime(NOW + 1_000);
    stub.unavailable('timeout');
    const failure: unknown = expect.objectContaining({ kind: 'timeout' });
    expect(stub.health()).toEqual({ status: 'down', since: NOW + 1_000, failure, breaker: 'closed' });
    expect(await stub.check()).toEqual({ ok: false, failure, latencyMs: 0 });
    vi.setSystemTime(NOW + 2_000);
    stub.recover();
    expect(stub.health()).toEqual({ status: 'ok', since: NOW + 2_000, breaker: 'closed' });
  });

  it('check() rejects with the reason of its signal', async () => {
    const reason = new Error('gone');
    await expect(stubVerifier().check({ signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
  });
});

describe('an unavailable stub', () => {
  it('fails closed, and recovers', async () => {
    const stub = stubVerifier({ keys });
    stub.unavailable('timeout');
    const result = await stub.verify('sk-1');
    expect(result).toMatchObject({
      status: 'failed-closed',
      valid: false,
      source: 'fail-closed',
      reason: 'unavailable',
      failure: { kind: 'timeout', evidence: 'proven' },
    });
    expect(result).toHaveProperty('failure', expect.any(VerifyFailure));
    stub.recover();
    expect(await stub.verify('sk-1')).toMatchObject({ status: 'verified', source: 'server' });
  });

  it('still serves what it has verified, as stale, and forgets it when it is told to', async () => {
    const stub = stubVerifier({ keys, failOpen: true });
    const { source: _, ...identity } = await stub.verify('sk-1');
    stub.unavailable();
    expect(await stub.verify('sk-1')).toEqual({ ...identity, source: 'stale' });
    expect([stub.peek('sk-1'), stub.verifyCached('sk-1')]).toEqual([undefined, undefined]);
    expect(await stub.verify('sk-1', { maxAgeMs: 0 })).toMatchObject({ status: 'failed-open' });
    stub.clear();
    expect(await stub.verify('sk-1')).toMatchObject({ status: 'failed-open' });
    stub.recover();
    await stub.verify('sk-1');
    expect(await stub.verify('sk-1')).toMatchObject({ status: 'verified', source: 'cache' });
  });

  it('lets in nobody who is known to be bad', async () => {
    vi.useFakeTimers({ now: NOW, toFake: ['Date'] });
    const stub = stubVerifier({
      keys: {
        ...keys,
        'sk-ends': { client: 'acme', tenant: 'cust-A', expiresAt: NOW + 1_000 },
      },
      failOpen: true,
    });
    for (const key of ['sk-1', 'sk-ends', 'sk-unknown']) await stub.verify(key);
    stub.reject('sk-1');
    vi.setSystemTime(NOW + 1_000);
    stub.unavailable();
    const denied = async (key: string) => ({ ...(await stub.verify(key)) });
    expect(await denied('sk-1')).toMatchObject({ status: 'rejected', source: 'stale', reason: 'revoked' });
    expect(await denied('sk-ends')).toMatchObject({ status: 'rejected', source: 'stale', reason: 'expired' });
    expect(await denied('sk-unknown')).toMatchObject({ status: 'rejected', source: 'stale', reason: 'unknown_key' });
    expect(await stub.verify('sk-never-seen')).toMatchObject({ status: 'failed-open' });
    // A limit on a key says nothing about whose it is.
    stub.reject('sk-never-seen', 'rate_limited');
    expect(await stub.verify('sk-never-seen')).toMatchObject({ status: 'failed-open' });
  });

  it('lets in nobody who must be asked about first', async () => {
    const stub = stubVerifier({ keys: { ...keys, 'sk-2': { client: 'other', tenant: 'cust-B' } }, failOpen: true });
    for (const key of ['sk-1', 'sk-2']) await stub.verify(key);
    expect(stub.invalidate({ client: 'other' })).toBe(1);
    stub.invalidate({ key: 'sk-3' });
    stub.unavailable();
    for (const key of ['sk-2', 'sk-3']) expect(await stub.verify(key)).toMatchObject({ status: 'failed-closed' });
    stub.recover();
    await stub.verify('sk-3');
    stub.clear();
    stub.unavailable();
    expect(await stub.verify('sk-3')).toMatchObject({ status: 'failed-open' });
  });

  it('asks once more about a key that was rejected', async () => {
    const stub = stubVerifier({ keys });
    await stub.verify('sk-1');
    stub.reject('sk-1');
    expect(stub.peek('sk-1')).toBeUndefined();
    expect(await stub.verify('sk-1')).toMatchObject({ status: 'rejected', source: 'server', reason: 'revoked' });
    expect(await stub.verify('sk-1')).toMatchObject({ status: 'rejected', source: 'cache', reason: 'revoked' });
  });

  it('rejects what is not a key all the same', async () => {
    const stub = stubVerifier({ keys, failOpen: true });
    stub.unavailable();
    expect(await stub.verify('')).toMatchObject({ status: 'rejected', source: 'local', reason: 'missing_key' });
    expect(stub.verifyCached('a\n')).toMatchObject({ status: 'rejected', source: 'local', reason: 'malformed_key' });
    expect(stub.peek(null)).toMatchObject({ status: 'rejected', source: 'local', reason: 'missing_key' });
  });

  it.each<[FailureKind, string]>([
    ['unreachable', 'failed-open'],
    ['timeout', 'failed-open'],
    ['server_error', 'failed-open'],
    ['circuit_open', 'failed-open'],
    ['rate_limited', 'failed-closed'],
    ['overloaded', 'failed-closed'],
    ['misconfigured', 'failed-closed'],
    ['invalid_response', 'failed-closed'],
  ])('that may fail open does so for an outage alone: %s, %s', async (kind, status) => {
    const open = stubVerifier({ keys, failOpen: true });
    const closed = stubVerifier({ keys });
    open.unavailable(kind);
    closed.unavailable(kind);
    const failure = { kind, evidence: status === 'failed-open' ? 'proven' : 'none' };
    expect(await open.verify('sk-1')).toMatchObject({ status, failure });
    expect(await closed.verify('sk-1', { failOpen: true })).toMatchObject({ status, failure });
    expect(await open.verify('sk-1', { failOpen: false })).toMatchObject({ status: 'failed-closed', failure });
    expect(await closed.verify('sk-1')).toMatchObject({ status: 'failed-closed', failure });
  });
});

describe('the cache of a stub', () => {
  it('is asked by verifyCached() and peek()', async () => {
    const stub = stubVerifier({ keys });
    expect([stub.verifyCached('sk-1'), stub.peek('sk-1')]).toEqual([undefined, undefined]);
    await stub.verify('sk-1');
    expect(stub.verifyCached('sk-1')).toMatchObject({ status: 'verified', source: 'cache' });
    expect(stub.peek('sk-1')).toMatchObject({ status: 'verified', source: 'cache' });
    expect(stub.calls).toBe(3);
    expect(stub.stats()).toMatchObject({
      results: { server: 1, shared: 0, cache: 1, stale: 0, local: 0, 'fail-open': 0, 'fail-closed': 0 },
      requests: 0,
      failures: { unreachable: 0 },
      entries: { verified: 1, rejected: 0 },
      active: 0,
      queued: 0,
      controls: 0,
      breaker: 'closed',
      shared: {
        operations: { get: 0, put: 0, lease: 0, probe: 0 },
        hits: 0,
        misses: 0,
        unsealable: 0,
        failures: 0,
      },
      revocations: { messages: 0, revoked: 0, gaps: 0, down: false },
    });
  });

  it('keeps a verdict until it is too old for the call, or its key has expired', async () => {
    vi.useFakeTimers({ now: NOW, toFake: ['Date'] });
    const stub = stubVerifier({ keys: { 'sk-1': known, 'sk-2': { ...known, expiresAt: NOW + 1_000 } } });
    await stub.verify('sk-1');
    await stub.verify('sk-2');
    vi.setSystemTime(NOW + 999);
    expect(await stub.verify('sk-1', { maxAgeMs: 1_000 })).toMatchObject({ source: 'cache', verifiedAt: NOW });
    expect(await stub.verify('sk-2')).toMatchObject({ source: 'cache', verifiedAt: NOW });
    vi.setSystemTime(NOW + 1_000);
    expect(await stub.verify('sk-2')).toMatchObject({ status: 'rejected', source: 'server', reason: 'expired' });
    expect(await stub.verify('sk-1', { maxAgeMs: 1_000 })).toMatchObject({ source: 'server', verifiedAt: NOW + 1_000 });
  });

  it('does not keep a rate limit', async () => {
    const stub = stubVerifier({ keys: { 'sk-1': { ...known, reason: 'rate_limited' } } });
    await stub.verify('sk-1');
    expect(await stub.verify('sk-1')).toMatchObject({ source: 'server', reason: 'rate_limited' });
  });

  it.each([
    [{ key: 'sk-1' }, 1],
    [{ fingerprint: sha256('sk-1') }, 1],
    [{ keyId: 'k1' }, 1],
    [{ client: 'acme' }, 2],
    [{ tenant: 'cust-B' }, 1],
    [{ tenant: 'cust-C' }, 0],
  ])('forgets what is invalidated: %o', async (selector, count) => {
    const stub = stubVerifier({
      keys: { 'sk-1': { ...known, keyId: 'k1' }, 'sk-2': known, 'sk-3': { client: 'globex', tenant: 'cust-B' } },
    });
    for (const key of ['sk-1', 'sk-2', 'sk-3', 'sk-none']) await stub.verify(key);
    expect(stub.stats().entries).toEqual({ verified: 3, rejected: 1 });
    expect(stub.invalidate(selector)).toBe(count);
    expect(stub.stats().entries).toEqual({ verified: 3 - count, rejected: 1 });
    stub.clear();
    expect(stub.stats().entries).toEqual({ verified: 0, rejected: 0 });
    expect(await stub.verify('sk-1')).toMatchObject({ source: 'server' });
  });

  it('refuses what is not a selector', () => {
    expect(() => stubVerifier().invalidate({ key: '' })).toThrow('invalidate');
  });
});

describe('a stub', () => {
  it('rejects with the reason of the caller’s own signal', async () => {
    const reason = new Error('gone');
    await expect(stubVerifier({ keys }).verify('sk-1', { signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
  });

  it('can be warmed up and closed, and works on', async () => {
    await using stub = stubVerifier({ keys });
    await stub.warmUp();
    await stub.close();
    expect(await stub.verify('sk-1')).toMatchObject({ status: 'verified' });
  });

  it('shows no key', async () => {
    const stub = stubVerifier({ keys });
    await stub.verify('sk-1');
    expect(inspect(stub, { depth: null, showHidden: true }) + JSON.stringify(stub)).not.toContain('sk-1');
  });
});

it('revoke() forgets what the stub has answered before, like invalidate()', async () => {
  const verifier = stubVerifier({ keys: { 'sk-1': { client: 'acme', tenant: 'cust-A' } } });
  await verifier.verify('sk-1');
  expect(verifier.peek('sk-1')).toMatchObject({ status: 'verified' });
  await verifier.revoke({ tenant: 'cust-B' });
  expect(verifier.peek('sk-1')).toMatchObject({ status: 'verified' });
  await verifier.revoke({ tenant: 'cust-A' });
  expect(verifier.peek('sk-1')).toBeUndefined();
});
