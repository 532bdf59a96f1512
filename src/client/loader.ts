import { sharesPromises } from '#platform';
import { runtimeTransport } from '#transport';

import { backOff } from './backoff.js';
import type { Backoff, Entry } from '../cache/entry.js';
import type { VerdictCache } from '../cache/verdict-cache.js';
import { VerifyFailure } from '../core/failure.js';
import { toHex } from '../core/fingerprint.js';
import { isFunction } from '../core/schema.js';
import type { AnyVerifyOptions } from '../core/verifier.js';
import { NotPublishedError } from '../core/errors.js';
import { callSafely, type AskEvent } from '../core/events.js';
import type { CheckOptions, CheckResult, Health } from '../core/health.js';
import type { StoredSelector } from '../core/selector.js';
import { NO_FLEET_STATS, type StatusCounts } from '../core/stats.js';
import type { Observers } from '../observe/observers.js';
import { HealthMonitor } from '../observe/health.js';
import { Logs } from '../observe/logs.js';
import { noFailures } from '../observe/stats.js';
import type { ResolvedOptions } from '../options/resolve.js';
import { Deadline, TIMED_OUT } from '../resilience/deadline.js';
import { SlowStart } from '../resilience/slow-start.js';
import type { Transport } from '../transport/transport.js';
import { Checks, toCheckResult } from './checks.js';
import type { ControlResult } from './control.js';
import type { Fleet, fleet } from './fleet.js';
import { CLOSED, INVALIDATED } from './load-failures.js';
import { KeyServerClient } from './key-server-client.js';
import type { AskOptions, LoadOutcome } from './question.js';
import { SingleFlight, type Flight, type OnSent } from './single-flight.js';
import { ServiceToken } from './token.js';
import { unlessAborted } from './unless-aborted.js';

/** Loads verdicts, one flight for each fingerprint, and caches them. */
export class VerdictLoader<Claims> {
  readonly #options: ResolvedOptions<Claims>;
  readonly #cache: VerdictCache<Claims>;
  readonly #observers: Observers<Claims>;
  readonly #flights = new SingleFlight<LoadOutcome<Claims>>();
  readonly #token: ServiceToken;
  readonly #transport: Transport;
  readonly #client: KeyServerClient<Claims>;
  readonly logs: Logs;
  readonly slowStart: SlowStart<VerifyFailure>;
  readonly #health: HealthMonitor;
  readonly #checks = new Checks();
  readonly #failures = noFailures();
  #coalesced = 0;
  #refreshes = 0;
  readonly #fleet: Fleet<Claims> | undefined;
  /** The latest by fingerprint, the oldest first. */
  readonly #backoffs = new Map<string, Backoff>();
  #closed = false;
  /** Whether there seems to be an outage. */
  isOpen = false;

  constructor(
    options: ResolvedOptions<Claims>,
    cache: VerdictCache<Claims>,
    observers: Observers<Claims>,
    results: () => StatusCounts,
  ) {
    this.#options = options;
    this.#cache = cache;
    this.#observers = observers;
    this.slowStart = new SlowStart(options.cacheTtlMs);
    this.#token = new ServiceToken(options.serviceToken);
    this.logs = new Logs(options.logger, options, results, this.#token);
    this.#transport = options.transport ?? runtimeTransport({ ...options, warn: (line) => this.logs.transport(line) });
    this.#client = new KeyServerClient(
      {
        ...options,
        // An isolate may end a request at any time, and the slot that it holds would never come back.
        maxConcurrency: sharesPromises ? options.maxConcurrency : Infinity,
        onBreaker: (state, failure) => {
          this.isOpen = failure !== undefined;
          this.slowStart.record(failure, options.clock.monotonic());
          this.logs.breakerChanged(failure, options.clock.monotonic());
          observers.tell((o) => o.onBreaker?.({ state, failure }));
        },
        onControl: this.#recordControl.bind(this),
        refresh: this.#askInPause.bind(this),
        onAsk: (event, ask, toOutcome) => observers.ask(event, ask, toOutcome),
      },
      { transport: this.#transport, token: this.#token, sharesPromises },
    );
    this.#health = new HealthMonitor({
      clock: options.clock,
      breaker: () => this.#client.counts.breaker,
      askControl: () => this.#client.controls.request(),
      sharesPromises,
    });
    const deps = { token: this.#token, detach: this.detach.bind(this), logs: this.logs, sharesPromises };
    const { create } = options.sharedCache?.fleet ?? options.revocations[0]?.fleet ?? {};
    if (isCreateFleet(create)) this.#fleet = create(options, cache, observers, deps);
  }

