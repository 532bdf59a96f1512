import { VerifyFailure, type FailureDetails, type FailureKind } from '../../src/core/failure.js';
import {
  type DefaultClaims,
  type FailedClosed,
  type FailedOpen,
  rejected as rejectedBy,
  type Rejected,
  type Verified,
  verified,
  type VerifyResult,
} from '../../src/core/result.js';
import type { AnyVerifyOptions } from '../../src/core/verifier.js';

export const acme: Verified = verified('server', { client: 'acme', tenant: 'eu-1', claims: {}, verifiedAt: 0 });

export const rejected = (reason: string): Rejected => rejectedBy('server', reason);

const closed = { status: 'failed-closed', valid: false, source: 'fail-closed', reason: 'unavailable' } as const;
const open = { status: 'failed-open', valid: true, source: 'fail-open', client: null, tenant: null } as const;

export const failedClosed = (kind: FailureKind, details?: FailureDetails): FailedClosed => ({
  ...closed,
  failure: new VerifyFailure(kind, 'a detail that stays inside', details),
});

export const failedOpen: FailedOpen = {
  ...open,
  failure: new VerifyFailure('unreachable', 'a detail that stays inside'),
};

interface Scripted<FailOpen extends boolean> {
  verify(key?: string | null, options?: AnyVerifyOptions): Promise<VerifyResult<DefaultClaims, FailOpen>>;
  readonly asked: { key: string | null | undefined; options: AnyVerifyOptions | undefined }[];
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
