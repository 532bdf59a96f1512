import { readdirSync } from 'node:fs';
import { resolve } from 'node:path';

import { VerifyFailure, type FailureKind } from 'keyverify';
import { describe, expect, test } from 'vitest';

import { resolveOptions } from '../../src/options/resolve.js';
import { membersOf } from './compiler.js';
import { ROOT, code, read, rows } from './pages.js';

const types = membersOf({
  Options: 'kv.KeyVerifierOptions',
  Call: 'kv.VerifyOptions',
  Result: 'kv.VerifyResult<kv.DefaultClaims, true>',
  Reason: 'kv.KnownReason',
  Kind: 'kv.FailureKind',
  Methods: 'kv.KeyVerifier<false, kv.DefaultClaims>',
});
const guards = membersOf({ Guard: "import('keyverify/express').GuardOptions" });

/** Names that the page has ahead of the code. */
const RENAMED: Readonly<Record<string, string>> = { keyFrom: 'keySources', allow: 'authorize' };

const column = (page: string, heading: string, at = 0): (string | undefined)[] =>
  rows(page, heading).map((cells) => code(cells[at])?.replace(/\(.*/, ''));

describe('docs/options.md', { timeout: 120_000 }, () => {
  test.each([
    ['Verifier options', types['Options']],
    ['Call options', types['Call']],
    ['Guard options', guards['Guard']],
    ['Methods', types['Methods']],
  ])('%s has them all', (heading, names = []) => {
    expect(names.length).toBeGreaterThan(3);
    const known = [...column('docs/options.md', heading), ...column('docs/options.md', 'Observers')];
    expect(known).toEqual(expect.arrayContaining(names.map((name) => RENAMED[name] ?? name)));
  });

  test('the defaults are those of the code', () => {
    const resolved: Readonly<Record<string, unknown>> = {
      ...resolveOptions({ verifyUrl: 'https://keys.example.com', serviceToken: 'token' }),
    };
    const numbers = rows('docs/options.md', 'Verifier options').filter(([, value = '']) => /^[\d .]+$/.test(value));
    expect(numbers.length).toBeGreaterThan(8);
    for (const [name, value = ''] of numbers)
      expect({ [name ?? '']: Number(value.replaceAll(' ', '')) }).toEqual({ [name ?? '']: resolved[code(name) ?? ''] });
    const flags = rows('docs/options.md', 'Verifier options').filter(([, value]) => value === '`false`');
    expect(flags.map(([name]) => resolved[code(name) ?? ''])).toEqual([false, false, false]);
  });
});

describe('docs/results.md', { timeout: 120_000 }, () => {
  test('every field of a result is there', () => {
    expect(types['Result']?.length).toBeGreaterThan(8);
    for (const field of types['Result'] ?? [])
      expect(read('docs/results.md')).toMatch(new RegExp(`\`${field}\\??[\`:]`));
  });

  test('every reason is there', () => {
    expect(types['Reason']?.length).toBeGreaterThan(7);
    expect(column('docs/results.md', 'Reasons')).toEqual(expect.arrayContaining(types['Reason'] ?? []));
  });

  test('every failure is there, with its code, and opens only if the code opens', () => {
    const table = rows('docs/results.md', 'Failures').filter(([, second]) => code(second)?.startsWith('KEYVERIFY_'));
    expect(table.map(([kind]) => code(kind)).toSorted()).toEqual(types['Kind']?.toSorted());
    for (const [kind, errorCode, , , opens] of table) {
      const failure = new VerifyFailure(code(kind) as FailureKind, '');
      expect([failure.code, failure.isOutage]).toEqual([code(errorCode), opens !== 'no']);
    }
  });

  test('every denial of a guard is there, with its status', () => {
    const table = rows('docs/results.md', 'What a guard answers').map(([status, problem]) => [code(problem), status]);
    const source = readdirSync(resolve(ROOT, 'src/guard')).map((file) => read(`src/guard/${file}`));
    const denials = [...source.join('').matchAll(/^ {2}'?([\w-]+)'?: \{\s*status: (\d+),\s*title: /gm)];
    expect(denials.length).toBeGreaterThan(7);
    expect(table.slice(1).toSorted()).toEqual(denials.map(([, problem, status]) => [problem, status]).toSorted());
  });
});
