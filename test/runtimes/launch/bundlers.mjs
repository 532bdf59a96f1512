import { spawn } from 'node:child_process';
import { mkdir, readFile, readdir, writeFile } from 'node:fs/promises';
import { isBuiltin } from 'node:module';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

import { bundle } from '../bundle.mjs';
import { host } from '../host.mjs';
import { run } from '../process.mjs';
import { browse } from './chromium.mjs';

/** The suite in a built Vite app, in the browser. */
export async function inVite({ consumer, packages, ...row }) {
  const cwd = join(consumer, 'vite');
  await run(process.execPath, [join(packages, 'vite/bin/vite.js'), 'build', '--logLevel=warn'], { cwd });
  const files = { '/': ['text/html', await readFile(join(cwd, 'dist/index.html'))] };
  for (const name of await readdir(join(cwd, 'dist/assets')))
    files[`/assets/${name}`] = ['text/javascript', await readFile(join(cwd, 'dist/assets', name))];
  return await browse({ consumer, where: 'page', files, ...row });
}

/** The suite in route handlers of a production build of a Next.js app. One report for each route. */
export async function inNext({ consumer, packages, routes }) {
  const cwd = join(consumer, 'next');
  const env = { ...process.env, NEXT_TELEMETRY_DISABLED: '1' };
  const next = join(packages, 'next/dist/bin/next');
  await run(process.execPath, [next, 'build'], { cwd, env });
  const server = spawn(process.execPath, [next, 'start', '-p', '0', '-H', '127.0.0.1'], {
    cwd,
    env,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  try {
    const origin = await address(server);
    const reports = [];
    for (const { route, expects } of routes) {
      const { config, close } = await host(consumer);
      const body = JSON.stringify({ ...config, expects });
      const response = await fetch(`${origin}/${route}`, { method: 'POST', body });
      if (response.status !== 200) throw new Error(`${route} answered ${response.status}: ${await response.text()}`);
      reports.push(await response.json());
      await close();
    }
    return reports;
  } finally {
    server.kill();
  }
}

async function address(server) {
  for await (const line of createInterface(server.stdout)) {
    const [origin] = /http:\/\/127\.0\.0\.1:\d+/.exec(line) ?? [];
    if (origin !== undefined) return origin;
  }
  throw new Error('Next.js exited before it listened');
}

const INVOKE = `import(process.argv[1])
  .then(({ handler, default: { handler: own = handler } = {} }) => own(JSON.parse(process.argv[2])))
  .then((report) => process.stdout.write(JSON.stringify(report)))`;

/** The suite in a handler that is one self-contained file. As an ES module it has to define the `require` that undici calls. */
export async function inLambda({ consumer, module, expects }) {
  const banner = { js: "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);" };
  const { code, imports } = await bundle(consumer, 'lambda/handler.js', {
    platform: 'node',
    ...(module === 'ESM' ? { format: 'esm', banner } : { format: 'cjs' }),
  });
  const external = imports.filter((path) => !isBuiltin(path) && !path.startsWith('node:'));
  if (external.length > 0) throw new Error(`the bundle imports ${external.join()}`);
  const folder = join(consumer, 'lambda/dist');
  const file = join(folder, module === 'ESM' ? 'index.mjs' : 'index.cjs');
  await mkdir(folder, { recursive: true });
  await writeFile(file, code);
  const { config, close } = await host(consumer);
  try {
    return JSON.parse(await run(process.execPath, ['-e', INVOKE, file, JSON.stringify({ ...config, expects })]));
  } finally {
    await close();
  }
}
