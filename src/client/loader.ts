import { sharesPromises } from '#platform';
import { runtimeTransport } from '#transport';

import type { VerdictCache } from '../cache/verdict-cache.js';
import { VerifyFailure } from '../core/failure.js';
import { toHex } from '../core/fingerprint.js';
import type { Rejected, Verified } from '../core/result.js';
import type { VerifyOptions } from '../core/verifier.js';
import { callSafely } from '../core/events.js';
import type { Entry } from '../cache/entry.js';
import type { Observers } from '../observe/observers.js';
import { Warnings } from '../observe/warnings.js';
import type { ResolvedOptions } from '../options/resolve.js';
import { Deadline, TIMED_OUT } from '../resilience/deadline.js';
import type { Transport } from '../transport/transport.js';
import { KeyServerClient } from './key-server-client.js';
import { SingleFlight, type Flight, type OnSent } from './single-flight.js';
import { ServiceToken } from './token.js';
import { unlessAborted } from './unless-aborted.js';

/** The outcome of a load. */
export type LoadOutcome<Claims> = Verified<Claims> | Rejected | VerifyFailure;

/** How long a key isn't asked about after a failure, at most, in milliseconds. Half of it is random. */
const REFRESH_BACKOFF_MS = 1000;

/** Loads verdicts, one flight for each fingerprint, and caches them. */
export class VerdictLoader<Claims> {
  readonly #options: ResolvedOptions<Claims>;
  readonly #cache: VerdictCache<Claims>;
  readonly #observers: Observers<Claims>;
  readonly #flights = new SingleFlight<LoadOutcome<Claims>>();
  readonly #token: ServiceToken;
  readonly #transport: Transport;
  readonly #client: KeyServerClient<Claims>;
  readonly #warnings: Warnings;
  /** Entries that back off after a failure, the oldest first. */
  readonly #backingOff = new Set<Entry<Claims>>();
  #closed = false;

  constructor(options: ResolvedOptions<Claims>, cache: VerdictCache<Claims>, observers: Observers<Claims>) {
    this.#options = options;
    this.#cache = cache;
    this.#observers = observers;
    this.#token = new ServiceToken(options.serviceToken);
    this.#transport =
      options.transport ??
      runtimeTransport({
        ...options,
        warn: (message) => callSafely((text: string) => options.logger.warn(text), message),
      });
    this.#warnings = new Warnings(options.logger);
    this.#client = new KeyServerClient(
      {
        ...options,
        // An isolate may end a request at any time, and the slot that it holds would never come back.
        maxConcurrency: sharesPromises ? options.maxConcurrency : Infinity,
        onBreaker: (state, failure) => observers.tell((o) => o.onBreaker?.({ state, failure })),
        onControl: (failure, durationMs) => observers.tell((o) => o.onControl?.({ failure, durationMs })),
      },
      { transport: this.#transport, token: this.#token, sharesPromises },
    );
  }

  get counts() {
    return this.#client.counts;
  }

  /** The failure a call would get now without being sent, if there is one. */
  blockedBy(mono: number): VerifyFailure | undefined {
    return this.#client.blockedBy(mono);
  }

  /** Asks, or waits for the answer to the same question. Rejects only with the reason of the caller's signal. */
  load(fingerprint: string, key: string, call: VerifyOptions): Promise<LoadOutcome<Claims>> {
    const { outcome } = this.#flightToJoin(fingerprint, call) ?? this.#start(fingerprint, key, call);
    return call.signal === undefined ? outcome : unlessAborted(outcome, call.signal);
  }

