import { describe, expect, test } from 'vitest';

import { VerifyFailure, type BreakerState, type Evidence, type FailureKind } from 'keyverify';
import { testClock } from 'keyverify/testing';

import { HealthMonitor } from '../../src/observe/health.js';

function setup({ sharesPromises = true } = {}) {
  const clock = testClock({ wall: 1_000_000 });
  const state = { breaker: 'closed' as BreakerState, asked: 0 };
  const askControl = (): number => state.asked++;
  const monitor = new HealthMonitor({ clock, breaker: () => state.breaker, askControl, sharesPromises });
  return { clock, state, monitor };
}

const failure = (kind: FailureKind, evidence: Evidence = 'none', retryAfterMs?: number): VerifyFailure =>
  new VerifyFailure(kind, 'no', { evidence, retryAfterMs });

test('before the first question there is nothing wrong, and no verdict', () => {
  expect(setup().monitor.health).toEqual({ status: 'ok', since: 1_000_000, breaker: 'closed' });
});

test('an answer is remembered, and changes nothing else', async () => {
  const { clock, monitor } = setup();
  await clock.advance(5_000);
  monitor.answered();
  expect(monitor.health).toEqual({ status: 'ok', since: 1_000_000, lastVerdictAt: 1_005_000, breaker: 'closed' });
});

describe('a question that failed', () => {
  test.each([
    ['timeout', 'none', 'degraded'],
    ['timeout', 'unproven', 'down'],
    ['unreachable', 'proven', 'down'],
    ['misconfigured', 'none', 'degraded'],
    ['invalid_response', 'none', 'degraded'],
    ['rate_limited', 'none', 'degraded'],
    ['overloaded', 'none', 'degraded'],
    ['circuit_open', 'proven', 'ok'],
  ] as const)('as %s, with evidence %s: %s', async (kind, evidence, status) => {
    const { clock, monitor } = setup();
    await clock.advance(1_000);
    const failed = failure(kind, evidence);
    monitor.failed(failed, false);
    const since = status === 'ok' ? 1_000_000 : 1_001_000;
    expect(monitor.health).toEqual({ status, since, ...(status !== 'ok' && { failure: failed }), breaker: 'closed' });
  });

  test.each([
    ['misconfigured', 'down'],
    ['invalid_response', 'down'],
    ['timeout', 'down'],
    ['rate_limited', 'degraded'],
    ['overloaded', 'degraded'],
  ] as const)('and was a control question, as %s: %s', (kind, status) => {
    const { monitor } = setup();
    monitor.failed(failure(kind), true);
    expect(monitor.health.status).toBe(status);
  });

  test('keeps the server down until it answers', async () => {
    const { clock, monitor } = setup();
    monitor.failed(failure('unreachable', 'proven'), false);
    await clock.advance(1_000);
    const later = failure('timeout');
    monitor.failed(later, false);
    expect(monitor.health).toMatchObject({ status: 'down', since: 1_000_000, failure: later });
    await clock.advance(1_000);
    monitor.answered();
    expect(monitor.health).toEqual({ status: 'ok', since: 1_002_000, lastVerdictAt: 1_002_000, breaker: 'closed' });
  });
});

test('a limited rate lasts as long as the server says, and ends by itself once others are answered', async () => {
  const { clock, monitor } = setup();
  monitor.failed(failure('rate_limited', 'none', 30_000), false);
  await clock.advance(2_000);
  monitor.answered();
  expect(monitor.health).toMatchObject({ status: 'degraded', since: 1_000_000 });
  await clock.advance(38_000);
  expect(monitor.health).toMatchObject({ status: 'ok', since: 1_030_000 });
});

test('since is a whole number of milliseconds', async () => {
  const { clock, monitor } = setup();
  monitor.failed(failure('rate_limited', 'none', 30_000.4), false);
  monitor.answered();
  await clock.advance(40_000);
  expect(monitor.health).toMatchObject({ status: 'ok', since: 1_030_000 });
});

describe('when nobody asks', () => {
  test('a control question is asked every 5 s until one is answered', async () => {
    const { clock, state, monitor } = setup();
    monitor.failed(failure('misconfigured'), false);
    await clock.advance(4_999);
    expect(state.asked).toBe(0);
    await clock.advance(10_001);
    expect(state.asked).toBe(3);
    monitor.answered();
    await clock.advance(60_000);
    expect(state.asked).toBe(3);
    monitor.failed(failure('misconfigured'), false);
    await clock.advance(10_000);
    expect(state.asked).toBe(5);
  });

  test('it is left to the breaker while that is open', async () => {
    const { clock, state, monitor } = setup();
    state.breaker = 'open';
    monitor.failed(failure('timeout', 'proven'), false);
    await clock.advance(60_000);
    expect(state.asked).toBe(0);
  });

  test('none is asked while the rate is limited', async () => {
    const { clock, state, monitor } = setup();
    monitor.failed(failure('rate_limited', 'none', 20_000), false);
    await clock.advance(19_999);
    expect(state.asked).toBe(0);
    await clock.advance(1);
    expect(state.asked).toBe(1);
  });

  test('none is asked while others are answered', async () => {
    const { clock, state, monitor } = setup();
    for (let i = 0; i < 20; i++) {
      monitor.answered();
      monitor.failed(failure('server_error'), false);
      await clock.advance(1_000);
    }
    expect(state.asked).toBe(0);
  });

  test('none is asked where timers end with the request', async () => {
    const { clock, state, monitor } = setup({ sharesPromises: false });
    monitor.failed(failure('misconfigured'), false);
    await clock.advance(60_000);
    expect(state.asked).toBe(0);
  });
});

test('once closed, it is down for good', async () => {
  const { clock, state, monitor } = setup();
  monitor.failed(failure('timeout'), false);
  const closed = failure('misconfigured');
  monitor.close(closed);
  monitor.answered();
  monitor.failed(failure('timeout'), false);
  await clock.advance(60_000);
  expect(monitor.health).toMatchObject({ status: 'down', failure: closed });
  expect(state.asked).toBe(0);
});
