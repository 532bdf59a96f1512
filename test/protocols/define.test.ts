import { inspect } from 'node:util';

import { describe, expect, test } from 'vitest';

import { InvalidOptionsError, KeyVerifier } from 'keyverify';
import { clerk, defineProtocol, introspection, unkey, workos, type ProtocolDefinition } from 'keyverify/protocols';

import { decodeResponse } from '../../src/protocol/decode.js';
import { defaultProtocol } from '../../src/protocol/default.js';
import { Chance } from '../helpers/chance.js';
import { hostileResponse, hostileVerdict, texts } from '../helpers/hostile.js';

const VERDICT = { flag: 'valid', client: 'client', tenant: 'tenant' } as const;
const KEY = 'sk-good-0123456789abcdef';
const TOKEN = 'service-token-0123456789';

function issuesOf(build: () => unknown): readonly string[] {
  try {
    build();
  } catch (error) {
    if (error instanceof InvalidOptionsError) return error.issues;
    throw error;
  }
  return [];
}
const mistakes = (definition: unknown): readonly string[] =>
  issuesOf(() => defineProtocol(definition as ProtocolDefinition));

describe('the default contract', () => {
  const defined = defineProtocol({
    scope: { name: 'scope' },
    verdict: {
      ...VERDICT,
      keyId: 'key_id',
      expires: { at: 'expires_at', unit: 'iso-or-s' },
      reason: 'reason',
    },
  });

  test.each([undefined, 'cust-A'])('is asked by a definition in the same way, with the scope %j', async (scope) => {
    const question = { url: 'https://admin.test/verify', key: 'a"b', token: TOKEN, scope };
    const { needsBody: _a, ...asked } = await defaultProtocol.encode(question);
    const { needsBody: _b, secrets, ...askedByDefinition } = await defined.encode(question);
    expect(askedByDefinition).toEqual(asked);
    expect(secrets).toBeUndefined();
  });

  test('is read by a definition in the same way, from 5 000 random and mutated responses', () => {
    const seed = Date.now() % 2 ** 31;
    const context = { secrets: [KEY, TOKEN], askedAt: Date.parse('2026-01-01T00:00:00Z'), scope: undefined };
    for (let run = 0; run < 5_000; run++) {
      const given = hostileResponse(new Chance(seed + run), context.secrets, hostileVerdict);
      const [byDefault, byDefinition] = [defaultProtocol, defined].map((protocol) => {
        const decoded = decodeResponse(protocol, given, context);
        if ('failure' in decoded) return { ...decoded.failure, message: '' };
        // Claims may be deeper than a comparison can go.
        return 'claims' in decoded ? { ...decoded, claims: texts(decoded.claims) } : decoded;
      });
      expect(byDefinition, `seed ${seed + run}`).toEqual(byDefault);
    }
  });
});

