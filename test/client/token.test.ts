import { describe, expect, test } from 'vitest';

import { ServiceToken } from '../../src/client/token.js';
import { isHeaderValue } from '../../src/core/header.js';

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
  test('is there at once, and stays', async () => {
    const token = new ServiceToken('t-1');
    expect(token.current).toBe('t-1');
    expect(token.renew('t-1', 0, true)).toBeUndefined();
    expect(token.current).toBe('t-1');
    expect(await token.fetch(true)).toBe('t-1');
  });
});

describe('a token that is fetched', () => {
  test('is used once it is there', async () => {
    const { calls, token } = source();
    expect(token.current).toBeUndefined();
    const fetched = token.fetch(true);
    calls[0]?.give('t-1');
    expect(await fetched).toBe('t-1');
    expect(token.current).toBe('t-1');
  });

  test('may come from a function that needs no promise', async () => {
    expect(await new ServiceToken(() => 't-1').fetch(true)).toBe('t-1');
  });

  test('is fetched once for all callers that share it', async () => {
    const { calls, token } = source();
    const both = [token.fetch(true), token.fetch(true)];
    expect(calls).toHaveLength(1);
    calls[0]?.give('t-1');
    expect(await Promise.all(both)).toEqual(['t-1', 't-1']);
    void token.fetch(true);
    expect(calls).toHaveLength(2);
  });

  test('is fetched by each caller that may not share it', async () => {
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

  test('that does not come is forgotten, and asked for again', async () => {
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

  test('that cannot be fetched fails for all waiting callers, and is asked for again', async () => {
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
    const renewal = token.renew('token-of-the-service', 0, true);
    calls[1]?.fail(new Error('token-of-the-service cannot be renewed'));
    await expect(renewal).rejects.toThrow(/^\S+ cannot be renewed$/);
    await expect(renewal).rejects.not.toThrow('token-of-the-service');
  });

  test.each([
    [undefined, 'undefined'],
    [null, 'null'],
    [42, 'a number'],
    ['', 'an empty string'],
    ['a\r\nb', 'a string of 4 characters, with a line break'],
    [{ token: 'hunter2' }, 'an object'],
  ])('is refused if it is %j, which is not quoted', async (value, got) => {
    const { token } = { token: new ServiceToken((() => value) as () => string) };
    const expected = `expected a string of printable ASCII, got ${got}`;
    await expect(token.fetch(true)).rejects.toThrow(new TypeError(expected));
    expect(token.current).toBeUndefined();
  });

  test('is cut out of errors', async () => {
    const token = new ServiceToken(() => 'token-0123456789');
    expect(token.redacted(new Error('of token-0123456789')).message).toBe('of token-0123456789');
    await token.fetch(true);
    expect(token.redacted(new Error('of token-0123456789')).message).toBe('of [redacted]');
  });
});

describe('a token that the server refuses', () => {
  /** With a token in hand. */
  async function inHand() {
    const { calls, token } = source();
    const fetched = token.fetch(true);
    calls[0]?.give('t-0');
    await fetched;
    let given = 0;
    /** Whether it is renewed, at once. */
    const renews = async (mono: number, shared = true): Promise<boolean> => {
      const renewal = token.renew(`t-${given}`, mono, shared);
      if (renewal === undefined) return false;
      calls.at(-1)?.give(`t-${++given}`);
      expect(await renewal).toBe(`t-${given}`);
      return true;
    };
    return { calls, token, renews };
  }

  test('is renewed only once there is one', () => {
    const { calls, token } = source();
    expect(token.renew('t-0', 0, true)).toBeUndefined();
    expect(calls).toHaveLength(0);
  });

  test('is used until the new one arrives, which every caller it was refused for gets', async () => {
    const { calls, token } = await inHand();
    const renewals = [token.renew('t-0', 0, true), token.renew('t-0', 1_500, true)];
    expect(token.current).toBe('t-0');
    expect(calls).toHaveLength(2);
    calls[1]?.give('t-1');
    expect([await renewals[0], await renewals[1]]).toEqual(['t-1', 't-1']);
    expect(token.current).toBe('t-1');
    expect(await token.renew('t-0', 2_000, true)).toBe('t-1');
    expect(calls).toHaveLength(2);
  });

  test('is still refused when the one before it is taken, by an answer that comes late', async () => {
    const { token, renews } = await inHand();
    expect(await renews(0)).toBe(true);
    expect(token.renew('t-1', 500, true)).toBeUndefined();
    token.accept('t-0', false);
    expect(await renews(1_500)).toBe(true);
  });

  test('stays in use if there is no other one', async () => {
    const { calls, token } = await inHand();
    const renewal = token.renew('t-0', 0, true);
    calls[1]?.fail(new Error('too many tokens'));
    await expect(renewal).rejects.toThrow('too many tokens');
    expect(token.current).toBe('t-0');
  });

  test('is renewed by each caller that may not share it, but started again only as often as that is allowed', async () => {
    const { calls, token } = await inHand();
    const renew = (mono: number) => token.renew('t-0', mono, false);
    token.accept('t-0', false);
    expect([renew(0), renew(500), renew(999)]).not.toContain(undefined);
    token.accept('t-0', false);
    expect([renew(1_000), renew(1_999)]).toEqual([undefined, undefined]);
    expect(calls).toHaveLength(4);
  });

  test.each<[string, (token: ServiceToken) => void, readonly number[]]>([
    ['while nobody is answered: once a second', () => undefined, [0, 1_000, 2_000, 3_000, 4_000, 5_000, 6_000]],
    [
      'while others are answered: ever more rarely',
      (token) => token.accept(String(token.current), false),
      [0, 2_000, 6_000],
    ],
    [
      'while it helps: once a second',
      (token) => token.accept(String(token.current), true),
      [0, 1_000, 2_000, 3_000, 4_000, 5_000, 6_000],
    ],
    [
      'while others are answered with one from before: once a second',
      (token) => token.accept('t', true),
      [0, 1_000, 2_000, 3_000, 4_000, 5_000, 6_000],
    ],
  ])('is renewed at once, and then %s', async (_, meanwhile, expected) => {
    const { token, renews } = await inHand();
    const renewedAt: number[] = [];
    for (let mono = 0; mono < 7_000; mono += 250) {
      meanwhile(token);
      if (await renews(mono)) renewedAt.push(mono);
    }
    expect(renewedAt).toEqual(expected);
  });

  test('is renewed once a minute at least, and a second after the last answer', async () => {
    const { token, renews } = await inHand();
    const renewedAt: number[] = [];
    for (let second = 0; second < 300; second++) {
      token.accept(String(token.current), false);
      if (await renews(second * 1_000)) renewedAt.push(second);
    }
    expect(renewedAt).toEqual([0, 2, 6, 14, 30, 62, 122, 182, 242]);
    // From now on, it is refused to everybody.
    expect([await renews(299_999), await renews(300_000)]).toEqual([false, true]);
  });
});
