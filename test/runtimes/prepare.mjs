import { cp, mkdir, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { run } from './process.mjs';

const at = (path) => fileURLToPath(new URL(path, import.meta.url));

export const ROOT = at('../..');
export const RUNTIMES = at('.');
export const CONSUMERS = at('../consumers');
/** Outside of this repository: a consumer must not find its packages or its tsconfig.json, whose paths Bun would follow. */
const WORK = await mkdtemp(join(tmpdir(), 'keyverify-'));
/** The packed package, installed with each supported major version of undici, and in the projects of the bundlers. */
export const UNDICI_7 = join(WORK, 'undici-7');
export const UNDICI_8 = join(WORK, 'undici-8');
export const APPS = join(CONSUMERS, '.work');
/** The first browser that is installed; the first of all if none is. */
export const CHROMIUM = await firstOf(['chromium-headless-shell', 'chromium', 'google-chrome']);

const INSTALL_MS = 300_000;
const QUIET = ['--no-audit', '--no-fund', '--loglevel=error'];

const npm = async (cwd, ...args) => await run('npm', args, { cwd, timeout: INSTALL_MS });
async function firstOf(names) {
  const paths = names.map((name) => join('/usr/bin', name));
  const found = await Promise.all(
    paths.map((path) =>
      stat(path).then(
        () => path,
        () => undefined,
      ),
    ),
  );
  return found.find(Boolean) ?? paths[0];
}

const modified = async (path) => (await stat(path).catch(() => undefined))?.mtimeMs ?? 0;

/** Installs the packages of a lockfile unless they are there already. */
async function install(folder, ...args) {
  const installed = await modified(join(folder, 'node_modules/.package-lock.json'));
  if (installed < (await modified(join(folder, 'package-lock.json')))) await npm(folder, 'ci', ...QUIET, ...args);
}

async function pack() {
  await install(ROOT);
  await npm(ROOT, 'run', 'build');
  const [{ filename }] = JSON.parse(await npm(ROOT, 'pack', '--json', `--pack-destination=${WORK}`));
  return join(WORK, filename);
}

async function consume(folder, tarball, ...packages) {
  await rm(folder, { recursive: true, force: true });
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, 'package.json'), '{ "private": true, "type": "module" }');
  await npm(folder, 'install', ...QUIET, tarball, ...packages);
  await cp(join(RUNTIMES, 'suite.js'), join(folder, 'suite.js'));
  await cp(join(RUNTIMES, 'launchers'), folder, { recursive: true });
}

async function browser() {
  if ((await modified(CHROMIUM)) > 0) return;
  try {
    const apt = async (...args) => await run('apt-get', args, { timeout: INSTALL_MS });
    await apt('update', '-q');
    await apt('install', '-qy', '--no-install-recommends', 'chromium-headless-shell');
  } catch (error) {
    console.log(`chromium-headless-shell can't be installed: ${error.message.split('\n')[0]}`);
  }
}

/** Packs the package and installs the runtimes, concurrently. */
export async function prepare() {
  const packed = pack().then(async (tarball) => {
    await consume(UNDICI_7, tarball, 'undici@7');
    await consume(UNDICI_8, tarball, 'undici@8');
    await consume(APPS, tarball);
    for (const app of ['vite', 'next', 'lambda']) await cp(join(CONSUMERS, app), join(APPS, app), { recursive: true });
  });
  await Promise.all([packed, install(RUNTIMES), install(CONSUMERS, '--ignore-scripts'), browser()]);
}

export const tidy = async () => await rm(WORK, { recursive: true, force: true });

export const versionOf = async (folder) =>
  JSON.parse(await readFile(join(folder, 'package.json'), 'utf8')).version.replace(/^v/, '');
