import { deepEqual, equal, ok } from 'node:assert/strict';

import { randomControlKey } from '../../core/control-key.js';
import { containsSecret, redactError } from '../../core/redact.js';
import { decodeResponse } from '../../protocol/decode.js';
import { defaultProtocol } from '../../protocol/default.js';
import type { DecodedVerdict } from '../../protocol/protocol.js';
import { MAX_RESPONSE_BYTES, type WireResponse } from '../../transport/transport.js';
import type { ContractCase } from './contract-case.js';
import { checkKeyServerUnderTest } from './validate.js';

/** Your key server, and what it knows. */
export interface KeyServerUnderTest {
  /** The URL to verify keys at. */
  readonly verifyUrl: string;
  /** A service token that it accepts. */
  readonly serviceToken: string;
  /** A valid key. */
  readonly key: string;
  /** A scope that this key is valid for. */
  readonly scope: string;
  /** A scope that this key is not valid for. */
  readonly otherScope: string;
  /** Keys that it rejects, and the reason for each, e.g. `{ 'sk-2': 'revoked' }`. Default: none. */
  readonly rejectedKeys?: Readonly<Record<string, string>> | undefined;
}

interface Ask {
  readonly key?: string;
  readonly scope?: string | undefined;
  readonly token?: string | undefined;
  /** In place of the JSON of key and scope. */
  readonly body?: string;
}

/** Keys that `keyverify` may send and that a database or a parser may stumble over. */
const ODD_KEYS = [
  'x'.repeat(4096),
  '\u{1F511}'.repeat(2048),
  '\u0800'.repeat(4096),
  `' OR '1'='1`,
  '"}]); --',
  '../../etc/passwd',
  '%00%0a',
  '__proto__',
  'null',
  '0',
  ' a ',
];

/** How much of an odd key is shown in a message, in characters. */
const MOST_SHOWN = 20;

/** Bodies that no client of the contract sends. */
const MALFORMED = ['', '{', 'null', '[]', '"sk-1"', '{}', '{"key":1}', '{"key":null}'];

/** What was sent, to name in a message. Keys that the caller named are not: they may be real ones. */
function nameOf({ key = '', body }: Ask): string {
  if (body !== undefined) return body === '' ? 'an empty body' : `the body ${body}`;
  return ODD_KEYS.includes(key) ? `the key ${JSON.stringify(key.slice(0, MOST_SHOWN))}` : 'a request of the contract';
}

/** Like `fetch`, which says no more than `fetch failed` where there is no response. */
async function send(
  url: string,
  init: RequestInit,
  sent: string,
  secrets: readonly string[],
): Promise<{ readonly response: Response; readonly bytes: Uint8Array }> {
  try {
    const response = await fetch(url, init);
    return { response, bytes: new Uint8Array(await response.arrayBuffer()) };
  } catch (error) {
    const cause = redactError(error, secrets);
    // The error itself might quote a key.
    // eslint-disable-next-line preserve-caught-error
    throw new Error(`the connection failed, without a whole response to ${sent}: ${cause.message}`, { cause });
  }
}

/** Asks as `keyverify` does, and holds the response against what is true of every one. */
async function ask(server: KeyServerUnderTest, { key = server.key, ...changes }: Ask = {}): Promise<WireResponse> {
  const { scope, body } = changes;
  const token = 'token' in changes ? changes.token : server.serviceToken;
  const request = await defaultProtocol.encode({ url: server.verifyUrl, key, scope, token: token ?? '' });
  const headers = new Headers(request.headers);
  if (token === undefined) headers.delete('x-service-token');
  const { method } = request;
  const init: RequestInit = { method, headers, body: body ?? String(request.body), redirect: 'manual' };
  const { response, bytes } = await send(request.url, init, nameOf({ key, ...changes }), [key, server.serviceToken]);
  const { status } = response;
  ok(status < 300 || status >= 400, `it redirects, with status ${status}`);
  ok(bytes.byteLength <= MAX_RESPONSE_BYTES, `the response has ${bytes.byteLength} bytes, more than 64 KiB`);
  const encoding = response.headers.get('content-encoding') ?? 'identity';
  equal(encoding, 'identity', 'the response is encoded, though accept-encoding is "identity"');
  const text = JSON.stringify([...response.headers]) + new TextDecoder().decode(bytes);
  ok(!containsSecret(text, [server.key, server.serviceToken]), 'the response repeats the key or the service token');
  return { status, header: (name) => response.headers.get(name) ?? undefined, body: bytes };
}

