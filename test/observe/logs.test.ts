import { readFileSync } from 'node:fs';

import { describe, expect, test } from 'vitest';

import { VerifyFailure, type BreakerOptions, type FailureKind, type Logger } from 'keyverify';

import { mayBeOutage } from '../../src/core/failure.js';
import { FleetLogs } from '../../src/observe/fleet-logs.js';
import { DOCS } from '../../src/observe/log-lines.js';
import { Logs } from '../../src/observe/logs.js';
import { ResultCounter } from '../../src/observe/stats.js';

const URL = 'https://admin.test/internal/verify-key';
const BREAKER = { failureThreshold: 5, openMs: 1_000, maxOpenMs: 5_000 };
const SETTINGS = {
  publicUrl: URL,
  failOpen: false,
  cacheTtlMs: 300_000,
  rejectedTtlMs: 10_000,
  staleIfErrorMs: 3_600_000,
  timeoutMs: 2_000,
  breaker: BREAKER as BreakerOptions | false,
  degradedTtlMs: 30_000,
};
const NONE = new ResultCounter().snapshot().statuses;
const KINDS: readonly FailureKind[] = [
  'unreachable',
  'timeout',
  'server_error',
  'rate_limited',
  'overloaded',
  'misconfigured',
  'invalid_response',
];

class Recorder {
  readonly lines: string[] = [];
  warn(line: string): void {
    this.lines.push(`warn ${line}`);
  }
  info(line: string): void {
    this.lines.push(`info ${line}`);
  }
}

function logsOf(settings: Partial<typeof SETTINGS> = {}, logger?: Logger | false, token?: string) {
  const recorder = new Recorder();
  let statuses = NONE;
  const logs = new Logs(logger ?? recorder, { ...SETTINGS, ...settings }, () => statuses, { current: token });
  return { logs, lines: recorder.lines, count: (more: Partial<typeof NONE>) => (statuses = { ...statuses, ...more }) };
}

const failed = (kind: FailureKind, cause?: Error): VerifyFailure =>
  new VerifyFailure(kind, `keyverify: it failed as ${kind}`, {
    cause,
    evidence: mayBeOutage({ kind }) ? 'proven' : 'none',
  });
const at = (mono: number) => ({ monotonic: () => mono });
const refused = failed('unreachable', new Error('connect ECONNREFUSED'));

test.each(KINDS)('a first failure, %s, is told with the URL, the cause, the effect and what to do', (kind) => {
  const { logs, lines } = logsOf();
  logs.failed(failed(kind, new Error('the cause')), 0, -Infinity);
  expect(lines).toHaveLength(1);
  expect(lines[0]).toMatch(
    new RegExp(
      `^warn keyverify: it failed as ${kind} \\(the cause\\), at ${URL}\\. Callers without a cached verdict are denied \\(${kind === 'misconfigured' ? 500 : 503}\\)(?:, unless a route or call sets failOpen: true)?\\. [A-Z].*\\.$`,
    ),
  );
});

test('a server whose fields do not fit is not taken for a proxy', () => {
  const { logs, lines } = logsOf();
  logs.failed(
    new VerifyFailure(
      'invalid_response',
      'keyverify: the response of the key server is not a verdict: missing or wrong: client',
    ),
    0,
    -Infinity,
  );
  expect(lines[0]).toMatch(
    /Compare its answer with https:\/\/github\.com\/keyverify\/keyverify\/blob\/main\/docs\/protocol\.md, or your protocol\.$/,
  );
});

test('a line names docs where they are: not in the package', () => {
  const { repository } = JSON.parse(readFileSync('package.json', 'utf8')) as { repository: { url: string } };
  expect(DOCS).toBe(`${repository.url.replace(/^git\+|\.git$/g, '')}/blob/main/docs/`);
});

