/** The repository a workflow runs in: its git checkout and its side of GitHub's API. */
import { execFileSync } from 'node:child_process';

/** Runs git and gives what it printed; throws when it fails. */
export const git = (...args: readonly string[]): string =>
  execFileSync('git', args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] }).trim();

/** Asks GitHub's API about this repository; a body is sent as POST. */
export async function github(path: string, body?: object): Promise<Response> {
  const { GITHUB_API_URL: api = '', GITHUB_REPOSITORY: repository = '', GITHUB_TOKEN: token = '' } = process.env;
  return await fetch(`${api}/repos/${repository}/${path}`, {
    headers: { authorization: `Bearer ${token}`, accept: 'application/vnd.github+json' },
    ...(body && { method: 'POST', body: JSON.stringify(body) }),
  });
}

/** The newest stable release on `main` as the remote has it now; `commit` is the tip of that `main`. */
export function lastStable(): { tag: string; commit: string } {
  // A rerun checks out the commit of the first run, so the remote is asked again.
  git('fetch', '--quiet', '--tags', 'origin', 'main');
  const commit = git('rev-parse', 'FETCH_HEAD');
  return { tag: git('describe', '--tags', '--abbrev=0', '--match=v*', '--exclude=*-*', commit), commit };
}