  get counts() {
    const { sizes: entries, evictions } = this.#cache;
    const own = { coalesced: this.#coalesced, refreshes: this.#refreshes, entries, evictions };
    const failures = { ...this.#failures };
    return { ...this.#client.counts, ...(this.#fleet?.counts ?? NO_FLEET_STATS), ...own, failures };
  }

  get health(): Health {
    return Object.freeze({ ...this.#health.health, ...this.#fleet?.health });
  }

  /** Asks a control question. Rejects only with the reason of the caller's signal. */
  async check({ signal }: CheckOptions): Promise<CheckResult> {
    signal?.throwIfAborted();
    if (this.#closed) return toCheckResult(0, CLOSED);
    const checked = this.#checks.wait(this.#options);
    this.#client.controls.request();
    return await (signal === undefined ? checked : unlessAborted(checked, signal));
  }

  /** When the key server last answered anybody, and whether it answers callers only, see `PolicyOptions`. */
  get evidence(): KeyServerClient<Claims>['evidence'] {
    return this.#client.evidence;
  }

  /** The failure a call would get now without being sent, if there is one. */
  blockedBy(mono: number): VerifyFailure | undefined {
    return this.#client.gate.blockedBy(mono);
  }

  /** Asks, or waits for the answer to the same question. Rejects only with the reason of the caller's signal. */
  load(fingerprint: string, key: string, call: AnyVerifyOptions): Promise<LoadOutcome<Claims>> {
    const flight = this.#flights.toJoin(fingerprint, this.#options.clock.monotonic(), call.maxAgeMs);
    if (flight !== undefined) {
      this.#coalesced++;
      this.#observers.tell((o) => o.onJoin?.(flight.event));
    } else if (this.#closed) this.logs.closed();
    const { outcome } = flight ?? this.#start(fingerprint, key, call, 'verify');
    if (call.signal === undefined) return outcome;
    return unlessAborted(outcome, call.signal).catch((reason: unknown) => {
      this.#observers.tell((o) => o.onAbort?.({ fingerprint: toHex(fingerprint) }));
      throw reason;
    });
  }

  /** Asks in the background, unless somebody is asking already; `false` where there is no background. */
  refresh(fingerprint: string, key: string, call: AnyVerifyOptions): boolean {
    if (this.#closed || (!sharesPromises && call.waitUntil === undefined)) return false;
    if (this.#flights.get(fingerprint) !== undefined) return true;
    const fleet = this.#fleet?.sharesVerdicts === true ? this.#fleet : undefined;
    const work = fleet
      ? this.#refreshOnce(fleet, fingerprint, key, call)
      : this.#start(fingerprint, key, call, 'refresh').outcome;
    this.#inBackground(work, call);
    return true;
  }

  /** Asks in the background although the gate refuses, as often as the trickle allows. */
  trickle(fingerprint: string, key: string, entry: Entry<Claims>, mono: number, call: AnyVerifyOptions): void {
    if (this.#flights.get(fingerprint) || (!sharesPromises && !call.waitUntil)) return;
    const asking = { fingerprint, key, isKnown: entry.isVerified, backoff: entry.backoff };
    if (this.#client.gate.isNext(asking, mono, false)) this.#askInPause(fingerprint, key, call);
  }

  /** Lets nobody join the flight of this key any more, or of any key. */
  detach(fingerprint?: string): void {
    this.#flights.detach(fingerprint);
  }

  /** Publishes to every process that follows the same streams. */
  async publish(selector: StoredSelector): Promise<void> {
    if (this.#fleet === undefined)
      throw new NotPublishedError('keyverify: revoke() needs the option revocations; forgotten in this process only');
    await this.#fleet.publish(selector);
  }

  async warmUp(): Promise<void> {
    if (this.#closed) throw CLOSED;
    const deadline = new Deadline(this.#options.clock, this.#options.timeoutMs);
    const work = Promise.all([this.#token.warmUp(sharesPromises), this.#transport.warmUp?.()]);
    // In an outage, the revocations may be out of reach; that is no reason not to start.
    const [ready] = await Promise.all([deadline.race(work), this.#fleet && deadline.race(this.#fleet.start())]);
    if (ready !== TIMED_OUT) return;
    this.#token.forget();
    throw new VerifyFailure('misconfigured', 'keyverify: serviceToken() or the transport took too long');
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#client.close();
    this.#fleet?.close();
    this.#checks.end(CLOSED);
    this.#health.close(CLOSED);
    await this.#flights.settled();
    // What the caller brought is the caller's to close.
    if (this.#options.transport === undefined) await this.#transport.close?.();
  }

  #start(
    fingerprint: string,
    key: string,
    call: AnyVerifyOptions,
    purpose: AskEvent['purpose'],
    how: AskOptions<Claims> = {},
  ): Flight<LoadOutcome<Claims>> {
    if (purpose === 'refresh') this.#refreshes++;
    const event: AskEvent = { purpose, url: this.#options.publicUrl };
    const ask = (onSent: OnSent) => this.#ask(fingerprint, key, call, event, onSent, how);
    return this.#flights.start(fingerprint, event, ask, sharesPromises);
  }

  /** Asks in the background although the gate refuses. */
  #askInPause(fingerprint: string, key: string, call: AnyVerifyOptions = {}): void {
    if (this.#closed) return;
    this.#inBackground(this.#start(fingerprint, key, call, 'refresh', { trickle: true }).outcome, call);
  }

  /** Refreshes a verdict, unless another process did or is about to. Not a flight: nobody may have to wait for that. */
  async #refreshOnce(fleet: Fleet<Claims>, fingerprint: string, key: string, call: AnyVerifyOptions): Promise<void> {
    const look = await fleet.look(fingerprint, key, this.#options.clock.monotonic(), Infinity, false);
    if (look?.result !== undefined || !(await fleet.mayRefresh(fingerprint, look))) return;
    if (this.#flights.get(fingerprint) !== undefined) return;
    await this.#start(fingerprint, key, call, 'refresh', { look }).outcome;
  }

  async #ask(
    fingerprint: string,
    key: string,
    call: AnyVerifyOptions,
    event: AskEvent,
    onSent: OnSent,
    { trickle = false, look: known, askedFirstAt }: AskOptions<Claims>,
  ): Promise<LoadOutcome<Claims>> {
    if (this.#closed) return CLOSED;
    const startedAt = askedFirstAt ?? this.#options.clock.monotonic();
    const looking = known ?? this.#fleet?.look(fingerprint, key, startedAt, call.maxAgeMs);
    const look = looking instanceof Promise ? await looking : looking;
    if (look?.result !== undefined) return look.result;
    const { position } = this.#cache;
    const positions = this.#fleet?.positions ?? {};
    const isKnown = this.#cache.isKnown(fingerprint);
    const entry = this.#cache.get(fingerprint);
    const wasGood = entry?.result.valid === true;
    const mayOpen = call.failOpen ?? this.#options.failOpen;
    const { maxAgeMs } = call;
    const backoff = entry ? entry.backoff : this.#backoffs.get(fingerprint);
    const question = { event, fingerprint, key, startedAt, isKnown, wasGood, mayOpen, maxAgeMs, backoff, onSent };
    const answer = await this.#client.ask(question, trickle);
    if (answer instanceof VerifyFailure) return this.#recordFailure(fingerprint, answer);
    const { verdict, attempts, durationMs, clockSkewMs } = answer;
    if (this.#fleet) this.#fleet.clockSkewMs = clockSkewMs;
    this.#health.answered();
    this.logs.answered(this.#health, this.#options.clock);
    const { result, freshness } = verdict;
    const isCached = this.#cache.set(fingerprint, verdict, position, this.#fleet?.maxTtlMs);
    // A flood of made-up keys writes nothing.
    if (this.#fleet && isCached && look !== undefined && (result.valid || isKnown || look.hasEntry))
      this.#inBackground(this.#fleet.share(fingerprint, verdict, look.fence, positions), call);
    if (result.valid) this.logs.verdict(freshness, clockSkewMs);
    if (result.valid && this.#cache.invalidatedSince(position, fingerprint, verdict)) {
      // Those who wait want to know what the key server says now; within their time, and once.
      if (askedFirstAt !== undefined) return this.#recordFailure(fingerprint, INVALIDATED);
      return await this.#ask(fingerprint, key, call, event, onSent, { trickle, askedFirstAt: startedAt });
    }
    this.#observers.tell((o) => o.onVerdict?.({ fingerprint: toHex(fingerprint), result, attempts, durationMs }));
    return result;
  }

  #inBackground(work: Promise<unknown>, { waitUntil }: AnyVerifyOptions): void {
    this.#flights.track(work);
    callSafely(waitUntil, work);
  }

  #recordFailure(fingerprint: string, failure: VerifyFailure): VerifyFailure {
    const mono = this.#options.clock.monotonic();
    backOff(fingerprint, this.#cache.get(fingerprint), failure, this.#backoffs, mono);
    this.#failures[failure.kind]++;
    this.#health.failed(failure, false);
    this.logs.failed(failure, mono, this.#client.evidence.lastAnswerAt);
    this.#observers.tell((o) => o.onFailure?.({ fingerprint: toHex(fingerprint), failure }));
    return failure;
  }

  #recordControl(failure: VerifyFailure | undefined, durationMs: number, result: ControlResult): void {
    if (failure === undefined) {
      this.#health.answered();
      this.logs.answered(this.#health, this.#options.clock);
    } else this.#health.failed(failure, true);
    if (this.#checks.settle(result, failure)) this.#client.controls.request();
    this.#observers.tell((o) => o.onControl?.({ failure, durationMs }));
  }
}

/** The options were checked: it is of this version. A verifier that shares nothing doesn't contain it. */
const isCreateFleet = (create: unknown): create is (typeof fleet)['create'] => isFunction(create);
