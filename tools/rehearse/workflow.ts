/** Runs the job of release.yml for a branch step by step, as GitHub would. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

import { parse } from 'yaml';

import type { GitHub } from './github.ts';
import type { Claims, Registry } from './registry.ts';
import { project, token } from './repository.ts';
import { attempt, folder, inside, type Outcome, outside, run } from './shell.ts';

interface Step {
  readonly uses?: string;
  readonly run?: string;
  readonly with?: Readonly<Record<string, unknown>>;
}
export interface Job {
  readonly if?: string;
  readonly environment?: string;
  readonly concurrency?: string;
  readonly permissions: Readonly<Record<string, string>>;
  readonly env: Readonly<Record<string, string>>;
  readonly steps: readonly Step[];
}

const runner = join(folder, 'runner');

/** The job that runs after the checks for a push to this branch. */
export function jobFor(branch: string): Job {
  const { jobs } = parse(readFileSync(join(runner, '.github/workflows/release.yml'), 'utf8')) as {
    jobs: Record<string, Job>;
  };
  const [job, ...others] = Object.values(jobs).filter((each) => each.if === `github.ref_name == '${branch}'`);
  if (!job || others.length > 0) throw new Error(`release.yml must have exactly one job for ${branch}`);
  return job;
}

async function checkOut(branch: string, commit: string): Promise<void> {
  if (!existsSync(runner)) await run(['git', 'clone', '--quiet', project.remote, runner], folder);
  await run(['git', 'fetch', '--quiet', '--tags', '--force', 'origin'], runner);
  await run(['git', 'checkout', '--quiet', '--force', '-B', branch, commit], runner);
  await run(['git', 'clean', '--quiet', '-fdx', '--exclude=node_modules'], runner);
}

/** The environment that GitHub gives a job. */
function environment(job: Job, branch: string, commit: string, github: GitHub, registry: Registry): NodeJS.ProcessEnv {
  const claims: Claims = {
    repository: project.repository,
    workflow: '.github/workflows/release.yml',
    environment: job.environment,
  };
  const idToken = {
    ACTIONS_ID_TOKEN_REQUEST_URL: `${github.url}/id-token?api=2`,
    ACTIONS_ID_TOKEN_REQUEST_TOKEN: Buffer.from(JSON.stringify(claims)).toString('base64url'),
  };
  const secrets = Object.entries(job.env).map(([name, value]) => [name, value.replace(/^\$\{\{.*\}\}$/, token)]);
  return {
    ...inside,
    CI: 'true',
    GITHUB_ACTIONS: 'true',
    GITHUB_ACTION: '__run',
    GITHUB_API_URL: github.url,
    GITHUB_EVENT_NAME: 'push',
    GITHUB_REF: `refs/heads/${branch}`,
    GITHUB_REF_NAME: branch,
    GITHUB_REPOSITORY: project.repository,
    GITHUB_SHA: commit,
    GITHUB_WORKSPACE: runner,
    NPM_CONFIG_REGISTRY: registry.url,
    // @semantic-release/npm requires one for other registries than npm's. It is invalid, so trusted publishing must work.
    NPM_TOKEN: 'invalid',
    ...(job.permissions['id-token'] === 'write' && idToken),
    ...(Object.fromEntries(secrets) as Record<string, string>),
  };
}

/** Runs the workflow for a push of this commit to the branch. */
export async function runWorkflow(
  branch: string,
  commit: string,
  github: GitHub,
  registry: Registry,
): Promise<Pick<Outcome, 'ok' | 'output'>> {
  await checkOut(branch, commit);
  const job = jobFor(branch);
  const env = environment(job, branch, commit, github, registry);
  let output = '';
  for (const { run: script } of job.steps) {
    if (script === undefined) continue;
    const installs = script.startsWith('npm ci');
    // Installing is the same every time and takes longer than all other steps.
    if (installs && existsSync(join(runner, 'node_modules'))) continue;
    const outcome = await attempt(['bash', '-e', '-o', 'pipefail', '-c', script], runner, installs ? outside : env);
    output += `$ ${script}\n${outcome.output}\n`;
    if (!outcome.ok) return { ok: false, output };
  }
  return { ok: true, output };
}
