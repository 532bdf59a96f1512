import { expect, test } from 'vitest';

import { clerk, defineProtocol, introspection, unkey, workos, type ProtocolDefinition } from 'keyverify/protocols';

import { decodeResponse } from '../../src/protocol/decode.js';
import type { WireProtocol } from '../../src/protocol/protocol.js';
import type { WireResponse } from '../../src/transport/transport.js';
import { Chance } from '../helpers/chance.js';
import { DATES, echo, FIELDS, formsOf, hostileResponse, readableJson, texts, value } from '../helpers/hostile.js';

/** With the default protocol's fuzz test, `KEYVERIFY_FUZZ_RUNS=50000` makes 100 000. */
const RUNS = Number(process.env['KEYVERIFY_FUZZ_RUNS'] ?? 10_000);
const SEED = Number(process.env['KEYVERIFY_FUZZ_SEED'] ?? Date.now() % 2 ** 31);

const NOW = Date.parse('2026-01-01T00:00:00Z');
const TOKEN = 'service:token-0123456789!~';
const KEYS = ['sk-good-0123456789abcdef', 'sk/"odd" \\ key+&%=!~\u{1f511}é'];

/** A protocol with a good answer of it, and whether JSON may verify a key: told by none of the code that is tested. */
interface Subject {
  readonly name: string;
  readonly protocol: WireProtocol;
  readonly good: object;
  readonly bad: object;
  readonly status?: number;
  readonly mayVerify: (at: (path: string) => unknown) => boolean;
}

const isName = (it: unknown): boolean => typeof it === 'string' && it.length > 0;
const isNameOrNothing = (it: unknown): boolean => (it ?? undefined) === undefined || isName(it);
const isAhead = (it: unknown, factor: number): boolean => {
  if ((it ?? undefined) === undefined) return true;
  const ms = typeof it === 'number' ? it * factor : factor === 1 ? NaN : Date.parse(String(it));
  return ms > NOW && ms < Date.UTC(10_000, 0);
};

const PRESETS: readonly Subject[] = [
  {
    name: 'introspection',
    protocol: introspection({ clientId: 'us', clientSecret: TOKEN, tenant: 'org_id', audience: 'api' }),
    good: {
      active: true,
      client_id: 'acme',
      sub: 'user',
      org_id: 'cust-A',
      jti: 'k-1',
      exp: 1_800_000_000,
      aud: ['api'],
      nbf: 5,
    },
    bad: { active: false },
    mayVerify: (at) =>
      at('active') === true &&
      isName(at('client_id') ?? at('sub')) &&
      isName(at('org_id')) &&
      isNameOrNothing(at('jti')) &&
      isAhead(at('exp'), 1_000) &&
      Number(at('nbf') ?? 0) * 1_000 <= NOW &&
      (at('aud') === 'api' || (Array.isArray(at('aud')) && (at('aud') as unknown[]).includes('api'))),
  },
  {
    name: 'unkey',
    protocol: unkey({ tenant: 'data.meta.tenant' }),
    good: {
      meta: { requestId: 'req' },
      data: {
        valid: true,
        code: 'VALID',
        keyId: 'k-1',
        meta: { tenant: 'cust-A' },
        identity: { externalId: 'acme' },
        expires: 1_800_000_000_000,
      },
    },
    bad: { meta: {}, data: { valid: false, code: 'EXPIRED', keyId: 'k-1' } },
    mayVerify: (at) =>
      at('data.valid') === true &&
      at('data.code') === 'VALID' &&
      isName(at('data.identity.externalId')) &&
      isName(at('data.meta.tenant')) &&
      isNameOrNothing(at('data.keyId')) &&
      (at('data.expires') === undefined || at('data.expires') === null || isAhead(at('data.expires'), 1)),
  },
  {
    name: 'workos',
    protocol: workos(),
    good: {
      api_key: {
        id: 'k-1',
        name: 'one',
        owner: { type: 'user', id: 'acme', organization_id: 'cust-A' },
        expires_at: '2027-01-01T00:00:00Z',
      },
    },
    bad: { api_key: null },
    mayVerify: (at) =>
      isName(at('api_key.owner.id')) &&
      isName(
        at('api_key.owner.type') === 'organization' ? at('api_key.owner.id') : at('api_key.owner.organization_id'),
      ) &&
      isNameOrNothing(at('api_key.id')) &&
      (typeof at('api_key.expires_at') === 'string'
        ? isAhead(at('api_key.expires_at'), 0)
        : (at('api_key.expires_at') ?? undefined) === undefined),
  },
  {
    name: 'clerk',
    protocol: clerk(),
    good: {
      id: 'k-1',
      subject: 'acme',
      scopes: [],
      claims: { plan: 'pro' },
      revoked: false,
      expired: false,
      expiration: 1_800_000_000_000,
    },
    bad: { id: 'k-1', subject: 'acme', revoked: true, expired: false },
    mayVerify: (at) =>
      at('revoked') === false &&
      at('expired') === false &&
      isName(at('subject')) &&
      isNameOrNothing(at('id')) &&
      isAhead(at('expiration'), 1),
  },
];

