import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { builds, testFile } from './fixtures.mjs';
import { run } from './work.mjs';

const modules = (folder, name) => join(folder, 'node_modules', name);
/** A DOM passes for a browser, where a verifier is refused unless this allows it. */
const IN_DOM = { options: '{ dangerouslyAllowBrowser: true }' };

/** Here undici can't be loaded, since a DOM hides what it needs: fetch takes its place, with a warning. */
const BY_FETCH = { options: '{ dangerouslyAllowBrowser: true, logger: { warn: () => undefined } }' };

/** Writes a test beside the packages of `folder`, which it finds there. */
async function write(folder, cwd, files) {
  await mkdir(cwd, { recursive: true });
  for (const [name, content] of Object.entries(files)) await writeFile(join(cwd, name), content);
}

const jest =
  (kind, { config = {}, flags = [], test = testFile, ...file } = {}) =>
  async (folder, row) => {
    const cwd = join(folder, row);
    const name = kind === 'cjs' ? 'key.test.cjs' : 'key.test.mjs';
    const matches = { testMatch: ['**/*.test.?js'], transform: {}, testTimeout: 20_000 };
    await write(folder, cwd, {
      [name]: test(kind, file),
      'jest.config.json': JSON.stringify({ ...matches, ...config }),
    });
    await run(
      [process.execPath, ...flags, modules(folder, 'jest/bin/jest.js'), '--config=jest.config.json', '--ci'],
      cwd,
    );
  };

const vitest = (args, file) => async (folder, name) => {
  const cwd = join(folder, name);
  await write(folder, cwd, { 'key.test.mjs': testFile('esm', file) });
  await run(
    [process.execPath, modules(folder, 'vitest/vitest.mjs'), 'run', '--globals', '--testTimeout=20000', ...args],
    cwd,
  );
};

/** The test runners, with what differs in the place where they run tests. */
export const runners = {
  'Jest 30, CommonJS': jest('cjs'),
  'Jest 30, ES modules': jest('esm', { flags: ['--experimental-vm-modules'] }),
  // Jest's own jsdom has no fetch: there it can be imported and built, no more.
  'Jest 30, jsdom without fetch': jest('cjs', { config: { testEnvironment: 'jsdom' }, test: builds }),
  'Jest 30, jsdom with fetch': jest('cjs', { config: { testEnvironment: 'jest-fixed-jsdom' }, ...BY_FETCH }),
  'vitest, threads': vitest(['--pool=threads']),
  'vitest, forks': vitest(['--pool=forks']),
  'vitest, vmThreads': vitest(['--pool=vmThreads']),
  'vitest, jsdom': vitest(['--environment=jsdom'], IN_DOM),
  'vitest, happy-dom': vitest(['--environment=happy-dom'], IN_DOM),
};

export const PACKAGES = [
  'jest@30.5.2',
  'jest-environment-jsdom@30.5.2',
  'jest-fixed-jsdom@0.0.11',
  'vitest@4.1.12',
  'jsdom@29',
  'happy-dom@21.0.4',
];
