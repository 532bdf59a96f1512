import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { analyzeCommits, generateNotes, prepare } from '../../tools/release/changesets.js';

let cwd: string;

function git(...args: string[]): void {
  const author = ['-c', 'user.name=test', '-c', 'user.email=test@example.com', '-c', 'core.hooksPath=/dev/null'];
  execFileSync('git', [...author, ...args], { cwd, stdio: 'pipe' });
}

function add(id: string, bump: string, text: string): void {
  writeFileSync(join(cwd, '.changeset', `${id}.md`), `---\nkeyverify: ${bump}\n---\n\n${text}\n`);
  git('add', '.');
  git('commit', '-m', `chore: add ${id}`);
}

const context = (gitTag?: string, type = 'release'): Parameters<typeof prepare>[1] => ({
  cwd,
  branch: { type },
  lastRelease: gitTag === undefined ? {} : { gitTag },
});
const left = (): string[] => readdirSync(join(cwd, '.changeset'));

beforeEach(() => {
  cwd = mkdtempSync(join(tmpdir(), 'changesets-'));
  mkdirSync(join(cwd, '.changeset'));
  git('init');
});
afterEach(() => rmSync(cwd, { recursive: true }));

describe('the bump that changesets ask for', () => {
  it('is the highest of those added since the last release', async () => {
    add('old', 'major', 'Released before.');
    git('tag', 'v1.0.0');
    add('small', 'patch', 'A small thing.');
    add('large', 'minor', 'A larger thing.');

    expect(await analyzeCommits({}, context('v1.0.0'))).toBe('minor');
  });

  it('is none when all of them were released', async () => {
    add('old', 'major', 'Released before.');
    git('tag', 'v1.0.0');

    expect(await analyzeCommits({}, context('v1.0.0'))).toBeNull();
    expect(generateNotes()).toBe('');
  });

  it('counts every changeset before the first release', async () => {
    add('first', 'patch', 'The beginning.');

    expect(await analyzeCommits({}, context())).toBe('patch');
  });

  it('is none for a changeset that asks for none', async () => {
    add('quiet', 'none', 'Nothing to see.');

    expect(await analyzeCommits({}, context())).toBeNull();
  });
});

describe('the notes', () => {
  it('are the texts of the changesets, one point each', async () => {
    add('a', 'patch', 'One line.');
    add('b', 'patch', 'Two lines,\nthis is the second.\n\nAnd a paragraph.');
    await analyzeCommits({}, context());

    expect(generateNotes()).toBe(
      '### Highlights\n\n* One line.\n\n* Two lines,\n  this is the second.\n\n  And a paragraph.',
    );
  });

  it('leave out an empty changeset, which asks for no release', async () => {
    writeFileSync(join(cwd, '.changeset', 'empty.md'), '---\n---\n');
    git('add', '.');
    git('commit', '-m', 'chore: release nothing');
    await analyzeCommits({}, context());

    expect(generateNotes()).toBe('');
  });

  it('are the same after a stable release has deleted the files', async () => {
    add('a', 'patch', 'One line.');
    await analyzeCommits({}, context());
    await prepare({}, context());

    expect(left()).toEqual([]);
    expect(generateNotes()).toContain('One line.');
  });
});

describe('the files', () => {
  it('stay on a prerelease, for the stable release to tell', async () => {
    add('a', 'patch', 'One line.');
    await analyzeCommits({}, context());
    await prepare({}, context(undefined, 'prerelease'));

    expect(left()).toEqual(['a.md']);
  });

  it('go on a stable release when they were counted, and only then', async () => {
    add('old', 'patch', 'Released before.');
    git('tag', 'v1.0.0');
    add('new', 'patch', 'Released now.');
    await analyzeCommits({}, context('v1.0.0'));
    await prepare({}, context('v1.0.0'));

    expect(left()).toEqual(['old.md']);
  });
});
