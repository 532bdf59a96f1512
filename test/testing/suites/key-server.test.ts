import { createHash } from 'node:crypto';

import { afterAll, beforeEach, describe, expect, it, test } from 'vitest';

import { keyServerCases, startKeyServer, type Fault, type KeyServer } from 'keyverify/testing';

import { failing } from './run.js';

const KEY = 'sk-good-0123456789';
const TOKEN = 'token-0123456789';
const OFF = 'sk-off-0123456789';
const KNOWN = [KEY, OFF].map((key) => createHash('sha256').update(key).digest('hex'));
const JSON_TYPE = { 'content-type': 'application/json' };

const server = await startKeyServer({
  serviceTokens: [TOKEN],
  keys: {
    [KEY]: { client: 'acme', tenant: 'cust-A', expiresAt: 4e12, claims: { plan: 'pro' } },
    [OFF]: { client: 'acme', tenant: 'cust-A', reason: 'disabled' },
  },
});
afterAll(async () => await server.close());
beforeEach(() => server.clearFaults());

const subject = { verifyUrl: server.verifyUrl, serviceToken: TOKEN, key: KEY, scope: 'cust-A', otherScope: 'cust-B' };

describe('the embedded key server', () => {
  test.each(keyServerCases({ ...subject, rejectedKeys: { [OFF]: 'disabled' } }))(
    '$name',
    async ({ run }) => await run(),
  );

  it('need have no rejected keys, but the case that needs them says so', async () => {
    const cases = keyServerCases(subject);
    expect(await failing(cases)).toEqual([]);
    expect(cases.filter(({ name }) => name.includes('not tested')).map(({ name }) => name)).toEqual([
      'rejects each key of rejectedKeys for its reason (not tested, since there are no rejectedKeys)',
    ]);
  });
});

describe('the suite for key servers', () => {
  const json = (value: unknown, status = 200): Fault => ({
    kind: 'raw',
    status,
    headers: JSON_TYPE,
    body: JSON.stringify(value),
  });
  const GOOD = { valid: true, client: 'acme', tenant: 'cust-A' };
  const all = keyServerCases({ ...subject, rejectedKeys: { [OFF]: 'disabled' } });
  const matching = (names: readonly RegExp[]): unknown[] => names.map((name): unknown => expect.stringMatching(name));

  it.each<[string, Parameters<KeyServer['injectFault']>[0], RegExp[]]>([
    [
      'verifies everything',
      json(GOOD),
      [/another scope/, /rejectedKeys/, /unknown key as/, /odd/, /token/, /malformed/, /many/],
    ],
    [
      'rejects everything',
      json({ valid: false, reason: 'unknown_key' }),
      [/valid key without/, /another/, /rejectedKeys/, /token/, /malformed/, /many/],
    ],
    [
      'answers an unknown key with a 404',
      ({ fingerprint = '' }) => (KNOWN.includes(fingerprint) ? undefined : { kind: 'status', status: 404 }),
      [/unknown key as/, /odd/, /many/],
    ],
    ['redirects', { kind: 'redirect', location: server.verifyUrl }, all.map(() => /./)],
    ['sends too much', { kind: 'huge-body', bytes: 65_536 }, all.map(() => /./)],
    ['sends HTML', { kind: 'html' }, all.map(() => /./)],
    ['forgets the tenant', json({ valid: true, client: 'acme' }), all.map(() => /./)],
    ['does not check the scope', ({ scope }) => (scope === 'cust-B' ? json(GOOD) : undefined), [/another scope/]],
    [
      'breaks at a malformed body',
      ({ fingerprint }) => (fingerprint === undefined ? { kind: 'status', status: 500 } : undefined),
      [/malformed/],
    ],
    ['does not look at the token', ({ tokenAccepted }) => (tokenAccepted ? undefined : json(GOOD)), [/token/]],
    [
      'refuses the token with a 404',
      ({ tokenAccepted }) => (tokenAccepted ? undefined : { kind: 'status', status: 404 }),
      [/token/],
    ],
    ['repeats the key', json({ ...GOOD, key: KEY }), all.map(() => /./)],
    ['repeats the token', json({ ...GOOD, token: TOKEN }), all.map(() => /./)],
    [
      'encodes its response',
      { kind: 'raw', status: 200, headers: { ...JSON_TYPE, 'content-encoding': 'br' }, body: '' },
      all.map(() => /./),
    ],
  ])('fails a key server that %s', async (_, fault, names) => {
    server.injectFault(fault);
    expect(await failing(all)).toEqual(matching(names));
  });

  const messageOf = async (name: RegExp): Promise<unknown> =>
    await all
      .find((one) => name.test(one.name))
      ?.run()
      .catch((error: unknown) => error);

  it('says which body broke the connection, and how', async () => {
    // No key was read from a malformed body; the first of these is empty.
    server.injectFault(({ fingerprint }) => (fingerprint === undefined ? { kind: 'reset-before-headers' } : undefined));
    expect(await messageOf(/malformed/)).toMatchObject({
      message: expect.stringMatching(
        /^the connection failed, without a whole response to an empty body: (?!fetch failed)/,
      ) as string,
      cause: { code: expect.stringMatching(/^(?:ECONNRESET|UND_ERR_SOCKET)$/) as string },
    });
    let malformed = 0;
    server.injectFault(({ fingerprint }) =>
      fingerprint === undefined && ++malformed > 2 ? { kind: 'close-mid-body' } : undefined,
    );
    expect(await messageOf(/malformed/)).toMatchObject({
      message: expect.stringContaining('without a whole response to the body null: ') as string,
    });
  });

  it('says which odd key was answered in which way, and no key of the caller', async () => {
    server.injectFault(json(GOOD));
    expect(await messageOf(/odd/)).toMatchObject({
      message: expect.stringContaining(
        'expected unknown_key for the key "xxxxxxxxxxxxxxxxxxxx", got verified',
      ) as string,
    });
    server.injectFault({ kind: 'reset-before-headers' });
    expect(await messageOf(/rejectedKeys/)).toMatchObject({
      message: expect.stringContaining('response to a request of the contract: ') as string,
    });
  });
});
