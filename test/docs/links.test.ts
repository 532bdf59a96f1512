import { existsSync, readFileSync } from 'node:fs';
import { dirname, relative, resolve } from 'node:path';

import { describe, expect, test } from 'vitest';

import { PAGES, ROOT, anchors, links } from './pages.js';

const manifest = JSON.parse(readFileSync(resolve(ROOT, 'package.json'), 'utf8')) as {
  readonly scripts: object;
  readonly exports: object;
};

describe('pages', () => {
  test.each(PAGES)('%s links to what exists', (page) => {
    for (const link of links(page)) {
      const [path = '', anchor] = link.split('#');
      const target = path === '' ? page : relative(ROOT, resolve(ROOT, dirname(page), path));
      expect(existsSync(resolve(ROOT, target)), link).toBe(true);
      if (anchor !== undefined) expect(anchors(target), link).toContain(anchor);
    }
  });

  test.each(PAGES)('%s names files that exist', (page) => {
    const paths = [
      ...readFileSync(resolve(ROOT, page), 'utf8').matchAll(/`((?:src|test|tools|bench|docs)\/[\w./-]*)`/g),
    ];
    for (const [, path = ''] of paths) expect(existsSync(resolve(ROOT, path)), path).toBe(true);
  });

  test('README links to every page', () => {
    const targets = links('README.md').map((link) => link.replace(/#.*/, ''));
    expect(PAGES.filter((page) => page.startsWith('docs/')).filter((page) => !targets.includes(page))).toEqual([]);
  });

  test('every command on a page is a script of the package', () => {
    const commands = PAGES.flatMap((page) => [
      ...readFileSync(resolve(ROOT, page), 'utf8').matchAll(/npm (?:run ([\w:-]+)|(test)\b)/g),
    ]).map(([, script, plain]) => script ?? plain ?? '');
    expect(commands).toEqual(expect.arrayContaining(['demo', 'test']));
    expect(commands.filter((name) => !Object.hasOwn(manifest.scripts, name))).toEqual([]);
  });

  test('README, or a page of its own, names every subpath', () => {
    const subpaths = Object.keys(manifest.exports).filter((subpath) => /^\.\/\w+$/.test(subpath));
    const pages = ['README.md', 'docs/testing.md', 'docs/key-server.md', 'docs/fleet.md'];
    const text = pages.map((page) => readFileSync(resolve(ROOT, page), 'utf8')).join('\n');
    expect(subpaths.filter((subpath) => !text.includes(`keyverify/${subpath.slice(2)}`))).toEqual([]);
  });
});