  /** Asks in the background, unless somebody is asking already; `false` where there is no background. */
  refresh(fingerprint: string, key: string, call: VerifyOptions): boolean {
    if (this.#closed || (!sharesPromises && call.waitUntil === undefined)) return false;
    if (this.#flights.get(fingerprint) !== undefined) return true;
    callSafely(call.waitUntil, this.#start(fingerprint, key, call).outcome);
    return true;
  }

  /** Asks in the background although the gate refuses, as often as the trickle allows. */
  trickle(fingerprint: string, key: string, mono: number, call: VerifyOptions): void {
    if (this.#closed || this.#flights.get(fingerprint) !== undefined) return;
    if (!sharesPromises && call.waitUntil === undefined) return;
    if (!this.#client.tryTrickle(this.#cache.isKnown(fingerprint), mono)) return;
    callSafely(call.waitUntil, this.#start(fingerprint, key, call, true).outcome);
  }

  /** Lets nobody join the flight of this key any more, or of any key. */
  detach(fingerprint?: string): void {
    this.#flights.detach(fingerprint);
  }

  async warmUp(): Promise<void> {
    const { clock, timeoutMs } = this.#options;
    const work = Promise.all([this.#token.current ?? this.#token.fetch(sharesPromises), this.#transport.warmUp?.()]);
    if ((await new Deadline(clock, timeoutMs).race(work)) !== TIMED_OUT) return;
    this.#token.forget();
    throw new VerifyFailure('misconfigured', 'keyverify: serviceToken() or the transport was not ready in time');
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#client.close();
    await this.#flights.settled();
    // What the caller brought is the caller's to close.
    if (this.#options.transport === undefined) await this.#transport.close?.();
  }

  #flightToJoin(fingerprint: string, { maxAgeMs }: VerifyOptions): Flight<LoadOutcome<Claims>> | undefined {
    const flight = this.#flights.get(fingerprint);
    if (flight?.sentAt === undefined || maxAgeMs === undefined) return flight;
    return this.#options.clock.monotonic() - flight.sentAt.mono < maxAgeMs ? flight : undefined;
  }

  #start(fingerprint: string, key: string, call: VerifyOptions, trickle = false): Flight<LoadOutcome<Claims>> {
    const ask = (onSent: OnSent) => this.#ask(fingerprint, key, call, onSent, trickle);
    return this.#flights.start(fingerprint, ask, sharesPromises);
  }

  async #ask(
    fingerprint: string,
    key: string,
    { failOpen = this.#options.failOpen }: VerifyOptions,
    onSent: OnSent,
    trickle: boolean,
  ): Promise<LoadOutcome<Claims>> {
    if (this.#closed) return new VerifyFailure('misconfigured', 'keyverify: this verifier is closed');
    const { position } = this.#cache;
    const isKnown = this.#cache.isKnown(fingerprint);
    const wasGood = this.#cache.get(fingerprint)?.result.valid === true;
    const answer = await this.#client.ask({ key, isKnown, wasGood, mayOpen: failOpen, onSent }, trickle);
    if (answer instanceof VerifyFailure) {
      this.#recordFailure(fingerprint, answer);
      return answer;
    }
    const { verdict, attempts, durationMs } = answer;
    this.#cache.set(fingerprint, verdict, position);
    const { result } = verdict;
    this.#observers.tell((o) => o.onVerdict?.({ fingerprint: toHex(fingerprint), result, attempts, durationMs }));
    return result;
  }

  #recordFailure(fingerprint: string, failure: VerifyFailure): void {
    const { clock, random } = this.#options;
    const mono = clock.monotonic();
    // A failure weighs more than a verdict: in a long outage, every entry would come to hold one.
    for (const entry of this.#backingOff) {
      if (entry.backoffFailure(mono) !== undefined) break;
      entry.backoff = undefined;
      this.#backingOff.delete(entry);
    }
    const entry = this.#cache.get(fingerprint);
    if (entry !== undefined) {
      entry.backoff = { until: mono + REFRESH_BACKOFF_MS * (1 - random() / 2), failure };
      this.#backingOff.delete(entry);
      this.#backingOff.add(entry);
    }
    this.#warnings.misconfigured(failure, mono);
    this.#observers.tell((o) => o.onFailure?.({ fingerprint: toHex(fingerprint), failure }));
  }
}
