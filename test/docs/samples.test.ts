import { readdirSync, readFileSync } from 'node:fs';
import { resolve } from 'node:path';

import { describe, expect, test } from 'vitest';

import { errors } from './compiler.js';
import { PAGES, ROOT, samples } from './pages.js';

const all = Object.fromEntries(
  PAGES.flatMap((page) =>
    samples(page, 'ts').map((code, index) => [`${page.replace(/\W/g, '-')}-${index + 1}`, code] as const),
  ),
);

/** Public names that the pages use ahead of the code. A sample is compiled once the code has all of its names. */
const AHEAD = ['apiKeyAuth', 'injectFault', 'testClock', 'observers', "'failed-closed'"];
const source = readdirSync(resolve(ROOT, 'src'), { recursive: true, encoding: 'utf8' })
  .filter((file) => file.endsWith('.ts'))
  .map((file) => readFileSync(resolve(ROOT, 'src', file), 'utf8'))
  .join('');
const missing = AHEAD.filter((name) => !source.includes(name));
const due = Object.fromEntries(Object.entries(all).filter(([, code]) => !missing.some((name) => code.includes(name))));

describe('samples', { timeout: 120_000 }, () => {
  test('every sample compiles', () => {
    expect(Object.keys(all).length).toBeGreaterThan(10);
    expect(Object.keys(due).length).toBeGreaterThan(3);
    expect(errors(due)).toEqual([]);
  });

  test('a wrong sample is found', () => {
    const wrong = "import { KeyVerifier } from 'keyverify';\nnew KeyVerifier({ cacheTtl: 300 });";
    expect(errors({ wrong })).toEqual([expect.stringContaining("'cacheTtl' does not exist")]);
  });
});
