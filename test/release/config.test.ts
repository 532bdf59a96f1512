import { readFileSync } from 'node:fs';

import { describe, expect, it } from 'vitest';

type Entry = string | [path: string, options: { plugin?: string; releaseRules?: unknown[] }];
const readJson = (path: string): unknown => JSON.parse(readFileSync(new URL(`../../${path}`, import.meta.url), 'utf8'));
const config = readJson('.releaserc.json') as Record<'analyzeCommits' | 'publish', Entry[]>;

describe('the release configuration', () => {
  it('publishes to npm through stable-only and in no other way', () => {
    const touchingNpm = config.publish.filter((entry) => JSON.stringify(entry).includes('@semantic-release/npm'));

    expect(touchingNpm).toEqual([['./tools/release/stable-only.ts', { plugin: '@semantic-release/npm' }]]);
  });

  it('makes a breaking change a minor version before 1.0.0, and a major one from then on', () => {
    const { version } = readJson('package.json') as { version: string };
    const rules = config.analyzeCommits.flatMap((entry) => (Array.isArray(entry) ? (entry[1].releaseRules ?? []) : []));

    expect(rules).toEqual(version.startsWith('0.') ? [{ breaking: true, release: 'minor' }] : []);
  });
});
