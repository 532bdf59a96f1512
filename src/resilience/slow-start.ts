/** An outage of up to 10 s is recovered from at once. It is noticed to have ended up to a pause later. */
const LONG_MS = 12_000;

/** When everything may be asked for again, in milliseconds; where the TTL is short, this part of it. */
const RAMP_MS = 1000;
const RAMP_RATIO = 1 / 60;

/**
 * Gives a server that is back after a long outage a second to get going: what became due meanwhile is asked for at a rate that
 * grows from nothing. Longer would be gentler, but a revoked key would live on for as long.
 */
export class SlowStart<Failure> {
  readonly #rampMs: number;
  #outage: { readonly failure: Failure; readonly since: number } | undefined;
  #ended: { readonly failure: Failure; readonly at: number } | undefined;

  constructor(ttlMs: number) {
    this.#rampMs = Math.min(RAMP_MS, ttlMs * RAMP_RATIO);
  }

  /** There is an outage because of this failure, or none any more. */
  record(failure: Failure | undefined, mono: number): void {
    if (failure !== undefined) this.#outage ??= { failure, since: mono };
    else if (this.#outage !== undefined) {
      const { failure, since } = this.#outage;
      this.#ended = mono - since > LONG_MS ? { failure, at: mono } : undefined;
      this.#outage = undefined;
    }
  }

  /** The failure that still stands for one that has this share of all, from 0 to 1. */
  heldBackBy(share: number, mono: number): Failure | undefined {
    const ended = this.#ended;
    return ended !== undefined && mono < ended.at + this.#rampMs * Math.sqrt(share) ? ended.failure : undefined;
  }
}
