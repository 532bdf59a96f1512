import { readFileSync } from 'node:fs';

import { expect, it } from 'vitest';

import { CHECKS } from '../tools/check.js';

const read = (path: string): string => readFileSync(new URL(`../${path}`, import.meta.url), 'utf8');

it('CONTRIBUTING.md lists the checks as they are', () => {
  const [, section = ''] = read('CONTRIBUTING.md').split('\n## Checks\n');
  const rows = [...section.matchAll(/^\| `([\w-]+)` +\| (.*?) +\|$/gm)].map(([, name, about]) => [name, about]);

  expect(rows).toEqual(Object.entries(CHECKS).map(([name, { about }]) => [name, about]));
});

it('CI runs every check', () => {
  const workflow = read('.github/workflows/ci.yml');
  const matrix = /check: \[(.*)\]/.exec(workflow)?.[1]?.split(', ') ?? [];
  const named = [...workflow.matchAll(/run: npm run check -- ([a-z -]+)$/gm)].flatMap(([, names = '']) =>
    names.split(' '),
  );
  const slow = Object.keys(CHECKS).filter((name) => CHECKS[name]?.slow === true);

  expect(workflow).toContain('run: npm run check\n');
  expect([...named, ...matrix].sort()).toEqual(slow.sort());
});
