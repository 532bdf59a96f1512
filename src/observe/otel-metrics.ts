import type {
  Attributes,
  BatchObservableResult,
  Histogram,
  Meter,
  MeterProvider,
  Observable,
} from '@opentelemetry/api';

import type { AskOutcome, BreakerState, ObservedVerifier } from '../core/events.js';
import type { Stats } from '../core/stats.js';
import { VERSION } from '../version.js';

/** In seconds, for the duration of a question. */
const DURATION_BUCKETS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

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

/** The metrics of all verifiers that report to one meter provider. */
export class Metrics {
  readonly #verifiers = new Set<ObservedVerifier>();
  /** Of verifiers that are closed: a counter must not fall. */
  readonly #ended: Verifications[] = [];
  readonly #duration: Histogram;

  constructor(meter: Meter) {
    this.#duration = meter.createHistogram('keyverify.client.request.duration', {
      description: 'How long questions to the key server take, retries and the wait for a free slot included.',
      unit: 's',
      advice: { explicitBucketBoundaries: DURATION_BUCKETS },
    });
    const verifications = meter.createObservableCounter('keyverify.verifications', {
      description: 'Results of verify(), by status and source.',
      unit: '{verification}',
    });
    const upDown = (name: string, description: string, unit: string) =>
      meter.createObservableUpDownCounter(name, { description, unit });
    const entries = upDown('keyverify.cache.entry.count', 'Cached keys.', '{entry}');
    const active = upDown('keyverify.request.active', 'Questions that are being asked.', '{request}');
    const queued = upDown('keyverify.request.queued', 'Questions that wait for a free slot.', '{request}');
    const breaker = upDown(
      'keyverify.breaker.status',
      'Verifiers whose circuit breaker is in this state.',
      '{verifier}',
    );
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
    };
    meter.addBatchObservableCallback(observe, [verifications, entries, active, queued, breaker]);
  }

  add(verifier: ObservedVerifier): void {
    this.#verifiers.add(verifier);
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
