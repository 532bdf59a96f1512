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
  type Observer,
  type Exchange,
  type FleetSupport,
  type Rejected,
  type Revocation,
  type RevocationSink,
  type RevocationSource,
  type RevocationsHealth,
  type SendOptions,
  type SharedCache,
  type SharedCacheHealth,
  type SharedGet,
  type SharedOutcome,
  type Transport,
  type Verified,
  type Verifier,
  type AnyVerifyOptions,
  type VerifyOptions,
  type VerifyResult,
  type WireRequest,
} from 'keyverify';
import type { RedisRevocationsOptions } from 'keyverify/redis';
import { fleet } from 'keyverify/fleet';
import { createGuard } from 'keyverify/guard';
import type { Fault, KeyServer, KeyServerOptions } from 'keyverify/testing';

declare const closed: KeyVerifier;
declare const open: KeyVerifier<true>;

test('a shared cache need not know of estimates', () => {
  expectTypeOf<Parameters<SharedCache['get']>[1]>().toEqualTypeOf<SharedGet | undefined>();
  expectTypeOf<{ readonly get: () => ReturnType<SharedCache['get']> }>().toExtend<Pick<SharedCache, 'get'>>();
});

describe('failing open is in the type only where it was opted into', () => {
  test('by default every valid result has an identity', () => {
    expectTypeOf(new KeyVerifier()).toEqualTypeOf<KeyVerifier>();
    expectTypeOf(new KeyVerifier({ failOpen: false })).toEqualTypeOf<KeyVerifier>();
    expectTypeOf(closed.verify('')).resolves.toEqualTypeOf<Verified | Rejected | FailedClosed>();
  });

  test('with failOpen: true a valid result may have none', () => {
    expectTypeOf(new KeyVerifier({ failOpen: true })).toEqualTypeOf<KeyVerifier<true>>();
    expectTypeOf(open.verify('')).resolves.toEqualTypeOf<Verified | Rejected | FailedClosed | FailedOpen>();
  });

  test('with a flag that is known only at run time, too', () => {
    const failOpen: boolean = Math.random() > 0.5;
    const either = new KeyVerifier({ failOpen });
    expectTypeOf(either.verify('')).resolves.toEqualTypeOf<VerifyResult<DefaultClaims, true>>();
  });

  test('a call may override it', () => {
    expectTypeOf(closed.verify('', { failOpen: true })).resolves.toEqualTypeOf<VerifyResult<DefaultClaims, true>>();
    expectTypeOf(open.verify('', { failOpen: false })).resolves.toEqualTypeOf<VerifyResult>();
    // A variable leaves the result what the verifier makes it, unless its type says that it may open.
    expectTypeOf(closed.verify('', {} as VerifyOptions)).resolves.toEqualTypeOf<VerifyResult>();
    expectTypeOf(open.verify('', {} as VerifyOptions)).resolves.toEqualTypeOf<VerifyResult<DefaultClaims, true>>();
    expectTypeOf(
      open.verify('', { failOpen: false } as VerifyOptions<false> & { failOpen: false }),
    ).resolves.toEqualTypeOf<VerifyResult>();
    expectTypeOf(closed.verify('', {} as VerifyOptions<true>)).resolves.toEqualTypeOf<
      VerifyResult<DefaultClaims, boolean>
    >();
    expectTypeOf(closed.verify('', {} as AnyVerifyOptions)).resolves.toEqualTypeOf<
      VerifyResult<DefaultClaims, boolean>
    >();
    expectTypeOf(closed.verify('', { maxAgeMs: 0 })).resolves.toEqualTypeOf<VerifyResult>();
    expectTypeOf(open.verify('', { maxAgeMs: 0 })).resolves.toEqualTypeOf<VerifyResult<DefaultClaims, true>>();
  });
});

