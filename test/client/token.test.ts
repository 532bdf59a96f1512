import { describe, expect, test } from 'vitest';

import { ServiceToken } from '../../src/client/token.js';
import { isHeaderValue } from '../../src/core/token.js';

/** A token function whose calls a test answers itself. */
function source() {
  const calls: { give: (token: string) => void; fail: (error: Error) => void }[] = [];
  const fetch = async (): Promise<string> =>
    await new Promise<string>((resolve, reject) => calls.push({ give: resolve, fail: reject }));
  return { calls, token: new ServiceToken(fetch) };
}

describe('a value for a header', () => {
  test.each(['a', 'ab', 'a b', '!', '~', '! ~', 'abc.def-ghi_j/k+l=='])('may be %j', (value) => {
    expect(isHeaderValue(value)).toBe(true);
  });

  test.each([
    '',
    ' ',
    ' a',
    'a ',
    'a\nb',
    'a\r\nx-other: b',
    'a\n',
    'a\tb',
    'a\0b',
    'ä',
    'aäb',
    'a\x7f',
    '\x7f',
    '\u{1f600}',
  ])('may not be %j', (value) => {
    expect(isHeaderValue(value)).toBe(false);
  });
});

describe('a token that is given as a string', () => {
  test('is in hand at once, and stays', async () => {
    const token = new ServiceToken('t-1');
    expect(token.current).toBe('t-1');
    expect(token.renewable).toBe(false);
    token.refuse('t-1', 0);
    expect(token.current).toBe('t-1');
    expect(await token.fetch(true)).toBe('t-1');
  });
});

describe('a token that is fetched', () => {
  test('is in hand once it is there', async () => {
    const { calls, token } = source();
    expect(token.renewable).toBe(true);
    expect(token.current).toBeUndefined();
    const fetched = token.fetch(true);
    calls[0]?.give('t-1');
    expect(await fetched).toBe('t-1');
    expect(token.current).toBe('t-1');
  });

  test('may come from a function that needs no promise', async () => {
    expect(await new ServiceToken(() => 't-1').fetch(true)).toBe('t-1');
  });

  test('is fetched once for all who share it', async () => {
    const { calls, token } = source();
    const both = [token.fetch(true), token.fetch(true)];
    expect(calls).toHaveLength(1);
    calls[0]?.give('t-1');
    expect(await Promise.all(both)).toEqual(['t-1', 't-1']);
    void token.fetch(true);
    expect(calls).toHaveLength(2);
  });

  test('is fetched by each who may not share it', async () => {
    const { calls, token } = source();
    const both = [token.fetch(false), token.fetch(false)];
    expect(calls).toHaveLength(2);
    calls[0]?.give('t-1');
    await both[0];
    // The second is still being fetched, and may be shared.
    const third = token.fetch(true);
    expect(calls).toHaveLength(2);
    calls[1]?.give('t-2');
    expect(await Promise.all([...both, third])).toEqual(['t-1', 't-2', 't-2']);
  });

  test('that does not come is forgotten, and asked for anew', async () => {
    const { calls, token } = source();
    const late = token.fetch(true);
    token.forget();
    const next = token.fetch(true);
    expect(calls).toHaveLength(2);
    calls[0]?.give('t-1');
    await late;
    // What was late doesn't end the wait for the next one.
    const joined = token.fetch(true);
    expect(calls).toHaveLength(2);
    calls[1]?.give('t-2');
    expect(await Promise.all([next, joined])).toEqual(['t-2', 't-2']);
  });

  test('that cannot be had fails for all who wait, and is asked for anew', async () => {
    const { calls, token } = source();
    const both = [token.fetch(true), token.fetch(true)];
    calls[0]?.fail(new Error('vault is sealed'));
    const outcomes = await Promise.allSettled(both);
    expect(outcomes.map(({ status }) => status)).toEqual(['rejected', 'rejected']);
    expect(token.current).toBeUndefined();
    void token.fetch(true);
    expect(calls).toHaveLength(2);
  });

  test('is not quoted by the error of a renewal, even if it was refused', async () => {
    const { calls, token } = source();
    const first = token.fetch(true);
    calls[0]?.give('token-of-the-service');
    await first;
    token.refuse('token-of-the-service', 0);
    const renewal = token.fetch(true);
    calls[1]?.fail(new Error('token-of-the-service cannot be renewed'));
    await expect(renewal).rejects.toThrow(/^\S+ cannot be renewed$/);
    await expect(renewal).rejects.not.toThrow('token-of-the-service');
  });

  test.each([undefined, null, 42, '', 'a\r\nb'])('is none if it is %j, and that is not quoted', async (value) => {
    const { token } = { token: new ServiceToken((() => value) as () => string) };
    await expect(token.fetch(true)).rejects.toThrow(new TypeError('expected a string of visible characters'));
    expect(token.current).toBeUndefined();
  });

  test('is dropped when it is refused, unless it has been renewed already', async () => {
    const { calls, token } = source();
    const fetched = token.fetch(true);
    calls[0]?.give('t-1');
    await fetched;
    expect(token.refuse('t-0', 0)).toBe(true);
    expect(token.current).toBe('t-1');
    expect(token.refuse('t-1', 0)).toBe(true);
    expect(token.current).toBeUndefined();
  });

  test('is not dropped where there can be no other, or five were fetched at once', async () => {
    expect(new ServiceToken('t-1').refuse('t-1', 0)).toBe(false);
    const token = new ServiceToken(() => 't-1');
    const refused: boolean[] = [];
    for (let times = 0; times < 6; times++) {
      await token.fetch(true);
      refused.push(token.refuse('t-1', 0));
    }
    expect(refused).toEqual([true, true, true, true, true, false]);
    expect(token.current).toBe('t-1');
    expect(token.refuse('t-1', 1_000)).toBe(true);
  });

  test('is cut out of errors', async () => {
    const token = new ServiceToken(() => 'token-0123456789');
    expect(token.redacted(new Error('of token-0123456789')).message).toBe('of token-0123456789');
    await token.fetch(true);
    expect(token.redacted(new Error('of token-0123456789')).message).toBe('of [redacted]');
  });

  test('is dropped five times at once, then once a second: a key may be why the server refuses it', async () => {
    const { calls, token } = source();
    let count = 0;
    const isDropped = async (mono: number): Promise<boolean> => {
      if (token.current === undefined) {
        const fetched = token.fetch(true);
        calls.at(-1)?.give(`t-${++count}`);
        await fetched;
      }
      return token.refuse(`t-${count}`, mono) && token.current === undefined;
    };
    const dropped = [];
    for (const mono of [0, 0, 0, 0, 0, 0, 999, 1_000, 1_001, 2_000, 60_000]) dropped.push(await isDropped(mono));
    expect(dropped).toEqual([true, true, true, true, true, false, false, true, false, true, true]);
  });
});
