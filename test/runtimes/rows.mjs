import { access } from 'node:fs/promises';
import { join } from 'node:path';

import { inLambda, inNext, inVite } from './launch/bundlers.mjs';
import { inChromium } from './launch/chromium.mjs';
import { inEdgeRuntime } from './launch/edge-runtime.mjs';
import { inProcess } from './launch/process.mjs';
import { inWorkerd } from './launch/workerd.mjs';
import { APPS, CHROMIUM, CONSUMERS, RUNTIMES, UNDICI_7, UNDICI_8, versionOf } from './prepare.mjs';
import { run } from './process.mjs';

/** The observable properties of each pair of modules behind `#platform` and `#transport`. */
const NODE = { platform: 'server', expects: { transport: 'undici', hash: 'native', flights: 'shared' } };
const SERVER = { platform: 'server', expects: { transport: 'fetch', hash: 'native', flights: 'shared' } };
const WEB = { platform: 'web', expects: { transport: 'fetch', hash: 'JavaScript', flights: 'shared' } };
const ISOLATE = { platform: 'isolate', expects: { transport: 'fetch', hash: 'JavaScript', flights: 'one per caller' } };

const installed = (name) => join(RUNTIMES, 'node_modules', name);
const packages = join(CONSUMERS, 'node_modules');

const inNode = (folder, majors) =>
  majors.flatMap((undici) =>
    ['ESM', 'CJS'].map((module) => ({
      runtime: 'Node.js',
      folder: installed(folder),
      command: 'bin/node',
      module,
      how: `undici ${undici}`,
      condition: 'node',
      ...NODE,
      consumer: undici === 7 ? UNDICI_7 : UNDICI_8,
      launch: inProcess,
    })),
  );

const bun = { runtime: 'Bun', folder: installed('@oven/bun-linux-x64'), command: 'bin/bun', launch: inProcess };
const deno = { runtime: 'Deno', folder: installed('@deno/linux-x64-glibc'), command: 'deno', launch: inProcess };
const denoArgs = ['run', '--allow-all', '--quiet'];
const chromium = {
  runtime: 'Chromium',
  executable: CHROMIUM,
  module: 'bundle',
  condition: 'browser',
  launch: inChromium,
};
const next = { runtime: 'Next.js', folder: join(packages, 'next'), module: 'bundle' };
const lambda = { runtime: 'esbuild, as for Lambda', folder: join(packages, 'esbuild'), condition: 'node', ...NODE };

const PLACES = {
  page: 'page',
  worker: 'Web Worker',
  csp: 'page, strict CSP',
  insecure: 'page, insecure origin',
};

/** A job is one launch and reports on each of its rows. The slowest comes first. */
export const jobs = [
  {
    rows: [
      { ...next, how: 'route handler, nodejs', condition: 'node', ...NODE },
      { ...next, how: 'route handler, edge', condition: 'edge-light', ...ISOLATE },
    ],
    launch: async ([{ expects: node }, { expects: edge }]) => {
      const routes = Object.entries({ node, edge }).map(([route, expects]) => ({ route, expects }));
      return await inNext({ consumer: APPS, packages, routes });
    },
  },
  ...[
    ...['page', 'worker', 'csp', 'insecure'].map((where) => ({ ...chromium, ...WEB, how: PLACES[where], where })),
    { ...chromium, ...WEB, how: 'Vite app', consumer: APPS, packages, launch: inVite },
    ...inNode('node-20.19', [7]),
    ...inNode('node-20', [7]),
    ...inNode('node-22', [7, 8]),
    ...inNode('node-24', [7, 8]),
    ...inNode('node-26', [7, 8]),
    { ...bun, module: 'ESM', condition: 'bun', ...SERVER },
    { ...bun, module: 'CJS', condition: 'bun', ...SERVER },
    { ...deno, args: denoArgs, module: 'ESM', condition: 'deno', ...SERVER },
    { ...deno, args: denoArgs, module: 'CJS', condition: 'node', ...NODE },
    {
      runtime: 'workerd',
      folder: installed('@cloudflare/workerd-linux-64'),
      command: 'bin/workerd',
      module: 'bundle',
      condition: 'workerd',
      ...ISOLATE,
      launch: inWorkerd,
    },
    {
      runtime: 'edge-runtime',
      folder: installed('edge-runtime'),
      module: 'bundle',
      condition: 'edge-light',
      ...ISOLATE,
      launch: inEdgeRuntime,
    },
    { ...lambda, module: 'CJS', how: 'bundle', consumer: APPS, launch: inLambda },
    { ...lambda, module: 'ESM', how: 'bundle with a `require`', consumer: APPS, launch: inLambda },
  ].map((row) => ({ rows: [row], launch: async ([found]) => [await row.launch({ consumer: UNDICI_7, ...found })] })),
];

/** The row with the version and path of its runtime, or with `missing` if that isn't installed. */
export async function find(row) {
  const { folder, executable = folder && row.command && join(folder, row.command) } = row;
  try {
    if (executable !== undefined) await access(executable);
    const version =
      folder === undefined ? (await run(executable, ['--version'])).match(/\d+\.\d+\.\d+/)[0] : await versionOf(folder);
    return { ...row, version, command: executable };
  } catch {
    return { ...row, missing: true };
  }
}
