import { spawnSync } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';

import { bundle } from './bundle.mjs';
import { UNDICI_7 } from './prepare.mjs';
import { run } from './process.mjs';

const LIMITS = { webKB: 18, importMs: 12, installMB: 12, packages: 4 };
const ROUNDS = 25;

/** What must not get into a bundle for browsers or isolates, and what never reaches a bundle of the core at all. */
const LEAKS = /node_modules\/(?:undici|lru-cache)\/|^node:|keyverify\/dist\/(?!index\.|chunk-|platform\/)/;

async function web(conditions) {
  const contents = "export * from 'keyverify';";
  const { code, inputs, imports } = await bundle(UNDICI_7, undefined, {
    stdin: { contents, resolveDir: UNDICI_7 },
    format: 'esm',
    minify: true,
    conditions,
  });
  return {
    gzipped: gzipSync(code, { level: 9 }).length,
    leaks: [...inputs, ...imports].filter((path) => LEAKS.test(path)),
  };
}

async function install() {
  const lock = JSON.parse(await readFile(join(UNDICI_7, 'node_modules/.package-lock.json'), 'utf8'));
  const names = Object.keys(lock.packages);
  const du = spawnSync('du', ['-sb', ...names.map((name) => join(UNDICI_7, name))], { encoding: 'utf8' });
  const bytes = du.stdout
    .trim()
    .split('\n')
    .reduce((sum, line) => sum + Number.parseInt(line), 0);
  return { packages: names.length, bytes };
}

const median = (values) => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)];

const CPU_TIME = `process.on('exit', () => {
  const { user, system } = process.cpuUsage();
  process.stdout.write(String(user + system));
});`;

/**
 * What an import costs over a bare process, as the median of the rounds' own differences. In processor time: that is what
 * it takes on a machine with nothing else to do, and how long a busy one makes it wait is nobody's business here.
 */
async function importCosts() {
  const unkey = createRequire(import.meta.url).resolve('@unkey/api');
  const sources = { bare: '', keyverify: "import 'keyverify';", unkey: `import ${JSON.stringify(unkey)};` };
  const files = Object.entries(sources).map(([name, source]) => [name, join(UNDICI_7, `cost-${name}.mjs`), source]);
  for (const [, file, source] of files) await writeFile(file, `${source}\n${CPU_TIME}`);
  const rounds = [];
  for (let round = 0; round < ROUNDS; round++) {
    const took = {};
    // There and back: a machine that speeds up or slows down meanwhile does so for all of them alike.
    for (const [name, file] of [...files, ...files.toReversed()])
      took[name] = (took[name] ?? 0) + Number(await run(process.execPath, [file])) / 2000;
    rounds.push(took);
  }
  return {
    bare: median(rounds.map(({ bare }) => bare)),
    keyverify: median(rounds.map(({ bare, keyverify }) => keyverify - bare)),
    unkey: median(rounds.map(({ bare, unkey }) => unkey - bare)),
  };
}

/** What the artifact weighs and costs, and what must not be in it. */
export async function gates(fail, say) {
  const measured = [];
  const bound = (what, value, limit, unit) => {
    const text = `${value.toFixed(1)} ${unit}`;
    say(`${value <= limit ? '✓' : '✗'} ${what}: ${text}, at the most ${limit.toFixed(1)}`);
    if (value > limit) fail(`${what}: ${text}, at the most ${limit.toFixed(1)}`);
    measured.push([what, text, limit.toFixed(1)]);
  };
  for (const conditions of [['browser'], ['workerd', 'worker', 'browser'], ['edge-light', 'browser']]) {
    const { gzipped, leaks } = await web(conditions);
    bound(`bundle for \`${conditions[0]}\`, dependencies and all, gzipped`, gzipped / 1000, LIMITS.webKB, 'kB');
    if (leaks.length > 0) fail(`the bundle for ${conditions[0]} holds ${leaks.join()}`);
  }
  const { packages, bytes } = await install();
  bound('packages of an install', packages, LIMITS.packages, '');
  bound('weight of an install', bytes / 1e6, LIMITS.installMB, 'MB');
  let costs = await importCosts();
  // Whatever disturbs a measurement adds to it.
  for (let again = 0; again < 2 && costs.keyverify > LIMITS.importMs; again++) costs = await importCosts();
  const { bare, keyverify, unkey } = costs;
  bound('import, over a bare process', keyverify, LIMITS.importMs, 'ms');
  say(`  a bare process: ${bare.toFixed(1)} ms; import of @unkey/api in the same rounds: ${unkey.toFixed(1)} ms`);
  measured.push(['import of `@unkey/api`, in the same rounds', `${unkey.toFixed(1)} ms`, '']);
  measured.push(['a bare process, in the same rounds', `${bare.toFixed(1)} ms`, '']);
  return measured;
}
