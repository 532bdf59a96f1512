import assert from 'node:assert/strict';

import { isObject } from '../../core/schema.js';
import { fingerprint } from '../../verifier.js';
import type { AdapterReply } from './adapter-client.js';
import type { AdapterRig } from './adapter-rig.js';
import { until } from './until.js';

const bearer = (key: string): Record<string, string> => ({ authorization: `Bearer ${key}` });

/** Headers of Node are an object of these, so that a check for a method by its name alone finds one. */
const CONFUSING_NAMES = ['get', 'set', 'has', 'headers', 'req', 'raw', 'constructor', 'identity'];

/** A field of a JSON body. */
function field({ body }: AdapterReply, name: string): unknown {
  const value: unknown = JSON.parse(body);
  assert.ok(isObject(value), 'the body is not a JSON object');
  return Reflect.get(value, name);
}

/** Holds a reply against the table, and checks that no handler was reached. */
function assertDenied(
  { reached }: AdapterRig,
  reply: AdapterReply,
  status: number,
  reason: string,
  challenge?: string,
): void {
  assert.equal(reply.status, status);
  assert.equal(field(reply, 'reason'), reason);
  assert.equal(field(reply, 'requestId'), reply.headers['x-request-id']);
  assert.equal(reply.headers['www-authenticate'], challenge);
  assert.deepEqual(reached, []);
}

function assertAdmitted(reply: AdapterReply, tenant: string | null): void {
  assert.equal(reply.status, 200);
  assert.deepEqual(JSON.parse(reply.body), { tenant });
}

const MOST_BUSY_TRIES = 20;

/**
 * On a machine that is too busy, a verifier can't tell its own load from an outage, and opens for nobody. Then, and only
 * then, it is asked again, after another control question.
 */
async function unlessBusy({ verifier, busy }: AdapterRig, send: () => Promise<AdapterReply>): Promise<AdapterReply> {
  for (let tries = 1; ; tries++) {
    const reply = await send();
    if (reply.status !== 503 || busy.length === 0 || tries === MOST_BUSY_TRIES) return reply;
    await verifier.check();
  }
}

export type AdapterCheck = (rig: AdapterRig) => Promise<void>;

