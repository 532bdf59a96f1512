import { expect, test } from 'vitest';

import { VerifyFailure, type FailureKind } from 'keyverify';

import { Warnings } from '../../src/observe/warnings.js';

class Recorder {
  readonly lines: string[] = [];
  warn(line: string): void {
    this.lines.push(line);
  }
}

const wrong = (message: string, cause?: Error) => new VerifyFailure('misconfigured', message, { cause });

test('wrong settings are warned of, from the first moment on, by a method of the logger', () => {
  const logger = new Recorder();
  new Warnings(logger).misconfigured(wrong('check serviceToken'), 0);
  expect(logger.lines).toEqual(['check serviceToken']);
});

test('there is at most one warning a minute', () => {
  const logger = new Recorder();
  const warnings = new Warnings(logger);
  for (const [at, message] of [
    [5_000, 'first'],
    [5_000, 'at once'],
    [64_999, 'too soon'],
    [65_000, 'second'],
    [124_999, 'too soon again'],
    [125_000, 'third'],
  ] as const)
    warnings.misconfigured(wrong(message), at);
  expect(logger.lines).toEqual(['first', 'second', 'third']);
});

test('a warning gives the cause where it is known', () => {
  const logger = new Recorder();
  new Warnings(logger).misconfigured(wrong('serviceToken() failed', new Error('vault is sealed')), 0);
  expect(logger.lines).toEqual(['serviceToken() failed (vault is sealed)']);
});

test.each<FailureKind>([
  'unreachable',
  'timeout',
  'server_error',
  'rate_limited',
  'overloaded',
  'circuit_open',
  'invalid_response',
])('there is no warning of %s, and it does not use up the minute', (kind) => {
  const logger = new Recorder();
  const warnings = new Warnings(logger);
  warnings.misconfigured(new VerifyFailure(kind, 'no'), 0);
  expect(logger.lines).toEqual([]);
  warnings.misconfigured(wrong('check'), 0);
  expect(logger.lines).toEqual(['check']);
});

test('a logger that throws goes unnoticed', () => {
  const warn = (): never => {
    throw new Error('disk full');
  };
  expect(() => new Warnings({ warn }).misconfigured(wrong('check'), 0)).not.toThrow();
});
