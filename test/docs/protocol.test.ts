import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { json } from 'node:stream/consumers';

import { KeyVerifier } from 'keyverify';
import { keyServerCases, startKeyServer, type Fault } from 'keyverify/testing';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { z } from 'zod';

import { freePort } from '../helpers/free-port.js';
import { ROOT, samples } from './pages.js';

interface Media {
  readonly 'application/json': {
    readonly schema: { readonly $ref: string };
    readonly examples?: Readonly<Record<string, { readonly value: object }>>;
  };
}
interface Response {
  readonly headers?: Readonly<Record<string, object>>;
  readonly content: Media;
}
interface OpenApi {
  readonly paths: Readonly<
    Record<
      string,
      {
        readonly post: {
          readonly requestBody: { readonly content: Media };
          readonly responses: Readonly<Record<string, Response>>;
        };
      }
    >
  >;
  readonly components: { readonly schemas: object };
}

const text = readFileSync(resolve(ROOT, 'docs/protocol.openapi.json'), 'utf8');
// zod resolves references within $defs, where JSON Schema keeps what OpenAPI has among its components.
const { paths, components } = JSON.parse(text.replaceAll('#/components/schemas/', '#/$defs/')) as OpenApi;
const [[path, { post }] = ['', { post: undefined }]] = Object.entries(paths);
const responses = Object.entries(post?.responses ?? {});

function schemaOf({ 'application/json': { schema } }: Media): z.ZodType {
  return z.fromJSONSchema({ ...schema, $defs: components.schemas } as Parameters<typeof z.fromJSONSchema>[0]);
}

const TOKEN = { 'x-service-token': 'service-token' };
const ask = (key: unknown, headers: Record<string, string> = TOKEN) => ({
  method: 'POST',
  headers: { 'content-type': 'application/json', ...headers },
  body: typeof key === 'string' ? JSON.stringify({ key }) : '{"key":',
});

/** How each documented status comes about. */
const CASES: Readonly<Record<string, { init: RequestInit; path?: string; fault?: Fault }[]>> = {
  '200': [{ init: ask('sk-1') }, { init: ask('sk-full') }, { init: ask('sk-unknown') }, { init: ask('sk-over') }],
  '400': [{ init: ask(undefined) }, { init: { ...ask(''), body: '{}' } }],
  '401': [{ init: ask('sk-1', {}) }, { init: ask('sk-1', { 'x-service-token': 'wrong' }) }],
  '403': [{ init: ask('sk-1'), fault: { kind: 'status', status: 403 } }],
  '404': [{ init: ask('sk-1'), path: '/elsewhere' }],
  '405': [{ init: { headers: TOKEN } }],
  '413': [{ init: ask('x'.repeat(65_536)) }],
  '429': [{ init: ask('sk-1'), fault: { kind: 'status', status: 429, retryAfter: 1 } }],
  '503': [{ init: ask('sk-1'), fault: { kind: 'status', status: 503, retryAfter: 1 } }],
};

const keyServer = await startKeyServer({
  cacheControl: 'max-age=60',
  keys: {
    'sk-1': { client: 'acme', tenant: 'cust-A' },
    'sk-full': { client: 'acme', tenant: 'cust-A', keyId: 'key_1', expiresAt: 4e12, claims: { plan: 'pro' } },
    'sk-over': { client: 'acme', tenant: 'cust-A', expiresAt: 0 },
  },
});
afterAll(async () => await keyServer.close());

/** Answers every request with a fixed verdict. */
const raw = (value: object): Fault => ({
  kind: 'raw',
  status: 200,
  headers: { 'content-type': 'application/json' },
  body: JSON.stringify(value),
});