const PATHS = [
  'ok',
  'valid',
  'data.valid',
  'data.owner.id',
  'owner',
  'a.b.c.d',
  '__proto__.x',
  'constructor',
  'key.id',
  'end',
  'error.code',
];

/** A definition of the rarer kinds, at random, and a good answer of it. */
function randomSubject(chance: Chance): Subject {
  const path = (): string => `${chance.of(PATHS)}${chance.in(2) ? '' : String(chance.below(3))}`;
  const places = { flag: path(), client: path(), tenant: path(), keyId: path(), end: path(), reason: path() };
  const unit = chance.of(['iso', 's', 'ms', 'iso-or-s'] as const);
  const isIdentity = chance.in(3);
  const status = chance.of([200, 201]);
  const definition: ProtocolDefinition = {
    accepts: [status],
    auth: chance.of([
      'none',
      'basic',
      { header: 'x-internal-secret' },
      { header: 'authorization', prefix: 'Bearer ' },
      { field: 'secret' },
    ] as const),
    key: {
      in: chance.of(['json', 'form', 'header'] as const),
      name: 'x-key',
      as: chance.of(['plain', 'sha256-hex'] as const),
    },
    rejects: [
      { status: 401, ambiguous: true },
      { status: 404, when: (json) => (json as { code: { text: string } }).code.text === 'unknown' },
      { status: 429, when: () => chance.in(2) },
    ],
    verdict: {
      ...(isIdentity ? { identity: places.flag } : { flag: places.flag }),
      client: places.client,
      tenant: places.tenant,
      keyId: places.keyId,
      expires: { at: places.end, unit },
      reason: places.reason,
      faults: ['boom'],
      claims: chance.of(['.', 'data', places.flag]),
    },
  };
  const ends = { iso: '2027-01-01T00:00:00Z', s: 1_800_000_000, ms: 1_800_000_000_000, 'iso-or-s': 1_800_000_000 };
  let good = {};
  const set = (at: string, it: unknown): void => {
    good = withValue(good, at.split('.'), it);
  };
  set(places.reason, 'revoked');
  set(places.end, ends[unit]);
  set(places.keyId, 'k-1');
  set(places.flag, isIdentity ? { name: 'one' } : true);
  set(places.tenant, 'cust-A');
  set(places.client, 'acme');
  const isEnd = (it: unknown): boolean => {
    if ((it ?? undefined) === undefined) return true;
    if (typeof it === 'string') return unit.startsWith('iso') && isAhead(it, 0);
    return unit !== 'iso' && isAhead(it, unit === 'ms' ? 1 : 1_000);
  };
  return {
    name: JSON.stringify(definition),
    protocol: defineProtocol(definition),
    good,
    bad: withValue({}, places.flag.split('.'), isIdentity ? null : false),
    status,
    mayVerify: (at) =>
      (isIdentity ? typeof at(places.flag) === 'object' && at(places.flag) !== null : at(places.flag) === true) &&
      isName(at(places.client)) &&
      isName(at(places.tenant)) &&
      isNameOrNothing(at(places.keyId)) &&
      isEnd(at(places.end)),
  };
}

function withValue(tree: object, [name = '', ...rest]: readonly string[], it: unknown): object {
  const there: unknown = Object.hasOwn(tree, name) ? Reflect.get(tree, name) : undefined;
  const inner = typeof there === 'object' && there !== null ? there : {};
  // As JSON.parse does it: `__proto__` is a field like any other.
  return Object.fromEntries([...Object.entries(tree), [name, rest.length === 0 ? it : withValue(inner, rest, it)]]);
}

