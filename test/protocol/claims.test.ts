import type { StandardSchemaV1 } from '@standard-schema/spec';
import { describe, expect, test } from 'vitest';
import * as z from 'zod';

import { claimsAsSent, schemaReader } from '../../src/protocol/claims.js';

class Plan {
  readonly seats = 5;
}

/** A schema that says exactly this. */
function saying<Claims>(
  result: StandardSchemaV1.Result<Claims> | Promise<StandardSchemaV1.Result<Claims>>,
): StandardSchemaV1<unknown, Claims> {
  return { '~standard': { version: 1, vendor: 'test', validate: () => result } };
}

describe('claims', () => {
  test('without a schema are the object that was sent', async () => {
    const claims = { plan: 'pro' };
    const read = await claimsAsSent(claims);
    expect('claims' in read && read.claims).toBe(claims);
  });

  test('with a schema are what the schema makes of them', async () => {
    const read = schemaReader(z.object({ seats: z.coerce.number(), plan: z.string().default('free') }));
    expect(await read({ seats: '5' })).toEqual({ claims: { seats: 5, plan: 'free' } });
  });

  test('are a promise only where the schema returns one', async () => {
    expect(schemaReader(saying({ value: { a: 1 } }))({})).toEqual({ claims: { a: 1 } });
    const slow = schemaReader(saying(Promise.resolve({ value: { a: 1 } })))({});
    expect(slow).toBeInstanceOf(Promise);
    expect(await slow).toEqual({ claims: { a: 1 } });
  });

  test('are waited for where the schema returns a promise of another library', async () => {
    const thenable = { then: (tell: (result: object) => void) => tell({ issues: [{ message: 'no' }] }) };
    expect(await schemaReader(saying(thenable as Promise<never>))({})).toEqual({ wrong: 'the claims as a whole' });
  });

  test('with dates, maps and sets cannot be changed', () => {
    const value = { since: new Date(0), limits: new Map([['rps', 5]]), roles: new Set(['admin']) };
    void schemaReader(saying({ value }))({});
    expect(() => value.since.setTime(1)).toThrow(TypeError);
    expect(() => value.limits.set('rps', 9)).toThrow(TypeError);
    expect(() => value.roles.clear()).toThrow(TypeError);
  });

  test('are frozen again, to the last leaf', () => {
    const value = { deep: { er: [1] } };
    void schemaReader(saying({ value }))({});
    expect([value, value.deep, value.deep.er].every((part) => Object.isFrozen(part))).toBe(true);
  });

  test.each<[string, unknown]>([
    ['a typed array', new Uint8Array([1])],
    ['a URL', new URL('https://a.test/')],
    ['an instance of a class', new Plan()],
    ['a function', () => undefined],
  ])('with %s have it as the schema made it, beside what is frozen', (_, own) => {
    const value = { own, plain: { role: 'admin' } };
    expect(schemaReader(saying({ value }))({})).toEqual({ claims: { own, plain: { role: 'admin' } } });
    expect([value.own === own, Object.isFrozen(own)]).toEqual([true, false]);
    expect([Object.isFrozen(value), Object.isFrozen(value.plain)]).toEqual([true, true]);
  });

  test('that are a function are not frozen', () => {
    const value = (): void => undefined;
    expect(schemaReader(saying({ value }))({})).toEqual({ claims: value });
    expect(Object.isFrozen(value)).toBe(false);
  });

  test.each([null, undefined, 'plain', 7])('may be no object: %j', (value) => {
    expect(schemaReader(saying({ value }))({})).toEqual({ claims: value });
  });
});

describe('claims that do not fit', () => {
  test('are named by their places and types, without their values', async () => {
    const read = schemaReader(z.object({ plan: z.enum(['pro']), limits: z.object({ rps: z.array(z.number()) }) }));
    const wrong = await read({ plan: 'secret-value', limits: { rps: [1, 'secret-value'] } });
    expect(wrong).toEqual({ wrong: 'plan (string), limits.rps.1 (string)' });
    expect(await read({ limits: {} })).toEqual({ wrong: 'plan (undefined), limits.rps (undefined)' });
  });

  test('of a schema that answers later are named in the same way', async () => {
    const later = saying(Promise.resolve({ issues: [{ message: 'no', path: ['plan'] }] }) as Promise<never>);
    expect(await schemaReader(later)({ plan: 7 })).toEqual({ wrong: 'plan (number)' });
  });

  test('as a whole are named so', () => {
    expect(schemaReader(saying({ issues: [{ message: 'no' }, { message: 'no', path: [] }] }))({})).toEqual({
      wrong: 'the claims as a whole, the claims as a whole',
    });
  });

  test('may be named by steps of any kind', () => {
    const issues = [{ message: 'no', path: ['a', { key: 'b' }, 0, { key: 1 }, Symbol('s')] }];
    expect(schemaReader(saying({ issues }))({})).toEqual({ wrong: 'a.b.0.1.Symbol(s) (undefined)' });
  });
});
