/** What must hold after a release, on GitHub, npm and in the branches. */
import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';

import type { GitHub } from './github.ts';
import type { Registry } from './registry.ts';
import { check, same } from './report.ts';
import { git, project, show, tip } from './repository.ts';
import { folder, run } from './shell.ts';

const sha1 = (data: Uint8Array): string => createHash('sha1').update(data).digest('hex');

/** Checks that a tarball contains the released version and no other. */
async function expectVersion(tarball: Uint8Array, version: string): Promise<void> {
  const at = join(folder, `tarball-${version}`);
  mkdirSync(at);
  writeFileSync(join(at, 'package.tgz'), tarball);
  await run(['tar', '-xzf', 'package.tgz'], at);
  const manifest = JSON.parse(readFileSync(join(at, 'package/package.json'), 'utf8')) as { version: string };
  const dist = readdirSync(join(at, 'package/dist'), { recursive: true, encoding: 'utf8' });
  const built = dist
    .filter((name) => /\.c?js$/.test(name))
    .flatMap((name) => [...readFileSync(join(at, 'package/dist', name), 'utf8').matchAll(/VERSION = "([^"]*)"/g)])
    .map((match) => match[1]);
  same(
    [manifest.version, ...new Set(built)],
    [version, version],
    `package.json and version.ts in the tarball say ${version}`,
  );
}

function expectNotes(where: string, notes: string, has: readonly string[], hasNot: readonly string[]): void {
  for (const text of has) check(notes.includes(text), `${where} says "${text}"`);
  for (const text of hasNot) check(!notes.includes(text), `${where} does not say "${text}"`);
}

interface Notes {
  readonly says: readonly string[];
  readonly saysNot?: readonly string[];
}

/** A prerelease of dev exists on GitHub only. */
export async function expectPrerelease(github: GitHub, version: string, { says, saysNot = [] }: Notes): Promise<void> {
  const release = github.release(`v${version}`);
  check(release?.prerelease === true, `GitHub has v${version}, marked as a prerelease`);
  if (!release) return;
  const [[name, tarball] = [], ...others] = [...release.assets];
  check(name === `${project.name}-${version}.tgz` && others.length === 0, 'the tarball is attached');
  if (tarball) await expectVersion(tarball, version);
  expectNotes('the release', release.body, says, saysNot);
  same(await git('rev-parse', `v${version}`), await tip('dev'), 'dev got a tag and no commit');
}

/** A stable release exists on npm and GitHub, and in the files of main. */
export async function expectStable(
  github: GitHub,
  registry: Registry,
  version: string,
  { says, saysNot = [] }: Notes,
): Promise<void> {
  const release = github.release(`v${version}`);
  check(release?.prerelease === false, `GitHub has v${version}, not marked as a prerelease`);
  expectNotes('the release', release?.body ?? '', says, saysNot);

  const { versions } = await registry.packument();
  const [[name, tarball] = [], ...others] = [...(release?.assets ?? [])];
  const published = versions[version];
  check(published !== undefined, `npm has ${version}`);
  check(name === `${project.name}-${version}.tgz` && others.length === 0, 'the tarball is attached');
  if (tarball) await expectVersion(tarball, version);
  if (published && tarball) {
    const download = await (await fetch(published.dist.tarball)).bytes();
    same(
      [sha1(tarball), sha1(download)],
      Array(2).fill(published.dist.shasum),
      'the tarball on GitHub is the one on npm',
    );
    same(published.repository.url, `git+${project.remote}`, 'npm knows the repository that provenance will name');
  }

  await tip('main');
  same(
    await git('log', '-1', '--format=%s', `v${version}`),
    `chore(release): ${version} [skip ci]`,
    'a release commit',
  );
  same(await git('rev-list', '--count', `origin/main..v${version}`), '0', `v${version} is on main`);
  expectNotes('CHANGELOG.md', await show('main', 'CHANGELOG.md'), says, []);
  same((await show('main', 'CHANGELOG.md')).split(`\n## [${version}]`).length, 2, `CHANGELOG.md has ${version} once`);
  check((await show('main', 'src/version.ts')).includes(`'${version}'`), `version.ts on main says ${version}`);
  check((await show('main', 'package-lock.json')).includes(`"version": "${version}"`), `the lockfile says ${version}`);
  same(
    await git('ls-tree', '--name-only', 'origin/main', '.changeset/'),
    '.changeset/config.json',
    'no changeset is left',
  );
}

/** dev contains the stable release, so that its next version is higher. */
export async function expectMergedBack(version: string): Promise<void> {
  await tip('dev');
  const behind = await git('rev-list', '--count', `origin/dev..v${version}`);
  same(behind, '0', `dev has everything of v${version}`);
}

/** npm has exactly these versions, and `latest` is the newest. */
export async function expectOnNpm(registry: Registry, ...expected: readonly string[]): Promise<void> {
  const packument = await registry.packument();
  same(Object.keys(packument.versions), expected, `npm has exactly ${expected.join(', ')}`);
  same(
    packument['dist-tags'],
    { latest: expected.at(-1) },
    `dist-tags: latest is ${expected.at(-1) ?? 'none'}, no other`,
  );
}
