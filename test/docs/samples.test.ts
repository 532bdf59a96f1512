import { describe, expect, test } from 'vitest';

import { errors } from './compiler.js';
import { PAGES, samples } from './pages.js';

const all = Object.fromEntries(
  PAGES.flatMap((page) =>
    samples(page, 'ts').map((code, index) => [`${page.replace(/\W/g, '-')}-${index + 1}`, code] as const),
  ),
);

describe('samples', { timeout: 120_000 }, () => {
  test('every sample compiles', () => {
    expect(Object.keys(all).length).toBeGreaterThan(10);
    expect(errors(all)).toEqual([]);
  });

  test('a wrong sample is found', () => {
    const wrong = "import { KeyVerifier } from 'keyverify';\nnew KeyVerifier({ cacheTtl: 300 });";
    expect(errors({ wrong })).toEqual([expect.stringContaining("'cacheTtl' does not exist")]);
  });
});
