import { spawnSync } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';

import { bundle } from './bundle.mjs';
import { UNDICI_7 } from './prepare.mjs';
import { run } from './process.mjs';

/** Edge functions run on Node, too, so their bundle can also tell what Node's errors mean. */
const LIMITS = { webKB: { browser: 42.1, workerd: 42.2, 'edge-light': 42.9 }, installMB: 5, packages: 2 };
/** The import, compared with that of @unkey/api in the same rounds: 12 ms where that takes 174 ms. Milliseconds depend on the machine. */
const IMPORT_RATIO = 0.069;
const ROUNDS = 25;

/** What must not be part of a bundle for browsers or isolates: undici, modules of Node, and every subpath of ours. */
const LEAKS = /node_modules\/undici\/|^node:|keyverify\/dist\/(?!index\.|core\.|platform\/|transport\/)/;

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

/** The cost of an import: the median difference to a bare process, in processor time, which a busy machine doesn't inflate. */
async function importCosts() {
  const unkey = createRequire(import.meta.url).resolve('@unkey/api');
  const sources = { bare: '', keyverify: "import 'keyverify';", unkey: `import ${JSON.stringify(unkey)};` };
  const files = Object.entries(sources).map(([name, source]) => [name, join(UNDICI_7, `cost-${name}.mjs`), source]);
  for (const [, file, source] of files) await writeFile(file, `${source}\n${CPU_TIME}`);
  const rounds = [];
  for (let round = 0; round < ROUNDS; round++) {
    const took = {};
    // Forwards and backwards, so that a machine that speeds up or slows down affects all of them alike.
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

/** Size and cost of the package, and what its bundles must not contain. */
export async function gates(fail, say) {
  const measured = [];
  const bound = (what, value, limit, unit) => {
    const [text, most] = [value, limit].map((of) => (unit === '' ? String(of) : `${of.toFixed(1)} ${unit}`));
    say(`${value <= limit ? '✓' : '✗'} ${what}: ${text}, limit ${most}`);
    if (value > limit) fail(`${what}: ${text}, limit ${most}`);
    measured.push([what, text, most]);
  };
  for (const conditions of [['browser'], ['workerd', 'worker', 'browser'], ['edge-light', 'browser']]) {
    const [runtime] = conditions;
    const { gzipped, leaks } = await web(conditions);
    bound(`bundle for \`${runtime}\`, with dependencies, gzipped`, gzipped / 1000, LIMITS.webKB[runtime], 'kB');
    if (leaks.length > 0) fail(`the bundle for ${runtime} contains ${leaks.join()}`);
  }
  const { packages, bytes } = await install();
  bound('installed packages', packages, LIMITS.packages, '');
  bound('size of an install', bytes / 1e6, LIMITS.installMB, 'MB');
  let costs = await importCosts();
  // Disturbances only ever add to a measurement, so the smallest counts.
  for (let again = 0; again < 2 && costs.keyverify > IMPORT_RATIO * costs.unkey; again++) costs = await importCosts();
  const { bare, keyverify, unkey } = costs;
  bound('import, compared with a bare process', keyverify, IMPORT_RATIO * unkey, 'ms');
  say(`  a bare process: ${bare.toFixed(1)} ms; import of @unkey/api in the same rounds: ${unkey.toFixed(1)} ms`);
  measured.push(['import of `@unkey/api`, compared with a bare process', `${unkey.toFixed(1)} ms`, '']);
  measured.push(['a bare process', `${bare.toFixed(1)} ms`, '']);
  return measured;
}
