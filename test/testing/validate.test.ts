import { expect, onTestFinished, test } from 'vitest';

import { InvalidOptionsError } from 'keyverify';
import { defineProtocol, workos } from 'keyverify/protocols';
import { sseRevocations } from 'keyverify/sse';
import {
  keyServerCases,
  memoryFleet,
  startKeyServer,
  stubVerifier,
  testClock,
  type Fault,
  type KeyServerOptions,
} from 'keyverify/testing';

import { checkFault } from '../../src/testing/validate-fault.js';

const ACME = { client: 'acme', tenant: 'cust-A' };

async function server() {
  const started = await startKeyServer({ keys: { 'sk-1': ACME } });
  onTestFinished(async () => await started.close());
  return started;
}

const refused = (...issues: string[]) => new InvalidOptionsError(issues);
const KINDS =
  'kind: expected one of hang, delay, reset-before-headers, reset-after-headers, close-mid-body, drip, status, redirect, ' +
  'html, truncated-json, wrong-shape, huge-body, wrong-content-type, raw';

test.each<[unknown, string]>([
  [{ kind: 'hangs' }, `${KINDS}, got a string of 5 characters, did you mean hang?`],
  [{ kind: 'toString' }, `${KINDS}, got a string of 8 characters`],
  [{ kind: 'timeout' }, `${KINDS}, got a string of 7 characters, did you mean hang?`],
  [{ kind: 'server_error' }, `${KINDS}, got a string of 12 characters, did you mean status?`],
  [{ kind: 503 }, `${KINDS}, got 503`],
  [{}, `${KINDS}, got undefined`],
  [null, 'fault: expected an object, got null'],
  ['hang', "fault: expected an object, got a string of 4 characters: write { kind: 'hang' }"],
  ['hung', 'fault: expected an object, got a string of 4 characters'],
  [{ kind: 'hang', ms: 5 }, 'ms: there is no such option'],
  [{ kind: 'delay' }, 'ms: expected a number of milliseconds, 0 or more, got undefined'],
  [{ kind: 'status', status: 99 }, 'status: expected a status, 200 to 599, got 99'],
  [
    { kind: 'status', status: 503, retryAfter: {} },
    'retryAfter: expected a number of seconds, or an HTTP date, got an object',
  ],
  [{ kind: 'huge-body', bytes: -1 }, 'bytes: expected a number of bytes, got -1'],
  [{ kind: 'raw', status: 200, body: 1 }, 'body: expected a string, or a Uint8Array, got 1'],
])('%j is no fault', async (fault, issue) => {
  const keyServer = await server();
  expect(() => keyServer.injectFault(fault as Fault)).toThrow(refused(issue));
});

test.each<Fault>([
  { kind: 'drip' },
  { kind: 'status', status: 503, retryAfter: 'Thu, 01 Jan 2026 00:00:00 GMT' },
  { kind: 'status', status: 429, retryAfter: 1 },
  { kind: 'raw', status: 200, headers: {}, body: new Uint8Array(1) },
  { kind: 'raw', status: 200, body: '' },
])('%j is a fault', (fault) => {
  expect(() => checkFault(fault)).not.toThrow();
});

test('a fault is injected some times, not at some time', async () => {
  const keyServer = await server();
  expect(() => keyServer.injectFault({ kind: 'hang' }, { time: 1 } as object)).toThrow(
    refused('time: there is no such option, did you mean times?'),
  );
  for (const times of [-1, 0, 1.5, NaN])
    expect(() => keyServer.injectFault({ kind: 'hang' }, { times })).toThrow(
      refused(`times: expected a number of requests, 1 or more, got ${times}`),
    );
  for (const times of [1, Infinity]) expect(() => keyServer.injectFault({ kind: 'hang' }, { times })).not.toThrow();
});

const SELECT =
  'select: expected an object of exactly one of fingerprint, keyId, client and tenant, with a string, or { all: true }';

