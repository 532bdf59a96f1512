import type {
  Attributes,
  BatchObservableResult,
  Counter,
  Histogram,
  Meter,
  MeterProvider,
  Observable,
} from '@opentelemetry/api';

import type { BreakerState } from '../core/breaker.js';
import type {
  AskOutcome,
  ObservedVerifier,
  RevocationEvent,
  RevocationGapEvent,
  SharedEvent,
  SharedOutcome,
} from '../core/events.js';
import type { Stats } from '../core/stats.js';
import { VERSION } from '../version.js';

/** In seconds, for the duration of a question. */
const DURATION_BUCKETS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

/** In seconds, for the duration of an operation on the shared cache. */
const SHARED_BUCKETS = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1];

const BREAKER_STATES: readonly BreakerState[] = ['closed', 'open', 'half-open'];

/** One series of `keyverify.verifications`. */
interface Verifications {
  readonly status: string;
  readonly source: string;
  readonly count: number;
}

function verificationsOf({ statuses, results }: Stats): readonly Verifications[] {
  const bySource = (status: 'verified' | 'rejected'): readonly Verifications[] =>
    Object.entries(statuses[status]).map(([source, count]) => ({ status, source, count }));
  return [
    ...bySource('verified'),
    ...bySource('rejected'),
    { status: 'failed-open', source: 'fail-open', count: results['fail-open'] },
    { status: 'failed-closed', source: 'fail-closed', count: results['fail-closed'] },
  ];
}

const TYPE = 'keyverify.revocation.type';

/** How an operation on the shared cache ended, as metrics and spans say it. */
export function sharedAttributes({ operation }: SharedEvent, { outcome }: SharedOutcome): Attributes {
  const isFailed = outcome === 'timeout' || outcome === 'error';
  return {
    'keyverify.shared.operation': operation,
    'keyverify.outcome': isFailed ? 'failed' : outcome,
    ...(isFailed && { 'error.type': outcome }),
  };
}

/** The metrics of all verifiers that report to one meter provider. */
export class Metrics {
  readonly #verifiers = new Set<ObservedVerifier>();
  /** Of verifiers that are closed: a counter must not fall. */
  readonly #ended: Verifications[] = [];
  readonly #duration: Histogram;
  readonly #sharedDuration: Histogram;
  readonly #revocations: Counter;
  readonly #gaps: Counter;

