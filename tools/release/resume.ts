/**
 * Finishes an interrupted stable release. semantic-release pushes the release commit and its tag before it publishes, so if
 * npm or GitHub fails, a rerun finds nothing new to release. This publishes the last tag wherever it is missing, with the same
 * plugins and options.
 */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';

import { git, github, lastStable } from './repository.ts';

interface Package {
  readonly name: string;
  readonly repository: { readonly url: string };
}
type Entry = string | readonly [path: string, options: { readonly plugin?: string }];
type Plugin = Record<'prepare' | 'publish', (options: object, context: object) => Promise<unknown>>;

const readJson = (path: string): unknown => JSON.parse(readFileSync(path, 'utf8'));
const npm = '@semantic-release/npm';

/** The dependencies in the lockfile of a commit, without the package itself, whose version differs. */
function dependencies(commit: string): string {
  const { packages } = JSON.parse(git('show', `${commit}:package-lock.json`)) as { packages: object };
  return JSON.stringify({ ...packages, '': undefined });
}

async function exists(request: Promise<Response>): Promise<boolean> {
  const { ok, status, url } = await request;
  if (!ok && status !== 404) throw new Error(`${url} answered ${status}`);
  return ok;
}

async function finish(tag: string): Promise<void> {
  const { name, repository } = readJson('package.json') as Package;
  const registry = process.env['NPM_CONFIG_REGISTRY'] ?? 'https://registry.npmjs.org/';
  const version = tag.slice(1);
  const onNpm = await exists(fetch(new URL(`${name}/${version}`, registry)));
  const onGitHub = await exists(github(`releases/tags/${tag}`));
  console.log(`${tag}: ${onNpm ? 'on npm' : 'NOT on npm'}, ${onGitHub ? 'on GitHub' : 'NOT on GitHub'}`);
  if (onNpm && onGitHub) return;

  const here = git('rev-parse', 'HEAD');
  git('switch', '--quiet', '--detach', tag);
  // The installed packages are those of the checked-out commit, and a later push may have changed the dependencies.
  if (dependencies(here) !== dependencies(tag)) execFileSync('npm', ['ci', '--ignore-scripts'], { stdio: 'inherit' });

  const config = readJson('.releaserc.json') as Record<keyof Plugin, readonly Entry[]>;
  const context = {
    cwd: process.cwd(),
    env: process.env,
    stdout: process.stdout,
    stderr: process.stderr,
    logger: { log: console.log, error: console.error, warn: console.warn, success: console.log },
    options: { repositoryUrl: repository.url },
    branch: { name: 'main', type: 'release', main: true },
    nextRelease: { version, gitTag: tag, name: tag, channel: null, notes: git('log', '-1', '--format=%b', tag) },
  };
  const run = async (step: keyof Plugin, plugin: string): Promise<unknown> => {
    const entries = config[step].map((entry) => (typeof entry === 'string' ? ([entry, {}] as const) : entry));
    const [, options = {}] = entries.find(([path, { plugin: wrapped = path }]) => wrapped === plugin) ?? [];
    return await ((await import(plugin)) as Plugin)[step](options, context);
  };
  await run('prepare', npm);
  if (!onNpm) await run('publish', npm);
  if (!onGitHub) await run('publish', '@semantic-release/github');
  git('switch', '--quiet', '-');
}

const { tag } = lastStable();
// The first tag is set by hand and isn't published.
if (git('log', '-1', '--format=%s', tag).startsWith('chore(release): ')) await finish(tag);
else console.log(`${tag} was not made by a release`);