describe('an identity', () => {
  test('is known by valid where nothing fails open', async () => {
    const result = await closed.verify('');
    if (result.valid) expectTypeOf(result.client).toEqualTypeOf<string>();
    else expectTypeOf(result).toEqualTypeOf<Rejected | FailedClosed>();
  });

  test('is not known by valid where something may fail open', async () => {
    const result = await open.verify('');
    if (!result.valid) return;
    expectTypeOf(result.client).toEqualTypeOf<string | null>();
    // @ts-expect-error a caller who was let in by fail-open has no claims
    expectTypeOf(result.claims).toBeAny();
    if (result.source !== 'fail-open') expectTypeOf(result).toEqualTypeOf<Verified>();
  });

  test('is known by status', async () => {
    const result = await open.verify('');
    if (result.status === 'verified') expectTypeOf(result).toEqualTypeOf<Verified>();
    if (result.status === 'rejected') expectTypeOf(result).toEqualTypeOf<Rejected>();
    if (result.status === 'failed-open') expectTypeOf(result).toEqualTypeOf<FailedOpen>();
    if (result.status === 'failed-closed') expectTypeOf(result).toEqualTypeOf<FailedClosed>();
    // @ts-expect-error there are four
    expectTypeOf(result.status === 'open').toBeBoolean();
  });

  test('cannot be changed', async () => {
    const result = await closed.verify('');
    // @ts-expect-error results are shared between callers
    result.valid = true;
  });
});