describe('docs/protocol.openapi.json', () => {
  test('documents the statuses that the cases produce', () => {
    expect(responses.map(([status]) => status)).toEqual(Object.keys(CASES));
  });

  test.each(responses)('%s is what the key server answers', async (status, { headers = {}, content }) => {
    for (const { init, path: elsewhere = path, fault } of CASES[status] ?? []) {
      if (fault !== undefined) keyServer.injectFault(fault, { times: 1 });
      const response = await fetch(keyServer.url + elsewhere, init);
      expect(response.status).toBe(Number(status));
      expect(response.headers.get('content-type')).toBe('application/json');
      for (const name of Object.keys(headers)) expect(response.headers.has(name), name).toBe(true);
      schemaOf(content).parse(await response.json());
    }
  });

  const verdicts = post?.responses['200']?.content;
  test.each(Object.entries(verdicts?.['application/json'].examples ?? {}))(
    'the example %s fits its schema, and the client reads it',
    async (_name, { value }) => {
      expect(verdicts && schemaOf(verdicts).safeParse(value).success).toBe(true);
      expect(await read(value)).toBe('valid' in value && value.valid === true ? 'verified' : 'rejected');
    },
  );

  test.each([
    [{ ok: true }],
    [{ valid: true }],
    [{ valid: true, client: 'acme' }],
    [{ valid: true, tenant: 'cust-A' }],
    [{ valid: 'true', client: 'acme', tenant: 'cust-A' }],
    [{ valid: true, client: '', tenant: 'cust-A' }],
    [{ valid: true, client: 'acme', tenant: 7 }],
    [{ valid: true, client: 'acme', tenant: 'cust-A', key_id: '' }],
    [{ valid: true, client: 'acme', tenant: 'cust-A', expires_at: 'soon' }],
    [{ valid: true, client: 'acme', tenant: 'cust-A', expires_at: 4_102_444_800_000 }],
    [{ valid: true, client: 'acme', tenant: 'cust-A', expires_at: 253_402_300_800 }],
  ])('%j fits no schema, and the client refuses it', async (value) => {
    expect(verdicts && schemaOf(verdicts).safeParse(value).success).toBe(false);
    expect(await read(value)).toBe('invalid_response');
  });

  test('the latest expires_at fits the schema, and the client reads it', async () => {
    const value = { valid: true, client: 'acme', tenant: 'cust-A', expires_at: 253_402_300_799 };
    expect(verdicts && schemaOf(verdicts).safeParse(value).success).toBe(true);
    expect(await read(value)).toBe('verified');
  });

  test.each([[undefined], ['cust-A']])('the client sends what is documented, with scope %s', async (scope) => {
    const requests: { headers: object; body: unknown }[] = [];
    const server = createServer((request, response) => {
      void json(request).then((body) => {
        requests.push({ headers: request.headers, body });
        response.writeHead(200, { 'content-type': 'application/json' }).end('{"valid":false}');
      });
    });
    await once(server.listen(0, '127.0.0.1'), 'listening');
    const verifyUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}${path}`;
    await using verifier = new KeyVerifier({ verifyUrl, serviceToken: 'service-token', scope });
    await verifier.verify('sk-1');
    server.close();
    expect(requests).toHaveLength(1);
    const { headers, body } = requests[0] ?? {};
    expect(post && schemaOf(post.requestBody.content).parse(body)).toEqual(
      scope === undefined ? { key: 'sk-1' } : { key: 'sk-1', scope },
    );
    expect(headers).toMatchObject({
      'content-type': 'application/json',
      accept: 'application/json',
      'x-service-token': 'service-token',
      'user-agent': expect.stringMatching(/^keyverify\//) as string,
    });
  });
});

/** What the client makes of a response. */
async function read(value: object): Promise<string> {
  keyServer.injectFault(raw(value), { times: 2 });
  await using verifier = new KeyVerifier({ verifyUrl: keyServer.verifyUrl, serviceToken: 'service-token' });
  const result = await verifier.verify('sk-1');
  keyServer.clearFaults();
  if (result.source === 'fail-closed') return result.failure.kind;
  return result.valid ? 'verified' : 'rejected';
}

describe.each(
  [
    ['js', process.execPath, 'server.mjs'],
    ['python', 'python3', 'server.py'],
  ].filter(([, command = '']) => spawnSync(command, ['--version']).status === 0),
)('the complete server in docs/protocol.md, %s', (language, command, name) => {
  const folder = mkdtempSync(join(tmpdir(), 'keyverify-docs-'));
  let child: ReturnType<typeof spawn>;
  let url: string;

  beforeAll(async () => {
    const [code = ''] = samples('docs/protocol.md', language);
    writeFileSync(join(folder, name), code);
    const port = await freePort();
    url = `http://127.0.0.1:${port}`;
    child = spawn(command, [join(folder, name)], { env: { ...process.env, PORT: String(port) }, stdio: 'ignore' });
    while (child.exitCode === null) {
      const up = await fetch(url).then(
        () => true,
        () => false,
      );
      if (up) break;
    }
  });

  afterAll(async () => {
    child.kill();
    if (child.exitCode === null) await once(child, 'close');
    rmSync(folder, { recursive: true });
  });

  test('answers as documented', async () => {
    const statuses: Record<string, number> = {};
    const cases = {
      '200': ask('sk-demo-1'),
      '400': ask(undefined),
      '401': ask('sk-demo-1', {}),
      '404': ask('sk-demo-1'),
    };
    for (const [status, init] of Object.entries(cases)) {
      const response = await fetch(url + (status === '404' ? '/elsewhere' : path), init);
      const documented = post?.responses[status]?.content;
      expect(documented && schemaOf(documented).safeParse(await response.json()).success).toBe(true);
      statuses[status] = response.status;
    }
    expect(statuses).toEqual({ '200': 200, '400': 400, '401': 401, '404': 404 });
  });

  test('keeps the contract', async () => {
    const server = { verifyUrl: url + path, serviceToken: 'service-token', key: 'sk-demo-1' };
    const keys = { scope: 'cust-A', otherScope: 'cust-B', rejectedKeys: { 'sk-demo-2': 'revoked' } } as const;
    for (const { run } of keyServerCases({ ...server, ...keys })) await run();
  });

  test('serves a verifier', async () => {
    const options = { verifyUrl: url + path, serviceToken: 'service-token' };
    await using verifier = new KeyVerifier({ ...options, scope: 'cust-A' });
    await using other = new KeyVerifier({ ...options, scope: 'cust-B' });
    expect(await verifier.verify('sk-demo-1')).toMatchObject({ valid: true, client: 'acme', keyId: 'key_1' });
    expect(await verifier.verify('sk-unknown')).toMatchObject({ valid: false, reason: 'unknown_key' });
    expect(await other.verify('sk-demo-1')).toMatchObject({ valid: false, reason: 'scope_mismatch' });
  });
});
