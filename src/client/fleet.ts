import { LostEntries } from '../cache/lost-entries.js';
import type { CacheRevocation, VerdictCache } from '../cache/verdict-cache.js';
import type { Clock, Instant } from '../core/clock.js';
import type { RevocationGapEvent } from '../core/events.js';
import { fromHex } from '../core/fingerprint.js';
import type { Health } from '../core/health.js';
import type { StoredSelector } from '../core/selector.js';
import type { Stats } from '../core/stats.js';
import type { Verdict } from '../core/verdict.js';
import type { FollowedRevocation } from '../fleet/followed-stream.js';
import { RevocationFollower } from '../fleet/follower.js';
import { FORMAT } from '../fleet/record.js';
import { publishRevocation } from '../fleet/publish.js';
import type { Positions } from '../fleet/position.js';
import type { RevocationSource } from '../fleet/revocation.js';
import type { SharedCache } from '../fleet/shared-cache.js';
import { SharedVerdicts } from '../fleet/shared-verdicts.js';
import { FleetMonitor } from '../observe/fleet.js';
import type { Logs } from '../observe/logs.js';
import { fleetSupport } from '../fleet/support.js';
import type { Observers } from '../observe/observers.js';
import type { ClaimsReader } from '../protocol/claims.js';
import { SharedLookup, type SharedLook } from './shared-lookup.js';
import type { ServiceToken } from './token.js';

export interface FleetOptions<Claims> {
  readonly sharedCache: SharedCache | undefined;
  readonly sharedTimeoutMs: number;
  readonly revocations: readonly RevocationSource[];
  readonly degradedTtlMs: number;
  readonly cacheTtlMs: number;
  readonly refreshAheadRatio: number;
  readonly staleIfErrorMs: number;
  readonly timeoutMs: number;
  readonly verifyUrl: string;
  readonly scope: string | undefined;
  readonly sharedNamespace: string | undefined;
  readonly readClaims: ClaimsReader<Claims>;
  readonly clock: Clock;
  readonly random: () => number;
}

export interface FleetDeps {
  readonly token: ServiceToken;
  /** Lets nobody join the flight of this key any more, or of any key. */
  readonly detach: (fingerprint?: string) => void;
  readonly logs: Logs;
  /**
   * Whether promises and timers outlive the request that made them, so that other requests may await them: `false` on
   * isolates.
   */
  readonly sharesPromises: boolean;
}

/** A store that restarts is back by then, and the breaker has found out, in milliseconds. */
const RESTART_MS = 10_000;

/** For how long, after many keys were revoked, refreshes wait for questions about presented keys, in milliseconds. */
const REVOKED_FIRST_MS = 2_000;

/** What this process has to do with others: verdicts that they share, and revocations that reach them all. */
export class Fleet<Claims> {
  /** How far our clock is ahead of the key server's, in milliseconds, as far as is known. */
  clockSkewMs: number | undefined;
  readonly #options: FleetOptions<Claims>;
  readonly #cache: VerdictCache<Claims>;
  readonly #monitor: FleetMonitor<Claims>;
  readonly #deps: FleetDeps;
  readonly #shared: { readonly verdicts: SharedVerdicts; readonly lookup: SharedLookup<Claims> } | undefined;
  readonly #follower: RevocationFollower | undefined;
  readonly #lost: LostEntries<Claims>;
  #refreshFrom = -Infinity;

