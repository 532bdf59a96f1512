import { describe, expect, test } from 'vitest';

import { SingleFlight, type OnSent } from '../../src/client/single-flight.js';

const EVENT = { purpose: 'verify', url: 'https://admin.test/verify' } as const;

/** A question whose answer a test gives itself. */
function question() {
  let land: (answer: string) => void = () => undefined;
  let onSent: OnSent = () => undefined;
  const outcome = new Promise<string>((resolve) => (land = resolve));
  const ask = async (told: OnSent): Promise<string> => {
    onSent = told;
    return await outcome;
  };
  return { ask, land: (answer: string) => land(answer), send: (at: Parameters<OnSent>[0]) => onSent(at) };
}

describe('a flight', () => {
  test('is found until it has landed', async () => {
    const flights = new SingleFlight<string>();
    const { ask, land } = question();
    const flight = flights.start('f', EVENT, ask, true);
    expect(flights.get('f')).toBe(flight);
    expect(flights.get('g')).toBeUndefined();
    land('answer');
    expect(await flight.outcome).toBe('answer');
    expect(flights.get('f')).toBeUndefined();
  });

  test('says when its first request was sent', () => {
    const { ask, send } = question();
    const flight = new SingleFlight<string>().start('f', EVENT, ask, true);
    expect(flight.sentAt).toBeUndefined();
    const at = { wall: 1, mono: 2 };
    send(at);
    expect(flight.sentAt).toBe(at);
  });

  test('is joined unless its first request was sent too long ago', () => {
    const flights = new SingleFlight<string>();
    const { ask, send } = question();
    const flight = flights.start('f', EVENT, ask, true);
    expect(flights.toJoin('f', 100, 0)).toBe(flight);
    send({ wall: 1, mono: 100 });
    expect(flights.toJoin('f', 149, 50)).toBe(flight);
    expect(flights.toJoin('f', 150, 50)).toBeUndefined();
    expect(flights.toJoin('f', 150)).toBe(flight);
    expect(flights.toJoin('g', 100)).toBeUndefined();
  });

  test('is neither shared nor waited for where promises cannot be shared', async () => {
    const flights = new SingleFlight<string>();
    const { ask, land } = question();
    const flight = flights.start('f', EVENT, ask, false);
    expect(flights.get('f')).toBeUndefined();
    await flights.settled();
    land('answer');
    expect(await flight.outcome).toBe('answer');
  });

  test('clears only itself when it lands', async () => {
    const flights = new SingleFlight<string>();
    const [old, young] = [question(), question()];
    const first = flights.start('f', EVENT, old.ask, true);
    flights.detach('f');
    const second = flights.start('f', EVENT, young.ask, true);
    old.land('old');
    await first.outcome;
    await Promise.resolve();
    expect(flights.get('f')).toBe(second);
  });

  test('is detached alone, or with all the others', () => {
    const flights = new SingleFlight<string>();
    for (const fingerprint of ['a', 'b', 'c']) flights.start(fingerprint, EVENT, question().ask, true);
    flights.detach('b');
    expect(['a', 'b', 'c'].map((fingerprint) => flights.get(fingerprint) !== undefined)).toEqual([true, false, true]);
    flights.detach();
    expect(flights.get('a') ?? flights.get('c')).toBeUndefined();
  });
});

describe('settled', () => {
  test('resolves at once where nothing is under way', async () => {
    await new SingleFlight().settled();
  });

  test('waits for flights that were detached, and for work that began meanwhile', async () => {
    const flights = new SingleFlight<string>();
    const order: string[] = [];
    const { ask, land } = question();
    flights.start('f', EVENT, ask, true);
    flights.detach();
    let finish = (): void => undefined;
    const landed = flights.settled().then(() => order.push('all landed'));
    flights.track(new Promise<void>((resolve) => (finish = resolve)).then(() => order.push('work done')));
    land('answer');
    await new Promise((resolve) => setImmediate(resolve));
    expect(order).toEqual([]);
    finish();
    await landed;
    expect(order).toEqual(['work done', 'all landed']);
  });

  test('waits for work only once', async () => {
    const flights = new SingleFlight<string>();
    const { ask, land } = question();
    const { outcome } = flights.start('f', EVENT, ask, true);
    land('answer');
    await outcome;
    await flights.settled();
    await flights.settled();
  });
});