test('a failure of the key server is told with its URL where it is named, one of ours at the end', () => {
  const { logs, lines } = logsOf({ publicUrl: 'https://admin.test/$&' });
  logs.failed(
    new VerifyFailure('misconfigured', 'keyverify: the key server answered 401: check serviceToken'),
    0,
    -Infinity,
  );
  logs.failed(new VerifyFailure('timeout', 'keyverify: late'), 0, -Infinity);
  expect(lines[0]).toContain('the key server https://admin.test/$& answered 401: check serviceToken. Callers');
  expect(lines[1]).toContain('keyverify: late, at https://admin.test/$&. Callers');
});

test('wrong options of a call are told once a minute, and are no matter of the key server', () => {
  const { logs, lines } = logsOf();
  const wrong = (message: string) => new VerifyFailure('misconfigured', `keyverify: invalid call options: ${message}`);
  logs.failed(failed('misconfigured'), 0, -Infinity);
  for (const mono of [0, 1]) logs.mistake(wrong('maxAge: there is no such option, did you mean maxAgeMs?'), mono);
  logs.mistake(wrong('maxAgeMs: expected a number of milliseconds, 0 or more, got -1'), 60_000);
  expect(lines.slice(1)).toEqual([
    'warn keyverify: invalid call options: maxAge: there is no such option, did you mean maxAgeMs?',
    'warn keyverify: invalid call options: maxAgeMs: expected a number of milliseconds, 0 or more, got -1 ' +
      '(1 more since the last line like this.)',
  ]);
});

test('a cause that the message has already is not said twice', () => {
  const { logs, lines } = logsOf();
  logs.failed(new VerifyFailure('timeout', 'keyverify: too late', { cause: new Error('too late') }), 0, -Infinity);
  expect(lines[0]).toContain(`warn keyverify: too late, at ${URL}.`);
});

test('each kind of failure is told once a minute, with how often it came meanwhile', () => {
  const { logs, lines } = logsOf();
  for (const [kind, mono] of [
    ['misconfigured', 0],
    ['misconfigured', 59_999],
    ['rate_limited', 59_999],
    ['misconfigured', 60_000],
    ['misconfigured', 119_999],
    ['misconfigured', 120_000],
    ['misconfigured', 200_000],
  ] as const)
    logs.failed(failed(kind), mono, -Infinity);
  expect(lines.map((line) => / as (\w+)/.exec(line)?.[1])).toEqual([
    'misconfigured',
    'rate_limited',
    'misconfigured',
    'misconfigured',
    'misconfigured',
  ]);
  expect(lines.map((line) => /(\d+) more/.exec(line)?.[1])).toEqual([undefined, undefined, '1', '1', undefined]);
});

test('an outage is two lines: what it means, and what it came to', () => {
  const { logs, lines, count } = logsOf();
  count({ 'failed-closed': 5, verified: { ...NONE.verified, stale: 1 } });
  logs.breakerChanged(refused, 10_000);
  logs.breakerChanged(refused, 11_000);
  for (const kind of ['unreachable', 'timeout', 'circuit_open'] as const) logs.failed(failed(kind), 12_000, -Infinity);
  count({
    'failed-closed': 8,
    verified: { ...NONE.verified, stale: 42 },
    rejected: { ...NONE.rejected, stale: 100 },
    'failed-open': 7,
  });
  logs.breakerChanged(undefined, 73_000);
  expect(lines).toEqual([
    `warn keyverify: the key server ${URL} is down: it failed as unreachable (connect ECONNREFUSED). ` +
      'Cached verdicts hold for up to 60 min past their TTL; all other callers are denied (503), unless a route or call sets failOpen: true. ' +
      'Check that it is running, then DNS, the network and firewalls.',
    `info keyverify: the key server ${URL} is back after 63 s, in which 3 calls were denied, 41 served stale and ` +
      '7 let in without an identity.',
  ]);
});

test('after an outage in which nobody was let in without an identity, nothing is left to do', () => {
  const { logs, lines } = logsOf();
  logs.breakerChanged(refused, 0);
  logs.breakerChanged(undefined, 1_000);
  expect(lines.at(-1)).toMatch(/ 0 let in without an identity\. No action is needed\.$/);
});

