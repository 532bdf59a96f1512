import { readdirSync, readFileSync } from 'node:fs';
import { join, posix } from 'node:path';
import { fileURLToPath } from 'node:url';

import { Linter } from 'eslint';
import { describe, expect, it } from 'vitest';

import { LAYERS, layerRules } from '../tools/layers.mjs';

const SRC = fileURLToPath(new URL('../src/', import.meta.url));
const MOST_EDGES = 44;
/** Optional parts, which nothing imports but the testing kit: each brings the edges of its own imports. */
const OPTIONAL = ['protocols', 'fleet', 'backends'];
const MOST_LINES = 250;

const files = readdirSync(SRC, { recursive: true, encoding: 'utf8' })
  .map((path) => path.replaceAll('\\', '/'))
  .filter((path) => path.endsWith('.ts'));
const read = (path: string): string => readFileSync(join(SRC, path), 'utf8');

/** A folder, or a file beside the folders. */
const unitOf = (path: string): string => path.split('/')[0] ?? '';

function importsOf(path: string): string[] {
  const specifiers = [...read(path).matchAll(/^(?:import|export)\b[^;]*?\bfrom '([^']+)'|\bimport\('([^']+)'\)/gm)];
  return specifiers
    .map(([, from, dynamic]) => from ?? dynamic ?? '')
    .flatMap((specifier) => {
      if (specifier.startsWith('#')) return [specifier.slice(1)];
      if (!specifier.startsWith('.')) return [];
      return [unitOf(posix.join(posix.dirname(path), specifier).replace(/\.js$/, '.ts'))];
    });
}

const edges = new Set(
  files.flatMap((path) =>
    importsOf(path)
      .filter((unit) => unit !== unitOf(path))
      .map((unit) => `${unitOf(path)} → ${unit}`),
  ),
);
const rankOf = (unit: string): number => LAYERS.findIndex((units) => units.includes(unit));

describe('the layout of src', () => {
  it('has a layer for every folder and top-level file', () => {
    expect([...new Set(files.map(unitOf))].sort()).toEqual(LAYERS.flat().sort());
  });

  it('has only imports from lower layers, and so no cycle', () => {
    const upwards = [...edges].filter((edge) => {
      const [from = '', to = ''] = edge.split(' → ');
      return rankOf(from) <= rankOf(to);
    });

    expect(upwards).toEqual([]);
  });

  it('has few dependencies between folders', () => {
    const counted = [...edges].filter((edge) => !edge.split(' → ').some((unit) => OPTIONAL.includes(unit)));
    expect(counted.length).toBeGreaterThan(20);
    expect(counted.length).toBeLessThanOrEqual(MOST_EDGES);
  });

  it('lets a verifier that shares nothing be without the code for that', () => {
    const reached = new Set<string>();
    const follow = (path: string): void => {
      if (reached.has(path)) return;
      reached.add(path);
      for (const [, specifier = ''] of read(path).matchAll(/^(?:import|export) (?!type )[^;]*?from '(\.[^']+)'/gm))
        follow(posix.join(posix.dirname(path), specifier).replace(/\.js$/, '.ts'));
    };
    follow('index.ts');

    expect([...reached]).toContain('client/loader.ts');
    expect([...reached].filter((path) => path.includes('fleet')).sort()).toEqual([
      'fleet/position.ts',
      'fleet/support.ts',
    ]);
  });

  it('has no long file', () => {
    const linesOfCode = (path: string): number =>
      read(path)
        .replaceAll(/\/\*[^]*?\*\//g, '')
        .split('\n')
        .filter((line) => !/^\s*(?:\/\/.*)?$/.test(line)).length;

    expect(files.filter((path) => linesOfCode(path) > MOST_LINES)).toEqual([]);
  });
});

describe('the lint rule for layers', () => {
  const linter = new Linter();
  const messages = (path: string, code: string): string[] =>
    linter.verify(code, layerRules(), { filename: path }).map(({ message }) => message);

  it.each([
    ['src/core/planted.ts', '../resilience/retry.js'],
    ['src/core/planted.ts', '#platform'],
    ['src/core/deeper/planted.ts', '../../guard/guard.js'],
    ['src/resilience/planted.ts', '../cache/entry.js'],
    ['src/platform/server.ts', '../transport/undici.js'],
    ['src/transport/planted.ts', '../platform/web.js'],
    ['src/transport/planted.ts', '#platform'],
    ['src/platform/planted.ts', '#transport'],
    ['src/verifier.ts', './index.js'],
    ['src/index.ts', './testing/index.js'],
    ['src/index.ts', './adapters/express.js'],
    ['src/guard/planted.ts', '../adapters/express.js'],
  ])('reports %s importing %s', (path, specifier) => {
    expect(messages(path, `import '${specifier}';`)).toEqual([expect.stringContaining('is a lower layer')]);
  });

  it.each(['src/core/planted.ts', 'src/index.ts', 'src/platform/web.ts'])('reports a node: module in %s', (path) => {
    expect(messages(path, "import 'node:fs';")).toEqual([expect.stringContaining('runs without Node')]);
  });

  it.each([
    ['src/client/planted.ts', '../core/result.js'],
    ['src/client/planted.ts', './verifier.js'],
    ['src/verifier.ts', './client/loader.js'],
    ['src/platform/server.ts', 'node:crypto'],
    ['src/testing/planted.ts', 'node:http'],
  ])('accepts %s importing %s', (path, specifier) => {
    expect(messages(path, `import '${specifier}';`)).toEqual([]);
  });
});
