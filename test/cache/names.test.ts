import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

import { expect, test } from 'vitest';

import { VerdictCache } from '../../src/cache/verdict-cache.js';
import { ASKED_AT, verdict, verified } from '../helpers/verdicts.js';

setFlagsFromString('--expose-gc');
const collectGarbage: unknown = runInNewContext('gc');
const heap = (): number => {
  if (typeof collectGarbage === 'function') Reflect.apply(collectGarbage, undefined, []);
  return process.memoryUsage().heapUsed;
};

const cache = (maxEntries: number) =>
  new VerdictCache({
    cacheTtlMs: 1_000,
    rejectedTtlMs: 100,
    maxEntries,
    maxRejectedEntries: 2,
    refreshAheadRatio: 0.9,
    random: () => 0,
  });

test.each(['client', 'tenant'])('a %s is kept once, however many responses bring a copy of it', (field) => {
  const [copies, length] = [100, 200_000];
  const verdicts = cache(copies);
  const before = heap();
  for (let at = 0; at < copies; at++) {
    const name = Buffer.alloc(length, 'acme').toString('latin1');
    verdicts.set(`f-${at}`, verdict(verified({ [field]: name })), 0);
  }
  const grown = heap() - before;
  expect(verdicts.sizes.verified).toBe(copies);
  // A copy for each verdict would come to 20 MB.
  expect(grown).toBeLessThan((copies * length) / 4);
});

test('clear lets go of the names, too', () => {
  const [names, length] = [20, 900_000];
  const verdicts = cache(1);
  const before = heap();
  for (let at = 0; at < names; at++) {
    const client = `${at}${Buffer.alloc(length, 'acme').toString('latin1')}`;
    verdicts.set('f', verdict(verified({ client }), at), 0);
  }
  verdicts.clear(ASKED_AT);
  expect(heap() - before).toBeLessThan((names * length) / 4);
});

test('names keep their places', () => {
  const verdicts = cache(2);
  verdicts.set('a', verdict(verified({ client: 'x', tenant: 'y' })), 0);
  verdicts.set('b', verdict(verified({ client: 'y', tenant: 'x' })), 0);
  expect(verdicts.get('a')?.result).toMatchObject({ client: 'x', tenant: 'y' });
  expect(verdicts.get('b')?.result).toMatchObject({ client: 'y', tenant: 'x' });
});
