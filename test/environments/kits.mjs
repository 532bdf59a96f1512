import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { run } from './work.mjs';

const PAGE = fileURLToPath(new URL('../../docs/frameworks.md', import.meta.url));

/** The code of a recipe, by the file that its first line names. */
async function recipe(file) {
  const [, code] = new RegExp(`^\`\`\`ts\\n// ${file.replaceAll('.', '\\.')}\\n([^]*?)^\`\`\``, 'm').exec(
    await readFile(PAGE, 'utf8'),
  );
  return code;
}

/** Asks the service for its only page: with a good key, without a key, and with a bad one. */
const ASK = `
import { startKeyServer } from 'keyverify/testing';
export async function ask(send) {
  const server = await startKeyServer({ keys: { 'sk-1': { client: 'acme', tenant: 'cust-A' } } });
  // Not before now: a build has no secrets.
  Object.assign(process.env, { KEYVERIFY_URL: server.verifyUrl, KEYVERIFY_SERVICE_TOKEN: 'service-token' });
  const told = [];
  for (const headers of [{ authorization: 'Bearer sk-1' }, {}, { authorization: 'Bearer sk-2' }]) {
    const response = await send(new Request('http://127.0.0.1/orders', { headers }));
    const { tenant, reason } = await response.json();
    told.push([response.status, tenant ?? reason].join(' '));
  }
  console.log(told.join());
  process.exit();
}
`;
const EXPECTED = '200 cust-A,401 missing_key,401 unknown_key';

async function write(cwd, files) {
  for (const [name, content] of Object.entries({ 'ask.mjs': ASK, ...files })) {
    await mkdir(dirname(join(cwd, name)), { recursive: true });
    await writeFile(join(cwd, name), content);
  }
}

async function asked(cwd) {
  const { stdout } = await run([process.execPath, 'serve.mjs'], cwd);
  const [last] = stdout.trim().split('\n').slice(-1);
  if (last !== EXPECTED) throw new Error(`the service answered ${stdout}`);
}

const modules = (cwd, name) => [process.execPath, join(cwd, 'node_modules', name)];

/** What frameworks without an adapter need: the recipe of docs/frameworks.md, built without secrets and asked over its own server. */
export const kits = {
  SvelteKit: {
    packages: ['@sveltejs/kit@2', 'svelte@5', 'vite@8'],
    async row(cwd) {
      await write(cwd, {
        'package.json': '{ "private": true, "type": "module" }',
        'svelte.config.js': 'export default {};',
        'vite.config.js': "import { sveltekit } from '@sveltejs/kit/vite';\nexport default { plugins: [sveltekit()] };",
        'src/app.html': '<html><head>%sveltekit.head%</head><body>%sveltekit.body%</body></html>',
        'src/hooks.server.ts': await recipe('src/hooks.server.ts'),
        'src/routes/orders/+server.js':
          'export const GET = ({ locals }) => Response.json({ tenant: locals.identity.tenant });',
        'serve.mjs': `
          import { Server } from './.svelte-kit/output/server/index.js';
          import { manifest } from './.svelte-kit/output/server/manifest.js';
          import { ask } from './ask.mjs';
          const server = new Server(manifest);
          await server.init({ env: process.env });
          await ask((request) => server.respond(request, { getClientAddress: () => '127.0.0.1' }));
        `,
      });
      await run([...modules(cwd, 'vite/bin/vite.js'), 'build'], cwd);
      await asked(cwd);
    },
  },
  Astro: {
    packages: ['astro@5', '@astrojs/node@9'],
    async row(cwd) {
      await write(cwd, {
        'package.json': '{ "private": true, "type": "module" }',
        'astro.config.mjs':
          "import node from '@astrojs/node';\nexport default { output: 'server', adapter: node({ mode: 'middleware' }) };",
        'src/middleware.ts': await recipe('src/middleware.ts'),
        'src/pages/orders.js': 'export const GET = ({ locals }) => Response.json({ tenant: locals.identity.tenant });',
        'serve.mjs': `
          import { once } from 'node:events';
          import { createServer } from 'node:http';
          import { handler } from './dist/server/entry.mjs';
          import { ask } from './ask.mjs';
          const server = createServer(handler).listen(0, '127.0.0.1');
          await once(server, 'listening');
          const origin = 'http://127.0.0.1:' + server.address().port;
          await ask(({ url, headers }) => fetch(origin + new URL(url).pathname, { headers }));
        `,
      });
      await run([...modules(cwd, 'astro/astro.js'), 'build'], cwd);
      await asked(cwd);
    },
  },
};