/** Finds the value at a path, as JSON has it. */
const finder = (json: object) => (path: string) =>
  path.split('.').reduce<unknown>((node, name) => {
    const fields =
      typeof node === 'object' && node !== null ? new Map<string, unknown>(Object.entries(node)) : undefined;
    return fields?.get(name);
  }, json);

/** The good answer, with some of its values changed, dropped or added to. */
function mutated(good: object, chance: Chance, secrets: readonly string[]): string {
  const odd = (): unknown =>
    chance.of<unknown>([true, false, null, chance.of(DATES), value(chance, secrets), echo(chance.of(secrets), chance)]);
  const mutate = (node: unknown): unknown => {
    if (chance.in(12)) return odd();
    if (typeof node !== 'object' || node === null || Array.isArray(node)) return node;
    const fields = Object.entries(node)
      .filter(() => !chance.in(16))
      .map(([name, it]): [string, unknown] => [name, mutate(it)]);
    if (chance.in(4)) fields.push([chance.of(FIELDS), odd()]);
    if (chance.in(8)) fields.push([echo(chance.of(secrets), chance), 1]);
    return Object.fromEntries(fields);
  };
  return JSON.stringify(chance.in(3) ? good : mutate(good));
}

async function secretsOf(protocol: WireProtocol, key: string): Promise<readonly string[]> {
  const request = await protocol.encode({ url: 'https://admin.test/verify', key, token: TOKEN, scope: undefined });
  return [key, TOKEN, ...(request.secrets ?? [])];
}

test(
  `${RUNS} random and mutated responses are decoded by presets and random definitions without a throw, a wrong valid or a secret`,
  { timeout: 60_000 + RUNS },
  async () => {
    const tally = new Map<string, number>();
    for (let run = 0; run < RUNS; run++) {
      const chance = new Chance(SEED + run);
      const preset = PRESETS[chance.below(2 * PRESETS.length)];
      const { name, protocol, good, bad, status = 200, mayVerify } = preset ?? randomSubject(chance);
      const secrets = await secretsOf(protocol, chance.of(KEYS));
      const written = hostileResponse(chance, secrets, () => mutated(chance.in(4) ? bad : good, chance, secrets));
      const given: WireResponse = { ...written, status: written.status === 200 ? status : written.status };
      const which = (): string =>
        `KEYVERIFY_FUZZ_SEED=${SEED + run} KEYVERIFY_FUZZ_RUNS=1, ${name}, status ${given.status}: ${Buffer.from(given.body).toString().slice(0, 900)}`;
      let decoded: ReturnType<typeof decodeResponse>;
      try {
        decoded = decodeResponse(protocol, given, { secrets, askedAt: NOW, scope: undefined });
      } catch (error) {
        throw new Error(`it threw, ${which()}`, { cause: error });
      }
      const forms = secrets.flatMap(formsOf);
      for (const text of texts(decoded))
        if (forms.some((form) => text.includes(form)))
          expect.fail(`a secret is in ${JSON.stringify(text)}, ${which()}`);
      const outcome = 'failure' in decoded ? 'failed' : decoded.kind;
      const subject = preset === undefined ? 'random' : name;
      tally.set(`${subject} ${outcome}`, (tally.get(`${subject} ${outcome}`) ?? 0) + 1);
      if (
        outcome !== 'failed' &&
        !(given.status >= 200 && given.status < 300) &&
        !(given.status >= 400 && given.status < 500)
      )
        expect.fail(`a verdict by its status, ${which()}`);
      const json = readableJson(given, status);
      if (outcome === 'verified' && (json === undefined || !mayVerify(finder(json))))
        expect.fail(`a wrong valid, ${which()}`);
      if (Object.keys(Object.prototype).length > 0) expect.fail(`a prototype was changed, ${which()}`);
    }
    // Each of them has verified, rejected and failed: otherwise nothing would have been tried.
    if (RUNS >= 10_000)
      for (const subject of [...PRESETS.map(({ name }) => name), 'random'])
        for (const outcome of ['verified', 'rejected', 'failed'])
          expect(tally.get(`${subject} ${outcome}`) ?? 0, `${subject} ${outcome}`).toBeGreaterThan(RUNS / 500);
  },
);
