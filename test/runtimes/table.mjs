import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { ROOT } from './prepare.mjs';
import { run } from './process.mjs';

const HASHES = { native: '`crypto.hash`', JavaScript: '@noble/hashes' };
const TRANSPORTS = { undici: 'undici pool', fetch: 'global `fetch`' };
const line = (cells) => `| ${cells.join(' | ')} |`;
const table = (head, rows) => [line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n');

/** Writes docs/runtimes.md from what was run and seen. */
export async function document(done, compiled, measured) {
  const runtimes = done
    .toSorted((a, b) => a.place - b.place)
    .map(({ runtime, version, module, how, condition, platform, passed, observed }) => [
      `${runtime} ${version}`,
      [module, how].filter(Boolean).join(', '),
      String(passed),
      `\`${condition}\``,
      `\`${platform}\``,
      TRANSPORTS[observed.transport],
      HASHES[observed.hash],
      observed.flights,
    ]);
  const names = [...new Set(compiled.map(({ name }) => name))];
  const compilers = [...new Set(compiled.map(({ compiler }) => compiler))].map((version) => [
    version,
    ...names.map((name) =>
      compiled.find((row) => row.compiler === version && row.name === name).refused ? 'no' : 'yes',
    ),
  ]);
  const text = `# Where it runs

Written by \`npm run test:runtimes -- --write\`, which packs the package, installs the tarball and runs one suite against
the embedded key server over real HTTP. Don't edit it. \`condition\` is the one of package.json that picks the module behind
\`#platform\`; transport, hash and flights are what the suite saw that module do.

${table(['runtime', 'as', 'cases', 'condition', 'module', 'transport', 'hash', 'flights'], runtimes)}

Edge functions and workers share the cache between requests, but not calls in flight: see [workers and edge functions](workers.md).

## Types

A consumer, type-checked against the tarball with \`skipLibCheck: false\`, by TypeScript and \`moduleResolution\`:

${table(['TypeScript', ...names], compilers)}

\`node10\` knows no \`exports\`: the package's root works there, its subpaths (\`keyverify/testing\`, the adapters) don't, and
TypeScript 7 has dropped it. Set \`nodenext\` or \`bundler\`.

## Size and cost

Node.js ${process.versions.node} on the machine that ran it, times as processor time.

${table(['what', 'measured', 'at the most'], measured)}
`;
  const file = join(ROOT, 'docs/runtimes.md');
  await writeFile(file, text);
  await run('npx', ['prettier', '--write', file], { cwd: ROOT });
}
