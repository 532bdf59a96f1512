import { describe, expect, test } from 'vitest';
import * as z from 'zod/mini';

import { mistakes } from '../src/mistakes.js';

/** What is said of `given` by a schema that is not that of the options. */
function said(schema: z.ZodMiniType, checked: unknown, names: readonly string[] = [], given: object = {}): string[] {
  const parsed = schema.safeParse(checked);
  return mistakes(parsed.error?.issues ?? [], given, names);
}

describe('mistakes', () => {
  test('are none where nothing is wrong', () => {
    expect(mistakes([], {}, [])).toEqual([]);
  });

  test('are told of an option that nothing is known of, too', () => {
    const schema = z.object({ novel: z.number() });
    expect(said(schema, { novel: 'x' }, [], { novel: 'x' })).toEqual([
      'novel: expected something else, got a string of 1 characters',
    ]);
  });

  test('are told of a place that is not there', () => {
    const schema = z.object({ outer: z.object({ inner: z.number() }) });
    for (const outer of [undefined, null, 5, ['inner']])
      expect(said(schema, { outer: { inner: 'x' } }, [], { outer })).toEqual([
        'outer.inner: expected something else, got nothing',
      ]);
  });

  test('take a name for a typo of the closest only, and of none where there is none', () => {
    const strict = z.strictObject({});
    expect(said(strict, { abcd: 1 }, ['xbcx', 'abxd', 'xxxx'])).toEqual([
      'abcd: there is no such option, did you mean abxd?',
    ]);
    expect(said(strict, { abcd: 1 }, [])).toEqual(['abcd: there is no such option']);
  });

  test('are told of each name that there is not', () => {
    expect(said(z.strictObject({}), { one: 1, two: 2 })).toEqual([
      'one: there is no such option',
      'two: there is no such option',
    ]);
  });

  test('of a breaker are told part by part only where it has parts', () => {
    const union = z.object({ breaker: z.union([z.literal(false), z.object({ openMs: z.number() })]) });
    const breaker = { openMs: 'x' };
    expect(said(union, { breaker }, [], { breaker })).toEqual([
      'breaker.openMs: expected a positive number of milliseconds, up to 2 147 483 647, got a string of 1 characters',
    ]);
    const whole = 'breaker: expected false, or an object of failureThreshold, openMs, maxOpenMs, got ';
    expect(said(union, { breaker: 5 }, [], { breaker: 5 })).toEqual([`${whole}5`]);
    expect(said(z.object({ breaker: z.number() }), { breaker }, [], { breaker })).toEqual([
      `${whole}a value of type object`,
    ]);
  });

  test('of a union that is no breaker are told as a whole', () => {
    const schema = z.object({ other: z.union([z.literal(false), z.object({ openMs: z.number() })]) });
    const other = { openMs: 'x' };
    expect(said(schema, { other }, [], { other })).toEqual([
      'other: expected something else, got a value of type object',
    ]);
  });
});