export const cases: Readonly<Record<string, AdapterCheck>> = {
  'admits a valid key, with the identity of its owner': async ({ send, reached }) => {
    assertAdmitted(await send('/me', bearer('sk-acme-1')), 'cust-A');
    assertAdmitted(await send('/me', { 'X-API-Key': 'sk-acme-1' }), 'cust-A');
    assert.deepEqual(
      reached.map((identity) => [identity?.client, identity?.source]),
      [
        ['acme', 'server'],
        ['acme', 'cache'],
      ],
    );
  },

  'answers 401 without a key, and does not ask': async (rig) => {
    assertDenied(rig, await rig.send('/me'), 401, 'missing_key', 'Bearer realm="api"');
    assert.equal(rig.keyServer.counts.requests, 0);
  },

  'is not confused by headers that are called as something of its own': async ({ send }) => {
    const confusing = Object.fromEntries(CONFUSING_NAMES.map((name) => [name, 'x']));
    assertAdmitted(await send('/me', { ...bearer('sk-acme-1'), ...confusing }), 'cust-A');
  },

  'answers 401 to a key that is not valid': async (rig) => {
    const challenge = 'Bearer realm="api", error="invalid_token"';
    assertDenied(rig, await rig.send('/me', bearer('sk-nobody-1')), 401, 'unknown_key', challenge);
    assertDenied(rig, await rig.send('/me', bearer('sk-revoked-1')), 401, 'revoked', challenge);
  },

  'answers 403 to a key of another scope': async (rig) => {
    const challenge = 'Bearer realm="api", error="insufficient_scope"';
    assertDenied(rig, await rig.send('/me', bearer('sk-other-1')), 403, 'scope_mismatch', challenge);
  },

  'answers 429 if the key server says that this key has called too often': async (rig) => {
    assertDenied(rig, await rig.send('/me', bearer('sk-busy-1')), 429, 'rate_limited');
  },

  'answers 503 with Retry-After in an outage, never 401, and recovers from it': async (rig) => {
    await rig.keyServer.stop();
    const denial = await rig.send('/me', bearer('sk-acme-1'));
    assertDenied(rig, denial, 503, 'unavailable');
    assert.equal(denial.headers['retry-after'], '5');
    await rig.keyServer.start();
    assertAdmitted(await rig.send('/me', bearer('sk-acme-1')), 'cust-A');
  },

  'answers 500 without detail if the service is misconfigured': async (rig) => {
    rig.keyServer.setServiceTokens(['another-token']);
    const denial = await rig.send('/me', bearer('sk-acme-1'));
    assertDenied(rig, denial, 500, 'internal_error');
    assert.doesNotMatch(denial.body, /token|misconfigured|\b40[13]\b/);
  },

  'admits requests without a key on an optional route, and still denies a key that is not valid': async (rig) => {
    assertAdmitted(await rig.send('/optional'), null);
    assertAdmitted(await rig.send('/optional', bearer('sk-acme-1')), 'cust-A');
    assert.equal((await rig.send('/optional', bearer('sk-nobody-1'))).status, 401);
    assert.equal(rig.reached.length, 2);
  },

  'admits callers without an identity in an outage on a route that fails open, and on no other': async (rig) => {
    await rig.keyServer.stop();
    assertAdmitted(await unlessBusy(rig, async () => await rig.send('/open', bearer('sk-acme-1'))), null);
    assert.equal((await rig.send('/me', bearer('sk-acme-1'))).status, 503);
    assert.deepEqual(rig.reached, [null]);
  },

  'asks the key server each time on a route with maxAgeMs 0': async ({ send, keyServer }) => {
    assert.equal((await send('/fresh', bearer('sk-acme-1'))).status, 200);
    keyServer.revoke('sk-acme-1');
    assert.equal((await send('/fresh', bearer('sk-acme-1'))).status, 401);
    assert.equal(keyServer.asked('sk-acme-1'), 2);
  },

  'answers 403 to callers that authorize() refuses': async (rig) => {
    assertDenied(rig, await rig.send('/authorized', bearer('sk-acme-1')), 403, 'not_allowed');
    assert.equal((await rig.send('/authorized', bearer('sk-globex-1'))).status, 200);
  },

  'denies with a plain 500 if authorize() or onDenied() throws': async (rig) => {
    assertDenied(rig, await rig.send('/authorize-throws', bearer('sk-acme-1')), 500, 'internal_error');
    assertDenied(rig, await rig.send('/hook-throws'), 500, 'internal_error');
  },

  'lets onDenied() change the denial, and only the denial': async ({ send, reached }) => {
    assert.equal((await send('/overridden', bearer('sk-revoked-1'))).status, 404);
    assert.equal((await send('/overridden', bearer('sk-acme-1'))).status, 200);
    assert.equal(reached.length, 1);
  },

  'denies as the table has it if onDenied() returns nothing': async (rig) => {
    assertDenied(rig, await rig.send('/hook-logs'), 401, 'missing_key', 'Bearer realm="api"');
  },

  'refuses two keys in one request, in two headers or in one': async (rig) => {
    const challenge = 'Bearer realm="api", error="invalid_request"';
    const both = { ...bearer('sk-acme-1'), 'X-API-Key': 'sk-globex-1' };
    assertDenied(rig, await rig.send('/me', both), 400, 'ambiguous_key', challenge);
    const headers = ['sk-acme-1', 'sk-globex-1'].map((key) => ['x-api-key', key] as const);
    assertDenied(rig, await rig.send('/me', {}, { headers }), 400, 'ambiguous_key', challenge);
  },

  'refuses two bearers, of which Node keeps the first': async (rig) => {
    const headers = ['sk-acme-1', 'sk-globex-1'].map((key) => ['authorization', `Bearer ${key}`] as const);
    const challenge = 'Bearer realm="api", error="invalid_request"';
    assertDenied(rig, await rig.send('/me', {}, { headers }), 400, 'ambiguous_key', challenge);
  },

  'refuses a header that is sent twice, also where one of the two has no key': async (rig) => {
    const challenge = 'Bearer realm="api", error="invalid_request"';
    const pairs = [
      [
        ['x-api-key', ''],
        ['x-api-key', 'sk-acme-1'],
      ],
      [
        ['authorization', 'Basic eDp5'],
        ['authorization', 'Bearer sk-acme-1'],
      ],
      [
        ['authorization', 'Bearer sk-acme-1'],
        ['authorization', 'Basic eDp5'],
      ],
    ] as const;
    for (const headers of pairs)
      assertDenied(rig, await rig.send('/me', {}, { headers }), 400, 'ambiguous_key', challenge);
  },

  'asks once for 200 callers with one key': async ({ send, keyServer, reached }) => {
    const replies = await Promise.all(Array.from({ length: 200 }, async () => await send('/me', bearer('sk-acme-1'))));
    assert.equal(replies.filter(({ status }) => status === 200).length, 200);
    assert.equal(keyServer.asked('sk-acme-1'), 1);
    assert.equal(reached.length, 200);
  },
};

