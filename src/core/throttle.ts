const INTERVAL_MS = 60_000;

/** Lets one of each kind pass in a minute, such as a line of the log. */
export class Throttle<Kind> {
  readonly #kinds = new Map<Kind, { readonly until: number; held: number }>();

  /** How many of this kind were held back since the last that passed; `undefined` if this one is held back, too. */
  pass(kind: Kind, mono: number): number | undefined {
    const last = this.#kinds.get(kind);
    if (last !== undefined && mono < last.until) {
      last.held++;
      return undefined;
    }
    this.#kinds.set(kind, { until: mono + INTERVAL_MS, held: 0 });
    return last?.held ?? 0;
  }
}
