import { systemClock, type Clock, type Instant } from '../core/clock.js';

/** How long a reported time can be extrapolated, in milliseconds: clocks drift by less than one meanwhile. */
const KNOWN_MS = 1_000;

/** The two clocks of this process run alike to within this, in milliseconds, unless one was set or the machine slept. */
const JUMP_MS = 100;

/** What two times that were told may differ by, in milliseconds and as a part of the time between them. */
const DRIFT_MS = 5;
const DRIFT_RATIO = 0.001;

/** How many times in a row must agree at first, and after two that did not. */
const AGREE_FIRST = 8;
const AGREE_AGAIN = 1_000;

interface Told {
  /** In epoch milliseconds, rounded down. */
  readonly time: number;
  readonly askedAt: Instant;
  /** On the monotonic clock. */
  readonly answeredAt: number;
}

/**
 * The clock of a store, by the times that it told. Where several nodes answer whose clocks differ, the times contradict each
 * other, and it is not known.
 */
export class StoreClock {
  readonly #clock: Clock;
  #told: Told | undefined;
  #toAgree = AGREE_FIRST;

  constructor(clock: Clock = systemClock) {
    this.#clock = clock;
  }

  get isKnown(): boolean {
    return this.timeFor(-Infinity) !== undefined;
  }

  /** A time is about to be asked for. */
  begin(): Instant {
    return { wall: this.#clock.wall(), mono: this.#clock.monotonic() };
  }

  /** The store told its time, asked for at this moment. */
  tell(time: number, askedAt: Instant): void {
    const [before, told] = [this.#told, { time, askedAt, answeredAt: this.#clock.monotonic() }];
    if (before !== undefined) this.#toAgree = agree(before, told) ? Math.max(0, this.#toAgree - 1) : AGREE_AGAIN;
    this.#told = told;
  }

  /**
   * What time it is by that clock, never too early; `undefined` if that isn't known for an entry with this fence. After the
   * time was told that is counted on from, the clock may have been set: an entry that was put later may be older than it looks.
   */
  timeFor(fence: number): number | undefined {
    if (this.#told === undefined || this.#toAgree > 0 || fence > this.#told.time) return undefined;
    const { time, askedAt } = this.#told;
    const ms = this.#clock.monotonic() - askedAt.mono;
    if (ms >= KNOWN_MS || Math.abs(this.#clock.wall() - askedAt.wall - ms) > JUMP_MS) return undefined;
    return time + 1 + ms;
  }
}

/** Whether one clock can have told both: by the monotonic clock, each time was told between question and answer. */
function agree(before: Told, { time, askedAt, answeredAt }: Told): boolean {
  const drift = DRIFT_MS + (answeredAt - before.askedAt.mono) * DRIFT_RATIO;
  const least = askedAt.mono - before.answeredAt - drift;
  const most = answeredAt - before.askedAt.mono + drift;
  return time - before.time >= least && time - before.time <= most;
}
