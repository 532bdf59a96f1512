/**
 * Changesets for semantic-release: commits decide the bump; a changeset may raise it and adds its text to the release notes.
 * Only changesets added since the last release count, so that a pending one doesn't cause a release on every run.
 */
import { rm } from 'node:fs/promises';
import { join } from 'node:path';

import { readChangesets } from '@changesets/read';

interface Context {
  readonly cwd: string;
  readonly branch: { readonly type: string };
  /** Empty before the first release. */
  readonly lastRelease: { readonly gitTag?: string };
}

const bumps = ['none', 'patch', 'minor', 'major'] as const;

// Kept between the steps: notes are generated again after the release commit, when the files are gone.
let added: Awaited<ReturnType<typeof readChangesets>> = [];

export async function analyzeCommits(_config: unknown, { cwd, lastRelease }: Context): Promise<string | null> {
  added = await readChangesets(cwd, lastRelease.gitTag);
  const requested = added.flatMap(({ releases }) => releases.map(({ type }) => bumps.indexOf(type)));
  const bump = bumps[Math.max(0, ...requested)];
  return bump === undefined || bump === 'none' ? null : bump;
}

export function generateNotes(): string {
  // An empty changeset only says that a change needs no release.
  const described = added.filter(({ releases }) => releases.length > 0);
  if (described.length === 0) return '';
  const texts = described.map(({ summary }) => `* ${summary.trim().replaceAll(/\n(?=.)/g, '\n  ')}`);
  return ['### Highlights', ...texts].join('\n\n');
}

export async function prepare(_config: unknown, { cwd, branch }: Context): Promise<void> {
  if (branch.type === 'prerelease') return;
  await Promise.all(added.map(async ({ id }) => await rm(join(cwd, '.changeset', `${id}.md`))));
}
