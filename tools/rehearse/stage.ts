/** GitHub, the registry and the remote on loopback, and the runs of the release workflow. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { type GitHub, startGitHub } from './github.ts';
import { type Registry, startRegistry } from './registry.ts';
import { check, same, scene } from './report.ts';
import { git, project, startRepository, tip } from './repository.ts';
import { folder, outside, run } from './shell.ts';
import { runWorkflow } from './workflow.ts';

interface RunOptions {
  /** The commit of an earlier run, to rerun it. Default: the tip of the branch. */
  readonly at?: string;
  /** Whether the run must fail. Default: false. */
  readonly fails?: boolean;
}

export interface Stage {
  readonly github: GitHub;
  readonly registry: Registry;
  /** Runs the workflow, checks its outcome and the version that it tags, and resolves to the commit it ran at. */
  readonly release: (branch: string, version: string | null, options?: RunOptions) => Promise<string>;
}

async function tags(): Promise<readonly string[]> {
  await tip('main');
  return (await git('tag', '--list', 'v*')).split('\n');
}

export async function openStage(): Promise<Stage> {
  await startRepository();
  const github = await startGitHub(project.repository);
  const upstream = await run(['npm', 'config', 'get', 'registry'], folder, outside);
  const trusted = { repository: project.repository, workflow: '.github/workflows/release.yml', environment: 'npm' };
  const registry = await startRegistry(project.name, trusted, upstream);

  scene('a maintainer publishes 0.0.0 by hand, so that npm can be told to trust a publisher');
  const placeholder = join(folder, 'placeholder');
  mkdirSync(placeholder);
  writeFileSync(join(placeholder, 'package.json'), JSON.stringify({ name: project.name, version: '0.0.0' }));
  writeFileSync(join(placeholder, '.npmrc'), `//${new URL(registry.url).host}/:_authToken=${registry.token}`);
  await run(['npm', 'publish', '--registry', registry.url], placeholder);

  const release = async (branch: string, version: string | null, { at, fails = false }: RunOptions = {}) => {
    const commit = at ?? (await tip(branch));
    const before = await tags();
    const { ok, output } = await runWorkflow(branch, commit, github, registry);
    check(ok !== fails, `the run ${fails ? 'fails' : 'succeeds'}`);
    const made = (await tags()).filter((tag) => !before.includes(tag));
    const wanted = version === null ? [] : [`v${version}`];
    same(made, wanted, version === null ? 'it tags nothing' : `it tags v${version}`);
    if (ok === fails || made.join() !== wanted.join()) throw new Error(output.split('\n').slice(-60).join('\n'));
    return commit;
  };
  return { github, registry, release };
}