test.each<[unknown, ...string[]]>([
  [undefined, 'revocation: expected an object, got undefined'],
  [{ type: 'revoke' }, `type: expected 'revoked' or 'changed', got "revoke"`, `${SELECT}, got undefined`],
  [{ type: 'revoked', select: { key: 'sk-1' } }, `${SELECT}, got an object`],
  [{ type: 'revoked', select: { all: true, client: 'acme' } }, `${SELECT}, got an object`],
  [
    { type: 'revoked', select: { all: true }, at: 'now' },
    'at: expected epoch milliseconds, got a string of 3 characters',
  ],
  [{ type: 'revoked', select: { all: true }, scopes: 'a' }, 'scopes: there is no such option, did you mean scope?'],
])('%j is no revocation', async (revocation, ...issues) => {
  const keyServer = await server();
  expect(() => keyServer.publish(revocation as never)).toThrow(refused(...issues));
  await expect(memoryFleet().revocations.publish(revocation as never)).rejects.toEqual(refused(...issues));
});

test('a revocation is published with all that may be in it', async () => {
  const keyServer = await server();
  expect(() => keyServer.publish({ type: 'changed', select: { all: true }, scope: 'cust-A', at: 1 })).not.toThrow();
});

const PROTOCOL = 'protocol: expected what defineProtocol() or a preset returns, such as workos()';
const PUBLISHER = 'publishTo: expected a source of revocations with publish(), such as redisRevocations()';

test.each<[object, string]>([
  [{ serviceToken: 'x' }, 'serviceToken: there is no such option, did you mean serviceTokens?'],
  [
    { serviceTokens: 'x' },
    'serviceTokens: expected an array of strings that are not empty, got a string of 1 character',
  ],
  [{ port: 70_000 }, 'port: expected a port, 0 to 65535, got 70000'],
  [{ heartbeatMs: 0 }, 'heartbeatMs: expected a positive number of milliseconds, got 0'],
  [
    { keys: { 'sk-1': { client: 'acme' } } },
    'keys, record 1: tenant: expected a string that is not empty, got undefined',
  ],
  [{ keys: { 'sk-1': null } }, 'keys, record 1: expected an object, got null'],
  [
    { keys: { 'sk-1': { ...ACME, expiresAt: 'soon' } } },
    'keys, record 1: expiresAt: expected a Date, or epoch milliseconds, got a string of 4 characters',
  ],
  [
    { keys: { 'sk-1': { ...ACME, scope: 'a' } } },
    'keys, record 1: scope: there is no such option, did you mean scopes?',
  ],
  [
    { keys: { 'sk-1': { ...ACME, expiresAt: '2030' } } },
    'keys, record 1: expiresAt: expected a Date, or epoch milliseconds, got a string of 4 characters',
  ],
  [
    { keys: { 'sk-1': { ...ACME, expiresAt: null } } },
    'keys, record 1: expiresAt: expected a Date, or epoch milliseconds, got null',
  ],
  [
    { keys: { 'sk-1': { ...ACME, expiresAt: Infinity } } },
    'keys, record 1: expiresAt: expected a Date, or epoch milliseconds, got Infinity',
  ],
  [{ keys: { 'sk-1': { ...ACME, reason: 5 } } }, 'keys, record 1: reason: expected a string that is not empty, got 5'],
  [{ keys: { 'sk-1': ACME, 'bearer sk-2': ACME } }, 'keys, key 2: leave out "Bearer "'],
  [{ keys: { ' ': ACME } }, 'keys, key 1: expected up to 4096 characters, not blank, without control characters'],
  [{ protocol: {} }, `${PROTOCOL}, got an object`],
  [{ protocol: { definition: {} } }, `${PROTOCOL}, got an object`],
  [{ protocol: { encode: () => undefined, decode: () => undefined } }, `${PROTOCOL}, got an object`],
  [{ protocol: workos }, `${PROTOCOL}, got a function`],
  [{ publishTo: {} }, `${PUBLISHER}, got an object`],
  [{ publishTo: sseRevocations() }, `${PUBLISHER}, got an object`],
  [{ keys: { 'sk-1': { ...ACME, role: 'a' } } }, 'keys, record 1: role: there is no such option: put it into claims'],
  [
    { keys: { 'sk-1': { ...ACME, claims: { plan: 'pro', client: 'other' } } } },
    'keys, record 1: claims.client: expected a name that is not a field of the contract',
  ],
])('a key server with %j does not start', async (options, issue) => {
  await expect(startKeyServer(options as KeyServerOptions)).rejects.toEqual(refused(issue));
});

test('every wrong record is named at once', async () => {
  const keys = { 'sk-1': { client: 'acme' }, 'sk-2': ACME, 'sk-3': { ...ACME, role: 'a', keyId: '' } } as never;
  const issues = [
    'keys, record 1: tenant: expected a string that is not empty, got undefined',
    'keys, record 3: keyId: expected a string that is not empty, got an empty string',
    'keys, record 3: role: there is no such option: put it into claims',
  ];
  await expect(startKeyServer({ keys })).rejects.toEqual(refused(...issues));
  expect(() => stubVerifier({ keys })).toThrow(refused(...issues));
});

