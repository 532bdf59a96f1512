import { describe, expect, it, test, vi } from 'vitest';

import { InvalidOptionsError } from 'keyverify';
import { unkey } from 'keyverify/protocols';
import {
  adapterCases,
  observerCases,
  protocolCases,
  revocationSourceCases,
  sharedCacheCases,
  transportCases,
  type ContractCase,
} from 'keyverify/testing';

import { defaultProtocol } from '../../../src/protocol/default.js';

const refused = (...issues: string[]) => new InvalidOptionsError(issues);

describe('the suite', () => {
  test.each<[(make: never) => readonly ContractCase[], string]>([
    [observerCases, 'makeObserver'],
    [transportCases, 'makeTransport'],
    [sharedCacheCases, 'makeCache'],
    [revocationSourceCases, 'makeSource'],
  ])('$name wants a function', (cases, name) => {
    expect(() => cases({} as never)).toThrow(refused(`${name}: expected a function, got an object`));
    expect(() => cases(undefined as never)).toThrow(refused(`${name}: expected a function, got undefined`));
  });

  const sample = { status: 200, body: '{}' };
  const protocol = { protocol: defaultProtocol, verified: () => sample, rejected: sample };

  test.each<[(options: never) => readonly ContractCase[], unknown, ...string[]]>([
    [adapterCases, undefined, 'options: expected an object, got undefined'],
    [adapterCases, () => undefined, 'options: expected an object, got a function'],
    [adapterCases, {}, 'serve: expected a function, got undefined'],
    [
      adapterCases,
      { serve: () => undefined, call: 1, http: 'no', leave: false },
      'call: expected a function, got 1',
      'http: expected true or false, got "no"',
      'leave: there is no such option, did you mean leaves?',
    ],
    [
      protocolCases,
      {},
      'protocol: expected an object with encode() and decode(), got undefined',
      'verified: expected a function, got undefined',
      'rejected: expected an object of status and body, got undefined',
    ],
    [
      protocolCases,
      { ...protocol, protocol: unkey },
      'protocol: expected an object with encode() and decode(), got a function',
    ],
    [
      protocolCases,
      { ...protocol, rejected: { status: 2000, headers: { a: 1 }, body: {} }, sendToken: false },
      'rejected.status: expected a status, 200 to 599, got 2000',
      'rejected.headers: expected an object of strings that are not empty, got an object',
      'rejected.body: expected a string, got an object',
      'sendToken: there is no such option, did you mean sendsToken?',
    ],
    [
      protocolCases,
      { ...protocol, verified: () => ({ status: 200, body: {} }) },
      'verified(): body: expected a string, got an object',
    ],
    [
      protocolCases,
      { ...protocol, verified: () => '{}' },
      'verified(): options: expected an object, got a string of 2 characters',
    ],
  ])('%o refuses %j', (cases, options, ...issues) => {
    expect(() => cases(options as never)).toThrow(refused(...issues));
  });

  it('for observers writes nothing to the console', async () => {
    const warn = vi.spyOn(console, 'warn').mockReturnValue();
    for (const { run } of observerCases(() => ({}))) await run();
    expect(warn).not.toHaveBeenCalled();
    warn.mockRestore();
  });
});
