/** What held of a key from a moment on, until the next entry. */
interface State {
  readonly since: number;
  readonly good: boolean;
  /** When a good key ends by itself. */
  readonly endsAt: number;
}

const NEVER_ISSUED: State = { since: -Infinity, good: false, endsAt: Infinity };

/** Clocks of milliseconds, read in two processes: this much more or less proves nothing. */
const TOLERANCE_MS = 2;

/** What was true of every key, and when. */
export class Truth {
  readonly #states = new Map<number, State[]>();

  note(key: number, good: boolean, endsAt = Infinity): void {
    const states = this.#states.get(key) ?? [NEVER_ISSUED];
    states.push({ since: Date.now(), good, endsAt });
    this.#states.set(key, states);
  }

  /** When the key was revoked or forgotten, if it is bad for that reason and was so at this time. */
  revokedAt(key: number, at: number): number | undefined {
    const last = this.#states.get(key)?.at(-1);
    return last === undefined || last.good || last.since > at ? undefined : last.since;
  }

  /** Whether the key was good at any moment between the two. */
  wasGood(key: number, from: number, to: number): boolean {
    return this.#any(key, from - TOLERANCE_MS, to + TOLERANCE_MS, true);
  }

  /** Whether the key was bad, or not issued yet, at any moment between the two. */
  wasBad(key: number, from: number, to: number): boolean {
    return this.#any(key, from - TOLERANCE_MS, to + TOLERANCE_MS, false);
  }

  #any(key: number, from: number, to: number, good: boolean): boolean {
    const states = this.#states.get(key) ?? [NEVER_ISSUED];
    for (let i = states.length - 1; i >= 0; i--) {
      const state = states[i];
      if (state === undefined) continue;
      const until = states[i + 1]?.since ?? Infinity;
      if (state.since <= to && until >= from) {
        if (good ? state.good && state.endsAt >= from && state.endsAt > state.since : !state.good || state.endsAt <= to)
          return true;
      }
      if (state.since < from) break;
    }
    return false;
  }
}
