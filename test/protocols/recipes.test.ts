import { createHash, createHmac, timingSafeEqual } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { IncomingMessage } from 'node:http';
import { fileURLToPath } from 'node:url';
import { runInThisContext } from 'node:vm';

import ts from 'typescript';
import { describe, expect, onTestFinished, test } from 'vitest';

import { KeyVerifier, type WireProtocol } from 'keyverify';
import { defineProtocol } from 'keyverify/protocols';

import { serve } from '../helpers/http.js';
import { brief } from '../helpers/rig.js';

const PAGE = readFileSync(fileURLToPath(new URL('../../docs/key-server.md', import.meta.url)), 'utf8');
const TOKEN = 'internal-secret-0123456789';
const GOOD = 'sk-good-0123456789';
const BAD = 'sk-bad-0123456789';
const FUTURE = Date.parse('2099-01-01T00:00:00Z');

/** The protocol of the sample below a heading, as it stands there. */
function protocolOf(heading: string, secret: string): WireProtocol {
  const section = PAGE.split(/^### /m).find((part) => part.startsWith(heading)) ?? '';
  const [, sample = ''] = /^```ts\n(.*?)^```/ms.exec(section) ?? [];
  const code = ts.transpile(sample.replaceAll(/^import .*$/gm, ''), { target: ts.ScriptTarget.ES2022 });
  const run = runInThisContext(`(defineProtocol, createHmac, process) => { ${code}; return protocol; }`) as (
    ...names: unknown[]
  ) => WireProtocol;
  return run(defineProtocol, createHmac, { env: { SIGNING_SECRET: secret } });
}

interface Reply {
  readonly status: number;
  readonly json?: unknown;
}
type Answer = (request: IncomingMessage, body: string) => Reply;

const field = (body: string, name: string): unknown => (JSON.parse(body) as Record<string, unknown>)[name];
const isBearer = ({ headers }: IncomingMessage): boolean => headers.authorization === `Bearer ${TOKEN}`;
const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex');
const ok = (json: unknown): Reply => ({ status: 200, json });

/** Each recipe with a key server that somebody might have, and what comes of a good, a bad and a limited key. */
const RECIPES: Readonly<
  Record<
    string,
    { readonly answer: Answer; readonly bad: string; readonly expires?: boolean; readonly wrongSecret?: string }
  >
> = {
  'An internal secret': {
    answer({ headers }, body) {
      if (headers['x-internal-secret'] !== TOKEN) return { status: 403 };
      if (field(body, 'apiKey') !== GOOD) return { status: 201, json: { isValid: false, error: 'unknown_key' } };
      return { status: 201, json: { isValid: true, user: { id: 'acme', orgId: 'cust-A' } } };
    },
    bad: 'rejected server unknown_key',
  },
  '`api_key` and a bearer token': {
    answer(request, body) {
      if (!isBearer(request)) return { status: 401 };
      if (field(body, 'api_key') !== GOOD) return ok({ valid: false, code: 'NOT_FOUND' });
      return ok({ valid: true, data: { id: 'k-1', owner: 'acme', organization: 'cust-A', expires_at: FUTURE } });
    },
    bad: 'rejected server unknown_key',
    expires: true,
  },
  '401 or 404': {
    answer(request, body) {
      if (!isBearer(request)) return { status: 401, json: { error: 'bad_token' } };
      if (field(body, 'key') !== GOOD) return { status: 404, json: { error: 'unknown_key' } };
      return ok({ valid: true, client: 'acme', tenant: 'cust-A' });
    },
    bad: 'rejected server unknown_key',
  },
  'The status alone': {
    answer({ headers }, body) {
      if (headers['x-internal-secret'] !== TOKEN || field(body, 'key') !== GOOD) return { status: 401 };
      return ok({ id: 'acme', customer: 'cust-A' });
    },
    bad: 'rejected server rejected',
    // Nothing else tells them apart: that is what the guard is for.
    wrongSecret: 'rejected server rejected',
  },
  'The hash of the key': {
    answer({ headers }, body) {
      if (headers['x-service-token'] !== TOKEN) return { status: 401 };
      return ok(
        field(body, 'key_hash') === sha256(GOOD) ? { active: true, owner_id: 'acme', id: 'k-1' } : { active: false },
      );
    },
    bad: 'rejected server rejected',
  },
  'GET with a header': {
    answer({ headers, method }) {
      if (method !== 'GET' || headers['x-service-token'] !== TOKEN) return { status: 401 };
      return ok(headers['x-api-key'] === GOOD ? { valid: true, client: 'acme', tenant: 'cust-A' } : { valid: false });
    },
    bad: 'rejected server rejected',
  },
  'Signed requests': {
    answer({ headers }, body) {
      const signed = createHmac('sha256', TOKEN)
        .update(`${String(headers['x-timestamp'])}.${body}`)
        .digest();
      const given = Buffer.from(String(headers['x-signature']), 'hex');
      const isFresh = Math.abs(Date.now() / 1_000 - Number(headers['x-timestamp'])) < 60;
      if (!isFresh || given.length !== signed.length || !timingSafeEqual(given, signed)) return { status: 401 };
      return ok(field(body, 'key') === GOOD ? { valid: true, client: 'acme', tenant: 'cust-A' } : { valid: false });
    },
    bad: 'rejected server rejected',
  },
};

async function setUp(heading: string, secret: string) {
  const protocol = protocolOf(heading, secret);
  let isDown = false;
  const server = await serve((response, request) => {
    const { body = '' } = server.heard.at(-1) ?? {};
    const { status, json } = isDown ? { status: 503 } : (RECIPES[heading]?.answer(request, body) ?? { status: 500 });
    response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(json));
  });
  const verifier = new KeyVerifier({
    verifyUrl: server.origin,
    serviceToken: protocol.serviceToken === false ? undefined : secret,
    protocol,
    retries: 0,
    logger: { warn: () => undefined },
  });
  onTestFinished(async () => await verifier.close());
  return {
    verify: async (key: string) => await verifier.verify(key),
    breakDown: (): void => {
      isDown = true;
    },
  };
}

describe.each(Object.entries(RECIPES))(
  'the recipe "%s"',
  (heading, { bad, expires = false, wrongSecret = 'closed misconfigured' }) => {
    test('verifies a good key, rejects a bad one, and takes an outage for one', async () => {
      const { verify, breakDown } = await setUp(heading, TOKEN);
      const good = await verify(GOOD);
      expect(good).toMatchObject({ status: 'verified', client: 'acme' });
      if (expires) expect(good).toMatchObject({ expiresAt: FUTURE, keyId: 'k-1', tenant: 'cust-A' });
      expect(brief(await verify(BAD))).toBe(bad);
      breakDown();
      expect(brief(await verify('sk-other-0123456789'))).toBe('closed server_error');
    });

    test('takes no key for a bad one because our own secret is wrong', async () => {
      const { verify } = await setUp(heading, 'another-secret-0123456789');
      expect(brief(await verify(GOOD))).toBe(wrongSecret);
    });
  },
);

test('every recipe of the page is run', () => {
  const recipes = PAGE.split(/^## /m).find((part) => part.startsWith('Recipes')) ?? '';
  const headings = [...recipes.matchAll(/^### (.*)$/gm)].map(([, heading = '']) => heading);
  expect(headings.filter((heading) => !Object.keys(RECIPES).some((name) => heading.startsWith(name)))).toEqual([
    'better-auth',
  ]);
});
