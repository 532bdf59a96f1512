import { describe, expect, test } from 'vitest';

import { VerifyFailure, type FailureKind } from 'keyverify';

import { Warnings, notify } from '../../src/core/events.js';

describe('a hook', () => {
  test('hears the event', () => {
    const heard: unknown[] = [];
    const event = { a: 1 };
    notify((it) => heard.push(it), event);
    expect(heard).toEqual([event]);
    expect(heard[0]).toBe(event);
  });

  test('may be missing', () => {
    expect(() => notify(undefined, 1)).not.toThrow();
  });

  test('may throw, or reject, and nobody notices', async () => {
    const unhandled: unknown[] = [];
    const listen = (reason: unknown): void => void unhandled.push(reason);
    process.on('unhandledRejection', listen);
    try {
      notify(() => {
        throw new Error('broken hook');
      }, 1);
      notify(() => Promise.reject(new Error('broken hook')), 1);
      await new Promise((resolve) => setImmediate(resolve));
    } finally {
      process.off('unhandledRejection', listen);
    }
    expect(unhandled).toEqual([]);
  });
});

describe('a warning', () => {
  const recorder = () => {
    const lines: string[] = [];
    return { lines, warnings: new Warnings({ warn: (line) => lines.push(line) }) };
  };
  const wrong = (message: string, cause?: Error) => new VerifyFailure('misconfigured', message, { cause });

  test('is given of wrong settings, at the very first moment too', () => {
    const { lines, warnings } = recorder();
    warnings.misconfigured(wrong('check serviceToken'), 0);
    expect(lines).toEqual(['check serviceToken']);
  });

  test('is given once a minute at the most', () => {
    const { lines, warnings } = recorder();
    for (const [at, message] of [
      [5_000, 'first'],
      [5_000, 'at once'],
      [64_999, 'in time'],
      [65_000, 'second'],
      [124_999, 'again in time'],
      [125_000, 'third'],
    ] as const)
      warnings.misconfigured(wrong(message), at);
    expect(lines).toEqual(['first', 'second', 'third']);
  });

  test('says why, where that is known', () => {
    const { lines, warnings } = recorder();
    warnings.misconfigured(wrong('serviceToken() failed', new Error('vault is sealed')), 0);
    expect(lines).toEqual(['serviceToken() failed (vault is sealed)']);
  });

  test.each<FailureKind>([
    'unreachable',
    'timeout',
    'server_error',
    'rate_limited',
    'overloaded',
    'circuit_open',
    'invalid_response',
  ])('is not given of %s', (kind) => {
    const { lines, warnings } = recorder();
    warnings.misconfigured(new VerifyFailure(kind, 'no'), 0);
    expect(lines).toEqual([]);
  });

  test('may go wrong, and nobody notices', () => {
    const warnings = new Warnings({
      warn: () => {
        throw new Error('disk full');
      },
    });
    expect(() => warnings.misconfigured(wrong('check'), 0)).not.toThrow();
  });

  test('is given by the logger as its own method', () => {
    class Log {
      readonly lines: string[] = [];
      warn(line: string): void {
        this.lines.push(line);
      }
    }
    const log = new Log();
    new Warnings(log).misconfigured(wrong('check'), 0);
    expect(log.lines).toEqual(['check']);
  });
});