test('an outage begins with its first failure, not when the breaker opens', () => {
  const { logs, lines, count } = logsOf();
  logs.failed(failed('timeout'), 0, -Infinity);
  count({ 'failed-closed': 5 });
  logs.breakerChanged(refused, 60_000);
  logs.answered({ isOk: true }, at(0));
  logs.breakerChanged(undefined, 3 * 3_600_000);
  expect(lines.at(-1)).toContain('back after 3 h, in which 5 calls were denied');
});

test('a failure that was followed by an answer belongs to no outage', () => {
  const { logs, lines, count } = logsOf();
  logs.failed(failed('timeout'), 0, -Infinity);
  count({ 'failed-closed': 5 });
  logs.answered({ isOk: true }, at(0));
  logs.breakerChanged(refused, 1_200_000);
  logs.breakerChanged(undefined, 1_200_000 + 300_000);
  expect(lines.at(-1)).toContain('back after 5 min, in which 0 calls were denied');
});

test('a breaker that closes without having been open says nothing', () => {
  const { logs, lines } = logsOf();
  logs.breakerChanged(undefined, 0);
  expect(lines).toEqual([]);
});

test('what is no sign of an outage is told while the breaker is open, too', () => {
  const { logs, lines } = logsOf();
  logs.breakerChanged(refused, 0);
  logs.failed(failed('misconfigured'), 1, -Infinity);
  expect(lines[1]).toContain('it failed as misconfigured');
});

test('callers who are let in are logged once in each outage', () => {
  const { logs, lines } = logsOf({ failOpen: true });
  logs.failed(refused, 0, -Infinity);
  for (let i = 0; i < 3; i++) logs.failedOpen();
  logs.breakerChanged(refused, 5);
  logs.failedOpen();
  logs.breakerChanged(undefined, 10);
  expect(lines.filter((line) => line.includes('since failOpen is on'))).toHaveLength(1);
  logs.failed(refused, 100_000, -Infinity);
  logs.failedOpen();
  expect(lines.filter((line) => line.includes('since failOpen is on'))).toHaveLength(2);
  expect(lines[1]).toBe(
    `warn keyverify: callers are let in without an identity, even with a made-up key, since failOpen is on and ${URL} is down.`,
  );
});

test('a line about claims names their schema, not the token', () => {
  const { logs, lines } = logsOf();
  logs.failed(
    new VerifyFailure('misconfigured', 'keyverify: the verdict does not fit the schema in claims: plan (number)'),
    0,
    -Infinity,
  );
  expect(lines).toEqual([
    `warn keyverify: the verdict does not fit the schema in claims: plan (number), at ${URL}. ` +
      'Callers without a cached verdict are denied (500). ' +
      'Correct it here or at the key server.',
  ]);
});