/** What `keyverify` reads in the response. */
async function verdict(server: KeyServerUnderTest, changes?: Ask): Promise<DecodedVerdict> {
  const response = await ask(server, changes);
  const decoded = decodeResponse(defaultProtocol, response, { secrets: [], askedAt: Date.now(), scope: undefined });
  ok('kind' in decoded, 'failure' in decoded ? decoded.failure.message : undefined);
  return decoded;
}

async function rejects(server: KeyServerUnderTest, changes: Ask, reason: string): Promise<void> {
  const decoded = await verdict(server, changes);
  const found = decoded.kind === 'rejected' ? decoded.result.reason : decoded.kind;
  equal(found, reason, `expected ${reason} for ${nameOf(changes)}, got ${found}`);
}

const EACH_REJECTED_KEY = 'rejects each key of rejectedKeys for its reason';

type Check = (server: KeyServerUnderTest) => Promise<void>;

const CHECKS: Readonly<Record<string, Check>> = {
  'verifies a valid key without a scope, and in its own scope': async (server) => {
    for (const scope of [undefined, server.scope]) equal((await verdict(server, { scope })).kind, 'verified');
  },

  'rejects a valid key in another scope as scope_mismatch': async (server) => {
    await rejects(server, { scope: server.otherScope }, 'scope_mismatch');
  },

  [EACH_REJECTED_KEY]: async (server) => {
    for (const [key, reason] of Object.entries(server.rejectedKeys ?? {})) await rejects(server, { key }, reason);
  },

  'rejects an unknown key as unknown_key, with status 200': async (server) => {
    await rejects(server, { key: randomControlKey() }, 'unknown_key');
  },

  'rejects every key that it cannot know as unknown_key, however odd it is': async (server) => {
    for (const key of ODD_KEYS) await rejects(server, { key }, 'unknown_key');
  },

  'refuses a service token that is wrong, empty or missing with 401 or 403': async (server) => {
    for (const token of [`${server.serviceToken}x`, server.serviceToken.slice(0, -1), '', undefined]) {
      const { status } = await ask(server, { token });
      ok(status === 401 || status === 403, `status ${status}`);
    }
  },

  'refuses a malformed body with a 4xx, and still verifies the next key': async (server) => {
    for (const body of MALFORMED) {
      const { status } = await ask(server, { body });
      ok(status >= 400 && status < 500, `status ${status} for ${body}`);
    }
    equal((await verdict(server)).kind, 'verified');
  },

  'answers each of many requests at once for its own key': async (server) => {
    const keys = Array.from({ length: 32 }, (_, at) => (at % 2 === 0 ? server.key : randomControlKey()));
    const kinds = await Promise.all(keys.map(async (key) => (await verdict(server, { key })).kind));
    deepEqual(
      kinds,
      keys.map((key) => (key === server.key ? 'verified' : 'rejected')),
    );
  },
};

/**
 * What a key server must do, by the contract of https://github.com/keyverify/keyverify/blob/main/docs/protocol.md
 * Sends a few dozen requests to it, all for keys that you name or that nobody can have issued.
 *
 * @example
 * ```ts
 * const cases = keyServerCases({
 *   verifyUrl: 'http://localhost:8080/internal/verify-key',
 *   serviceToken: 'service-token',
 *   key: 'sk-demo-1',
 *   scope: 'cust-A',
 *   otherScope: 'cust-B',
 * });
 * for (const { name, run } of cases) test(name, run);
 * ```
 */
export function keyServerCases(server: KeyServerUnderTest): readonly ContractCase[] {
  checkKeyServerUnderTest(server);
  const hasRejected = Object.keys(server.rejectedKeys ?? {}).length > 0;
  const note = (name: string): string =>
    name === EACH_REJECTED_KEY && !hasRejected ? ' (not tested, since there are no rejectedKeys)' : '';
  return Object.entries(CHECKS).map(([name, check]) => ({
    name: name + note(name),
    run: async () => await check(server),
  }));
}