test('wrong options and wrong records are named at once, and an owner without a name is wrong', async () => {
  const options = { keys: { 'sk-1': { client: '', tenant: '' } }, foo: 1 } as never;
  const issues = [
    'foo: there is no such option',
    'keys, record 1: client: expected a string that is not empty, got an empty string',
    'keys, record 1: tenant: expected a string that is not empty, got an empty string',
  ];
  await expect(startKeyServer(options)).rejects.toEqual(refused(...issues));
  expect(() => stubVerifier(options)).toThrow(refused(...issues));
});

test.each<[unknown, string]>([
  [7, '7'],
  [[ACME], 'an array'],
  [new Map([['sk-1', ACME]]), 'an object'],
])('keys are no %o, in which none would be found', async (keys, got) => {
  const issue = `keys: expected a plain object, such as { [key]: record }, got ${got}`;
  await expect(startKeyServer({ keys } as never)).rejects.toEqual(refused(issue));
  expect(() => stubVerifier({ keys } as never)).toThrow(refused(issue));
});

test.each(['valid', 'client', 'tenant', 'key_id', 'expires_at'])('a claim %s would be lost', async (name) => {
  const keys = { 'sk-1': { ...ACME, claims: { [name]: 'x' } } };
  const issue = `keys, record 1: claims.${name}: expected a name that is not a field of the contract`;
  expect(() => stubVerifier({ keys })).toThrow(refused(issue));
  // Another protocol has other fields.
  const protocol = defineProtocol({ verdict: { flag: 'ok', client: 'by', tenant: 'of', claims: 'rest' } });
  const started = await startKeyServer({ keys, protocol });
  await started.close();
});

test.each<[string, (keyServer: Awaited<ReturnType<typeof server>>) => unknown, string]>([
  ['asked()', (keyServer) => keyServer.asked(undefined as never), 'key: expected a string, got undefined'],
  ['issue()', (keyServer) => keyServer.issue(7 as never, ACME), 'key: expected a string, got 7'],
  ['forget()', (keyServer) => keyServer.forget(null as never), 'key: expected a string, got null'],
  ['revoke()', (keyServer) => keyServer.revoke(undefined as never), 'key: expected a string, got undefined'],
  ['reject()', () => stubVerifier().reject(undefined as never), 'key: expected a string, got undefined'],
  ['issue()', (keyServer) => keyServer.issue('Bearer sk-2', ACME), 'key: leave out "Bearer "'],
  ['reject()', () => stubVerifier().reject('Bearer sk-1'), 'key: leave out "Bearer "'],
  [
    'reject()',
    () => stubVerifier().reject('sk\n1'),
    'key: expected up to 4096 characters, not blank, without control characters',
  ],
])('%s names a key that is none', async (_, call, issue) => {
  const keyServer = await server();
  expect(() => call(keyServer)).toThrow(refused(issue));
});

test('a reason is a text', async () => {
  const keyServer = await server();
  for (const [reason, got] of [
    [5, '5'],
    ['', 'an empty string'],
  ] as const) {
    const issue = `reason: expected a string that is not empty, got ${got}`;
    expect(() => keyServer.revoke('sk-1', reason as never)).toThrow(refused(issue));
    expect(() => stubVerifier().reject('sk-1', reason as never)).toThrow(refused(issue));
  }
});

test('keyServerCases() names what is wrong with its options', () => {
  const missing = ['verifyUrl', 'serviceToken', 'key', 'scope', 'otherScope'].map(
    (name) => `${name}: expected a string that is not empty, got undefined`,
  );
  expect(() => keyServerCases({} as never)).toThrow(refused(...missing));
  expect(() => keyServerCases(undefined as never)).toThrow(refused('options: expected an object, got undefined'));
  const right = { verifyUrl: 'http://localhost', serviceToken: 'x', key: 'k', scope: 'a', otherScope: 'b' };
  expect(() => keyServerCases({ ...right, rejectedKeys: ['k'] } as never)).toThrow(
    refused('rejectedKeys: expected an object of keys and reasons, got an array'),
  );
});

