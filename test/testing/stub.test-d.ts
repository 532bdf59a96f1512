import { expectTypeOf, test } from 'vitest';

import { stubVerifier } from 'keyverify/testing';

import type { DefaultClaims, FailedOpen, VerifyResult } from '../../src/core/result.js';
import type { Verifier } from '../../src/options/verify-options.js';

type Closed = VerifyResult;
type Open = VerifyResult<DefaultClaims, true>;

test('the failed-open variant is in the type only where failing open is possible', async () => {
  const closed = stubVerifier();
  const open = stubVerifier({ failOpen: true });
  expectTypeOf(await closed.verify('sk-1')).toEqualTypeOf<Closed>();
  expectTypeOf(await closed.verify('sk-1', { maxAgeMs: 0 })).toEqualTypeOf<Closed>();
  expectTypeOf(await closed.verify('sk-1', { failOpen: true })).toEqualTypeOf<Open>();
  expectTypeOf(await open.verify('sk-1')).toEqualTypeOf<Open>();
  expectTypeOf(await open.verify('sk-1', { failOpen: false })).toEqualTypeOf<Closed>();
  expectTypeOf<FailedOpen>().not.toExtend<Closed>();
});

test('it stands in wherever a verifier is taken', () => {
  expectTypeOf(stubVerifier()).toExtend<Verifier<false>>();
  expectTypeOf(stubVerifier({ failOpen: true })).toExtend<Verifier<true>>();
});
