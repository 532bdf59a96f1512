/** A fresh repository of the project on a bare remote, and a maintainer's clone. */
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

import { folder, inside, run } from './shell.ts';

/** The value of every secret expression in the workflow. */
export const token = 'a-token';
const work = join(folder, 'maintainer');

interface Package {
  readonly name: string;
  readonly repository: { readonly url: string };
  readonly scripts: { readonly build: string };
}
/** The package under rehearsal; its repository is `owner/name`. */
export let project: { readonly name: string; readonly repository: string; readonly remote: string };

export const git = async (...args: readonly string[]): Promise<string> => await run(['git', ...args], work);

/** Creates the remote from the committed tree, as if nothing had been released, with the tag that a maintainer sets first. */
export async function startRepository(): Promise<void> {
  const origin = join(folder, 'origin.git');
  const root = new URL('../../', import.meta.url);
  mkdirSync(join(folder, 'home'));
  await run(['git', 'clone', '--quiet', '--depth=1', root.href, work], folder);
  rmSync(join(work, '.git'), { recursive: true });

  const manifest = JSON.parse(readFileSync(join(work, 'package.json'), 'utf8')) as Package;
  const remote = manifest.repository.url.replace(/^git\+/, '');
  project = { name: manifest.name, repository: new URL(remote).pathname.replace(/^\/|\.git$/g, ''), remote };
  // From here on the URL of the project's remote leads to the bare repository, and git may use no other protocol.
  const remotes = [remote, remote.replace('://', `://x-access-token:${token}@`)];
  inside['GIT_CONFIG_COUNT'] = String(remotes.length);
  for (const [index, url] of remotes.entries()) {
    inside[`GIT_CONFIG_KEY_${index}`] = `url.file://${origin}.insteadOf`;
    inside[`GIT_CONFIG_VALUE_${index}`] = url;
  }
  inside['GIT_ALLOW_PROTOCOL'] = 'file';

  await run(['npm', 'version', '0.0.0', '--allow-same-version', '--no-git-tag-version', '--ignore-scripts'], work);
  // Declarations take most of the build time and don't affect a release. `npm run check` builds and checks them.
  await run(['npm', 'pkg', 'set', `scripts.build=${manifest.scripts.build} --no-dts`], work);
  edit('src/version.ts', (text) => text.replace(/'[^']*';/, "'0.0.0';"));
  rmSync(join(work, 'CHANGELOG.md'), { force: true });
  const pending = readdirSync(join(work, '.changeset')).filter((name) => name.endsWith('.md'));
  for (const name of pending) rmSync(join(work, '.changeset', name));

  await run(['git', 'init', '--quiet', '--bare', '--initial-branch=main', origin], folder);
  await git('init', '--quiet', '--initial-branch=main');
  await git('remote', 'add', 'origin', remote);
  await commit('feat: everything before the first release', {});
  await git('tag', 'v0.0.0');
  await git('push', '--quiet', 'origin', 'main', 'main:dev', 'v0.0.0');
}

const edit = (path: string, change: (text: string) => string): void => {
  writeFileSync(join(work, path), change(readFileSync(join(work, path), 'utf8')));
};

async function commit(message: string, files: Readonly<Record<string, string>>): Promise<void> {
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(work, path)), { recursive: true });
    writeFileSync(join(work, path), text);
  }
  await git('add', '--all');
  await git('commit', '--quiet', '--message', message);
}

const update = async (branch: string): Promise<void> => {
  await git('fetch', '--quiet', '--tags', 'origin');
  await git('checkout', '--quiet', '-B', branch, `origin/${branch}`);
};

/** Pushes one commit to a branch. */
export async function push(branch: string, message: string, files: Readonly<Record<string, string>>): Promise<void> {
  await update(branch);
  await commit(message, files);
  await git('push', '--quiet', 'origin', branch);
}

/** Merges one branch into another with a merge commit, as a pull request does. */
export async function merge(from: string, into: string, ...options: readonly string[]): Promise<void> {
  await update(into);
  await git('merge', '--quiet', '--no-ff', ...options, '-m', `chore: merge ${from} into ${into}`, `origin/${from}`);
  await git('push', '--quiet', 'origin', into);
}

/** The tip of a branch on the remote. */
export async function tip(branch: string): Promise<string> {
  await git('fetch', '--quiet', '--tags', 'origin');
  return await git('rev-parse', `origin/${branch}`);
}

/** The contents of a file on a branch of the remote. */
export const show = async (branch: string, path: string): Promise<string> =>
  await git('show', `origin/${branch}:${path}`);

/** A changeset, as `npx changeset` writes it. */
export const changeset = (bump: 'patch' | 'minor' | 'major', text: string): string =>
  `---\n'${project.name}': ${bump}\n---\n\n${text}\n`;
