import { expect, test } from 'vitest';

import { VerifyFailure } from 'keyverify';

import { failedClosed, failedOpen } from '../../src/core/result.js';
import { ResultCounter } from '../../src/observe/stats.js';
import { rejected, verified } from '../helpers/verdicts.js';

const failure = new VerifyFailure('timeout', 'late');
const REST = {
  entries: { verified: 1, rejected: 2 },
  active: 3,
  queued: 4,
  controls: 5,
  breaker: 'closed',
} as const;
const NONE = { server: 0, cache: 0, stale: 0, local: 0, 'fail-open': 0, 'fail-closed': 0 };

test('results are counted by their source, and returned', () => {
  const counter = new ResultCounter();
  const results = [
    verified(),
    verified(),
    rejected(),
    verified({ source: 'cache' }),
    rejected('revoked', 'stale'),
    rejected('missing_key', 'local'),
    failedOpen(failure),
    failedClosed(failure),
  ];
  for (const result of results) expect(counter.count(result)).toBe(result);
  expect(counter.snapshot(REST)).toEqual({
    results: { server: 3, cache: 1, stale: 1, local: 1, 'fail-open': 1, 'fail-closed': 1 },
    ...REST,
  });
});

test('a hit is counted unread, and returned', () => {
  const counter = new ResultCounter();
  const hit = {};
  expect(counter.hit(hit)).toBe(hit);
  expect(counter.snapshot(REST).results).toEqual({ ...NONE, cache: 1 });
});

test('a snapshot does not change any more', () => {
  const counter = new ResultCounter();
  const before = counter.snapshot(REST);
  counter.count(verified());
  counter.count(verified({ source: 'cache' }));
  expect(before.results).toEqual(NONE);
});
