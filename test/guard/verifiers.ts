import { VerifyFailure, type FailureDetails, type FailureKind } from '../../src/core/failure.js';
import type {
  DefaultClaims,
  FailedClosed,
  FailedOpen,
  Rejected,
  Verified,
  VerifyResult,
} from '../../src/core/result.js';
import type { VerifyOptions } from '../../src/options/verify-options.js';

export const acme: Verified = {
  valid: true,
  source: 'server',
  client: 'acme',
  tenant: 'eu-1',
  claims: {},
  verifiedAt: 0,
};

export const rejected = (reason: string): Rejected => ({ valid: false, source: 'server', reason });

export const failedClosed = (kind: FailureKind, details?: FailureDetails): FailedClosed => ({
  valid: false,
  source: 'fail-closed',
  reason: 'unavailable',
  failure: new VerifyFailure(kind, 'a detail that stays inside', details),
});

export const failedOpen: FailedOpen = {
  valid: true,
  source: 'fail-open',
  client: null,
  tenant: null,
  failure: new VerifyFailure('unreachable', 'a detail that stays inside'),
};

interface Scripted<FailOpen extends boolean> {
  verify(key?: string | null, options?: VerifyOptions): Promise<VerifyResult<DefaultClaims, FailOpen>>;
  readonly asked: { key: string | null | undefined; options: VerifyOptions | undefined }[];
}

/** A verifier that says what it is told to say. */
export function saying<FailOpen extends boolean = false>(
  answer: VerifyResult<DefaultClaims, FailOpen> | Error,
): Scripted<FailOpen> {
  const asked: Scripted<FailOpen>['asked'] = [];
  return {
    asked,
    async verify(key, options) {
      asked.push({ key, options });
      if (answer instanceof Error) return await Promise.reject(answer);
      return await Promise.resolve(answer);
    },
  };
}
