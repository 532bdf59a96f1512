import { describe, expect, it } from 'vitest';

import { stubVerifier } from 'keyverify/testing';

import { VerifyFailure } from '../../src/core/failure.js';

const known = { client: 'acme', tenant: 'cust-A' };
const keys = { 'sk-1': known };

describe('stubVerifier', () => {
  it('knows no key by default', async () => {
    expect(await stubVerifier().verify('sk-1')).toEqual({ valid: false, source: 'server', reason: 'unknown_key' });
  });

  it('verifies a key it knows, with what it knows of it', async () => {
    const before = Date.now();
    const expiresAt = before + 60_000;
    const full = { ...known, keyId: 'k1', expiresAt, claims: { plan: 'gold' } };
    const verifier = stubVerifier({ keys: { 'sk-1': known, 'sk-full': full } });
    const result = await verifier.verify('sk-1');
    expect(result).toEqual({
      ...known,
      valid: true,
      source: 'server',
      claims: {},
      verifiedAt: expect.any(Number) as number,
    });
    expect(await verifier.verify('sk-full')).toMatchObject({ keyId: 'k1', expiresAt, claims: { plan: 'gold' } });
    expect(result).toSatisfy((value: { verifiedAt: number }) => value.verifiedAt >= before);
  });

  it.each([
    [undefined, 'missing_key'],
    [null, 'missing_key'],
    ['', 'missing_key'],
    ['sk\r\n1', 'malformed_key'],
  ])('rejects %j by its shape, even while unavailable', async (key, reason) => {
    const verifier = stubVerifier({ keys, failOpen: true });
    verifier.unavailable();
    expect(await verifier.verify(key)).toEqual({ valid: false, source: 'local', reason });
  });

  it('rejects keys that have a reason, have ended, or are told to be rejected', async () => {
    const verifier = stubVerifier({
      keys: { ...keys, 'sk-off': { ...known, reason: 'disabled' }, 'sk-old': { ...known, expiresAt: new Date(0) } },
    });
    expect(await verifier.verify('sk-off')).toMatchObject({ valid: false, reason: 'disabled' });
    expect(await verifier.verify('sk-old')).toMatchObject({ valid: false, reason: 'expired' });
    verifier.reject('sk-1');
    expect(await verifier.verify('sk-1')).toMatchObject({ valid: false, source: 'server', reason: 'revoked' });
    verifier.reject('sk-1', 'scope_mismatch');
    expect(await verifier.verify('sk-1')).toMatchObject({ valid: false, reason: 'scope_mismatch' });
  });

  it('fails closed while unavailable, and recovers', async () => {
    const verifier = stubVerifier({ keys });
    verifier.unavailable('timeout');
    const result = await verifier.verify('sk-1');
    expect(result).toMatchObject({
      valid: false,
      source: 'fail-closed',
      reason: 'unavailable',
      failure: { kind: 'timeout' },
    });
    expect(result).toHaveProperty('failure', expect.any(VerifyFailure));
    verifier.recover();
    expect(await verifier.verify('sk-1')).toMatchObject({ valid: true });
  });

  it('fails open for an outage alone, by its own option or the call’s', async () => {
    const open = stubVerifier({ failOpen: true });
    const closed = stubVerifier();
    open.unavailable();
    closed.unavailable();
    const failedOpen = {
      valid: true,
      source: 'fail-open',
      client: null,
      tenant: null,
      failure: { kind: 'unreachable' },
    };
    expect(await open.verify('sk-1')).toMatchObject(failedOpen);
    expect(await closed.verify('sk-1', { failOpen: true })).toMatchObject(failedOpen);
    expect(await open.verify('sk-1', { failOpen: false })).toMatchObject({ source: 'fail-closed' });
    open.unavailable('rate_limited');
    expect(await open.verify('sk-1')).toMatchObject({ source: 'fail-closed', failure: { kind: 'rate_limited' } });
  });

  it('answers frozen results and counts its calls', async () => {
    const verifier = stubVerifier({ keys: { 'sk-1': { ...known, claims: { plan: 'gold' } } } });
    const verified = await verifier.verify('sk-1');
    verifier.unavailable();
    for (const result of [verified, await verifier.verify(''), await verifier.verify('sk-1')]) {
      expect(Object.isFrozen(result)).toBe(true);
    }
    expect(verified).toSatisfy(({ claims }: { claims: object }) => Object.isFrozen(claims));
    expect(verifier.calls).toBe(3);
  });

  it('rejects for the caller’s own signal alone', async () => {
    const reason = new Error('gone');
    await expect(stubVerifier({ keys }).verify('sk-1', { signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
  });
});
