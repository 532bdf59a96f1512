import { ownTransport, sharesPromises } from '#platform';

import type { Instant } from '../core/clock.js';
import type { Entry } from '../cache/entry.js';
import type { Verdict, VerdictCache } from '../cache/verdict-cache.js';
import { notify, Warnings } from '../core/events.js';
import { VerifyFailure } from '../core/failure.js';
import { toHex } from '../core/fingerprint.js';
import type { Rejected, Verified } from '../core/result.js';
import { globalFetchTransport } from '../transport/fetch.js';
import { SingleFlight, type Flight, type OnSend } from './single-flight.js';
import { KeyServerClient, type CallStats } from './key-server-client.js';
import { ServiceToken } from './token.js';
import type { ResolvedOptions } from '../options/resolve.js';
import type { VerifyOptions } from '../options/verify-options.js';

/** What asking comes to. */
export type LoadOutcome<Claims> = Verified<Claims> | Rejected | VerifyFailure;

/** How long a key whose refresh failed isn't asked about again, at the most; half of it is left to chance. */
const REFRESH_BACKOFF_MS = 1000;

/** Gets answers, one flight for each key, and remembers what they say. */
export class VerdictLoader<Claims> {
  readonly #settings: ResolvedOptions<Claims>;
  readonly #cache: VerdictCache<Claims>;
  readonly #flights = new SingleFlight<LoadOutcome<Claims>>();
  readonly #token: ServiceToken;
  readonly #transport;
  readonly #server: KeyServerClient<Claims>;
  readonly #warnings: Warnings;
  /** Those whose key is not asked about for a moment, the oldest first. */
  readonly #backingOff = new Set<Entry<Claims>>();
  #closed = false;

  constructor(settings: ResolvedOptions<Claims>, cache: VerdictCache<Claims>) {
    this.#settings = settings;
    this.#cache = cache;
    this.#token = new ServiceToken(settings.serviceToken);
    this.#transport = settings.transport ?? ownTransport?.(settings) ?? globalFetchTransport();
    this.#warnings = new Warnings(settings.logger);
    this.#server = new KeyServerClient(
      {
        ...settings,
        // An isolate may end a request at any time, and the slot that it holds would never come back.
        maxConcurrency: sharesPromises ? settings.maxConcurrency : Infinity,
        onBreakerChange: (state, failure) => notify(settings.onBreakerChange, { state, failure }),
      },
      { transport: this.#transport, token: this.#token, shares: sharesPromises },
    );
  }

  get counts() {
    return { ...this.#server.load, breaker: this.#server.breakerState };
  }

  /** Why nobody is asked about any key right now, if nobody is. */
  blockedBy(mono: number): VerifyFailure | undefined {
    return this.#server.silence(mono);
  }

  /** Asks, or waits for the answer to the same question. Rejects only with the reason of the caller's signal. */
  load(fingerprint: string, key: string, known: boolean, call: VerifyOptions): Promise<LoadOutcome<Claims>> {
    const { outcome } = this.#flightToJoin(fingerprint, call) ?? this.#start(fingerprint, key, known, call);
    return call.signal === undefined ? outcome : unlessAborted(outcome, call.signal);
  }

  /** Asks in the background, if nobody is asking yet; `false` where there is no background. */
  refresh(fingerprint: string, key: string, call: VerifyOptions): boolean {
    if (this.#closed || (!sharesPromises && call.waitUntil === undefined)) return false;
    if (this.#flights.get(fingerprint) !== undefined) return true;
    const { outcome } = this.#start(fingerprint, key, true, call);
    notify(call.waitUntil, outcome);
    return true;
  }

  /** Lets nobody join the flight of this key any more, or of any. */
  detach(fingerprint?: string): void {
    this.#flights.detach(fingerprint);
  }

  async warmUp(): Promise<void> {
    await Promise.all([this.#token.current ?? this.#token.fetch(sharesPromises), this.#transport.warmUp?.()]);
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.#flights.settled();
    // What the caller brought is the caller's to close.
    if (this.#settings.transport === undefined) await this.#transport.close?.();
  }

  #flightToJoin(fingerprint: string, { maxAgeMs }: VerifyOptions): Flight<LoadOutcome<Claims>> | undefined {
    const flight = this.#flights.get(fingerprint);
    if (flight?.sentAt === undefined || maxAgeMs === undefined) return flight;
    return this.#settings.clock.monotonic() - flight.sentAt.mono < maxAgeMs ? flight : undefined;
  }

  #start(fingerprint: string, key: string, known: boolean, call: VerifyOptions): Flight<LoadOutcome<Claims>> {
    const ask = (onSend: OnSend) => this.#call(fingerprint, key, known, call, onSend);
    return this.#flights.start(fingerprint, ask, sharesPromises);
  }

  async #call(
    fingerprint: string,
    key: string,
    known: boolean,
    { waitUntil }: VerifyOptions,
    onSend: OnSend,
  ): Promise<LoadOutcome<Claims>> {
    if (this.#closed) return new VerifyFailure('misconfigured', 'keyverify: this verifier is closed');
    const since = this.#cache.position;
    const onVerdict = (verdict: Verdict<Claims>, askedAt: Instant, effort: CallStats): void => {
      this.#cache.set(fingerprint, verdict, askedAt, since);
      const { onVerdict: tell } = this.#settings;
      if (tell !== undefined) notify(tell, { fingerprint: toHex(fingerprint), result: verdict.result, ...effort });
    };
    const background = (work: Promise<unknown>): void => {
      if (sharesPromises) this.#flights.track(work);
      notify(waitUntil, work);
    };
    const outcome = await this.#server.ask({
      key,
      known,
      onSend,
      onVerdict,
      background: sharesPromises || waitUntil !== undefined ? background : undefined,
    });
    if (outcome instanceof VerifyFailure) this.#recordFailure(fingerprint, outcome);
    return outcome;
  }

  #recordFailure(fingerprint: string, failure: VerifyFailure): void {
    const { clock, random, onFailure } = this.#settings;
    const mono = clock.monotonic();
    // A failure weighs more than a verdict: in a long outage, every verdict would come to hold one.
    for (const rested of this.#backingOff) {
      if (rested.backoffFailure(mono) !== undefined) break;
      rested.backoff = undefined;
      this.#backingOff.delete(rested);
    }
    const entry = this.#cache.get(fingerprint);
    if (entry !== undefined) {
      entry.backoff = { until: mono + REFRESH_BACKOFF_MS * (1 - random() / 2), failure };
      this.#backingOff.delete(entry);
      this.#backingOff.add(entry);
    }
    this.#warnings.misconfigured(failure, mono);
    if (onFailure !== undefined) notify(onFailure, { fingerprint: toHex(fingerprint), failure });
  }
}

/** Waits, but no longer than the caller wants to. */
async function unlessAborted<T>(outcome: Promise<T>, signal: AbortSignal): Promise<T> {
  let leave!: () => void;
  const left = new Promise<undefined>((resolve) => {
    leave = () => resolve(undefined);
  });
  signal.addEventListener('abort', leave, { once: true });
  const first = await Promise.race([outcome, left]);
  signal.removeEventListener('abort', leave);
  if (first !== undefined) return first;
  signal.throwIfAborted();
  return await outcome;
}
