import type { RevocationGapEvent } from '../core/events.js';
import type { Health } from '../core/health.js';
import type { RevocationStats, SharedStats } from '../core/stats.js';
import type { Silence, Unsteadiness } from '../fleet/followed-stream.js';
import type { RevocationFollower } from '../fleet/follower.js';
import type { Revocation } from '../fleet/revocation.js';
import type { SharedVerdictsOptions } from '../fleet/shared-verdicts.js';
import type { Clock } from '../core/clock.js';
import { FleetLogs } from './fleet-logs.js';
import type { Logs } from './logs.js';
import type { Observers } from './observers.js';
import { SharedCacheMonitor, type SharedCacheMonitorOptions } from './shared-cache.js';

const COUNTERS = { hit: 'hits', miss: 'misses', unsealable: 'unsealable' } as const;

/** Counts what processes share, and tells observers and the log of it. */
export class FleetMonitor<Claims> {
  readonly #observers: Observers<Claims>;
  readonly #logs: FleetLogs;
  readonly #clock: Clock;
  readonly #operations = { get: 0, put: 0, lease: 0, probe: 0 };
  readonly #shared = { hits: 0, misses: 0, unsealable: 0, failures: 0 };
  readonly #revocations = { messages: 0, revoked: 0, gaps: 0 };
  #sharedCache: SharedCacheMonitor | undefined;
  #follower: Pick<RevocationFollower, 'isDown' | 'health'> | undefined;
  #lastGapAt: number | undefined;

  constructor(observers: Observers<Claims>, logs: Logs, clock: Clock) {
    this.#observers = observers;
    this.#logs = new FleetLogs(logs);
    this.#clock = clock;
  }

  get counts(): { readonly shared: SharedStats; readonly revocations: RevocationStats } {
    const down = this.#follower?.isDown === true;
    return {
      shared: { operations: { ...this.#operations }, ...this.#shared },
      revocations: { ...this.#revocations, down },
    };
  }

  get health(): Pick<Health, 'sharedCache' | 'revocations'> {
    const [sharedCache, follower, lastGapAt] = [this.#sharedCache, this.#follower, this.#lastGapAt];
    return {
      ...(sharedCache && { sharedCache: sharedCache.health }),
      ...(follower && {
        revocations: Object.freeze({ ...follower.health, ...(lastGapAt !== undefined && { lastGapAt }) }),
      }),
    };
  }

  /** Returns what is to be called after each operation on the shared cache. */
  watchSharedCache(options: Omit<SharedCacheMonitorOptions, 'clock'>): SharedVerdictsOptions['onOutcome'] {
    const monitor = new SharedCacheMonitor({ ...options, clock: this.#clock });
    this.#sharedCache = monitor;
    return ({ operation }, { outcome, error }) => {
      this.#operations[operation]++;
      if (outcome === 'error' || outcome === 'timeout') this.#shared.failures++;
      else if (operation === 'get') this.#shared[COUNTERS[outcome]]++;
      monitor.ended(outcome);
      const mono = this.#clock.monotonic();
      if (operation === 'put' && error !== undefined) this.#logs.putFailed(error, mono);
      if (monitor.status === 'down') this.#logs.sharedCacheFailed(error, mono);
      else if (monitor.status === 'ok') this.#logs.sharedCacheWorks(mono);
    };
  }

  /** A stream was not heard from for so long. */
  silent(source: string, silence: Silence): void {
    this.#logs.silent(source, silence, this.#clock.monotonic());
  }

  heard(source: string, ms: number): void {
    this.#logs.heard(source, ms);
  }

  /** A stream ended once more soon after it had worked. */
  unsteady(source: string, unsteadiness: Unsteadiness): void {
    this.#logs.unsteady(source, unsteadiness, this.#clock.monotonic());
  }

  steady(source: string): void {
    this.#logs.steady(source, this.#clock.monotonic());
  }

  watchStreams(follower: Pick<RevocationFollower, 'isDown' | 'health'>): void {
    this.#follower = follower;
  }

  close(): void {
    this.#sharedCache?.close();
  }

  revoked(source: string, messages: readonly Revocation[], count: number): void {
    const revoked = messages.filter(({ type }) => type === 'revoked').length;
    this.#revocations.messages += messages.length;
    this.#revocations.revoked += revoked;
    this.#observers.tell((o) => o.onRevocation?.({ source, messages: messages.length, revoked, count }));
  }

  gap(source: string, reason: RevocationGapEvent['reason'], problem?: string): void {
    this.#revocations.gaps++;
    this.#lastGapAt = this.#clock.wall();
    // Of a stream that is silent, the log says more.
    if (reason !== 'silent') this.#logs.revocationsLost(source, reason, this.#clock.monotonic(), problem);
    this.#observers.tell((o) => o.onRevocationGap?.({ source, reason }));
  }
}