describe('a failure of one key, while others are answered', () => {
  const own = (kind: FailureKind, message = `keyverify: it failed as ${kind}`) =>
    new VerifyFailure(kind, message, { durationMs: 10, evidence: 'none' });
  const OTHERS =
    'Others were just answered: only callers with this key and without a cached verdict are denied (503). ';

  test.each<FailureKind>(['unreachable', 'timeout', 'server_error', 'invalid_response'])(
    'is told as such: %s',
    (kind) => {
      const { logs, lines } = logsOf();
      logs.failed(own(kind), 2000, 991);
      expect(lines).toEqual([expect.stringContaining(`${URL}. ${OTHERS}`)]);
    },
  );

  test('is told of a key that the server answers with 404, and then nothing is over with the next answer', () => {
    const { logs, lines } = logsOf();
    logs.failed(own('misconfigured', 'keyverify: the key server answered 404: check verifyUrl'), 2000, 991);
    logs.answered({ isOk: true }, at(2001));
    expect(lines).toEqual([
      `warn keyverify: the key server ${URL} answered 404: check verifyUrl. Others were just answered: only callers with this key and ` +
        `without a cached verdict are denied (500). If unknown keys get this answer, see ${DOCS}key-server.md#401-or-404`,
    ]);
  });

  test.each([
    ['answered with a redirect, which is not followed: check verifyUrl'],
    ['answered 401 to keys that were good: check serviceToken and verifyUrl'],
  ])('is not put down to unknown keys where it is another: %s', (said) => {
    const { logs, lines } = logsOf();
    logs.failed(own('misconfigured', `keyverify: the key server ${said}`), 2000, 991);
    expect(lines).toEqual([expect.stringMatching(/ are denied \(500\)\. Correct it here or at the key server\.$/)]);
  });

  test('is not assumed for long where nobody is answered from now on, such as for a token that is refused', () => {
    const { logs, lines } = logsOf();
    for (const mono of [2000, 2100, 3000, 3100]) logs.failed(own('misconfigured'), mono, 1991);
    logs.answered({ isOk: true }, at(3200));
    expect(lines).toEqual([
      expect.stringContaining(' Others were just answered: '),
      expect.stringMatching(/\. Callers without a cached verdict are denied \(500\)/),
      expect.stringContaining(' answers again.'),
    ]);
  });

  test.each<[string, VerifyFailure, number]>([
    ['nobody was answered for a second', own('server_error'), -10],
    ['there is evidence of an outage', failed('server_error'), 1000],
    ['this process is at its limit', own('overloaded'), 1000],
    ['the key server limits our rate', own('rate_limited'), 1000],
  ])('is not assumed where %s', (_, failure, lastAnswerAt) => {
    const { logs, lines } = logsOf();
    logs.failed(failure, 1000, lastAnswerAt);
    expect(lines).toEqual([expect.stringMatching(/\. Callers without a cached verdict are denied/)]);
  });

  test('hides no line about all of them, nor does one cause hide another', () => {
    const { logs, lines } = logsOf();
    for (let i = 0; i < 9; i++) logs.failed(own('invalid_response'), 1000, 991);
    for (const message of ['one', 'two', 'one']) logs.failed(own('invalid_response', message), 2000, 991);
    for (const message of ['a', 'b', 'c', 'd']) logs.failed(own('rate_limited', message), 2000, 991);
    expect(lines.map((line) => line.split(/[,.]/, 1)[0])).toEqual([
      'warn keyverify: it failed as invalid_response',
      'warn one',
      'warn two',
      'warn a',
    ]);
  });
});

describe('after a line that the key server gives no verdicts', () => {
  const AGAIN = `info keyverify: the key server ${URL} answers again.`;

  test.each<FailureKind>(['misconfigured', 'invalid_response', 'rate_limited'])(
    'another one says that it answers again: %s',
    (kind) => {
      const { logs, lines } = logsOf();
      logs.answered({ isOk: true }, at(0));
      logs.failed(failed(kind), 0, -Infinity);
      logs.answered({ isOk: false }, at(1));
      expect(lines).toHaveLength(1);
      for (const mono of [2, 3]) logs.answered({ isOk: true }, at(mono));
      expect(lines.slice(1)).toEqual([AGAIN]);
    },
  );

  test.each<[string, VerifyFailure, number]>([
    ['one that may be an outage', refused, -Infinity],
    ['one about our own load', failed('overloaded'), -Infinity],
    ['one about a single key', failed('invalid_response'), 1],
  ])('none ends %s', (_, failure, lastAnswerAt) => {
    const { logs, lines } = logsOf();
    logs.failed(failure, 0, lastAnswerAt);
    logs.answered({ isOk: true }, at(1));
    expect(lines).toHaveLength(1);
  });

  test('it comes once a minute at most, and late rather than never', () => {
    const { logs, lines } = logsOf();
    logs.failed(failed('rate_limited'), 0, -Infinity);
    logs.answered({ isOk: true }, at(0));
    logs.failed(failed('misconfigured'), 1, -Infinity);
    for (const mono of [2, 59_999]) logs.answered({ isOk: true }, at(mono));
    expect(lines.filter((line) => line === AGAIN)).toHaveLength(1);
    for (const mono of [60_000, 60_001]) logs.answered({ isOk: true }, at(mono));
    expect(lines.filter((line) => line === AGAIN)).toHaveLength(2);
  });

  test('the end of an outage says it, too', () => {
    const { logs, lines } = logsOf();
    logs.failed(failed('misconfigured'), 0, -Infinity);
    logs.breakerChanged(refused, 1);
    logs.breakerChanged(undefined, 2);
    logs.answered({ isOk: true }, at(3));
    expect(lines).toHaveLength(3);
    expect(lines[2]).toMatch(/ is back after .* No action is needed\.$/);
  });
});

