/**
 * Merges `main` back into `dev` after a stable release. Without it dev would compute versions below the stable one. If the
 * merge can't be pushed because of a conflict or a protected branch, it opens a pull request.
 */
import { git, github, lastStable } from './repository.ts';

const { tag, commit } = lastStable();
git('fetch', '--quiet', 'origin', 'dev');
const dev = git('rev-parse', 'FETCH_HEAD');

async function openPullRequest(): Promise<void> {
  // Not from main itself: resolving the conflict in the pull request would push commits of dev to main.
  const branch = `merge-back/${tag}`;
  git('push', '--quiet', '--force', 'origin', `${commit}:refs/heads/${branch}`);
  const title = `chore: merge ${tag} back into dev`;
  const body =
    'Merge this with a merge commit, so that dev knows the release tag. Until then dev makes no prerelease above it.';
  const response = await github('pulls', { title, body, head: branch, base: 'dev' });
  const answer = await response.text();
  if (!response.ok && !answer.includes('already exists')) {
    throw new Error(`no pull request from ${branch}: GitHub answered ${response.status} ${answer}`);
  }
  console.log(`::warning::${tag} can't be merged into dev automatically: merge the pull request from ${branch}`);
}

if (git('merge-base', tag, dev) === git('rev-parse', `${tag}^{commit}`)) {
  console.log(`dev has ${tag}`);
} else {
  git('switch', '--quiet', '--detach', dev);
  try {
    const author = [
      '-c',
      'user.name=github-actions[bot]',
      '-c',
      'user.email=41898282+github-actions[bot]@users.noreply.github.com',
    ];
    git(...author, 'merge', '--quiet', '-m', `chore: merge ${tag} back into dev [skip ci]`, commit);
    git('push', '--quiet', 'origin', 'HEAD:refs/heads/dev');
    console.log(`merged ${tag} back into dev`);
  } catch {
    await openPullRequest();
  }
}
