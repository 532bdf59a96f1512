import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

import { expect, it } from 'vitest';

it('compiles the core without the types of Node, so that its globals are errors there', async () => {
  const tsc = ['node_modules/typescript/bin/tsc', '-p', 'tsconfig.json', '--listFilesOnly'];
  const { stdout } = await promisify(execFile)(process.execPath, tsc);
  const files = stdout.trim().split('\n');
  expect(files.filter((file) => file.endsWith('/src/index.ts'))).toHaveLength(1);
  expect(files.filter((file) => file.includes('/@types/node/'))).toEqual([]);
}, 30_000);