describe('a definition that is wrong', () => {
  test('has every mistake in it named at once', () => {
    expect(
      mistakes({
        method: 'PUT',
        auth: { header: 'x y' },
        key: { in: 'cookie', name: '' },
        scope: 'none',
        verdict: { flag: 'valid', clientt: 'client', tenant: 7 },
      }),
    ).toEqual([
      "method: expected 'POST' or 'GET', got \"PUT\"",
      'auth.header: expected the name of a header, got a string of 3 characters',
      "key.in: expected 'json' or 'form' or 'header' or 'query', got \"cookie\"",
      'key.name: expected a name, or names with dots between them, got an empty string',
      "scope: expected { name } or 'enforce-locally', got a string of 4 characters",
      "verdict.client: expected a path such as 'data.owner.id', or a function, got undefined",
      "verdict.tenant: expected a path such as 'data.owner.id', or a function, got 7",
      'verdict.clientt: there is no such option, did you mean client?',
    ]);
  });

  test('has mistakes in the combination of its right parts named at once, too', () => {
    const rejects = [{ status: 404 }, { status: 500 }, { status: 409, when: () => true }];
    expect(mistakes({ methd: 'POST', rejects, verdict: { ...VERDICT, flg: 1 } })).toEqual([
      'verdict.flg: there is no such option, did you mean flag?',
      'methd: there is no such option, did you mean method?',
      'rejects.1.status: expected a status from 400 to 499, other than 408, 421 and 425, got 500',
      'rejects.0: a bare 404 may as well mean a wrong serviceToken or verifyUrl: expected when, or ambiguous: true',
    ]);
    const get = { method: 'GET', key: { in: 'json', name: 'x' }, auth: { field: 'y' } };
    expect(mistakes({ ...get, accepts: [404], verdict: {} })).toEqual([
      'accepts.0: expected a status from 200 to 299, got 404',
      "verdict.client: expected a path such as 'data.owner.id', or a function, got undefined",
      "verdict.tenant: expected a path such as 'data.owner.id', or a function, got undefined",
      'verdict: expected exactly one of flag and identity',
      "key.in: expected 'header' or 'query' for a GET, which has no body",
      'auth: expected a header for a GET, which has no body',
    ]);
    expect(mistakes({ method: 'GET', accepts: [404], verdict: VERDICT })).toEqual([
      expect.stringMatching(/^accepts.0: /),
      expect.stringMatching(/^key.in: /),
    ]);
  });

  test('lacks its flag in spite of a name that nobody knows', () => {
    const neither = ['verdict.valid: there is no such option', 'verdict: expected exactly one of flag and identity'];
    expect(mistakes({ verdict: { valid: 'ok', client: 'a', tenant: 'b' } })).toEqual(neither);
    expect(mistakes({ verdict: { ...VERDICT, identity: 'c', valid: 'ok' } })).toEqual(neither);
  });

  test.each<[unknown, string]>([
    ['seconds', ', did you mean s?'],
    ['sec', ', did you mean s?'],
    ['S', ', did you mean s?'],
    ['unix', ''],
    ['milliseconds', ', did you mean ms?'],
    ['millis', ', did you mean ms?'],
    ['msec', ', did you mean ms?'],
    ['MS', ', did you mean ms?'],
    ['ISO', ', did you mean iso?'],
    ['rfc3339', ', did you mean iso?'],
    ['iso_or_s', ', did you mean iso-or-s?'],
    ['m', ''],
    ['us', ''],
    ['minutes', ''],
    [5, ''],
  ])('never suggests another unit of time than what is meant by %j', (unit, suggestion) => {
    const [issue = ''] = mistakes({ verdict: { ...VERDICT, expires: { at: 'exp', unit } } });
    expect(issue).toMatch(/^verdict.expires.unit: expected 'iso' or 's' or 'ms' or 'iso-or-s', got /);
    expect(/, did you mean .*/.exec(issue)?.[0] ?? '').toBe(suggestion);
  });

  test('has no mistake named that a misspelled or wrong part only seems to make', () => {
    const key = { in: 'header', name: 'x-key' };
    expect(mistakes({ method: 'GET', kye: key, verdict: VERDICT })).toEqual([expect.stringMatching(/^kye: /)]);
    expect(mistakes({ method: 'GET', key: { ...key, name: 7 }, verdict: VERDICT })).toEqual([
      expect.stringMatching(/^key.name: /),
    ]);
    expect(mistakes({ verdict: { client: 'a', tenant: 'b', flg: 'c' } })).toEqual([
      expect.stringMatching(/^verdict.flg: /),
    ]);
    expect(mistakes({ verdict: { client: 'a', tenant: 'b', flag: 7 } })).toEqual([
      expect.stringMatching(/^verdict.flag: /),
    ]);
    expect(mistakes({ verdict: { client: 'a', tenant: 'b', flag: 'c', valid: 'd' } })).toEqual([
      'verdict.valid: there is no such option',
    ]);
    expect(mistakes({ rejects: 7, verdict: VERDICT })).toEqual([expect.stringMatching(/^rejects: /)]);
  });

  test.each<[Record<string, unknown>, string]>([
    [{ verdict: { ...VERDICT, client: '$.data.id' } }, "verdict.client: expected a path such as 'data.owner.id'"],
    [{ verdict: { ...VERDICT, client: 'data[0].id' } }, "verdict.client: expected a path such as 'data.owner.id'"],
    [
      { verdict: { ...VERDICT, reasons: { A: 'revoked', B: 7 } } },
      'verdict.reasons.B: expected a string that is not empty, got 7',
    ],
    [{ verdict: { ...VERDICT, reasons: new Map() } }, 'verdict.reasons: expected an object of strings'],
    [
      { auth: { header: 'Authorization', prefix: 'Bearer' } },
      "auth.prefix: expected a blank at its end, such as in 'Bearer '",
    ],
    [
      { auth: 'none', key: { in: 'header', name: 'authorization', prefix: 'Key' } },
      "key.prefix: expected a blank at its end, such as in 'Bearer '",
    ],
    [{ url: 'keys.internal/verify' }, 'url: expected a URL with https:// or http://, such as https://'],
    [{ url: 'https://a:b@keys.internal/' }, 'url: expected no credentials, which'],
    [{ verdict: { client: 'a', tenant: 'b' } }, 'verdict: expected exactly one of flag and identity'],
    [{ verdict: { ...VERDICT, identity: '.' } }, 'verdict: expected exactly one of flag and identity'],
    [
      { verdict: { ...VERDICT, expires: { at: 'exp', unit: 'min' } } },
      "verdict.expires.unit: expected 'iso' or 's' or",
    ],
    [{ verdict: { ...VERDICT, reason: 'a..b' } }, 'verdict.reason: expected a path'],
    [{ verdict: { ...VERDICT, faults: ['INTERNAL'] } }, 'verdict.faults: needs reason, the path of what it lists'],
    [
      { verdict: { ...VERDICT, reasons: { NOT_FOUND: 'unknown_key' } } },
      'verdict.reasons: needs reason, the path of what it lists',
    ],
    [{ method: 'GET' }, "key.in: expected 'header' or 'query' for a GET"],
    [{ method: 'GET', key: { in: 'header', name: 'x-key' }, body: {} }, 'body: expected none for a GET'],
    [
      { method: 'GET', key: { in: 'header', name: 'x-key' }, auth: { field: 'secret' } },
      'auth: expected a header for a GET',
    ],
    [
      { key: { in: 'form', name: 'k' }, body: { a: { b: 1 } } },
      'body: expected strings, numbers or booleans for a form',
    ],
    [
      { key: { in: 'query', name: 'k' } },
      "key.in: 'query' puts keys into access logs; dangerouslyAllowKeyInQuery: true",
    ],
    [{ auth: 'none', serviceToken: TOKEN }, "serviceToken: expected none with auth: 'none'"],
    [{ headers: { Authorization: 'x' } }, 'headers.authorization: expected another header; credentials belong in auth'],
    [{ headers: { 'X-Service-Token': 'x' } }, 'headers.x-service-token: is set by auth or key already'],
    [{ headers: { 'x-a': 'line\nbreak' } }, 'headers: expected header names and printable ASCII'],
    [{ auth: 'basic', key: { in: 'header', name: 'Authorization' } }, 'key.name: expected another header than that of'],
    [{ auth: { field: 'a', header: 'b' } }, 'auth: expected'],
    [{ auth: { header: 'b', other: 'c' } }, 'auth: expected'],
    [{ auth: { header: 'b', prefix: 7 } }, 'auth: expected'],
    [{ auth: 7 }, 'auth: expected'],
    [{ scope: { name: 'a', in: 'b' } }, 'scope: expected'],
    [{ serviceToken: 'line\nbreak' }, 'serviceToken: expected printable ASCII, or a function'],
    [{ accepts: [] }, 'accepts: expected an array of statuses from 200 to 299'],
    [{ accepts: [200, 404] }, 'accepts.1: expected a status from 200 to 299, got 404'],
    [
      { verdict: { ...VERDICT, faults: ['A', ''] } },
      'verdict.faults.1: expected a string that is not empty, got an empty',
    ],
    [{ auth: 'Basic' }, 'got a string of 5 characters, did you mean basic?'],
    [
      { auth: 'bearer' },
      "got a string of 6 characters; for a bearer token, write { header: 'authorization', prefix: 'Bearer ' }",
    ],
    [
      { auth: { header: 'Authorization: Bearer' } },
      'auth.header: expected the name of a header, got a string of 21 characters',
    ],
    [{ auth: { header: 'Authorization: Bearer', prefix: ' ' } }, 'auth.header: expected the name of a header'],
    [{ auth: { header: 7 } }, 'auth.header: expected the name of a header, got 7'],
    [{ auth: { headr: 'x' } }, 'got an object, did you mean header?'],
    [
      { auth: TOKEN },
      "auth: expected 'none', 'basic', { header, prefix? } or { field }, got a string of 24 characters",
    ],
    [{ scope: 'enforce-localy' }, "scope: expected { name } or 'enforce-locally', got a string of 14 characters"],
    [{ rejects: [{ status: 401 }] }, 'rejects.0: a bare 401 may as well mean a wrong serviceToken or verifyUrl'],
    [{ rejects: [{ status: 500, ambiguous: true }] }, 'rejects.0.status: expected a status from 400 to 499'],
    [{ rejects: [{ status: 425, ambiguous: true }] }, 'rejects.0.status: expected a status from 400 to 499'],
    [
      { rejects: [{ status: 404, ambiguos: true }] },
      'rejects.0.ambiguos: there is no such option, did you mean ambiguous',
    ],
    [{ rejects: [7] }, 'rejects.0: expected an object of status and when or ambiguous'],
    [{ verdict: undefined }, 'verdict: expected a function, or an object'],
  ])('such as %o is refused: %s', (definition, issue) => {
    expect(mistakes({ verdict: VERDICT, ...definition })).toEqual([expect.stringContaining(issue)]);
  });

  test.each([undefined, null, 'unkey'])('such as %j is no definition at all', (definition) => {
    expect(mistakes(definition)).toEqual([expect.stringContaining('definition: expected an object')]);
  });

  test('may be one of a preset: its options are checked, too', () => {
    expect(issuesOf(() => introspection({} as never))).toEqual([
      expect.stringMatching(/^tenant: /),
      expect.stringMatching(/^clientId: /),
      expect.stringMatching(/^clientSecret: /),
    ]);
    expect(issuesOf(() => introspection({ tenant: 'org', auth: 'Basic' } as never))).toEqual([
      "auth: expected 'basic', 'post', 'bearer' or 'none', got a string of 5 characters, did you mean basic?",
    ]);
    expect(issuesOf(() => introspection({ auth: 'none', tenant: 'org', tokenTypes: ['Bearer', 7] } as never))).toEqual([
      'tokenTypes.1: expected a string that is not empty, got 7',
    ]);
    expect(issuesOf(() => unkey({ tenant: 'org', ratelimits: [{}, null] } as never))).toEqual([
      'ratelimits.1: expected an object, got null',
    ]);
    expect(issuesOf(() => introspection({ tenant: 'org' } as never))).toEqual([
      "clientId: expected a string that is not empty for auth: 'basic', got undefined",
      "clientSecret: expected a secret for auth: 'basic', got undefined",
    ]);
    expect(issuesOf(() => introspection({ tenant: 'org', auth: 'bearer', clientSecret: TOKEN } as never))).toEqual([
      "clientSecret: expected none for auth: 'bearer'",
    ]);
    expect(issuesOf(() => unkey({ tenant: '' }))).toEqual([expect.stringContaining('tenant: expected a path')]);
  });
});

