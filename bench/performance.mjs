import { loadavg } from 'node:os';

import { writeDoc } from '../tools/pages.ts';
import { child } from './lib/child.mjs';
import { page } from './lib/page.mjs';
import { times } from './lib/format.mjs';
import { targets } from './lib/targets.mjs';
import { label } from './lib/versions.mjs';

const startedAt = new Date();
const [, load] = loadavg();
const COMPARED = [
  '@unkey/api',
  '@unkey/cache',
  'autocannon',
  'better-auth',
  'express',
  'fast-jwt',
  'fastify',
  'jose',
  'lru-cache',
  'undici',
];
const flags = ['--expose-gc', '--max-old-space-size=3072'];

async function section(name, options) {
  process.stderr.write(`${name} ${options === undefined ? '' : JSON.stringify(options)}\n`);
  const running = await child(`sections/${name}.mjs`, options, flags);
  // The next section starts on a quiet machine.
  await running.ended;
  return running.message;
}

const hit = await section('hit');
const miss = await section('miss');
const stampede = await section('stampede');
const outage = await section('outage');
const service = await section('service');

const scale = [];
for (const size of [1_000, 10_000, 100_000, 1_000_000]) {
  const row = { size };
  for (const subject of ['keyverify', 'hex', 'binary']) row[subject] = await section('scale', { size, subject });
  scale.push(row);
}

const start = {};
const server = await child('servers/key-server.mjs', {});
const unkeyServer = await child('servers/unkey.mjs');
const modules = {
  keyverify: { module: '../../dist/index.js', verifyUrl: server.message.verifyUrl },
  '@unkey/api': { module: '@unkey/api', unkeyUrl: unkeyServer.message.url },
  '@unkey/cache': { module: '@unkey/cache' },
  'fast-jwt': { module: 'fast-jwt' },
  jose: { module: 'jose' },
  'better-auth': { module: 'better-auth' },
};
for (let round = 0; round < 5; round++)
  for (const [name, options] of Object.entries(modules)) (start[name] ??= []).push(await section('start', options));
await Promise.all([server.stop(), unkeyServer.stop()]);

const figures = { hit, miss, stampede, outage, service, scale, start };
const versions = await Promise.all(COMPARED.map(label));
const results = targets(figures);
const { markdown, charts } = page(figures, results, { startedAt, load, versions });
for (const [name, svg] of Object.entries(charts)) await writeDoc(`performance/${name}.svg`, svg);
await writeDoc('performance.md', markdown);
console.table(
  results.map(({ figure, measured, target, met }) => ({
    figure,
    measured: times(measured),
    target,
    met: met ? 'yes' : 'NO',
  })),
);
console.log(`measured in ${Math.round((Date.now() - startedAt) / 1000)} s`);