test.each([
  [true, 'proven', 'let in without an identity, unless a route or call sets failOpen: false. '],
  [true, 'unproven', 'denied (503), although failOpen is on: no outage is proven. '],
  [false, 'unproven', 'denied (503). '],
  [false, 'proven', 'denied (503), unless a route or call sets failOpen: true. '],
] as const)('with failOpen %s and %s evidence, unknown callers are %s', (failOpen, evidence, effect) => {
  const { logs, lines } = logsOf({ failOpen });
  logs.breakerChanged(new VerifyFailure('timeout', 'late', { evidence }), 0);
  expect(lines[0]).toContain(`all other callers are ${effect}`);
});

test.each<[FailureKind, string]>([
  ['server_error', 'denied (503), although failOpen is on: no outage is proven. '],
  ['rate_limited', 'denied (503), although failOpen is on: no outage is proven. '],
  ['misconfigured', 'denied (500), although failOpen is on: no outage is proven. '],
])('with failOpen, a line about a %s without evidence says why it stays shut', (kind, effect) => {
  const { logs, lines } = logsOf({ failOpen: true });
  logs.failed(new VerifyFailure(kind, 'keyverify: it failed'), 0, -Infinity);
  expect(lines[0]).toContain(`Callers without a cached verdict are ${effect}`);
});

const FRESH = { maxAgeMs: Infinity, noStore: false, noStale: false };

test.each([
  ['no-store', { ...FRESH, noStore: true, noStale: true }, 1],
  ['max-age=0', { ...FRESH, maxAgeMs: 0 }, 1],
  ['max-age=300', { ...FRESH, maxAgeMs: 300_000 }, 0],
  ['nothing', FRESH, 0],
])('a server that sends %s for good keys is told of %#', (_header, freshness, times) => {
  const { logs, lines } = logsOf();
  for (let i = 0; i < 3; i++) logs.verdict(freshness);
  expect(lines).toHaveLength(times);
  for (const line of lines) expect(line).toContain(`${URL} forbids caching`);
});

test.each([
  [60_000, undefined],
  [-60_000, undefined],
  [3_660_000, 'is 61 min ahead of that of'],
  [-90_000, 'is 90 s behind that of'],
])('a clock that is %i ms ahead of the server: %s', (skewMs, text) => {
  const { logs, lines } = logsOf();
  for (let i = 0; i < 3; i++) logs.verdict(FRESH, skewMs);
  expect(lines).toHaveLength(text === undefined ? 0 : 1);
  if (text !== undefined) expect(lines[0]).toContain(text);
});

test.each<[Partial<typeof SETTINGS>, string]>([
  [
    { cacheTtlMs: 300, timeoutMs: 2 },
    'cacheTtlMs: 300 ms; if you meant 300 s, pass 300 * 1000. timeoutMs: 2 ms; if you meant 2 s, pass 2 * 1000',
  ],
  [{ cacheTtlMs: 3_600 }, 'cacheTtlMs: 3600 ms; if you meant 3600 s, pass 3600 * 1000'],
  [{ staleIfErrorMs: 86_400 }, 'staleIfErrorMs: 86400 ms; if you meant 86400 s, pass 86400 * 1000'],
  [{ staleIfErrorMs: 600 }, 'staleIfErrorMs: 600 ms; if you meant 600 s, pass 600 * 1000'],
  [{ rejectedTtlMs: 10 }, 'rejectedTtlMs: 10 ms; if you meant 10 s, pass 10 * 1000'],
  [{ timeoutMs: 30 }, 'timeoutMs: 30 ms; if you meant 30 s, pass 30 * 1000'],
  [{ degradedTtlMs: 30 }, 'degradedTtlMs: 30 ms; if you meant 30 s, pass 30 * 1000'],
  [{ breaker: { ...BREAKER, openMs: 1 } }, 'breaker.openMs: 1 ms; if you meant 1 s, pass 1 * 1000'],
  [{ breaker: { ...BREAKER, maxOpenMs: 5 } }, 'breaker.maxOpenMs: 5 ms; if you meant 5 s, pass 5 * 1000'],
])('durations that look like seconds: %j', (settings, durations) => {
  expect(logsOf(settings).lines).toEqual([`warn keyverify: durations are in milliseconds. ${durations}.`]);
});