describe('a result without a wait', () => {
  test('is a verdict and no promise, also where the verifier may fail open', () => {
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

  test('known reasons are suggested, and others accepted', () => {
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
  test('an unknown name is an error', () => {
    // @ts-expect-error it is cacheTtlMs, and milliseconds
    new KeyVerifier({ cacheTtl: 300 });
    // @ts-expect-error there is nothing to invalidate by
    closed.invalidate({});
    // @ts-expect-error it is keyId
    closed.invalidate({ keyID: 'k' });
  });

  test('a selector has one field, and a place for a key has one name: with two, it would not be clear which', async () => {
    closed.invalidate({ key: 'a' });
    await closed.revoke({ tenant: 'a' });
    // @ts-expect-error one of the two
    closed.invalidate({ key: 'a', tenant: 'b' });
    // @ts-expect-error one of the two
    await closed.revoke({ client: 'a', tenant: 'b' });
    // @ts-expect-error all, or those of a tenant
    expectTypeOf({ tenant: 'a', all: true } as const).toExtend<Revocation['select']>();
    createGuard(closed, { keySources: ['bearer', { header: 'a' }, { query: 'b' }, { subprotocol: 'c' }] });
    // @ts-expect-error two sources
    createGuard(closed, { keySources: [{ header: 'a', query: 'b' }] });
  });

  test('a key format may be a pattern or a function, a breaker an object or false', () => {
    new KeyVerifier({ keyFormat: /^sk-/, breaker: { maxOpenMs: 1 } });
    new KeyVerifier({ keyFormat: (key) => key.startsWith('sk-'), breaker: false });
    // @ts-expect-error it cannot be awaited
    new KeyVerifier({ keyFormat: async (key: string) => await Promise.resolve(key === 'k') });
    // @ts-expect-error there is no such thing to enable
    new KeyVerifier({ breaker: true });
  });

  test('an observer knows the events, with the claims of the schema', () => {
    const claims = z.object({ plan: z.string() });
    new KeyVerifier({
      claims,
      observers: [
        {
          onVerdict({ result, fingerprint }) {
            expectTypeOf(fingerprint).toBeString();
            if (result.valid) expectTypeOf(result.claims).toEqualTypeOf<{ plan: string }>();
          },
          onBreaker: ({ state }) => expectTypeOf(state).toEqualTypeOf<'closed' | 'open' | 'half-open'>(),
          // @ts-expect-error there is no such event
          onHit: () => undefined,
        },
      ],
    });
  });

  test('an observer is around operations on the shared cache, and told of revocations', () => {
    const observer: Observer = {
      onShared: async ({ operation }, run) => {
        expectTypeOf(operation).toEqualTypeOf<'get' | 'put' | 'lease' | 'probe'>();
        expectTypeOf(await run()).toEqualTypeOf<SharedOutcome>();
      },
      onRevocation: ({ messages, revoked }) => expectTypeOf([messages, revoked]).toEqualTypeOf<number[]>(),
      onRevocationGap: ({ reason }) => expectTypeOf(reason).toEqualTypeOf<'lost' | 'unreadable' | 'silent'>(),
    };
    new KeyVerifier({ observers: [observer] });
  });

  test('health has what processes share only where they share it', () => {
    const { sharedCache, revocations } = closed.health();
    expectTypeOf(sharedCache).toEqualTypeOf<SharedCacheHealth | undefined>();
    expectTypeOf(revocations).toEqualTypeOf<RevocationsHealth | undefined>();
    expectTypeOf(sharedCache?.status).toEqualTypeOf<'ok' | 'degraded' | 'down' | undefined>();
    expectTypeOf(revocations?.status).toEqualTypeOf<'starting' | 'ok' | 'degraded' | 'down' | undefined>();
    expectTypeOf(closed.stats().shared.operations).toEqualTypeOf<
      Readonly<Record<'get' | 'put' | 'lease' | 'probe', number>>
    >();
  });

  test('a shared cache and a source of revocations bring the code that uses them', () => {
    expectTypeOf<SharedCache['fleet']>().toEqualTypeOf<FleetSupport>();
    expectTypeOf<RevocationSource['fleet']>().toEqualTypeOf<FleetSupport>();
    // Nothing of the inside of a verifier is in the published types.
    expectTypeOf(fleet).toEqualTypeOf<FleetSupport>();
    // @ts-expect-error Without it a verifier can't share anything.
    expectTypeOf<Omit<SharedCache, 'fleet'>>().toExtend<SharedCache>();
  });

  test('every KeyVerifier is a Verifier', () => {
    expectTypeOf(closed).toExtend<Verifier<false>>();
    expectTypeOf(closed).toExtend<Verifier>();
    expectTypeOf(open).toExtend<Verifier>();
    expectTypeOf(open).not.toExtend<Verifier<false>>();
  });
});

test('a source may say where its stream stands when it has caught up, or leave it to the last message', () => {
  expectTypeOf<RevocationSink['caughtUp']>().toEqualTypeOf<(position?: string, since?: string) => void>();
});

test('a transport may open a connection for a request that asks for one, or know nothing of that', () => {
  expectTypeOf<Parameters<Transport['send']>[1]>().toEqualTypeOf<SendOptions | undefined>();
  expectTypeOf<SendOptions>().toEqualTypeOf<{
    readonly fresh?: boolean | undefined;
    readonly reserved?: boolean | undefined;
  }>();
  expectTypeOf<{ send: (request: WireRequest) => Exchange }>().toExtend<Transport>();
});

test('a secret that signs revocations is one or several', () => {
  expectTypeOf<RedisRevocationsOptions['signingSecret']>().toEqualTypeOf<string | readonly string[] | undefined>();
});

test('the options of the testing kit may be undefined', () => {
  expectTypeOf<{
    keys: undefined;
    serviceTokens: undefined;
    cacheControl: undefined;
    delayMs: undefined;
    heartbeatMs: undefined;
    publishTo: undefined;
    now: undefined;
    port: undefined;
    host: undefined;
    keepAliveTimeoutMs: undefined;
    tls: undefined;
  }>().toExtend<KeyServerOptions>();
  expectTypeOf<{ kind: 'drip'; intervalMs: undefined }>().toExtend<Fault>();
  expectTypeOf<{ kind: 'status'; status: 503; retryAfter: undefined }>().toExtend<Fault>();
  expectTypeOf<{ kind: 'redirect'; location: '/'; status: undefined }>().toExtend<Fault>();
  expectTypeOf<{ kind: 'huge-body'; bytes: undefined }>().toExtend<Fault>();
  expectTypeOf<{ kind: 'raw'; status: 200; headers: undefined; body: undefined }>().toExtend<Fault>();
  expectTypeOf<{ times: undefined }>().toExtend<Parameters<KeyServer['injectFault']>[1]>();
});
