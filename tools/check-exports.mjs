// Holds package.json against the build, both ways: no entry without its file, and no file that no entry leads to. And what
// Node and browsers load as the core holds nothing that belongs elsewhere.
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { builtinModules } from 'node:module';
import { dirname, join } from 'node:path';

const { main, module, types, bin = {}, imports, exports } = JSON.parse(readFileSync('package.json', 'utf8'));
const problems = [];

const leaves = (tree) => (typeof tree === 'string' ? [tree] : Object.values(tree).flatMap(leaves));
const targets = (...trees) => new Set(trees.flatMap(leaves).map((path) => join(path)));

const IMPORT = /(?:\bfrom|\bimport|\brequire\(|\bimport\()\s*["']([^"']+)["']/g;
const DECLARATION = /\.d\.c?ts$/;

/** A file, and all that it leads to; `outside` collects what it imports by name. */
function follow(path, seen, outside = new Set()) {
  if (seen.has(path)) return outside;
  seen.add(path);
  for (const [, name] of readFileSync(path, 'utf8').matchAll(IMPORT)) {
    if (!name.startsWith('.')) outside.add(name);
    else {
      const target = join(dirname(path), name);
      // Declarations name the module beside which they stand.
      follow(DECLARATION.test(path) ? target.replace(/\.(c?)js$/, '.d.$1ts') : target, seen, outside);
    }
  }
  return outside;
}

const reached = new Set();
for (const path of targets(main, module, types, bin, imports, exports)) {
  if (!existsSync(path)) problems.push(`package.json names ${path}, which was not built`);
  else if (path.startsWith('dist')) follow(path, reached);
}
for (const entry of readdirSync('dist', { recursive: true, withFileTypes: true })) {
  const path = join(entry.parentPath, entry.name);
  if (entry.isFile() && !reached.has(path)) problems.push(`${path} was built, but no entry leads to it`);
}

const ALLOWED = {
  'index.js': ['#platform'],
  'platform/web.js': [],
  'platform/isolate.js': [],
  'platform/server.js': ['lru-cache'],
  'platform/node.js': ['lru-cache', 'undici'],
};
for (const [entry, allowed] of Object.entries(ALLOWED)) {
  for (const path of [`dist/${entry}`, `dist/${entry.replace('.js', '.cjs')}`]) {
    const files = new Set();
    for (const name of follow(path, files))
      if (!allowed.includes(name))
        problems.push(`${path} imports ${name}${builtinModules.includes(name) ? ' of Node' : ''}`);
    for (const file of files) if (/testing|adapters/.test(file)) problems.push(`${path} holds ${file}`);
  }
}

for (const problem of problems) console.error(problem);
console.log(`${reached.size} files, ${problems.length} problems`);
process.exitCode = problems.length === 0 ? 0 : 1;