  constructor(meter: Meter) {
    this.#duration = meter.createHistogram('keyverify.question.duration', {
      description: 'How long questions to the key server take, retries and the wait for a free slot included.',
      unit: 's',
      advice: { explicitBucketBoundaries: DURATION_BUCKETS },
    });
    this.#sharedDuration = meter.createHistogram('keyverify.shared.operation.duration', {
      description: 'How long operations on the shared cache take.',
      unit: 's',
      advice: { explicitBucketBoundaries: SHARED_BUCKETS },
    });
    this.#revocations = meter.createCounter('keyverify.revocation.events', {
      description: 'Messages that keys were revoked or changed.',
      unit: '{event}',
    });
    this.#gaps = meter.createCounter('keyverify.revocation.gaps', {
      description: 'How often revocations may have been lost.',
      unit: '{gap}',
    });
    const verifications = meter.createObservableCounter('keyverify.verifications', {
      description: 'Results of verify(), by status and source.',
      unit: '{verification}',
    });
    const upDown = (name: string, description: string, unit: string) =>
      meter.createObservableUpDownCounter(name, { description, unit });
    const entries = upDown('keyverify.cache.entry.count', 'Cached keys.', '{entry}');
    const active = upDown('keyverify.question.active', 'Questions that are being asked.', '{question}');
    const queued = upDown('keyverify.question.queued', 'Questions that wait for a free slot.', '{question}');
    const breaker = upDown(
      'keyverify.breaker.status',
      'Verifiers whose circuit breaker is in this state.',
      '{verifier}',
    );
    const lag = meter.createObservableGauge('keyverify.revocation.lag', {
      description:
        'How late revocations take effect: how long ago their streams were heard from, or how late a message was.',
      unit: 's',
    });
    const observe = (result: BatchObservableResult): void => {
      const all = [...this.#verifiers].map((verifier) => verifier.stats());
      const sum = (value: (stats: Stats) => number): number => all.reduce((total, stats) => total + value(stats), 0);
      const put = (metric: Observable, value: (stats: Stats) => number, attributes?: Attributes): void =>
        result.observe(metric, sum(value), attributes);
      for (const { status, source, count } of merge([...this.#ended, ...all.flatMap(verificationsOf)]))
        result.observe(verifications, count, { 'keyverify.status': status, 'keyverify.source': source });
      put(entries, (stats) => stats.entries.verified, { 'keyverify.cache.kind': 'verified' });
      put(entries, (stats) => stats.entries.rejected, { 'keyverify.cache.kind': 'rejected' });
      put(active, (stats) => stats.active);
      put(queued, (stats) => stats.queued);
      for (const state of BREAKER_STATES)
        put(breaker, (stats) => Number(stats.breaker === state), { 'keyverify.breaker.state': state });
      const lags = [...this.#verifiers].flatMap((verifier) => verifier.health().revocations?.lagMs ?? []);
      if (lags.length > 0) result.observe(lag, Math.max(...lags) / 1000);
    };
    meter.addBatchObservableCallback(observe, [verifications, entries, active, queued, breaker, lag]);
  }

  add(verifier: ObservedVerifier): void {
    this.#verifiers.add(verifier);
    if (verifier.health().revocations === undefined) return;
    // A counter that begins with its first event shows no increase for it.
    this.recordRevocations({ messages: 0, revoked: 0 });
    for (const reason of ['lost', 'unreadable', 'silent'] as const) this.recordGap({ reason }, 0);
  }

  /** Keeps the counts of a verifier that is closed. */
  remove(verifier: ObservedVerifier): void {
    if (!this.#verifiers.delete(verifier)) return;
    const ended = merge([...this.#ended, ...verificationsOf(verifier.stats())]);
    this.#ended.splice(0, Infinity, ...ended);
  }

  recordQuestion({ outcome, failure, durationMs }: AskOutcome, server: string): void {
    const attributes = { 'keyverify.outcome': outcome, 'server.address': server };
    this.#duration.record(
      durationMs / 1000,
      failure === undefined ? attributes : { ...attributes, 'error.type': failure.kind },
    );
  }

  recordShared(event: SharedEvent, outcome: SharedOutcome): void {
    this.#sharedDuration.record(outcome.durationMs / 1000, sharedAttributes(event, outcome));
  }

  recordRevocations({ messages, revoked }: Pick<RevocationEvent, 'messages' | 'revoked'>): void {
    this.#revocations.add(revoked, { [TYPE]: 'revoked' });
    this.#revocations.add(messages - revoked, { [TYPE]: 'changed' });
  }

  recordGap({ reason }: Pick<RevocationGapEvent, 'reason'>, count = 1): void {
    this.#gaps.add(count, { 'keyverify.revocation.gap.reason': reason });
  }
}

/** Adds up what has the same status and source. */
function merge(all: readonly Verifications[]): readonly Verifications[] {
  const merged = new Map<string, Verifications>();
  for (const each of all) {
    const name = `${each.status} ${each.source}`;
    merged.set(name, { ...each, count: each.count + (merged.get(name)?.count ?? 0) });
  }
  return [...merged.values()];
}

/** One for each provider: two instruments of the same name would overwrite each other's values. */
const known = new WeakMap<MeterProvider, Metrics>();

export function metricsOf(provider: MeterProvider): Metrics {
  const found = known.get(provider) ?? new Metrics(provider.getMeter('keyverify', VERSION));
  known.set(provider, found);
  return found;
}