  constructor(
    options: FleetOptions<Claims>,
    cache: VerdictCache<Claims>,
    observers: Observers<Claims>,
    deps: FleetDeps,
  ) {
    const {
      sharedCache,
      revocations,
      verifyUrl,
      scope = '',
      sharedNamespace = '',
      cacheTtlMs,
      staleIfErrorMs,
    } = options;
    this.#options = options;
    this.#cache = cache;
    const { clock } = options;
    const { logs, sharesPromises } = deps;
    const monitor = new FleetMonitor(observers, logs, clock);
    this.#monitor = monitor;
    this.#deps = deps;
    this.#lost = new LostEntries(options);
    const namespace = JSON.stringify([FORMAT, verifyUrl, scope, sharedNamespace]);
    if (revocations.length > 0) {
      this.#follower = new RevocationFollower(revocations, {
        ...options,
        token: async (refused) => {
          const renewal = refused === undefined ? undefined : deps.token.renew(refused, clock.monotonic(), true);
          return await (renewal ?? deps.token.current ?? deps.token.fetch(true));
        },
        retainMs: cacheTtlMs + staleIfErrorMs,
        onRevocations: this.#onRevocations.bind(this),
        onGap: this.#onGap.bind(this),
        onSilent: monitor.silent.bind(monitor),
        onHeard: monitor.heard.bind(monitor),
        onUnsteady: monitor.unsteady.bind(monitor),
        onSteady: monitor.steady.bind(monitor),
        clockSkewMs: () => this.clockSkewMs,
      });
      monitor.watchStreams(this.#follower);
    }
    if (sharedCache !== undefined) {
      const verdicts: SharedVerdicts = new SharedVerdicts(sharedCache, {
        ...options,
        namespace,
        around: (event, run, toOutcome) => observers.share(event, run, toOutcome),
        onOutcome: monitor.watchSharedCache({
          isDown: () => verdicts.isDown,
          probe: async () => await verdicts.probe(),
          sharesPromises,
        }),
      });
      const [follower, maxTtlMs] = [this.#follower, () => this.maxTtlMs];
      this.#shared = {
        verdicts,
        lookup: new SharedLookup({ ...options, cache, shared: verdicts, follower, maxTtlMs }),
      };
    }
  }

  get sharesVerdicts(): boolean {
    return this.#shared !== undefined;
  }

  get counts(): Pick<Stats, 'shared' | 'revocations'> {
    return this.#monitor.counts;
  }

  get health(): Pick<Health, 'sharedCache' | 'revocations'> {
    return this.#monitor.health;
  }

  /** Where the streams of revocations stand. */
  get positions(): Positions {
    return this.#follower?.positions ?? {};
  }

  /** How long a verdict may be fresh now, in milliseconds. */
  get maxTtlMs(): number {
    return this.#follower?.isDown === true ? this.#options.degradedTtlMs : Infinity;
  }

  /** Follows the streams, from the first call on. Resolves when everything that is retained has been read. */
  async start(): Promise<void> {
    await this.#follower?.start();
  }

  close(): void {
    this.#follower?.close();
    this.#monitor.close();
  }

  /**
   * Looks for a verdict of another process, and caches it. `undefined` if the store can't say. `isLikely`: whether a fresh one
   * is, so that the time of the store need not be known.
   */
  look(
    fingerprint: string,
    key: string,
    startedAt: number,
    maxAgeMs = Infinity,
    isLikely = true,
  ): Promise<SharedLook<Claims> | undefined> | undefined {
    void this.#follower?.start();
    if (this.#shared === undefined || this.#shared.verdicts.isBypassed) return undefined;
    return this.#shared.lookup.look({ fingerprint, key, startedAt, maxAgeMs, isLikely });
  }

  /** Shares a verdict that was asked for after this look. */
  async share(fingerprint: string, verdict: Verdict<Claims>, fence: number, positions: Positions): Promise<void> {
    const { cacheTtlMs, staleIfErrorMs } = this.#options;
    const { result, freshness, askedAt } = verdict;
    const ttlMs = result.valid ? Math.min(cacheTtlMs, freshness.maxAgeMs) : cacheTtlMs;
    const leftMs = result.valid && result.expiresAt !== undefined ? result.expiresAt - askedAt.wall : Infinity;
    const keepMs = Math.min(leftMs, ttlMs + (result.valid && freshness.noStale ? 0 : staleIfErrorMs));
    await this.#shared?.verdicts.write(fingerprint, verdict, { fence, positions, keepMs });
  }

  /** Whether this process is the one to refresh the verdict on this key, after it has looked for one of another. */
  async mayRefresh(fingerprint: string, look: SharedLook<Claims> | undefined): Promise<boolean> {
    // Callers who wait go first.
    if (this.#now().mono < this.#refreshFrom) return false;
    // A store that restarts has no say for a moment, in which each process would ask for itself.
    if (look === undefined) return this.#shared?.verdicts.workedWithin(RESTART_MS) !== true;
    const entry = this.#cache.get(fingerprint);
    if (entry !== undefined && !look.hasEntry && this.#lost.putOff(fingerprint, entry, entry.age(this.#now())))
      return false;
    return (await this.#shared?.verdicts.lease(fingerprint, this.#options.timeoutMs)) !== false;
  }

  /** Publishes a revocation to every process. Rejects if that failed, or if there is no source that can. */
  async publish(select: StoredSelector): Promise<void> {
    await publishRevocation(select, this.#options, this.#deps.token.redacted);
  }

  #now(): Instant {
    const { clock } = this.#options;
    return { wall: clock.wall(), mono: clock.monotonic() };
  }

  #onRevocations(source: string, messages: readonly FollowedRevocation[]): void {
    const of = (type: FollowedRevocation['type']): CacheRevocation[] =>
      messages.filter((message) => message.type === type).map(toCacheRevocation);
    const now = this.#now();
    const [revoked, changed] = [of('revoked'), of('changed')];
    if (revoked.some(({ selector }) => isBroad(selector))) this.#refreshFrom = now.mono + REVOKED_FIRST_MS;
    for (const { selector } of [...revoked, ...changed])
      this.#deps.detach(selector !== 'all' && 'fingerprint' in selector ? selector.fingerprint : undefined);
    const count = this.#cache.invalidate(revoked, now.mono) + this.#cache.expire(changed, now.mono);
    this.#monitor.revoked(source, messages, count);
  }

  #onGap(source: string, reason: RevocationGapEvent['reason'], problem: string | undefined): void {
    this.#cache.suspect(this.#now());
    this.#monitor.gap(source, reason, problem);
  }
}

const isBroad = (selector: CacheRevocation['selector']): boolean =>
  selector === 'all' || 'client' in selector || 'tenant' in selector;

function toCacheRevocation({ select, source, position, gaps }: FollowedRevocation): CacheRevocation {
  const stream = { source, position, gaps };
  if (select.all === true) return { selector: 'all', stream };
  return { selector: select.fingerprint !== undefined ? { fingerprint: fromHex(select.fingerprint) } : select, stream };
}

const createFleet = <Claims>(
  options: FleetOptions<Claims>,
  cache: VerdictCache<Claims>,
  observers: Observers<Claims>,
  deps: FleetDeps,
): Fleet<Claims> => new Fleet(options, cache, observers, deps);

/** Published as `fleet` of `keyverify/fleet`, without its types: those of the inside of a verifier are nobody else's. */
export const fleet = fleetSupport(createFleet);
