import assert from 'node:assert/strict';
import { setImmediate } from 'node:timers/promises';

import type { AbortEvent, ControlEvent, FailureEvent } from '../../core/events.js';
import type { VerifyFailure } from '../../core/failure.js';
import type { Verified } from '../../core/result.js';
import { KeyVerifier } from '../../verifier.js';
import { startKeyServer, type KeyServer } from '../key-server.js';
import { callHttp, type AdapterCall, type AdapterReply } from './adapter-client.js';
import type { AdapterPath, AdapterService, ServeAdapter } from './adapter-routes.js';

/** What a case works with: a key server, a verifier, and a service with the adapter under test. */
export interface AdapterRig {
  readonly keyServer: KeyServer;
  readonly verifier: KeyVerifier;
  readonly service: AdapterService;
  /** The identities that handlers were called with. */
  readonly reached: readonly (Verified | null)[];
  /** The fingerprints that a caller was waiting for who has left. */
  readonly left: readonly string[];
  /** What failed since this machine is too busy, control questions included. */
  readonly busy: readonly VerifyFailure[];
  readonly call: (call: AdapterCall) => Promise<AdapterReply>;
  readonly send: (
    path: AdapterPath,
    headers?: Record<string, string>,
    init?: Partial<AdapterCall>,
  ) => Promise<AdapterReply>;
}

/** The adapter under test. */
export interface AdapterUnderTest {
  /** Starts a service that uses it. */
  readonly serve: ServeAdapter;
  /** Makes a call. Default: over HTTP. */
  readonly call?: (call: AdapterCall) => Promise<AdapterReply>;
  /** Whether it has methods, and denials with headers and a body. Default: `true`. */
  readonly http?: boolean;
  /** Whether a caller can leave before the response. Default: `true`. */
  readonly leaves?: boolean;
}

const keys = {
  'sk-acme-1': { client: 'acme', tenant: 'cust-A' },
  'sk-globex-1': { client: 'globex', tenant: 'cust-A' },
  'sk-other-1': { client: 'other', tenant: 'cust-B' },
  'sk-revoked-1': { client: 'acme', tenant: 'cust-A', reason: 'revoked' },
  'sk-busy-1': { client: 'acme', tenant: 'cust-A', reason: 'rate_limited' },
};

const serviceToken = 'a-service-token';

export type Limits = { readonly maxConcurrency?: number; readonly timeoutMs?: number };

/** Runs one case against a service of its own, with a real key server, and closes everything in the end. */
export async function withRig(
  { serve, call = callHttp }: AdapterUnderTest,
  limits: Limits,
  run: (rig: AdapterRig) => Promise<void>,
): Promise<void> {
  const rejections: unknown[] = [];
  const onRejection = rejections.push.bind(rejections);
  process.on('unhandledRejection', onRejection);
  const reached: (Verified | null)[] = [];
  const left: string[] = [];
  const busy: VerifyFailure[] = [];
  const keyServer = await startKeyServer({ keys, serviceTokens: [serviceToken] });
  const base = { verifyUrl: keyServer.verifyUrl, serviceToken, scope: 'cust-A', retries: 0, breaker: false } as const;
  const onFailure = ({ failure }: ControlEvent | FailureEvent): void => {
    if (failure?.kind === 'overloaded') busy.push(failure);
  };
  const onAbort = ({ fingerprint }: AbortEvent): number => left.push(fingerprint);
  const observers = [{ onAbort, onFailure, onControl: onFailure }];
  const verifier = new KeyVerifier({ ...base, observers, logger: { warn: () => undefined }, ...limits });
  const service = await serve(verifier, (identity) => {
    reached.push(identity);
    return { tenant: identity?.tenant ?? null };
  });
  const send: AdapterRig['send'] = async (path, headers = {}, init = {}) => {
    const { url } = service;
    const reply = await call({ url, path, method: 'GET', headers: Object.entries(headers), ...init });
    assert.doesNotMatch(JSON.stringify(reply), /sk-|a-service-token|inside|node_modules/);
    return reply;
  };
  try {
    await run({ keyServer, verifier, service, reached, left, busy, call, send });
    await setImmediate();
    assert.deepEqual(rejections, []);
  } finally {
    await service.close();
    await verifier.close();
    await keyServer.close();
    process.off('unhandledRejection', onRejection);
  }
}