/** What is asked only of adapters whose callers can leave. */
export const leavingCases: Readonly<Record<string, AdapterCheck>> = {
  'survives a caller who leaves: the others get their answer': async ({ send, keyServer, reached, left }) => {
    keyServer.injectFault({ kind: 'delay', ms: 200 });
    const leaving = new AbortController();
    const leaver = send('/me', bearer('sk-acme-1'), { signal: leaving.signal });
    await until(() => keyServer.counts.inFlight === 1);
    const staying = send('/me', bearer('sk-acme-1'));
    leaving.abort();
    await assert.rejects(leaver);
    // The service learns of it some time after the caller has gone.
    await until(() => left.length > 0);
    assert.equal((await staying).status, 200);
    assert.equal(keyServer.asked('sk-acme-1'), 1);
    assert.equal(reached.length, 1);
    assert.deepEqual(left, [fingerprint('sk-acme-1')]);
  },
};

/** For a verifier that asks one question at a time. */
export const overloaded: AdapterCheck = async ({ send, keyServer, verifier, reached }) => {
  const keys = Array.from({ length: 80 }, (_, at) => `sk-made-up-${at}`);
  const fingerprints = new Set<string | undefined>(keys.map(fingerprint));
  // Control questions are answered, so it is not an outage.
  keyServer.injectFault((request) => (fingerprints.has(request.fingerprint) ? { kind: 'hang' } : undefined));
  const replies = await Promise.all(keys.map(async (key) => await send('/open', bearer(key))));
  assert.deepEqual(new Set(replies.map(({ status }) => status)), new Set([503]));
  assert.equal(verifier.stats().results['fail-closed'], keys.length);
  assert.deepEqual(reached, []);
};

/** What is asked only of adapters for HTTP. */
export const httpCases: Readonly<Record<string, AdapterCheck>> = {
  'answers with problem details that are not cached': async ({ send }) => {
    const { headers, body } = await send('/me', { 'X-Request-Id': 'req-7' });
    assert.equal(headers['cache-control'], 'no-store');
    assert.equal(headers['x-request-id'], 'req-7');
    assert.match(String(headers['content-type']), /^application\/problem\+json/);
    assert.deepEqual(JSON.parse(body), {
      type: 'urn:keyverify:problem:missing-key',
      title: 'An API key is required',
      detail: 'Send the key as Authorization: Bearer <key>, or as the header x-api-key.',
      status: 401,
      reason: 'missing_key',
      requestId: 'req-7',
    });
  },

  'sends the headers and the body that onDenied() returns': async ({ send }) => {
    const { headers, body } = await send('/overridden', bearer('sk-revoked-1'));
    assert.equal(headers['x-why'], 'server');
    assert.equal(headers['cache-control'], 'no-store');
    assert.match(String(headers['content-type']), /^application\/json/);
    assert.equal(body, '{"error":"revoked"}');
    assert.equal((await send('/overridden')).headers['x-why'], 'none');
  },

  'answers a HEAD as a GET, without the body': async ({ send, reached }) => {
    const denial = await send('/me', {}, { method: 'HEAD' });
    assert.deepEqual([denial.status, denial.body], [401, '']);
    assert.equal(denial.headers['www-authenticate'], 'Bearer realm="api"');
    assert.deepEqual(reached, []);
    assert.equal((await send('/me', bearer('sk-acme-1'), { method: 'HEAD' })).status, 200);
  },

  'makes no exception for the preflight of a browser': async (rig) => {
    const preflight = { Origin: 'https://app.test', 'Access-Control-Request-Method': 'GET' };
    const denial = await rig.send('/me', preflight, { method: 'OPTIONS' });
    assertDenied(rig, denial, 401, 'missing_key', 'Bearer realm="api"');
  },
};
