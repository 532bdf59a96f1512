// Every entry point of package.json must have been built, and every built file must be reachable from one. The core must not
// import a Node module, the testing kit or an adapter.
import { existsSync, readFileSync, readdirSync } from 'node:fs';

import { builtinModules, createRequire } from 'node:module';
import { dirname, join, resolve } from 'node:path';

const { main, module, types, bin = {}, imports, exports } = JSON.parse(readFileSync('package.json', 'utf8'));
const problems = [];

const leaves = (tree) => (typeof tree === 'string' ? [tree] : Object.values(tree).flatMap(leaves));
const targets = (...trees) => new Set(trees.flatMap(leaves).map((path) => join(path)));

const IMPORT = /(?:\bfrom|\bimport|\brequire\(|\bimport\()\s*["']([^"']+)["']/g;
const DECLARATION = /\.d\.c?ts$/;

/** Adds a file and all files that it imports to `seen`. Returns the packages that they import. */
function follow(path, seen, packages = new Set()) {
  if (seen.has(path)) return packages;
  seen.add(path);
  for (const [, name] of readFileSync(path, 'utf8').matchAll(IMPORT)) {
    if (!name.startsWith('.')) packages.add(name);
    else {
      const target = join(dirname(path), name);
      // Declarations import the module beside a declaration.
      follow(DECLARATION.test(path) ? target.replace(/\.(c?)js$/, '.d.$1ts') : target, seen, packages);
    }
  }
  return packages;
}

const reached = new Set();
for (const path of targets(main, module, types, bin, imports, exports)) {
  if (!existsSync(path)) problems.push(`package.json names ${path}, which was not built`);
  else if (path.startsWith('dist')) follow(path, reached);
}
for (const entry of readdirSync('dist', { recursive: true, withFileTypes: true })) {
  const path = join(entry.parentPath, entry.name);
  if (entry.isFile() && !reached.has(path))
    problems.push(`${path} was built, but is not reachable from an entry point`);
}

const OF_THE_CORE = ['#platform', '#transport'];
const ALLOWED = {
  'index.js': OF_THE_CORE,
  'platform/web.js': [],
  'platform/isolate.js': [],
  'platform/server.js': [],
  'transport/web.js': OF_THE_CORE,
  'transport/workerd.js': OF_THE_CORE,
  'transport/edge.js': OF_THE_CORE,
  'transport/bun.js': [],
  'transport/deno.js': [],
  'transport/node.js': ['undici'],
};
for (const [entry, allowed] of Object.entries(ALLOWED)) {
  for (const path of [`dist/${entry}`, `dist/${entry.replace('.js', '.cjs')}`]) {
    const files = new Set();
    for (const name of follow(path, files))
      if (!allowed.includes(name))
        problems.push(`${path} imports ${name}${builtinModules.includes(name) ? ' of Node' : ''}`);
    for (const file of files) if (/testing|adapters/.test(file)) problems.push(`${path} contains ${file}`);
  }
}

const require = createRequire(import.meta.url);
const namesOf = (module) => Object.keys(module).filter((name) => name !== '__esModule' && name !== 'module.exports');
for (const { import: esm, require: cjs } of Object.values(exports).filter((target) => typeof target === 'object')) {
  const names = namesOf(await import(resolve(esm.default))).sort();
  const others = namesOf(require(resolve(cjs.default))).sort();
  if (names.join() !== others.join())
    problems.push(`${esm.default} exports ${names}, ${cjs.default} exports ${others}`);
}

for (const problem of problems) console.error(problem);
console.log(`${reached.size} files, ${problems.length} problems`);
process.exitCode = problems.length === 0 ? 0 : 1;
