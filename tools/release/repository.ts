/** The repository that a workflow runs in: git and GitHub's API. */
import { execFileSync } from 'node:child_process';

/** Runs git and returns its stdout. Throws if it fails. */
export const git = (...args: readonly string[]): string =>
  execFileSync('git', args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] }).trim();

/** Calls GitHub's API for this repository; with a body, by POST. */
export async function github(path: string, body?: object): Promise<Response> {
  const { GITHUB_API_URL: api = '', GITHUB_REPOSITORY: repository = '', GITHUB_TOKEN: token = '' } = process.env;
  return await fetch(`${api}/repos/${repository}/${path}`, {
    headers: { authorization: `Bearer ${token}`, accept: 'application/vnd.github+json' },
    ...(body && { method: 'POST', body: JSON.stringify(body) }),
  });
}

/** The newest stable tag on the remote's `main`, and the tip of that `main`. */
export function lastStable(): { tag: string; commit: string } {
  // A rerun checks out the commit of the first run, so it fetches the current state.
  git('fetch', '--quiet', '--tags', 'origin', 'main');
  const commit = git('rev-parse', 'FETCH_HEAD');
  return { tag: git('describe', '--tags', '--abbrev=0', '--match=v*', '--exclude=*-*', commit), commit };
}