describe('a verifier with a protocol', () => {
  const protocol = defineProtocol({ auth: 'none', verdict: VERDICT });

  test('needs no service token where the protocol needs none, or brings its own', () => {
    const verifyUrl = 'https://admin.test/verify';
    const own = introspection({ clientId: 'us', clientSecret: TOKEN, tenant: 'org' });
    for (const given of [protocol, own]) {
      expect(issuesOf(() => new KeyVerifier({ verifyUrl, protocol: given }))).toEqual([]);
      expect(issuesOf(() => new KeyVerifier({ verifyUrl, protocol: given, serviceToken: TOKEN }))).toEqual([
        'serviceToken: expected none, since this protocol does not use it',
      ]);
    }
    expect(issuesOf(() => new KeyVerifier({ verifyUrl, protocol: workos() }))).toEqual([
      expect.stringContaining('serviceToken: expected'),
    ]);
  });

  test('needs no URL where the protocol has one', () => {
    expect(issuesOf(() => new KeyVerifier({ protocol: clerk(), serviceToken: TOKEN }))).toEqual([]);
    expect(issuesOf(() => new KeyVerifier({ protocol }))).toEqual([expect.stringContaining('verifyUrl: expected')]);
    const insecure = defineProtocol({ url: 'http://admin.test', auth: 'none', verdict: VERDICT });
    expect(issuesOf(() => new KeyVerifier({ protocol: insecure }))).toEqual([expect.stringContaining('verifyUrl: ')]);
  });

  test('has no scope where the protocol neither sends nor compares it', () => {
    const build = (given: typeof protocol) => () =>
      new KeyVerifier({ verifyUrl: 'https://admin.test/', protocol: given, scope: 'cust-A' });
    expect(issuesOf(build(protocol))).toEqual(['scope: expected none, since this protocol does not use it']);
    expect(issuesOf(build(defineProtocol({ auth: 'none', scope: { name: 's' }, verdict: VERDICT })))).toEqual([]);
    expect(issuesOf(build(defineProtocol({ auth: 'none', scope: 'enforce-locally', verdict: VERDICT })))).toEqual([]);
  });

  test.each([7, null, {}, { encode: () => undefined }])('refuses %o in the place of a protocol', (given) => {
    const options = { verifyUrl: 'https://admin.test/', serviceToken: TOKEN, protocol: given };
    expect(issuesOf(() => new KeyVerifier(options as never))).toEqual([expect.stringContaining('protocol: expected')]);
  });

  test('shows no credentials when the protocol is inspected or serialized', () => {
    const own = introspection({ clientId: 'us', clientSecret: TOKEN, tenant: 'org', auth: 'post' });
    for (const shown of [inspect(own, { depth: 9, showHidden: true }), JSON.stringify(own), JSON.stringify({ own })])
      expect(shown).not.toContain(TOKEN);
  });
});
