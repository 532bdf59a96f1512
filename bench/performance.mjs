import { loadavg } from 'node:os';
import { fileURLToPath } from 'node:url';

import { writeDoc } from '../tools/pages.ts';
import { busyShare } from './lib/busy.mjs';
import { child } from './lib/child.mjs';
import { importCosts } from './lib/import-cost.mjs';
import { page } from './lib/page.mjs';
import { targets } from './lib/targets.mjs';
import { label } from './lib/versions.mjs';

const COMPARED = [
  '@fastify/bearer-auth',
  '@fastify/jwt',
  '@unkey/api',
  '@unkey/cache',
  '@unkey/hono',
  'bentocache',
  'better-auth',
  'cacheable',
  'express',
  'express-oauth2-jwt-bearer',
  'fast-jwt',
  'fastify',
  'hono',
  'jose',
  'lru-cache',
  'undici',
];
const FLAGS = ['--expose-gc', '--max-old-space-size=3072'];
const BUSY_MS = 1_000;
const IMPORT_ROUNDS = 15;
const STARTS = 5;

const startedAt = new Date();
const [, load] = loadavg();
const busy = [];
// Sections that use what the tests have in TypeScript.
process.env.TSX_TSCONFIG_PATH = fileURLToPath(new URL('../tsconfig.node.json', import.meta.url));

async function section(name, options, flags = FLAGS) {
  process.stderr.write(`${name} ${options === undefined ? '' : JSON.stringify(options)}\n`);
  const running = await child(`sections/${name}.mjs`, options, flags);
  // The next section starts on a quiet machine.
  await running.ended;
  return running.message;
}

async function measured(name) {
  busy.push(await busyShare(BUSY_MS));
  const flags = name === 'fleet' ? [...FLAGS, '--import', 'tsx'] : FLAGS;
  try {
    return await section(name, undefined, flags);
  } catch (error) {
    // Once more: a run takes a quarter of an hour, and nobody may be there.
    process.stderr.write(`${error.message}: once more\n`);
    return await section(name, undefined, flags);
  }
}

const figures = {};
for (const name of ['hit', 'miss', 'stampede', 'outage', 'inject', 'service', 'fleet'])
  figures[name] = await measured(name);

figures.scale = [];
busy.push(await busyShare(BUSY_MS));
for (const size of [1_000, 10_000, 100_000, 1_000_000]) {
  const row = { size };
  for (const subject of ['keyverify', 'hex', 'binary']) row[subject] = await section('scale', { size, subject });
  figures.scale.push(row);
}

process.stderr.write('import\n');
busy.push(await busyShare(BUSY_MS));
const keyverify = new URL('../dist/index.js', import.meta.url).href;
const others = ['@unkey/api', '@unkey/cache', 'fast-jwt', 'jose', 'better-auth'];
const modules = { keyverify, ...Object.fromEntries(others.map((name) => [name, name])) };
const [server, unkeyServer] = [await child('servers/key-server.mjs'), await child('servers/unkey.mjs')];
const { verifyUrl } = server.message;
const unkeyUrl = unkeyServer.message.url;
figures.start = { imports: await importCosts(modules, IMPORT_ROUNDS), verdicts: { keyverify: [], '@unkey/api': [] } };
for (let round = 0; round < STARTS; round++) {
  const { verdicts } = figures.start;
  verdicts.keyverify.push((await section('start', { module: keyverify, verifyUrl })).verdictMs);
  verdicts['@unkey/api'].push((await section('start', { module: '@unkey/api', unkeyUrl })).verdictMs);
}
await Promise.all([server.stop(), unkeyServer.stop()]);

const versions = await Promise.all(COMPARED.map(label));
const results = targets(figures);
const seconds = Math.round((Date.now() - startedAt) / 1000);
const { markdown, charts } = page(figures, results, { startedAt, seconds, load, busy, versions });
for (const [name, svg] of Object.entries(charts)) await writeDoc(`performance/${name}.svg`, svg);
await writeDoc('performance.md', markdown);
const kept = {
  startedAt,
  seconds,
  load,
  busy,
  targets: results.map(({ figure, measured, text, target, met }) => ({ figure, measured, text, target, met })),
};
await writeDoc('performance/figures.json', JSON.stringify(kept));
console.table(results.map(({ figure, text, target, met }) => ({ figure, text, target, met: met ? 'yes' : 'NO' })));
console.log(`measured in ${seconds} s`);
