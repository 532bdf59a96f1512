/** The rehearsed releases, scene by scene. */
import { expectMergedBack, expectOnNpm, expectPrerelease, expectStable } from './expect.ts';
import { check, same, scene } from './report.ts';
import { changeset, merge, push, tip } from './repository.ts';
import type { Stage } from './stage.ts';

const greeting = (value: number): Record<string, string> => ({
  'src/greeting.ts': `export const greeting = ${value};\n`,
});
const firstWords = ['learn to greet', 'right language', 'Callers are greeted.\n\n  Twice on Sundays.'];
const secondWords = ['more quietly', 'BREAKING CHANGES', 'a greeting needs a name', 'Greetings carry a name.'];

/** From the first feature on dev to the first stable version, and runs that release nothing. */
export async function playFirstRelease({ github, registry, release }: Stage): Promise<void> {
  scene('dev: a feature with a changeset');
  await push('dev', 'feat: learn to greet', {
    ...greeting(1),
    '.changeset/warm-words.md': changeset('minor', 'Callers are greeted.\n\nTwice on Sundays.'),
  });
  const feature = await release('dev', '0.1.0-dev.1');
  await expectPrerelease(github, '0.1.0-dev.1', { says: ['learn to greet', 'Callers are greeted.'] });
  await expectOnNpm(registry, '0.0.0');

  scene('dev: the same run again');
  await release('dev', null, { at: feature });

  scene('dev: a fix');
  await push('dev', 'fix: greet in the right language', greeting(2));
  await release('dev', '0.1.0-dev.2');
  await expectPrerelease(github, '0.1.0-dev.2', {
    says: ['right language'],
    saysNot: ['learn to greet', 'Callers are'],
  });

  scene('main: dev is merged');
  await merge('dev', 'main');
  const first = await release('main', '0.1.0');
  await expectStable(github, registry, '0.1.0', { says: firstWords });
  await expectMergedBack('0.1.0');
  await expectOnNpm(registry, '0.0.0', '0.1.0');

  scene('main: the same run again');
  await release('main', null, { at: first });
  await expectOnNpm(registry, '0.0.0', '0.1.0');

  scene('dev: a push that changes documents only');
  await push('dev', 'docs: explain greetings', { 'docs/greetings.md': '# Greetings\n' });
  await release('dev', null);
}

/** After a stable release dev goes on. Then npm, GitHub and the merge into dev fail and are repaired. */
export async function playRepairs({ github, registry, release }: Stage): Promise<void> {
  scene('dev: the next fix');
  await push('dev', 'fix: greet more quietly', greeting(3));
  await release('dev', '0.1.1-dev.1');
  await expectPrerelease(github, '0.1.1-dev.1', { says: ['more quietly'], saysNot: firstWords });

  scene('dev: a breaking change');
  await push('dev', 'feat!: greet by name\n\nBREAKING CHANGE: a greeting needs a name.', {
    ...greeting(4),
    '.changeset/first-names.md': changeset('minor', 'Greetings carry a name.'),
  });
  await release('dev', '0.2.0-dev.1');
  await expectPrerelease(github, '0.2.0-dev.1', {
    says: ['BREAKING CHANGES', 'a greeting needs a name', 'carry a name'],
  });

  scene('main: dev is merged, and npm refuses the publish');
  await merge('dev', 'main');
  registry.refuseNext = true;
  const refused = await release('main', '0.2.0', { fails: true });
  check(github.release('v0.2.0') === undefined, 'GitHub has no v0.2.0');
  await expectOnNpm(registry, '0.0.0', '0.1.0');

  scene('main: the failed run again');
  await release('main', null, { at: refused });
  await expectStable(github, registry, '0.2.0', { says: secondWords });
  await expectMergedBack('0.2.0');
  await expectOnNpm(registry, '0.0.0', '0.1.0', '0.2.0');

  scene('main: a hotfix whose changeset asks for 1.0.0 and that dev contradicts, and GitHub refuses the release');
  await push('dev', 'refactor: tidy greetings', greeting(5));
  await push('main', 'fix: greet nobody twice', {
    ...greeting(6),
    '.changeset/stable-ground.md': changeset('major', 'Greetings are here to stay.'),
  });
  github.refuseNext = true;
  await release('main', '1.0.0', { fails: true });
  await expectOnNpm(registry, '0.0.0', '0.1.0', '0.2.0', '1.0.0');

  scene('main: the next push finishes it, and the merge into dev conflicts');
  await push('main', 'docs: greet the readers', { 'docs/greetings.md': '# Greetings, reader\n' });
  await release('main', null);
  await expectStable(github, registry, '1.0.0', { says: ['nobody twice', 'here to stay'], saysNot: secondWords });
  const pulls = github.pulls.map(({ head, base }) => [head, base]);
  same(pulls, [['merge-back/v1.0.0', 'dev']], 'a pull request merges it back');
  same(await tip('merge-back/v1.0.0'), await tip('main'), 'from a branch that is main');

  scene('dev: that pull request is merged by hand');
  await merge('merge-back/v1.0.0', 'dev', '--strategy-option=ours');
  await expectMergedBack('1.0.0');
  await release('dev', null);
}
