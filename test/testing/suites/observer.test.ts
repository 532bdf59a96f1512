import { describe, expect, it, test } from 'vitest';

import type { Observer } from 'keyverify';
import { observerCases } from 'keyverify/testing';

import { failing } from './run.js';

const taking = (take: (event: object) => unknown): Observer => ({
  onVerdict: take,
  onFailure: take,
  onStale: take,
  onFailOpen: take,
  onBreaker: take,
  onControl: take,
  onAbort: take,
  onInvalidate: take,
  onAsk: take,
  onJoin: take,
  onAttach: take,
  onDetach: take,
  onShared: take,
  onRevocation: take,
  onRevocationGap: take,
});

/** Calls what it is given. */
const calling: Observer = {
  onAsk: async (_event, run) => await run(),
  onAttach: (verifier) => [verifier.stats(), verifier.health()],
};

describe.each<[string, () => Observer]>([
  ['observes nothing', () => ({})],
  ['counts', () => taking(() => 1)],
  ['calls what it is given', () => calling],
  ['is asynchronous', () => taking(async () => await Promise.resolve())],
])('an observer that %s', (_, makeObserver) => {
  test.each(observerCases(makeObserver))('$name', async ({ run }) => await run());
});

const throwing = (): never => {
  throw new Error('broken');
};

describe('the suite for observers', () => {
  it.each<[string, (event: object) => unknown]>([
    ['throws', throwing],
    ['rejects', async () => await Promise.reject(new Error('broken'))],
    ['changes events', (event) => Object.assign(event, { failure: undefined, fingerprint: '', count: 0 })],
  ])('fails an observer that %s, which still changes nothing for a verifier', async (_, take) => {
    const cases = observerCases(() => taking(take));
    expect(await failing(cases)).toEqual(cases.slice(0, -1).map(({ name }) => name));
  });

  it('fails an observer that tries to change what a verifier decides, which a frozen failure prevents', async () => {
    const meddling: Observer = { onFailure: ({ failure }) => void Object.assign(failure, { evidence: 'none' }) };
    const cases = observerCases(() => meddling);
    expect(await failing(cases)).toEqual([cases[1]?.name]);
  });

  it('tells every method', async () => {
    const told = new Set<string>();
    const observer = Object.fromEntries(Object.keys(taking(() => 0)).map((name) => [name, () => told.add(name)]));
    await failing(observerCases(() => observer).slice(0, -1));
    expect([...told]).toEqual(Object.keys(observer));
  });
});
