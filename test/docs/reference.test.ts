import { readdirSync } from 'node:fs';
import { resolve } from 'node:path';

import { VerifyFailure, type Evidence, type FailureKind } from 'keyverify';
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
  Observer: 'kv.Observer',
  Failure: "Omit<kv.VerifyFailure, keyof Error | 'toJSON'>",
  Evidence: 'kv.Evidence',
});
const guards = membersOf({ Guard: "import('keyverify/express').GuardOptions" });

const column = (page: string, heading: string, at = 0): (string | undefined)[] =>
  rows(page, heading).map((cells) => code(cells[at])?.replace(/\(.*/, ''));

describe('docs/options.md', { timeout: 120_000 }, () => {
  test.each([
    ['Verifier options', types['Options']],
    ['Call options', types['Call']],
    ['Guard options', guards['Guard']],
    ['Methods', types['Methods']],
    ['Observers', types['Observer']],
  ])('%s has them all', (heading, names = []) => {
    expect(names.length).toBeGreaterThan(3);
    expect(column('docs/options.md', heading)).toEqual(expect.arrayContaining(names));
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

describe('docs/outages.md', { timeout: 120_000 }, () => {
  test('every kind of evidence is there, and opens if it opens in the code', () => {
    const table = rows('docs/outages.md', 'What counts as an outage').filter(([, , counts]) => counts !== undefined);
    const known = table.flatMap(([evidence, , , opens]) => {
      const name = code(evidence);
      return name === undefined || opens === undefined ? [] : [[name, opens] as const];
    });
    expect(known.slice(1).map(([name]) => name)).toEqual(types['Evidence']);
    for (const [evidence, opens] of known.slice(1))
      expect(opens).toBe(new VerifyFailure('timeout', '', { evidence: evidence as Evidence }).isOutage ? 'yes' : 'no');
  });
});

test('SECURITY.md names a test for every claim', () => {
  const [, model = ''] = /^## Threat model$(.*)^## Limits$/ms.exec(read('SECURITY.md')) ?? [];
  const claims = model.split(/^- \*\*/m).slice(1);
  expect(claims.length).toBeGreaterThan(12);
  expect(claims.filter((claim) => !/Tests:\s+`(?:test\/|npm run )/.test(claim))).toEqual([]);
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

  test('every field of a failure is there', () => {
    expect(types['Failure']?.length).toBeGreaterThan(6);
    expect([...column('docs/results.md', 'Failures'), 'message']).toEqual(
      expect.arrayContaining(types['Failure'] ?? []),
    );
  });

  test('every failure is there, with its code, and opens only if the code opens', () => {
    const table = rows('docs/results.md', 'Failures').filter(([, second]) => code(second)?.startsWith('KEYVERIFY_'));
    expect(table.map(([kind]) => code(kind)).toSorted()).toEqual(types['Kind']?.toSorted());
    for (const [kind, errorCode, , , opens] of table) {
      const failure = (evidence: Evidence) => new VerifyFailure(code(kind) as FailureKind, '', { evidence });
      expect(failure('none').code).toBe(code(errorCode));
      expect([failure('none').isOutage, failure('unproven').isOutage]).toEqual([false, false]);
      expect(opens).toBe(failure('proven').isOutage ? 'with evidence' : 'no');
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
