/** The conditions of npm's trusted publishing with provenance. */
import { same, scene } from './report.ts';
import { show } from './repository.ts';
import { jobFor } from './workflow.ts';

export async function checkTrust(): Promise<void> {
  scene('trusted publishing with provenance');
  const [main, dev] = [jobFor('main'), jobFor('dev')];
  same([main.environment, dev.environment], ['npm', undefined], 'main has the environment npm, dev has none');
  same(
    [main.permissions['id-token'], dev.permissions['id-token']],
    ['write', undefined],
    'main may ask for an id token, dev may not',
  );
  same([main.concurrency, dev.concurrency], ['release', 'release'], 'releases of main and dev wait for each other');
  for (const [branch, { steps }] of Object.entries({ main, dev })) {
    const options = Object.assign({}, ...steps.map((step) => step.with)) as Record<string, unknown>;
    same(options['fetch-depth'], 0, `${branch} is checked out with its history`);
    same(options['registry-url'], undefined, `${branch} has no registry in setup-node`);
    same(options['node-version'], 24, `${branch} is released on Node 24`);
  }
  const { publishConfig } = JSON.parse(await show('main', 'package.json')) as { publishConfig?: object };
  same(publishConfig, undefined, 'package.json leaves registry and provenance to npm');
}
