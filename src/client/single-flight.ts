import type { Instant } from '../core/clock.js';
import type { AskEvent } from '../core/events.js';

/** Told when the first request is sent. */
export type OnSent = (at: Instant) => void;

/** A question that is being asked. Its outcome never rejects. */
export class Flight<Outcome> {
  /** When the first request was sent; `undefined` until then. */
  sentAt: Instant | undefined;
  /** What observers are told of it. */
  readonly event: AskEvent;
  readonly outcome: Promise<Outcome>;

  constructor(event: AskEvent, ask: (onSent: OnSent) => Promise<Outcome>) {
    this.event = event;
    this.outcome = ask((at) => {
      this.sentAt = at;
    });
  }
}

/** One flight for each fingerprint. A caller who leaves doesn't end it for the others. */
export class SingleFlight<Outcome> {
  readonly #flights = new Map<string, Flight<Outcome>>();
  #underWay = 0;
  readonly #waiting: (() => void)[] = [];

  get(fingerprint: string): Flight<Outcome> | undefined {
    return this.#flights.get(fingerprint);
  }

  /** The flight whose answer is fresh enough: its first request was sent less than `maxAgeMs` before `mono`, or will be. */
  toJoin(fingerprint: string, mono: number, maxAgeMs = Infinity): Flight<Outcome> | undefined {
    const flight = this.#flights.get(fingerprint);
    return flight?.sentAt === undefined || mono - flight.sentAt.mono < maxAgeMs ? flight : undefined;
  }

  /** Starts a flight; where promises can't be shared, nobody will find it. */
  start(
    fingerprint: string,
    event: AskEvent,
    ask: (onSent: OnSent) => Promise<Outcome>,
    shares: boolean,
  ): Flight<Outcome> {
    const flight = new Flight(event, ask);
    if (!shares) return flight;
    this.#flights.set(fingerprint, flight);
    this.track(flight.outcome, () => {
      // Only itself: a newer flight may have taken its place.
      if (this.#flights.get(fingerprint) === flight) this.#flights.delete(fingerprint);
    });
    return flight;
  }

  /** Lets later callers start anew, for one fingerprint or for all, while those who wait keep waiting. */
  detach(fingerprint?: string): void {
    if (fingerprint === undefined) this.#flights.clear();
    else this.#flights.delete(fingerprint);
  }

  /** Makes `settled()` wait for this work, which nobody else may wait for. */
  track(work: Promise<unknown>, done?: () => void): void {
    this.#underWay++;
    void work.then(() => {
      done?.();
      this.#underWay--;
      if (this.#underWay > 0) return;
      for (const tell of this.#waiting.splice(0)) tell();
    });
  }

  /** Waits until nothing is under way. */
  async settled(): Promise<void> {
    if (this.#underWay > 0) await new Promise<void>((resolve) => void this.#waiting.push(resolve));
  }
}
