import { describe, expectTypeOf, test } from 'vitest';
import * as z from 'zod';

import {
  KeyVerifier,
  isFailedOpen,
  isRejected,
  isUnavailable,
  isVerified,
  type DefaultClaims,
  type FailedClosed,
  type FailedOpen,
  type Rejected,
  type Verified,
  type Verifier,
  type VerifyResult,
} from 'keyverify';

declare const closed: KeyVerifier;
declare const open: KeyVerifier<true>;

describe('failing open is in the type of whoever opted in, and of nobody else', () => {
  test('by default there is no caller without an identity', () => {
    expectTypeOf(new KeyVerifier()).toEqualTypeOf<KeyVerifier>();
    expectTypeOf(new KeyVerifier({ failOpen: false })).toEqualTypeOf<KeyVerifier>();
    expectTypeOf(closed.verify('')).resolves.toEqualTypeOf<Verified | Rejected | FailedClosed>();
  });

  test('with failOpen: true there is', () => {
    expectTypeOf(new KeyVerifier({ failOpen: true })).toEqualTypeOf<KeyVerifier<true>>();
    expectTypeOf(open.verify('')).resolves.toEqualTypeOf<Verified | Rejected | FailedClosed | FailedOpen>();
  });

  test('with a flag that is only known at run time there may be', () => {
    const failOpen: boolean = Math.random() > 0.5;
    const either = new KeyVerifier({ failOpen });
    expectTypeOf(either.verify('')).resolves.toEqualTypeOf<VerifyResult<DefaultClaims, true>>();
  });

  test('a call may decide otherwise', () => {
    expectTypeOf(closed.verify('', { failOpen: true })).resolves.toEqualTypeOf<VerifyResult<DefaultClaims, true>>();
    expectTypeOf(open.verify('', { failOpen: false })).resolves.toEqualTypeOf<VerifyResult>();
    expectTypeOf(closed.verify('', { maxAgeMs: 0 })).resolves.toEqualTypeOf<VerifyResult>();
    expectTypeOf(open.verify('', { maxAgeMs: 0 })).resolves.toEqualTypeOf<VerifyResult<DefaultClaims, true>>();
  });
});

describe('whoever is let in has an identity, unless the compiler says otherwise', () => {
  test('valid is enough where nothing fails open', async () => {
    const result = await closed.verify('');
    if (result.valid) expectTypeOf(result.client).toEqualTypeOf<string>();
    else expectTypeOf(result).toEqualTypeOf<Rejected | FailedClosed>();
  });

  test('valid is not enough where something may', async () => {
    const result = await open.verify('');
    if (!result.valid) return;
    expectTypeOf(result.client).toEqualTypeOf<string | null>();
    // @ts-expect-error a caller who was let in by fail-open has no claims
    expectTypeOf(result.claims).toBeAny();
    if (result.source !== 'fail-open') expectTypeOf(result).toEqualTypeOf<Verified>();
  });

  test('results can not be written to', async () => {
    const result = await closed.verify('');
    // @ts-expect-error results are shared between callers
    result.valid = true;
  });
});

describe('what is said without a wait', () => {
  test('is a verdict, also of a verifier that fails open, and no promise', () => {
    expectTypeOf(open.verifyCached('')).toEqualTypeOf<Verified | Rejected | undefined>();
    expectTypeOf(closed.verifyCached('') ?? closed.verify('')).toEqualTypeOf<
      Verified | Rejected | Promise<VerifyResult>
    >();
  });
});

describe('guards narrow', () => {
  const result = {} as VerifyResult<DefaultClaims, boolean>;

  test('each to its own', () => {
    if (isVerified(result)) expectTypeOf(result).toEqualTypeOf<Verified>();
    if (isRejected(result)) expectTypeOf(result).toEqualTypeOf<Rejected>();
    if (isFailedOpen(result)) expectTypeOf(result).toEqualTypeOf<FailedOpen>();
    if (isUnavailable(result)) expectTypeOf(result).toEqualTypeOf<FailedOpen | FailedClosed>();
  });

  test('known reasons are suggested, and others are taken', () => {
    expectTypeOf<'revoked'>().toExtend<Rejected['reason']>();
    expectTypeOf<string>().toExtend<Rejected['reason']>();
  });
});

describe('claims', () => {
  test('are unknown without a schema', async () => {
    const result = await closed.verify('');
    if (result.valid) expectTypeOf(result.claims['plan']).toBeUnknown();
  });

  test('have the type of the schema, transforms included', async () => {
    const claims = z.object({ plan: z.string(), since: z.string().transform((text) => new Date(text)) });
    const result = await new KeyVerifier({ claims }).verify('');
    if (result.valid) expectTypeOf(result.claims).toEqualTypeOf<{ plan: string; since: Date }>();
  });
});

describe('options and the narrow interface', () => {
  test('a name that is not there is an error', () => {
    // @ts-expect-error it is cacheTtlMs, and milliseconds
    new KeyVerifier({ cacheTtl: 300 });
    // @ts-expect-error there is nothing to invalidate by
    closed.invalidate({});
    // @ts-expect-error by one thing at a time
    closed.invalidate({ keyID: 'k' });
  });

  test('every KeyVerifier is a Verifier', () => {
    expectTypeOf(closed).toExtend<Verifier<false>>();
    expectTypeOf(closed).toExtend<Verifier>();
    expectTypeOf(open).toExtend<Verifier>();
    expectTypeOf(open).not.toExtend<Verifier<false>>();
  });
});
