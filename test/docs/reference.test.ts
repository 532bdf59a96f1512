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
const parts = membersOf({
  Guard: "import('keyverify/guard').GuardOptions",
  Context: "import('keyverify/guard').DenialContext",
  Overrides: "import('keyverify/guard').DenialOverrides",
  RedisCache: "import('keyverify/redis').RedisCacheOptions",
  RedisRevocations: "import('keyverify/redis').RedisRevocationsOptions",
  Sse: "import('keyverify/sse').SseRevocationsOptions",
  Stats: 'kv.Stats',
  Shared: 'kv.SharedStats',
  Revocations: 'kv.RevocationStats',
});
/** By the method of an observer, the fields of its event. */
const events = membersOf(
  Object.fromEntries(
    (types['Observer'] ?? []).map((method) => [method, `Parameters<NonNullable<kv.Observer['${method}']>>[0]`]),
  ),
);

/** What stands in backticks in a cell. */
const codes = (cell = ''): string[] => [...cell.matchAll(/`(\w+)[^`]*`/g)].map(([, name = '']) => name);

const column = (page: string, heading: string, at = 0): (string | undefined)[] =>
  rows(page, heading).map((cells) => code(cells[at])?.replace(/\(.*/, ''));

describe('docs/options.md', { timeout: 120_000 }, () => {
  test.each([
    ['Verifier options', types['Options']],
    ['Call options', types['Call']],
    ['Guard options', parts['Guard']],
    ['Methods', types['Methods']],
    ['Observers', types['Observer']],
    ['`onDenied`', parts['Overrides']?.concat('context')],
    ['`stats\\(\\)`', parts['Stats']],
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

  const textOf = (heading: string, name: string): string | undefined =>
    rows('docs/options.md', heading).find(([first]) => code(first) === name)?.[1];

  test('what `onDenied` is told is there', () => {
    expect(codes(textOf('`onDenied`', 'context'))).toEqual(expect.arrayContaining(parts['Context'] ?? []));
  });

  test('the counts of a fleet are there', () => {
    const counts = { shared: parts['Shared'] ?? [], revocations: parts['Revocations'] ?? [] };
    for (const [name, fields] of Object.entries(counts))
      expect(codes(textOf('`stats\\(\\)`', name))).toEqual(expect.arrayContaining(fields));
  });

  test('every event is there, with all its fields, and what each means', () => {
    const table = rows('docs/options.md', 'Observers').filter(([name]) => code(name)?.startsWith('on'));
    const named = Object.fromEntries(table.map(([name, , fields]) => [code(name) ?? '', codes(fields).toSorted()]));
    expect(named).toEqual(
      Object.fromEntries(Object.entries(events).map(([name, fields]) => [name, fields.toSorted()])),
    );
    const explained = rows('docs/options.md', 'Observers').flatMap(([names]) => codes(names));
    const isMethod = (name: string): boolean => ['stats', 'health'].includes(name);
    const fields = Object.values(events).flat();
    expect(fields.length).toBeGreaterThan(30);
    expect(explained).toEqual(expect.arrayContaining(fields.filter((name) => !isMethod(name))));
  });
});

describe('docs/fleet.md', { timeout: 120_000 }, () => {
  test('every option of the backends is there', () => {
    const of = (backend: string) =>
      rows('docs/fleet.md', 'Set-up')
        .filter(([, taker]) => taker === 'both' || taker === `\`${backend}()\``)
        .map(([name]) => code(name));
    expect(of('redisCache').toSorted()).toEqual(parts['RedisCache']?.toSorted());
    expect(of('redisRevocations').toSorted()).toEqual(parts['RedisRevocations']?.toSorted());
    expect(column('docs/fleet.md', 'Server-sent events')).toEqual(expect.arrayContaining(parts['Sse'] ?? []));
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
