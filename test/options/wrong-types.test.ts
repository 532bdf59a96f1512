import { describe, expect, test } from 'vitest';

import { InvalidOptionsError, KeyVerifier } from 'keyverify';
import { createGuard } from 'keyverify/guard';
import { apiKeyAuth as forMcp } from 'keyverify/mcp';
import { clerk, defineProtocol, introspection, unkey } from 'keyverify/protocols';
import { stubVerifier } from 'keyverify/testing';

/** What comes in place of an option where nothing compiles: out of the environment, a YAML file, or a slip. */
const VALUES: Readonly<Record<string, unknown>> = {
  null: null,
  zero: 0,
  negative: -1,
  fraction: 1.5,
  NaN,
  Infinity,
  empty: '',
  text: 'x',
  'false as text': 'false',
  true: true,
  false: false,
  list: [],
  'list of numbers': [1],
  object: {},
  function: () => 1,
  symbol: Symbol('x'),
  bigint: 1n,
  date: new Date(),
  'global RegExp': /x/g,
  map: new Map([['x', 'y']]),
  headers: new Headers({ x: 'y' }),
  promise: Promise.resolve('x'),
  cycle: cycle(),
};

function cycle(): object {
  const made: Record<string, unknown> = {};
  made['self'] = made;
  return made;
}

const texts = ['text', 'false as text'];
const flags = ['true', 'false'];
const picks = [...texts, 'function'];
const positive = ['fraction'];
const durations = [...positive, 'zero'];

/** The values that an option takes; it has to refuse all the others by its name. */
type Options = Readonly<Record<string, readonly string[]>>;

const guard: Options = {
  optional: flags,
  failOpen: flags,
  maxAgeMs: [...durations, 'Infinity'],
  authorize: ['function'],
  keySources: [],
  realm: [...texts, 'empty'],
  onDenied: ['function'],
};
const definition: Options = {
  name: texts,
  url: [],
  method: [],
  auth: [],
  serviceToken: picks,
  key: [],
  dangerouslyAllowKeyInQuery: flags,
  scope: [],
  headers: ['object'],
  body: ['object'],
  sign: ['function'],
  admits: ['function'],
  ignoreCacheControl: flags,
  accepts: [],
  rejects: ['list'],
  verdict: ['function'],
};
const verdict: Options = {
  flag: picks,
  client: picks,
  tenant: picks,
  keyId: picks,
  expires: [],
  reason: picks,
  reasons: ['object'],
  faults: ['list'],
  claims: picks,
};

const VERDICT = { flag: 'ok', client: 'id', tenant: 'org', reason: 'code' };
const secret = { clientId: 'us', clientSecret: 'secret' };

const SUBJECTS: readonly (readonly [string, (options: object) => unknown, Options])[] = [
  [
    'a verifier',
    (options) =>
      new KeyVerifier({ verifyUrl: 'https://keys.test/', serviceToken: 'token', logger: false, ...options }).stats(),
    {
      verifyUrl: [],
      serviceToken: picks,
      scope: texts,
      protocol: [],
      fetch: ['function'],
      dispatcher: ['function'],
      transport: [],
      cacheTtlMs: positive,
      rejectedTtlMs: positive,
      staleIfErrorMs: durations,
      refreshAheadRatio: [],
      maxEntries: [],
      maxRejectedEntries: [],
      timeoutMs: positive,
      retries: ['zero'],
      maxConcurrency: [],
      breaker: ['false', 'object', 'date', 'global RegExp', 'map', 'promise'],
      failOpen: flags,
      keyFormat: [],
      controlKey: [],
      claims: [],
      allowInsecureHttp: flags,
      dangerouslyAllowBrowser: flags,
      sharedCache: [],
      sharedTimeoutMs: positive,
      sharedNamespace: texts,
      revocations: ['list'],
      degradedTtlMs: positive,
      observers: ['list'],
      logger: ['false'],
      clock: [],
      random: ['function'],
    },
  ],
  ['a guard', (options) => createGuard(stubVerifier(), options), guard],
  [
    'MCP',
    (options) => forMcp(stubVerifier(), options),
    { maxAgeMs: guard['maxAgeMs'] ?? [], authorize: ['function'], onDenied: ['function'], scopes: ['function'] },
  ],
  ['a definition', (options) => defineProtocol({ verdict: VERDICT, ...options }), definition],
  ['its verdict', (options) => defineProtocol({ verdict: { ...VERDICT, ...options } }), verdict],
  [
    'its key',
    (options) => defineProtocol({ verdict: VERDICT, key: { in: 'json', name: 'key', ...options } }),
    { in: [], name: texts, prefix: texts, as: [] },
  ],
  [
    'a rule of it',
    (options) => defineProtocol({ verdict: VERDICT, rejects: [{ status: 401, ambiguous: true, ...options }] }),
    { status: [], when: ['function'], ambiguous: ['true'], reason: texts },
  ],
  [
    'introspection()',
    (options) => introspection({ tenant: 'org', ...secret, ...options }),
    {
      tenant: picks,
      clientId: texts,
      clientSecret: picks,
      auth: [],
      audience: texts,
      ignoreCacheControl: flags,
      tokenTypeHint: texts,
    },
  ],
  [
    'unkey()',
    (options) => unkey({ tenant: 'org', ...options }),
    { tenant: picks, client: picks, permissions: texts, tags: ['list'], credits: [], ratelimits: ['list'] },
  ],
  ['clerk()', (options) => clerk(options), { tenant: picks }],
];

/** What is said of options: `undefined` if they are taken. Anything but an `InvalidOptionsError` is a failed test. */
function complaint(build: () => unknown): string | undefined {
  try {
    build();
    return undefined;
  } catch (error) {
    expect(error).toBeInstanceOf(InvalidOptionsError);
    return (error as Error).message;
  }
}

describe.each(SUBJECTS)('the options of %s', (_, build, options) => {
  test.each(Object.entries(options))('take for %s nothing but what it may be', (option, taken) => {
    const refused = Object.keys(VALUES).filter(
      (name) => complaint(() => build({ [option]: VALUES[name] })) !== undefined,
    );
    expect(Object.keys(VALUES).filter((name) => !refused.includes(name))).toEqual(
      Object.keys(VALUES).filter((name) => taken.includes(name)),
    );
    for (const name of refused)
      expect(
        complaint(() => build({ [option]: VALUES[name] })),
        name,
      ).toMatch(new RegExp(`- (\\S+\\.)?${option}[.: ]`));
  });

  test('may be undefined where there is a default, and are refused by name if misspelled', () => {
    for (const option of Object.keys(options)) {
      const said = complaint(() => build({ [option]: undefined }));
      if (said !== undefined) expect(said, option).toMatch(new RegExp(`${option}: |- verdict: expected`));
      const misspelled = `${option}z`;
      expect(complaint(() => build({ [misspelled]: 1 }))).toContain(`${misspelled}: there is no such option`);
    }
  });
});

test.each<[string, (options: never) => unknown]>([
  ['a verifier', (options) => new KeyVerifier(options)],
  ['a guard', (options) => createGuard(stubVerifier(), options)],
  ['MCP', (options) => forMcp(stubVerifier(), options)],
  ['a definition', (options) => defineProtocol(options)],
  ['introspection()', (options) => introspection(options)],
  ['unkey()', (options) => unkey(options)],
  ['clerk()', (options) => clerk(options)],
])('%s wants an object for its options', (_, build) => {
  for (const value of [null, 1, 'x', true])
    expect(
      complaint(() => build(value as never)),
      JSON.stringify(value),
    ).toMatch(/expected (?:an object|a function)/);
});
