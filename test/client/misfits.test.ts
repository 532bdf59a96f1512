import {
  InvalidOptionsError,
  KeyVerifier,
  type Transport,
  VerifyFailure,
  type VerifyOptions,
  type VerifyResult,
} from 'keyverify';
import { startKeyServer, stubVerifier } from 'keyverify/testing';
import { describe, expect, it, vi } from 'vitest';
import { z } from 'zod';

const base = { verifyUrl: 'http://127.0.0.1:9/', serviceToken: 'service-token', breaker: false } as const;

/** Answers with this verdict, and counts. */
function answering(verdict: object): Transport & { readonly sent: number } {
  const transport = {
    sent: 0,
    send: () => {
      transport.sent++;
      const body = new TextEncoder().encode(JSON.stringify(verdict));
      const header = (name: string) => (name === 'content-type' ? 'application/json' : undefined);
      return { response: Promise.resolve({ status: 200, header, body }), abort: () => undefined };
    },
  };
  return transport;
}

describe('claims that do not fit the schema', () => {
  const verdict = { valid: true, client: 'acme', tenant: 'cust-A', plan: 1 };

  it.each<[string, object]>([
    ['do not fit', z.object({ plan: z.string() })],
    ['make the schema throw', { '~standard': { version: 1, vendor: 'test', validate: () => { throw new Error('odd'); } } }], // prettier-ignore
  ])('that %s are a mistake of ours, not an outage, and are asked for once', async (_, claims) => {
    const transport = answering(verdict);
    const logger = { warn: () => undefined };
    const verifier = new KeyVerifier({
      ...base,
      transport,
      logger,
      retries: 3,
      failOpen: true,
      claims: claims as never,
    });
    expect(await verifier.verify('sk-1')).toMatchObject({
      status: 'failed-closed',
      failure: { kind: 'misconfigured', attempts: 1 },
    });
    expect(transport.sent).toBe(1);
  });
});

describe('a transport of the caller that', () => {
  const broken = (): never => {
    throw new Error('broken');
  };

  it.each<[string, VerifyResult<unknown, true>['status'], Partial<Transport>, object]>([
    ['throws when a request is given up is of no account', 'failed-open', {}, { abort: broken }],
    ['throws when it is asked whether a request was sent denies', 'failed-closed', {}, { isSent: broken }],
    ['throws when it is asked whether it is overloaded denies', 'failed-closed', { isOverloaded: broken }, {}],
    [
      'never says whether it is overloaded denies',
      'failed-closed',
      { isOverloaded: async () => await new Promise(() => undefined) },
      {},
    ],
  ])('%s, and costs no slot', async (_, status, methods, fields) => {
    const healthy = answering({ valid: true, client: 'acme', tenant: 'cust-A' });
    const state = { hangs: true };
    const transport: Transport = {
      ...methods,
      send: (request) =>
        state.hangs
          ? { response: new Promise(() => undefined), abort: () => undefined, ...fields }
          : healthy.send(request),
    };
    await using verifier = new KeyVerifier({ ...base, transport, timeoutMs: 100, failOpen: true, logger: false });
    expect(await verifier.verify('sk-1')).toMatchObject({ status });
    state.hangs = false;
    expect(await verifier.verify('sk-1')).toMatchObject({ status: 'verified' });
    await vi.waitUntil(() => verifier.stats().active === 0);
  });
});

describe('failOpen', () => {
  const open = 'false' as unknown as boolean;

  it('is refused at construction if it is not a boolean', () => {
    expect(() => new KeyVerifier({ ...base, failOpen: open })).toThrow(InvalidOptionsError);
  });

  it('opens a call only if it is true', async () => {
    const stub = stubVerifier();
    stub.unavailable();
    expect(await stub.verify('sk-1', { failOpen: open })).toMatchObject({ status: 'failed-closed' });
    expect(await stub.verify('sk-1', { failOpen: true })).toMatchObject({ status: 'failed-open' });
    await using keyServer = await startKeyServer({ keys: {} });
    await using verifier = new KeyVerifier({ ...base, verifyUrl: keyServer.verifyUrl, retries: 0 });
    await verifier.verify('sk-1');
    await keyServer.stop();
    // Evidence of the outage first.
    await vi.waitUntil(async () => (await verifier.verify('sk-2', { failOpen: true })).status === 'failed-open');
    expect(await verifier.verify('sk-2', { failOpen: open })).toMatchObject({ status: 'failed-closed' });
  });
});

describe('a caller who leaves', () => {
  it('is reported to observers by the fingerprint of the key, once for each caller', async () => {
    const left: string[] = [];
    const transport: Transport = { send: () => ({ response: new Promise(() => undefined), abort: () => undefined }) };
    const observers = [{ onAbort: ({ fingerprint }: { fingerprint: string }) => left.push(fingerprint) }];
    const verifier = new KeyVerifier({ ...base, transport, observers });
    const leaving = new AbortController();
    const calls = [1, 2].map(async () => await verifier.verify('sk-1', { signal: leaving.signal }));
    leaving.abort(new Error('left'));
    for (const call of calls) await expect(call).rejects.toThrow('left');
    expect(left).toHaveLength(2);
    expect(left[0]).toMatch(/^[0-9a-f]{64}$/);
  });
});

describe('an error as plain data', () => {
  it('keeps its kind, code and message through JSON and a structured clone', async () => {
    const stub = stubVerifier();
    stub.unavailable('timeout');
    const result = await stub.verify('sk-1');
    const { failure } = result as { failure: VerifyFailure };
    const expected = { name: 'VerifyFailure', kind: 'timeout', code: 'KEYVERIFY_TIMEOUT', message: failure.message };
    expect(JSON.parse(JSON.stringify(result))).toMatchObject({ failure: expected });
    expect(structuredClone(failure.toJSON())).toMatchObject(expected);
    const refused = Object.assign(new Error('connect ECONNREFUSED'), { code: 'ECONNREFUSED' });
    const slow = new VerifyFailure('unreachable', 'no', { cause: refused, durationMs: 2.194231999999829, attempts: 2 });
    expect(slow.toJSON()).toMatchObject({ durationMs: 2, attempts: 2, cause: { code: 'ECONNREFUSED' } });
    expect(new VerifyFailure('timeout', 'late', { cause: new Error('late') }).toJSON()).not.toHaveProperty('cause');
    const wrong = new InvalidOptionsError(['a: expected b']);
    expect(JSON.parse(JSON.stringify(wrong))).toEqual({
      name: 'InvalidOptionsError',
      code: 'KEYVERIFY_INVALID_OPTIONS',
      message: wrong.message,
      issues: ['a: expected b'],
    });
  });
});

describe('call options in a variable', () => {
  it('leave the type of the result as the verifier has it', async () => {
    const options: VerifyOptions = { maxAgeMs: 0 };
    const stub = stubVerifier({ keys: { 'sk-1': { client: 'acme', tenant: 'cust-A' } } });
    const result = await stub.verify('sk-1', options);
    // Compiles only if the result can't be one without a client.
    expect(result.valid ? result.client.toUpperCase() : '').toBe('ACME');
  });
});
