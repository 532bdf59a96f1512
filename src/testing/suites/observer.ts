import { deepEqual } from 'node:assert/strict';

import type { AskEvent, AskOutcome, ObservedVerifier, Observer, SharedOutcome } from '../../core/events.js';
import { VerifyFailure } from '../../core/failure.js';
import { failedOpen, rejected, verified } from '../../core/result.js';
import { KeyVerifier } from '../../verifier.js';
import { testClock } from '../clock.js';
import { startKeyServer } from '../key-server.js';
import { stubVerifier } from '../stub.js';
import type { ContractCase } from './contract-case.js';
import { checkMake } from './validate.js';

/** Makes the observer under test, anew for each case. */
export type MakeObserver = () => Observer;

type Events = { readonly [Name in keyof Observer]-?: readonly Parameters<NonNullable<Observer[Name]>>[0][] };

const fingerprint = 'ab'.repeat(32);
const failure = Object.freeze(
  new VerifyFailure('timeout', 'keyverify: no answer in time', { attempts: 2, durationMs: 2_000.5 }),
);
const identity = { client: 'acme', tenant: 'cust-A', claims: {}, verifiedAt: 0 };
const known = verified('server', { ...identity, keyId: 'key_1', expiresAt: 1, claims: { plan: 'pro' } });

const ask: AskEvent = Object.freeze({ purpose: 'verify', url: 'https://admin.test/internal/verify-key' });
const OUTCOMES: readonly AskOutcome[] = [
  { outcome: 'verified', failure: undefined, attempts: 1, durationMs: 0 },
  { outcome: 'failed', failure, attempts: 2, durationMs: 2_000.5 },
];
const SHARED_OUTCOMES: readonly SharedOutcome[] = [
  { outcome: 'hit', error: undefined, durationMs: 0.5 },
  { outcome: 'timeout', error: undefined, durationMs: 50 },
  { outcome: 'error', error: new Error('connect ECONNREFUSED'), durationMs: 1 },
];
const stub = stubVerifier();
const verifier: ObservedVerifier = Object.freeze({ stats: () => stub.stats(), health: () => stub.health() });

/** Every kind of event, with all that may be in one. */
const EVENTS: Events = {
  onVerdict: [
    { fingerprint, result: known, attempts: 1, durationMs: 0 },
    { fingerprint, result: verified('server', identity), attempts: 3, durationMs: 12.25 },
    { fingerprint, result: rejected('server', 'revoked'), attempts: 1, durationMs: 1 },
  ],
  onFailure: [{ fingerprint, failure }],
  onStale: [
    { fingerprint, failure, result: verified('stale', identity) },
    { fingerprint, failure, result: rejected('stale', 'expired') },
  ],
  onFailOpen: [{ fingerprint, failure, result: failedOpen(failure) }],
  onBreaker: [
    { state: 'open', failure },
    { state: 'half-open', failure },
    { state: 'closed', failure: undefined },
  ],
  onControl: [
    { failure, durationMs: 1_000 },
    { failure: undefined, durationMs: 0.5 },
  ],
  onAbort: [{ fingerprint }],
  onInvalidate: [
    { selector: 'all', count: 0 },
    { selector: { fingerprint }, count: 1 },
    { selector: { keyId: 'key_1' }, count: 1 },
    { selector: { client: 'acme' }, count: 2 },
    { selector: { tenant: 'cust-A' }, count: 3 },
  ],
  onShared: [{ operation: 'get' }, { operation: 'put' }, { operation: 'lease' }, { operation: 'probe' }],
  onRevocation: [{ source: 'keyverify:revocations', messages: 2, revoked: 1, count: 1 }],
  onRevocationGap: [
    { source: 'keyverify:revocations', reason: 'lost' },
    { source: 'keyverify:revocations', reason: 'unreadable' },
    { source: 'keyverify:revocations', reason: 'silent' },
  ],
  onAsk: [ask, { ...ask, purpose: 'refresh' }, { ...ask, purpose: 'control' }],
  onJoin: [ask],
  onAttach: [verifier],
  onDetach: [verifier],
};

/** Tells the observer one kind of event. They are frozen: an observer that changes them throws. */
async function tell(observer: Observer, name: keyof Observer): Promise<void> {
  for (const event of EVENTS[name]) {
    const method: unknown = Reflect.get(observer, name);
    for (const outcome of name === 'onShared' ? SHARED_OUTCOMES : OUTCOMES) {
      const run = (): Promise<AskOutcome | SharedOutcome> => Promise.resolve(Object.freeze({ ...outcome }));
      if (typeof method === 'function') await Reflect.apply(method, observer, [Object.freeze({ ...event }), run]);
    }
  }
}

interface Run {
  readonly statuses: readonly string[];
  /** The names of the events, in order, without those whose time depends on the network. */
  readonly events: readonly string[];
}

/** Runs a verifier through verdicts, an outage with a stale verdict and one that fails open, and invalidations. */
async function runVerifier(observers: readonly Observer[]): Promise<Run> {
  const events: string[] = [];
  const names = ['onVerdict', 'onFailure', 'onStale', 'onFailOpen', 'onInvalidate'];
  const recorder: Observer = Object.fromEntries(names.map((name) => [name, () => events.push(name)]));
  await using keyServer = await startKeyServer({ keys: { 'sk-1': { client: 'acme', tenant: 'cust-A' } } });
  const { verifyUrl } = keyServer;
  const clock = testClock();
  const options = {
    verifyUrl,
    serviceToken: 'service-token',
    clock,
    retries: 0,
    failOpen: true,
    logger: false,
  } as const;
  await using verifier = new KeyVerifier({ ...options, observers: [...observers, recorder] });
  const results = [await verifier.verify('sk-1'), await verifier.verify('sk-2')];
  await keyServer.stop();
  await clock.advance(300_000);
  results.push(await verifier.verify('sk-1'), await verifier.verify('sk-3'));
  verifier.invalidate({ client: 'acme' });
  verifier.clear();
  return { statuses: results.map(({ status, source }) => `${status} ${source}`), events };
}

const EXPECTED: Run = {
  statuses: ['verified server', 'rejected server', 'verified stale', 'failed-open fail-open'],
  events: ['onVerdict', 'onVerdict', 'onFailure', 'onStale', 'onFailure', 'onFailOpen', 'onInvalidate', 'onInvalidate'],
};

/**
 * What every observer must do: take each kind of event without throwing or changing it, and let a verifier do what it
 * does without it.
 *
 * @example
 * ```ts
 * for (const { name, run } of observerCases(() => new MyObserver())) test(name, run);
 * ```
 */
export function observerCases(makeObserver: MakeObserver): readonly ContractCase[] {
  checkMake('makeObserver', makeObserver);
  const names = [
    ...([
      'onVerdict',
      'onFailure',
      'onStale',
      'onFailOpen',
      'onBreaker',
      'onControl',
      'onAbort',
      'onInvalidate',
    ] as const),
    ...(['onAsk', 'onJoin', 'onAttach', 'onDetach'] as const),
    ...(['onShared', 'onRevocation', 'onRevocationGap'] as const),
  ];
  return [
    ...names.map((name) => ({
      name: `takes every event of ${name}, without throwing or changing it`,
      run: async () => await tell(makeObserver(), name),
    })),
    {
      name: 'changes neither the results of a verifier nor what the observers after it are told',
      run: async () => deepEqual(await runVerifier([makeObserver()]), EXPECTED),
    },
  ];
}