test('a key server takes tokens in a list, and revokes what was issued', async () => {
  const keyServer = await server();
  expect(() => keyServer.setServiceTokens('abc' as never)).toThrow(InvalidOptionsError);
  expect(() => keyServer.revoke('nope')).toThrow(refused('revoke: expected a key that was issued'));
  expect(() => keyServer.issue('sk-2', { client: 'acme' } as never)).toThrow(
    refused('the record: tenant: expected a string that is not empty, got undefined'),
  );
  keyServer.revoke('sk-1');
  keyServer.revoke('sk-1', 'disabled');
  keyServer.forget('sk-1');
  expect(() => keyServer.revoke('sk-1')).toThrow(InvalidOptionsError);
});

test.each<[object, string]>([
  [{ failopen: true }, 'failopen: there is no such option, did you mean failOpen?'],
  [{ failOpen: 'yes' }, 'failOpen: expected true or false, got "yes"'],
  [{ claims: 1 }, 'claims: expected a Standard Schema, got 1'],
  [{ keys: { 'sk-1': { ...ACME, scopes: ['a'] } } }, 'keys, record 1: scopes: there is no such option'],
  [
    { keys: { 'sk-1': ACME, 'sk-2': { client: 'acme' } } },
    'keys, record 2: tenant: expected a string that is not empty, got undefined',
  ],
])('a stub with %j is refused', (options, issue) => {
  expect(() => stubVerifier(options)).toThrow(refused(issue));
});

test.each<[string, () => unknown, string]>([
  ['testClock()', () => testClock({ now: 0 } as object), 'now: there is no such option'],
  [
    'testClock()',
    () => testClock({ wall: new Date('soon') }),
    'wall: expected a Date, or epoch milliseconds, got an object',
  ],
  [
    'testClock()',
    () => testClock({ wall: '2030' as never }),
    'wall: expected a Date, or epoch milliseconds, got a string of 4 characters',
  ],
  [
    'memoryFleet()',
    () => memoryFleet({ clocks: testClock() } as object),
    'clocks: there is no such option, did you mean clock?',
  ],
  [
    'memoryFleet()',
    () => memoryFleet({ clock: { wall: () => 0 } as never }),
    'clock: expected an object with wall(), monotonic() and after(), got an object',
  ],
  [
    'unavailable()',
    () => stubVerifier().unavailable('time-out' as never),
    'kind: expected one of KINDS, got a string of 8 characters',
  ],
])('%s names what is wrong with its options', (_, call, issue) => {
  const kinds =
    'unreachable, timeout, server_error, rate_limited, overloaded, circuit_open, misconfigured, invalid_response';
  expect(call).toThrow(refused(issue.replace('KINDS', kinds)));
});

test('check() with wrong options finds nothing out', async () => {
  const failure = {
    kind: 'misconfigured',
    message: expect.stringContaining('signal: expected an AbortSignal') as string,
  };
  expect(await stubVerifier().check({ signal: 'soon' } as never)).toMatchObject({ ok: false, failure });
});

const MAY_BE_KEY = 'an unknown name is not shown, since it may be a key: write { keys: { [key]: record } }';

test.each<[string, object, readonly string[]]>([
  ['a key as an option', { 'sk-1': ACME }, [MAY_BE_KEY]],
  ['a key of letters alone', { secret: ACME, other: { reason: 'revoked' } }, [MAY_BE_KEY]],
  [
    'a key with a client',
    { sk1: 'acme', fialOpen: 1 },
    ['fialOpen: there is no such option, did you mean failOpen?', MAY_BE_KEY],
  ],
  ['a key in a record', { keys: { test: { 'sk-1': ACME, ...ACME } } }, [`keys, record 1: ${MAY_BE_KEY}`]],
])('%s is not quoted', (_, options, issues) => {
  expect(() => stubVerifier(options)).toThrow(new InvalidOptionsError(issues));
});

test('a key server does not quote a key either', async () => {
  await expect(startKeyServer({ 'sk-1': ACME } as object)).rejects.toThrow(new InvalidOptionsError([MAY_BE_KEY]));
});

test.each([
  [7, '7'],
  [['sk-1'], 'an array'],
  ['sk-1', 'a string of 4 characters'],
])('options that are no object are refused as a whole, and not quoted: %j', (options, shown) => {
  const issues = [`options: expected an object, got ${shown}`];
  expect(() => stubVerifier(options as object)).toThrow(new InvalidOptionsError(issues));
});
