/**
 * `npm run test:environments`: installs the packed package with every package manager and in every test runner, and verifies
 * a key over HTTP in each; compiles a consumer with every compiler; and builds the recipes for frameworks that have no adapter.
 * Everything is made in a temporary folder. Arguments select rows by a part of their name.
 */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { COMPILERS, compilers } from './compilers.mjs';
import { kits } from './kits.mjs';
import { managers, TOOLS } from './managers.mjs';
import { PACKAGES, runners } from './runners.mjs';
import { run } from './work.mjs';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const WORK = await mkdtemp(join(tmpdir(), 'keyverify-environments-'));
const QUIET = ['--no-audit', '--no-fund', '--loglevel=error', '--no-save'];
const wanted = process.argv.slice(2);
const failures = [];
let passed = 0;

const isWanted = (name) => wanted.length === 0 || wanted.some((part) => name.includes(part));
const select = (rows) => Object.entries(rows).filter(([name]) => isWanted(name));

async function pack() {
  await run(['npm', 'run', 'build'], ROOT);
  const { stdout } = await run(['npm', 'pack', '--json', `--pack-destination=${WORK}`], ROOT);
  return join(WORK, JSON.parse(stdout)[0].filename);
}

async function folder(name) {
  const path = join(WORK, name);
  await mkdir(path);
  await writeFile(join(path, 'package.json'), '{ "private": true }');
  return path;
}

/** Runs rows, as many at once as there are processors. */
async function runRows(rows, test) {
  const queue = [...rows];
  const work = async () => {
    for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
      const [name, row] = next;
      const since = Date.now();
      try {
        const detail = await test(row, name.replaceAll(/\W+/g, '-'));
        passed++;
        console.log(
          `✓ ${name}${detail === undefined ? '' : `, ${detail}`} (${((Date.now() - since) / 1000).toFixed(1)} s)`,
        );
      } catch (error) {
        failures.push(`${name}: ${error.message}`);
        console.log(`✗ ${name}`);
      }
    }
  };
  await Promise.all(Array.from({ length: availableParallelism() }, work));
}

async function testManagers(tarball) {
  const rows = select(managers);
  if (rows.length === 0) return;
  const tools = await folder('tools');
  const specs = Object.entries(TOOLS).map(([name, spec]) => `${name}@${spec}`);
  await run(['npm', 'install', '--ignore-scripts', ...QUIET, ...specs], tools);
  const bin = (name, path) => join(tools, 'node_modules', name, path);
  const registry = (await run(['npm', 'config', 'get', 'registry'], ROOT)).stdout.trim();
  await runRows(rows, async (row, name) => await row(await folder(name), { tarball, bin, registry }));
}

/** Rows that share one folder of packages. */
async function testWith(name, rows, packages, tarball) {
  const selected = select(rows);
  if (selected.length === 0) return;
  const shared = await folder(name);
  await run(['npm', 'install', ...QUIET, tarball, ...packages], shared);
  await runRows(selected, async (row, place) => await row(shared, place));
}

try {
  const tarball = await pack();
  await testManagers(tarball);
  await testWith('runners', runners, PACKAGES, tarball);
  await testWith('compilers', compilers, COMPILERS, tarball);
  for (const [name, { packages, row }] of Object.entries(kits))
    await testWith(name, { [name]: row }, packages, tarball);
} catch (error) {
  failures.push(error.stack);
} finally {
  await rm(WORK, { recursive: true, force: true });
}
for (const failure of failures) console.log(`\n✗ ${failure}`);
console.log(`\n${passed} environments passed, ${failures.length} failed`);
process.exitCode = failures.length === 0 && passed > 0 ? 0 : 1;
