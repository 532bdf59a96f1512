import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { afterEach, beforeEach, expect, it } from 'vitest';

const script = fileURLToPath(new URL('../../tools/release/sync-version.ts', import.meta.url));
let cwd: string;

function sync(source: string): string {
  writeFileSync(join(cwd, 'src/version.ts'), source);
  execFileSync(process.execPath, ['--import', import.meta.resolve('tsx'), script], { cwd, stdio: 'pipe' });
  return readFileSync(join(cwd, 'src/version.ts'), 'utf8');
}

beforeEach(() => {
  cwd = mkdtempSync(join(tmpdir(), 'version-'));
  mkdirSync(join(cwd, 'src'));
  writeFileSync(join(cwd, 'package.json'), '{ "version": "2.0.0-dev.1", "type": "module" }');
});
afterEach(() => rmSync(cwd, { recursive: true }));

it('puts the version of package.json into version.ts and leaves the rest alone', () => {
  expect(sync("/** Kept. */\nexport const VERSION = '0.0.0';\n")).toBe(
    "/** Kept. */\nexport const VERSION = '2.0.0-dev.1';\n",
  );
});

it('fails when version.ts has no such line, instead of publishing a wrong version', () => {
  expect(() => sync("export const OTHER = '0.0.0';\n")).toThrow('has no line');
});
