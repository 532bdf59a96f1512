import { fleet } from '../backends/fleet.js';
import { systemClock, type Clock } from '../core/clock.js';
import { isBefore } from '../fleet/position.js';
import {
  toJson,
  type FollowContext,
  type PositionedMessage,
  type Revocation,
  type RevocationSink,
  type RevocationSource,
} from '../fleet/revocation.js';
import type { SharedCache, SharedEntry, SharedKey, SharedPut, SharedRead } from '../fleet/shared-cache.js';
import { checkMemoryFleet } from './validate.js';
import { checkRevocation } from './validate-revocation.js';

/** The options of `memoryFleet()`. */
export interface MemoryFleetOptions {
  /** The clock of the shared cache. Default: the runtime's. */
  readonly clock?: Clock | undefined;
}

const HEARTBEAT_MS = 60_000;

class MemoryCache implements SharedCache {
  readonly fleet = fleet;
  readonly #clock: Clock;
  readonly #entries = new Map<string, SharedEntry & { readonly until: number }>();
  readonly #leases = new Map<string, number>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  get size(): number {
    return this.#entries.size;
  }

  clear(): void {
    this.#entries.clear();
    this.#leases.clear();
  }

  // eslint-disable-next-line @typescript-eslint/require-await
  async get(key: SharedKey): Promise<SharedRead> {
    return this.#read(key);
  }

  // eslint-disable-next-line @typescript-eslint/require-await
  async put(key: SharedKey, value: string, { fence, replacesEqual, ttlMs }: SharedPut): Promise<boolean> {
    const { now, entry } = this.#read(key);
    if (entry !== undefined && (entry.fence > fence || (entry.fence === fence && !replacesEqual))) return false;
    this.#entries.set(idOf(key), { value, fence, until: now + ttlMs });
    return true;
  }

  // eslint-disable-next-line @typescript-eslint/require-await
  async lease(key: SharedKey, ms: number): Promise<boolean> {
    const now = this.#clock.wall();
    if ((this.#leases.get(idOf(key)) ?? 0) > now) return false;
    this.#leases.set(idOf(key), now + ms);
    return true;
  }

  #read(key: SharedKey): SharedRead {
    const now = this.#clock.wall();
    const entry = this.#entries.get(idOf(key));
    return { now, entry: entry !== undefined && entry.until > now ? entry : undefined };
  }
}

const idOf = ({ fingerprint, namespace }: SharedKey): string => `${fingerprint} ${namespace}`;

class MemoryRevocations implements RevocationSource {
  readonly fleet = fleet;
  readonly name = 'memory';
  readonly heartbeatMs = HEARTBEAT_MS;
  readonly #messages: PositionedMessage[] = [];
  readonly #sinks = new Set<RevocationSink>();

  async follow({ sink, from = '', signal, clock }: FollowContext): Promise<void> {
    const isKnown = from === '' || this.#messages.some(({ position }) => position === from);
    if (!isKnown) sink.gap();
    sink.deliver(this.#messages.filter(({ position }) => !isKnown || isBefore(from, position)));
    const caughtUp = (since?: string): void => sink.caughtUp(`1-${this.#messages.length}`, since);
    // All messages are kept.
    caughtUp('1-0');
    this.#sinks.add(sink);
    let cancel = clock.after(HEARTBEAT_MS, beat, true);
    function beat(): void {
      caughtUp();
      cancel = clock.after(HEARTBEAT_MS, beat, true);
    }
    await new Promise((resolve) => {
      signal.addEventListener('abort', resolve, { once: true });
    });
    cancel();
    this.#sinks.delete(sink);
  }

  // eslint-disable-next-line @typescript-eslint/require-await
  async publish(revocation: Revocation): Promise<void> {
    checkRevocation(revocation);
    const message = { position: `1-${this.#messages.length + 1}`, json: toJson(revocation) };
    this.#messages.push(message);
    for (const sink of this.#sinks) sink.deliver([message]);
  }

  /** Tells all followers that messages may have been lost. */
  gap(): void {
    for (const sink of this.#sinks) sink.gap();
  }
}

/** A shared cache and a stream of revocations in memory, made by `memoryFleet()`. */
export interface MemoryFleet {
  /** For the option `sharedCache`. */
  readonly sharedCache: SharedCache & {
    /** How many entries there are. */
    readonly size: number;
    /** Forgets all entries, as a restart of Redis does. */
    clear(): void;
  };
  /** For the option `revocations`. */
  readonly revocations: RevocationSource & {
    /** Publishes to all verifiers that follow. Rejects with `InvalidOptionsError` for a wrong revocation. */
    publish(revocation: Revocation): Promise<void>;
    /** Tells all followers that messages may have been lost. */
    gap(): void;
  };
}

/**
 * A shared cache and revocations in memory, to test a fleet in one process without Redis. Nothing is sealed, so it is not
 * for production. Throws `InvalidOptionsError` for wrong options.
 *
 * @example
 * ```ts
 * const fleet = memoryFleet();
 * const a = new KeyVerifier({ verifyUrl, serviceToken, ...fleet });
 * const b = new KeyVerifier({ verifyUrl, serviceToken, ...fleet });
 * await a.verify('sk-1'); // source: server
 * await b.verify('sk-1'); // source: shared
 * await a.revoke({ key: 'sk-1' }); // both ask again
 * ```
 */
export function memoryFleet(options: MemoryFleetOptions = {}): MemoryFleet {
  checkMemoryFleet(options);
  const { clock = systemClock } = options;
  return { sharedCache: new MemoryCache(clock), revocations: new MemoryRevocations() };
}
