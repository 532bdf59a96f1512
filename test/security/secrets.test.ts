import { inspect } from 'node:util';

import { describe, expect, onTestFinished, test } from 'vitest';

import { InvalidOptionsError, KeyVerifier, type KeyVerifierOptions } from 'keyverify';
import { startKeyServer, type Fault } from 'keyverify/testing';

import { ACME, rig } from '../helpers/rig.js';

/** Quotes, backslashes, percent signs: what JSON and URLs spell in another way. */
const KEY = 'sk-canary"\\%/key+ü-0123456789';
const TOKEN = 'token-canary"\\%/+0123456789';

/** A secret as it may show up: as it is, and as JSON, URLs, base64 and inspection spell it. */
const spellings = (secret: string): string[] => [
  secret,
  JSON.stringify(secret).slice(1, -1),
  JSON.stringify(JSON.stringify(secret).slice(1, -1)).slice(1, -1),
  encodeURIComponent(secret),
  inspect(secret).slice(1, -1),
  Buffer.from(secret).toString('base64'),
  Buffer.from(secret).toString('hex'),
];
const CANARIES = [...spellings(KEY), ...spellings(TOKEN)];

/** Every way in which a thing may be shown. */
function shown(thing: unknown): string[] {
  const texts = [inspect(thing, { depth: Infinity, showHidden: true, getters: true }), String(thing)];
  texts.push(JSON.stringify(thing, (_, value: unknown) => (value instanceof Error ? ownOf(value) : value)));
  for (let error = thing; error instanceof Error; error = error.cause)
    texts.push(error.message, error.stack ?? '', error.name, inspect(ownOf(error)));
  return texts;
}
const ownOf = (error: Error): object =>
  Object.fromEntries(Object.getOwnPropertyNames(error).map((name) => [name, Reflect.get(error, name)]));

function expectNoCanary(things: readonly unknown[]): void {
  expect(things.length).toBeGreaterThan(0);
  for (const text of things.filter((thing) => thing !== undefined).flatMap(shown))
    for (const canary of CANARIES) expect(text).not.toContain(canary);
}

/** A verifier that reports everything to `seen`. */
function reporting(seen: unknown[], options: KeyVerifierOptions<boolean>): KeyVerifier<boolean> {
  const see = (what: unknown): number => seen.push(what);
  const observer = {
    onVerdict: see,
    onFailure: see,
    onStale: see,
    onFailOpen: see,
    onBreaker: see,
    onControl: see,
    onInvalidate: see,
  };
  return new KeyVerifier({
    serviceToken: TOKEN,
    observers: [observer],
    logger: { warn: see },
    retries: 0,
    breaker: { failureThreshold: 1, openMs: 1 },
    ...options,
  });
}

const json = { 'content-type': 'application/json' };
const FAULTS: readonly (readonly [string, Fault | undefined])[] = [
  ['nothing', undefined],
  ['a broken echo', { kind: 'raw', status: 200, headers: json, body: `{"you sent": ${JSON.stringify(KEY)}, ${TOKEN}` }],
  [
    'an echo in the claims',
    {
      kind: 'raw',
      status: 200,
      headers: json,
      body: JSON.stringify({ valid: true, client: 'c', tenant: 't', deep: [{ [KEY]: TOKEN, k: `<${KEY}>` }] }),
    },
  ],
  [
    'an echo in client',
    { kind: 'raw', status: 200, headers: json, body: JSON.stringify({ valid: true, client: KEY, tenant: TOKEN }) },
  ],
  [
    'an echo in reason',
    { kind: 'raw', status: 200, headers: json, body: JSON.stringify({ valid: false, reason: `no ${KEY}` }) },
  ],
  ['an echo in an error page', { kind: 'raw', status: 500, headers: json, body: `${KEY} ${TOKEN}` }],
  [
    'a redirect that tells',
    { kind: 'redirect', location: `/?k=${encodeURIComponent(KEY)}&t=${encodeURIComponent(TOKEN)}` },
  ],
  ['401', { kind: 'status', status: 401 }],
  ['a reset', { kind: 'reset-before-headers' }],
  ['a hang', { kind: 'hang' }],
];

test.each(FAULTS)('neither key nor token is in anything that is reported of %s', async (_name, fault) => {
  const server = await startKeyServer({ keys: { [KEY]: ACME }, serviceTokens: [TOKEN] });
  const seen: unknown[] = [];
  const verifier = reporting(seen, { verifyUrl: server.verifyUrl, failOpen: true, timeoutMs: 200 });
  onTestFinished(async () => {
    await server.close();
    await verifier.close();
  });
  if (fault !== undefined) server.injectFault(fault);
  seen.push(await verifier.verify(KEY), await verifier.verify(KEY, { maxAgeMs: 0, failOpen: false }));
  verifier.invalidate({ key: KEY });
  seen.push(verifier, verifier.stats(), verifier.peek(KEY));
  expectNoCanary(seen);
});

describe('neither is in what is reported of', () => {
  test.each([
    ['a transport that quotes them', { message: `POST ${KEY} ${TOKEN} failed`, code: TOKEN, name: KEY }],
    ['one that quotes them as JSON', { message: `body was ${JSON.stringify({ KEY, TOKEN })}` }],
    ['one that quotes them as a URL', { message: encodeURIComponent(`${KEY} ${TOKEN}`) }],
  ])('%s', async (_name, told) => {
    const { clock } = await rig();
    const error = Object.assign(new Error('outside', { cause: Object.assign(new Error(KEY), told) }), told, {
      KEY,
      TOKEN,
    });
    const transport = { send: () => ({ response: Promise.reject(error), abort: () => undefined }) };
    const seen: unknown[] = [];
    const verifier = reporting(seen, { verifyUrl: 'http://localhost/', transport, clock });
    seen.push(await verifier.verify(KEY));
    expectNoCanary(seen);
  });

  test('a schema that throws what it was given', async () => {
    const { server, build } = await rig({ [KEY]: { ...ACME, claims: { plan: 'pro' } } });
    const validate = (): never => {
      throw new TypeError(`${KEY} is not to my liking`);
    };
    const claims = { '~standard': { version: 1, vendor: 'test', validate } } as const;
    const result = await build({ claims, retries: 0 }).verify(KEY);
    expect(server.counts.requests).toBe(1);
    expectNoCanary([result]);
  });

  test('a serviceToken() that fails, and one that gives what cannot be sent', async () => {
    const seen: unknown[] = [];
    const fails = (): never => {
      throw new Error(`vault refused ${KEY}`);
    };
    for (const serviceToken of [fails, () => `${TOKEN}\n`])
      seen.push(await reporting(seen, { verifyUrl: 'http://localhost:9/', serviceToken }).verify(KEY));
    expectNoCanary(seen);
  });

  test('options that were mixed up', () => {
    const mixedUp = {
      verifyUrl: `https://${encodeURIComponent(TOKEN)}@host/`,
      scope: 7,
      cacheTtlMs: TOKEN,
      logger: TOKEN,
    };
    const build = (): unknown =>
      new KeyVerifier({ ...mixedUp, serviceToken: `${TOKEN}\n` } as unknown as KeyVerifierOptions);
    const thrown: unknown[] = [];
    try {
      build();
    } catch (error) {
      thrown.push(error);
    }
    expect(thrown[0]).toBeInstanceOf(InvalidOptionsError);
    expectNoCanary(thrown);
  });
});
