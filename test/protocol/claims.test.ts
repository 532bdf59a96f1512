import type { StandardSchemaV1 } from '@standard-schema/spec';
import { describe, expect, test } from 'vitest';
import * as z from 'zod';

import { claimsAsSent, schemaReader } from '../../src/protocol/claims.js';

/** A schema that says exactly this. */
function saying<Claims>(
  result: StandardSchemaV1.Result<Claims> | Promise<StandardSchemaV1.Result<Claims>>,
): StandardSchemaV1<unknown, Claims> {
  return { '~standard': { version: 1, vendor: 'test', validate: () => result } };
}

describe('claims', () => {
  test('without a schema are what was sent, the very same object', async () => {
    const claims = { plan: 'pro' };
    const read = await claimsAsSent(claims);
    expect('claims' in read && read.claims).toBe(claims);
  });

  test('with a schema are what the schema makes of them', async () => {
    const read = schemaReader(z.object({ seats: z.coerce.number(), plan: z.string().default('free') }));
    expect(await read({ seats: '5' })).toEqual({ claims: { seats: 5, plan: 'free' } });
  });

  test('are waited for only where the schema takes its time', async () => {
    expect(schemaReader(saying({ value: { a: 1 } }))({})).toEqual({ claims: { a: 1 } });
    const slow = schemaReader(saying(Promise.resolve({ value: { a: 1 } })))({});
    expect(slow).toBeInstanceOf(Promise);
    expect(await slow).toEqual({ claims: { a: 1 } });
  });

  test('are frozen again, all the way down', () => {
    const value = { deep: { er: [1] } };
    void schemaReader(saying({ value }))({});
    expect([value, value.deep, value.deep.er].every((part) => Object.isFrozen(part))).toBe(true);
  });

  test('that are a function are left as they are', () => {
    const value = (): void => undefined;
    expect(schemaReader(saying({ value }))({})).toEqual({ claims: value });
    expect(Object.isFrozen(value)).toBe(false);
  });

  test.each([null, undefined, 'plain', 7])('may be no object at all: %j', (value) => {
    expect(schemaReader(saying({ value }))({})).toEqual({ claims: value });
  });
});

describe('claims that do not fit', () => {
  test('are named by their places, and their values are not told', async () => {
    const read = schemaReader(z.object({ plan: z.enum(['pro']), limits: z.object({ rps: z.array(z.number()) }) }));
    const wrong = await read({ plan: 'secret-value', limits: { rps: [1, 'secret-value'] } });
    expect(wrong).toEqual({ wrong: 'plan, limits.rps.1' });
  });

  test('as a whole are called so', () => {
    expect(schemaReader(saying({ issues: [{ message: 'no' }, { message: 'no', path: [] }] }))({})).toEqual({
      wrong: 'the whole, the whole',
    });
  });

  test('may be named by steps of any kind', () => {
    const issues = [{ message: 'no', path: ['a', { key: 'b' }, 0, { key: 1 }, Symbol('s')] }];
    expect(schemaReader(saying({ issues }))({})).toEqual({ wrong: 'a.b.0.1.Symbol(s)' });
  });
});
