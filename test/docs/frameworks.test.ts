import { readFileSync } from 'node:fs';
import { compileFunction } from 'node:vm';

import { KeyVerifier, type Verified } from 'keyverify';
import { startKeyServer } from 'keyverify/testing';
import ts from 'typescript';
import { afterEach, describe, expect, test, vi } from 'vitest';

import * as fetchAdapter from '../../src/adapters/fetch.js';

/** The recipe under a heading, as the module that it is. `keyverify` is the source under test. */
function recipe(heading: string, file: string): Record<string, (...args: never[]) => unknown> {
  const [, section = ''] = readFileSync('docs/frameworks.md', 'utf8').split(`\n## ${heading}\n`);
  const code = [...String(section.split('\n## ')[0]).matchAll(/```[jt]s\n([^]*?)```/g)]
    .map(([, block = '']) => block)
    .find((block) => block.startsWith(`// ${file}\n`));
  const { outputText } = ts.transpileModule(String(code), {
    compilerOptions: { module: ts.ModuleKind.CommonJS, target: ts.ScriptTarget.ES2022 },
  });
  const exports = {};
  const h3 = { defineWebSocketHandler: (hooks: object): object => hooks };
  const require = (name: string): unknown =>
    ({ keyverify: { KeyVerifier }, 'keyverify/fetch': fetchAdapter, h3 })[name];
  Reflect.apply(compileFunction(outputText, ['exports', 'require']), undefined, [exports, require]);
  return exports;
}

const withKey = () => new Request('https://app.test/', { headers: { authorization: 'Bearer sk-1' } });
const withoutKey = () => new Request('https://app.test/');
const next = async () => await Promise.resolve(new Response('page'));

/** Runs a recipe where the secrets come with the environment, after the module was loaded. */
async function withSecrets(run: () => Promise<void>): Promise<void> {
  await using server = await startKeyServer({ keys: { 'sk-1': { client: 'acme', tenant: 'cust-A' } } });
  vi.stubEnv('KEYVERIFY_URL', server.verifyUrl);
  vi.stubEnv('KEYVERIFY_SERVICE_TOKEN', 'service-token');
  await run();
}

afterEach(() => void vi.unstubAllEnvs());

describe('the recipes of docs/frameworks.md', () => {
  test('Next.js: a route handler is loaded without secrets, and guarded with them', async () => {
    const { GET } = recipe('Next.js', 'app/orders/route.ts') as { GET: (request: Request) => Promise<Response> };
    await withSecrets(async () => {
      expect(await (await GET(withKey())).json()).toEqual({ tenant: 'cust-A' });
      expect((await GET(withoutKey())).status).toBe(401);
    });
  });

  test('Next.js: a proxy goes on, or denies', async () => {
    const { proxy } = recipe('Next.js', 'proxy.ts') as { proxy: (request: Request) => Promise<Response | undefined> };
    await withSecrets(async () => {
      expect(await proxy(withKey())).toBeUndefined();
      expect((await proxy(withoutKey()))?.status).toBe(401);
    });
  });

  test('SvelteKit: a handle goes on with the identity, or denies', async () => {
    interface Event {
      readonly request: Request;
      readonly locals: { identity?: Verified };
    }
    const { handle } = recipe('SvelteKit', 'src/hooks.server.ts') as {
      handle: (input: { event: Event; resolve: () => Promise<Response> }) => Promise<Response>;
    };
    await withSecrets(async () => {
      const event: Event = { request: withKey(), locals: {} };
      expect(await (await handle({ event, resolve: next })).text()).toBe('page');
      expect(event.locals.identity?.client).toBe('acme');
      expect((await handle({ event: { request: withoutKey(), locals: {} }, resolve: next })).status).toBe(401);
    });
  });

  test('Astro: a middleware goes on with the identity, or denies', async () => {
    interface Context {
      readonly request: Request;
      readonly locals: { identity?: Verified };
    }
    const { onRequest } = recipe('Astro', 'src/middleware.ts') as {
      onRequest: (context: Context, go: typeof next) => Promise<Response>;
    };
    await withSecrets(async () => {
      const context: Context = { request: withKey(), locals: {} };
      expect(await (await onRequest(context, next)).text()).toBe('page');
      expect(context.locals.identity?.client).toBe('acme');
      expect((await onRequest({ request: withoutKey(), locals: {} }, next)).status).toBe(401);
    });
  });

  test('h3 1: an upgrade to a WebSocket goes on with the identity, or is answered by the denial', async () => {
    interface Upgrade {
      readonly url: string;
      readonly headers: Headers;
      readonly context: { identity?: Verified };
    }
    const { default: hooks } = recipe('h3, Nitro and Nuxt', 'server/routes/socket.js') as unknown as {
      default: { upgrade: (upgrade: Upgrade) => Promise<void>; open: (peer: object) => void };
    };
    await withSecrets(async () => {
      const send = vi.fn();
      const context: Upgrade['context'] = {};
      await hooks.upgrade({ url: 'https://app.test/', headers: withKey().headers, context });
      hooks.open({ context, send });
      expect(send).toHaveBeenCalledExactlyOnceWith('hello acme');
      const denied = hooks.upgrade({ url: 'https://app.test/', headers: withoutKey().headers, context: {} });
      await expect(denied).rejects.toMatchObject({ status: 401 });
      await expect(denied).rejects.toBeInstanceOf(Response);
    });
  });
});
