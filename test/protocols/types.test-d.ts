import { assertType, describe, expectTypeOf, test } from 'vitest';
import * as z from 'zod';

import { KeyVerifier, type ProtocolAnswer, type WireProtocol } from 'keyverify';
import {
  defineProtocol,
  introspection,
  unkey,
  type DefinedProtocol,
  type ProtocolDefinition,
} from 'keyverify/protocols';

const VERDICT = { flag: 'ok', client: 'id', tenant: 'org' } as const;

describe('a verifier with a protocol', () => {
  test('infers its claims from the schema, whatever the protocol', async () => {
    const claims = z.object({ plan: z.enum(['free', 'pro']), seats: z.number() });
    const verifier = new KeyVerifier({ protocol: unkey({ tenant: 'data.meta.tenant' }), claims });
    expectTypeOf(verifier).toEqualTypeOf<KeyVerifier<false, { plan: 'free' | 'pro'; seats: number }>>();
    const result = await verifier.verify('sk-1');
    if (result.status === 'verified')
      expectTypeOf(result.claims).toEqualTypeOf<{ plan: 'free' | 'pro'; seats: number }>();
  });

  test('has untyped claims without a schema, and may fail open as ever', () => {
    const protocol = defineProtocol({ verdict: VERDICT });
    expectTypeOf(new KeyVerifier({ protocol })).toEqualTypeOf<KeyVerifier>();
    expectTypeOf(new KeyVerifier({ protocol, failOpen: true })).toEqualTypeOf<KeyVerifier<true>>();
    assertType<WireProtocol>(protocol);
  });
});

describe('introspection', () => {
  test('takes which tokens it accepts', () => {
    const options = { tenant: 'org_id', auth: 'none' } as const;
    introspection({ ...options, tokenTypes: ['DPoP'], allowSenderConstrained: true });
    // @ts-expect-error: several types are a list
    introspection({ ...options, tokenTypes: 'DPoP' });
    // @ts-expect-error: true or false, no word
    introspection({ ...options, allowSenderConstrained: 'yes' });
  });

  test('needs an id and a secret of ours, which may come from the environment, unless there are none', () => {
    const secret: string | undefined = process.env['CLIENT_SECRET'];
    introspection({ tenant: 'org_id', clientId: 'us', clientSecret: secret });
    introspection({ tenant: 'org_id', clientId: 'us', clientSecret: () => 'secret', auth: 'post' });
    introspection({ tenant: 'org_id', auth: 'bearer' });
    introspection({ tenant: 'org_id', auth: 'none', clientId: 'us' });
    // @ts-expect-error: `basic` is the default, and needs both
    introspection({ tenant: 'org_id' });
    // @ts-expect-error: `basic` needs a secret
    introspection({ tenant: 'org_id', auth: 'basic', clientId: 'us' });
    // @ts-expect-error: `post` needs an id
    introspection({ tenant: 'org_id', auth: 'post', clientSecret: 'secret' });
    // @ts-expect-error: with `none`, no secret is sent
    introspection({ tenant: 'org_id', auth: 'none', clientSecret: 'secret' });
  });
});

describe('a definition', () => {
  test('says whether a key is good in one way, and picks by a path or a function', () => {
    expectTypeOf(defineProtocol({ verdict: { ...VERDICT, tenant: (json) => json } })).toEqualTypeOf<DefinedProtocol>();
    // @ts-expect-error: a tenant is required
    defineProtocol({ verdict: { flag: 'ok', client: 'id' } });
    defineProtocol({ verdict: { identity: '.', client: 'id', tenant: 'org' } });
    // @ts-expect-error: one of `flag` and `identity` is required
    defineProtocol({ verdict: { client: 'id', tenant: 'org' } });
    // @ts-expect-error: only one of them is read
    defineProtocol({ verdict: { ...VERDICT, identity: '.' } });
    // @ts-expect-error: there is no such option
    defineProtocol({ verdict: VERDICT, headres: {} });
    // @ts-expect-error: a status is a rule of its own only by `ambiguous: true`
    assertType<ProtocolDefinition['rejects']>([{ status: 401, ambiguous: false }]);
    // @ts-expect-error: RFC 7662 names no tenant, and neither does Unkey
    unkey({});
  });

  test('may read a verdict by a function, which returns what any protocol does', () => {
    defineProtocol({
      verdict: (json): ProtocolAnswer =>
        json === null ? { kind: 'rejected' } : { kind: 'verified', client: 'a', tenant: 'b' },
    });
    // @ts-expect-error: a failure that would open is none that a response can be
    defineProtocol({ verdict: () => ({ failure: { kind: 'unreachable', message: '' } }) });
  });
});