test.each<Partial<typeof SETTINGS>>([
  { staleIfErrorMs: 0, cacheTtlMs: 1_000, timeoutMs: 50, rejectedTtlMs: 100 },
  { degradedTtlMs: 100 },
  { breaker: { failureThreshold: 1, openMs: 100, maxOpenMs: 100 } },
  { breaker: false },
  { cacheTtlMs: 2_500, staleIfErrorMs: 9_000, timeoutMs: 1_800, rejectedTtlMs: 3_600 },
  { cacheTtlMs: 36_000, staleIfErrorMs: 90_000 },
  { cacheTtlMs: 86_400_000, staleIfErrorMs: 93_600 },
])('durations that do not look like seconds: %j', (settings) => {
  expect(logsOf(settings).lines).toEqual([]);
});

test('a transport that stands in for a better one is logged once', () => {
  const { logs, lines } = logsOf();
  logs.transport('keyverify: fetch is used');
  logs.transport('keyverify: fetch is used');
  expect(lines).toEqual(['warn keyverify: fetch is used']);
});

test('a logger without info() is warned of the end, too', () => {
  const lines: string[] = [];
  const { logs } = logsOf({}, { warn: (line) => lines.push(line) });
  logs.breakerChanged(refused, 0);
  logs.breakerChanged(undefined, 0);
  expect(lines).toHaveLength(2);
});

test('with logger: false there is nothing', () => {
  const { logs, lines } = logsOf({ timeoutMs: 2 }, false);
  logs.breakerChanged(refused, 0);
  logs.breakerChanged(undefined, 0);
  logs.failed(failed('misconfigured'), 0, -Infinity);
  expect(lines).toEqual([]);
});

test('a logger that throws goes unnoticed', () => {
  const warn = (): never => {
    throw new Error('disk full');
  };
  const { logs } = logsOf({}, { warn });
  expect(() => logs.failed(failed('misconfigured'), 0, -Infinity)).not.toThrow();
});

