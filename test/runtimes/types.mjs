import { cp, mkdir, readFile, readdir, writeFile } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';

import { RUNTIMES, UNDICI_7, versionOf } from './prepare.mjs';
import { run } from './process.mjs';

const modules = join(RUNTIMES, 'node_modules');
const DOM = { lib: ['ES2022', 'ESNext.Disposable', 'DOM', 'DOM.Iterable'], types: [] };
const NODE = { lib: ['ES2022'], types: ['node'], typeRoots: [join(modules, '@types')] };

/** The compiler options of consumers. The testing kit needs Node, so it is checked with the types of Node, not of the DOM. */
const SETTINGS = {
  nodenext: { module: 'nodenext', moduleResolution: 'nodenext', ...NODE, files: ['esm.mts', 'esm.cts', 'kit.mts'] },
  bundler: { module: 'esnext', moduleResolution: 'bundler', ...DOM, files: ['esm.ts'] },
  node10: { module: 'commonjs', moduleResolution: 'node10', ...DOM, files: ['esm.ts'] },
  'node10, a subpath': { module: 'commonjs', moduleResolution: 'node10', ...NODE, files: ['kit.ts'] },
};

/** The expected errors: TypeScript 7 has no node10, and node10 has no `exports`, so it only finds the root of a package. */
function expectedError(name, version) {
  if (name.startsWith('node10') && version === 'typescript-7') return /TS5108/;
  return name === 'node10, a subpath' ? /TS2307: Cannot find module 'keyverify\/testing'/ : undefined;
}

async function compile(version, name, folder) {
  const { files, ...compilerOptions } = SETTINGS[name];
  const strict = {
    target: 'ES2022',
    strict: true,
    exactOptionalPropertyTypes: true,
    skipLibCheck: false,
    noEmit: true,
  };
  const config = join(folder, `${version}-${name.replaceAll(/\W+/g, '-')}.json`);
  const silence = version === 'typescript-6' && name.startsWith('node10') ? { ignoreDeprecations: '6.0' } : {};
  await writeFile(config, JSON.stringify({ compilerOptions: { ...strict, ...compilerOptions, ...silence }, files }));
  return await run(process.execPath, [join(modules, version, 'bin/tsc'), '-p', config]).catch(({ message }) => message);
}

/** Type-checks a consumer, and the declarations of the packed package, with each compiler. */
export async function types(fail, say) {
  const folder = join(UNDICI_7, 'types');
  await mkdir(folder, { recursive: true });
  await cp(join(RUNTIMES, 'types'), folder, { recursive: true });
  for (const source of ['esm', 'kit'])
    for (const extension of ['ts', 'cts'])
      await writeFile(join(folder, `${source}.${extension}`), await readFile(join(folder, `${source}.mts`)));
  const versions = (await readdir(modules)).filter((name) => name.startsWith('typescript-')).sort();
  const table = versions.flatMap((version) => Object.keys(SETTINGS).map((name) => ({ version, name })));
  const queue = [...table];
  const work = async () => {
    for (let row = queue.shift(); row !== undefined; row = queue.shift()) {
      const expected = expectedError(row.name, row.version);
      const output = await compile(row.version, row.name, folder);
      const fine = expected === undefined ? output === '' : expected.test(output);
      if (!fine) fail(`${row.version}, ${row.name}: ${output === '' ? 'compiled, but an error was expected' : output}`);
      row.refused = expected !== undefined;
      row.compiler = await versionOf(join(modules, row.version));
    }
  };
  await Promise.all(Array.from({ length: availableParallelism() }, work));
  say(`✓ ${table.length} type-checks of a consumer`);
  return table;
}
