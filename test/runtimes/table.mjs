import { writeFile } from 'node:fs/promises';
import { loadavg } from 'node:os';
import { join } from 'node:path';

import { ROOT } from './prepare.mjs';
import { run } from './process.mjs';

const HASHES = { native: '`crypto.hash`', JavaScript: '@noble/hashes' };
const TRANSPORTS = { undici: 'undici pool', fetch: 'global `fetch`' };
const FLIGHTS = { shared: 'shared', 'one per caller': 'per caller' };
const SIZES = `A bundle has everything that \`keyverify\` exports (\`export * from 'keyverify'\`) and is minified by esbuild. With
\`KeyVerifier\` alone, it is 0.4 kB smaller. An install is \`keyverify\` and undici. 1 kB is 1000 bytes, and 1 MB a million.`;
const line = (cells) => `| ${cells.join(' | ')} |`;
const table = (head, rows) => [line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n');

/** Writes docs/runtimes.md from the reports of a run. */
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
      FLIGHTS[observed.flights],
    ]);
  const names = [...new Set(compiled.map(({ name }) => name))];
  const compilers = [...new Set(compiled.map(({ compiler }) => compiler))].map((version) => [
    version,
    ...names.map((name) =>
      compiled.find((row) => row.compiler === version && row.name === name).refused ? 'no' : 'yes',
    ),
  ]);
  const text = `# Where it runs

<!-- Written by \`npm run test:runtimes -- --write\`. Edit test/runtimes/table.mjs, not this page. -->

The same suite ran on each of these runtimes. It installs the packed package and talks to the embedded key server over HTTP.
\`condition\` is the export condition that selects the \`module\` behind \`#platform\`. Transport, hash and single flight are
what the suite observed. Single flight "shared": concurrent calls with the same key share one question. "Per caller": each asks
its own.

${table(['runtime', 'as', 'cases', 'condition', 'module', 'transport', 'hash', 'single flight'], runtimes)}

On workers and edge functions, requests share the cache, but not a question in flight: see [workers and edge
functions](workers.md).

## Types

Whether a consumer of the packed package type-checks, with \`skipLibCheck: false\`, by TypeScript version and \`moduleResolution\`:

${table(['TypeScript', ...names], compilers)}

\`node10\` doesn't support \`exports\`, so only the root of the package works with it, and no subpath (\`keyverify/testing\`, the
adapters). TypeScript 7 has removed it. Use \`nodenext\` or \`bundler\`.

The declarations need the names of \`fetch\` and \`AsyncDisposable\`. Install \`@types/node\`, or set \`lib\` to
\`["es2022", "dom", "esnext.disposable"]\`. \`keyverify/testing\` and \`keyverify/ws\` use types of Node.js, so they need
\`@types/node\`.

## Size and cost

Node.js ${process.versions.node}, ${new Date().toISOString().slice(0, 10)}, load average ${loadavg()[0].toFixed(1)}. ${SIZES}

Times are processor time, medians of 25 rounds of one run. [Performance](performance.md#start-up) compares the
import with that of more packages, in another run. Processor times of different runs differ with the speed of the machine at that
time, so compare only figures of one run.

${table(['figure', 'measured', 'limit'], measured)}
`;
  const file = join(ROOT, 'docs/runtimes.md');
  await writeFile(file, text);
  await run('npx', ['prettier', '--write', file], { cwd: ROOT });
}
