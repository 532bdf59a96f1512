/**
 * Makes one file of the chunks that `import 'keyverify'` loads: the build splits code by the entries that share it, and each
 * file costs a process a third of a millisecond at start. No setting of esbuild or tsup does that: with `splitting`, which files
 * there are follows from the entries; without it, `keyverify/guard` would have an `InvalidOptionsError` of its own.
 */
import { readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';

import { build } from 'esbuild';

const DIST = 'dist';
const MERGED = 'chunk-core.js';
/** The statements in which the build imports chunks. */
const IMPORT = /^import (?:\{([^}]*)\} from )?"(\.{1,2}\/(?:[\w.]+\/)*)(chunk-\w+\.js)";\n/gm;
const EXPORT = /^export \{([^}]*)\};$/m;

const read = (file) => readFileSync(join(DIST, file), 'utf8');

/** `a, b as c` as pairs. */
const names = (list = '') =>
  list
    .split(',')
    .map((name) => name.trim().split(' as '))
    .filter(([name]) => name !== '')
    .map(([from, to = from]) => [from, to]);

const chunks = new Set();
function collect(file) {
  for (const [, , , chunk] of read(file).matchAll(IMPORT)) {
    if (chunks.has(chunk)) continue;
    chunks.add(chunk);
    collect(chunk);
  }
}
collect('index.js');

/** Two chunks may export different things by one name. */
const numbers = new Map([...chunks].map((chunk, number) => [chunk, number]));
const unique = (chunk, name) => `${name}_${numbers.get(chunk)}`;

const contents = [...chunks].map((chunk) => {
  const exported = names(EXPORT.exec(read(chunk))?.[1]).map(([, name]) => `${name} as ${unique(chunk, name)}`);
  return exported.length === 0 ? '' : `export { ${exported.join(', ')} } from './${chunk}';`;
});
await build({
  stdin: { contents: contents.join('\n'), resolveDir: DIST },
  outfile: join(DIST, MERGED),
  bundle: true,
  format: 'esm',
  target: 'es2022',
  packages: 'external',
  external: ['#*'],
});

for (const entry of readdirSync(DIST, { recursive: true, withFileTypes: true })) {
  const file = relative(DIST, join(entry.parentPath, entry.name));
  if (!file.endsWith('.js') || chunks.has(file) || file === MERGED) continue;
  const wanted = new Map();
  const text = read(file).replace(IMPORT, (statement, list, _path, chunk) => {
    if (!chunks.has(chunk)) return statement;
    for (const [name, as] of names(list)) wanted.set(as, unique(chunk, name));
    return '';
  });
  if (wanted.size === 0) {
    writeFileSync(join(DIST, file), text);
    continue;
  }
  const path = relative(dirname(file), MERGED);
  const list = [...wanted].map(([as, name]) => `${name} as ${as}`).join(', ');
  writeFileSync(join(DIST, file), `import { ${list} } from "${path.startsWith('.') ? path : `./${path}`}";\n${text}`);
}
for (const chunk of chunks) rmSync(join(DIST, chunk));
