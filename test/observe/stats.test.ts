import { expect, test } from 'vitest';

import { VerifyFailure } from 'keyverify';

import { failedClosed, failedOpen } from '../../src/core/result.js';
import { ResultCounter } from '../../src/observe/stats.js';
import { rejected, verified } from '../helpers/verdicts.js';

const failure = new VerifyFailure('timeout', 'late');

test('results are counted by source, status and reason, and returned', () => {
  const counter = new ResultCounter();
  const results = [
    verified(),
    verified(),
    verified({ source: 'shared' }),
    rejected('x', 'shared'),
    rejected('unknown_key'),
    verified({ source: 'cache' }),
    verified({ source: 'stale' }),
    rejected('revoked', 'cache'),
    rejected('revoked', 'stale'),
    rejected('missing_key', 'local'),
    failedOpen(failure),
    failedClosed(failure),
    failedClosed(failure),
  ];
  for (const result of results) expect(counter.count(result)).toBe(result);
  expect(counter.snapshot()).toEqual({
    results: { server: 3, shared: 2, cache: 2, stale: 2, local: 1, 'fail-open': 1, 'fail-closed': 2 },
    statuses: {
      verified: { server: 2, shared: 1, cache: 1, stale: 1 },
      rejected: { server: 1, shared: 1, cache: 1, stale: 1, local: 1 },
      'failed-open': 1,
      'failed-closed': 2,
    },
    reasons: { x: 1, unknown_key: 1, revoked: 2, missing_key: 1 },
  });
});

test('reasons beyond the first 32 count as one', () => {
  const counter = new ResultCounter();
  for (let i = 0; i < 40; i++) counter.count(rejected(`reason-${i}`));
  counter.count(rejected('reason-0'));
  const { reasons } = counter.snapshot();
  expect(Object.keys(reasons)).toHaveLength(33);
  expect(reasons).toMatchObject({ 'reason-0': 2, 'reason-31': 1, other: 8 });
});

test('a snapshot does not change any more', () => {
  const counter = new ResultCounter();
  const before = structuredClone(counter.snapshot());
  const snapshot = counter.snapshot();
  counter.count(verified());
  counter.count(verified({ source: 'cache' }));
  counter.count(rejected());
  expect(snapshot).toEqual(before);
});