describe('what processes share', () => {
  const error = new Error('connect ECONNREFUSED');
  function fleetLogsOf() {
    const { logs, lines } = logsOf();
    return { logs: new FleetLogs(logs), lines };
  }

  test('none of what a store or a stream throws shows the service token', () => {
    const { logs, lines } = logsOf({}, undefined, 'token-of-this-service');
    const fleet = new FleetLogs(logs);
    const quoting = new Error('401 for token-of-this-service');
    fleet.sharedCacheFailed(quoting, 0);
    fleet.putFailed(quoting, 0);
    fleet.silent('stream', { ms: 0, wasHeard: true, error: quoting }, 0);
    fleet.unsteady('stream', { lateMs: 0, error: quoting }, 0);
    fleet.revocationsLost('stream', 'unreadable', 0, quoting.message);
    expect(lines).toHaveLength(5);
    expect(lines).toEqual(lines.map(() => expect.stringContaining('401 for [redacted]') as string));
  });

  test('a shared cache that is down is logged once, with the cause if it has one, and when it is back', () => {
    const { logs, lines } = fleetLogsOf();
    logs.sharedCacheWorks(0);
    for (const mono of [0, 1_000]) logs.sharedCacheFailed(error, mono);
    for (const mono of [90_000, 91_000]) logs.sharedCacheWorks(mono);
    logs.sharedCacheFailed(undefined, 200_000);
    expect(lines).toEqual([
      'warn keyverify: the shared cache is down: connect ECONNREFUSED. Callers notice nothing, but each process asks ' +
        `${URL} by itself, and a process that starts meanwhile knows no keys. Check that it is running and reachable, ` +
        'and that its credentials are right.',
      'info keyverify: the shared cache is back after 90 s. No action is needed.',
      expect.stringContaining('is down: no answer in time.'),
    ]);
  });

  test('one that takes no verdicts is logged once a minute', () => {
    const { logs, lines } = fleetLogsOf();
    for (const mono of [0, 1_000, 60_000]) logs.putFailed(new Error('OOM'), mono);
    const line =
      `warn keyverify: the shared cache does not take a verdict: OOM. Callers notice nothing, but each process asks ${URL} ` +
      'by itself. Check the memory of the store, and what it lets this service write.';
    expect(lines).toEqual([line, line]);
  });

  test('one that comes and goes is logged once a minute, and in the end if it stays down', () => {
    const { logs, lines } = fleetLogsOf();
    for (let mono = 0; mono < 50_000; mono += 1_000)
      if (mono % 2_000 === 0) logs.sharedCacheFailed(error, mono);
      else logs.sharedCacheWorks(mono);
    expect(lines.map((line) => line.slice(0, 4))).toEqual(['warn', 'info']);
    for (let mono = 50_000; mono < 70_000; mono += 1_000) logs.sharedCacheFailed(error, mono);
    expect(lines.map((line) => line.slice(0, 4))).toEqual(['warn', 'info', 'warn']);
  });

  test('a stream that is silent is logged once, without the query of its URL, and when it is heard from again', () => {
    const { logs, lines } = fleetLogsOf();
    const source = 'sse:https://admin.test/revocations?token=secret';
    logs.heard(source, 5_000);
    logs.silent(source, { ms: 15_000, wasHeard: true, error }, 0);
    logs.silent(source, { ms: 30_000, wasHeard: true, error }, 15_000);
    logs.silent('other', { ms: 3_000, wasHeard: false, error: undefined }, 15_000);
    logs.heard(source, 50_000);
    expect(lines).toEqual([
      'warn keyverify: revocations do not arrive: sse:https://admin.test/revocations was last heard from 15 s ago ' +
        '(connect ECONNREFUSED). Until it is back, a new verdict is fresh for 30 s at most, ' +
        `and ${URL} is asked about cached ones again, spread over time: until then a revoked key works. Check that it is running and reachable, and that its credentials are right.`,
      expect.stringContaining('other was first asked 3 s ago, and has not worked yet. Until'),
      'info keyverify: revocations arrive again: sse:https://admin.test/revocations is back after 50 s. No action is needed.',
    ]);
  });

  test('revocations that were lost are logged once a minute for each stream', () => {
    const { logs, lines } = fleetLogsOf();
    for (const mono of [0, 59_999, 60_000]) logs.revocationsLost('keyverify:revocations', 'lost', mono);
    logs.revocationsLost('other', 'lost', 60_000);
    logs.revocationsLost('other', 'unreadable', 60_000, 'id 1-5: it is not JSON');
    expect(lines).toHaveLength(4);
    expect(lines[0]).toBe(
      'warn keyverify: revocations may have been lost in keyverify:revocations: it was trimmed, emptied or failed over. ' +
        `Callers notice nothing; ${URL} is asked about every verdict again, spread over time. ` +
        'If it happens again, keep more history in the stream.',
    );
    expect(lines[3]).toBe(
      'warn keyverify: an event in other cannot be read (id 1-5: it is not JSON), so it may have been a revocation. ' +
        `Callers notice nothing; ${URL} is asked about every verdict again, spread over time. ` +
        'Correct what publishes it: https://github.com/keyverify/keyverify/blob/main/docs/fleet.md#publishing-revocations has the format.',
    );
  });
});
