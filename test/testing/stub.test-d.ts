import { expectTypeOf, test } from 'vitest';
import { z } from 'zod';

import type { DefaultClaims, FailedOpen, Verified, Verifier, VerifyResult } from 'keyverify';
import { apiKeyAuth } from 'keyverify/fetch';
import { stubVerifier } from 'keyverify/testing';

type Closed = VerifyResult;
type Open = VerifyResult<DefaultClaims, true>;
interface Plan {
  plan: string;
}

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

test('a schema types the claims, as with a verifier', async () => {
  const stub = stubVerifier({ claims: z.object({ plan: z.string() }) });
  expectTypeOf(await stub.verify('sk-1')).toEqualTypeOf<VerifyResult<Plan>>();
  expectTypeOf(stub.peek('sk-1')).toExtend<Verified<Plan> | VerifyResult | undefined>();
});

test('it can be used in place of a verifier', () => {
  expectTypeOf(stubVerifier()).toExtend<Verifier<false>>();
  expectTypeOf(stubVerifier({ failOpen: true })).toExtend<Verifier<true>>();
  expectTypeOf(apiKeyAuth<ReturnType<typeof stubVerifier>>).toBeFunction();
});
