const INTERVAL_MS = 60_000;

/** How many texts of one kind pass in a minute: callers may bring about any number of them. */
const MOST_TEXTS = 3;

/** Lets one of each kind pass in a minute, such as a line of the log; with texts that differ, three. */
export class Throttle<Kind> {
  readonly #kinds = new Map<Kind, { readonly until: number; held: number; readonly texts: Set<string> }>();

  /** How many of this kind were held back since the last that passed; `undefined` if this one is held back, too. */
  pass(kind: Kind, mono: number, text = ''): number | undefined {
    const last = this.#kinds.get(kind);
    if (last !== undefined && mono < last.until) {
      if (last.texts.size < MOST_TEXTS && last.texts.size < last.texts.add(text).size) return 0;
      last.held++;
      return undefined;
    }
    this.#kinds.set(kind, { until: mono + INTERVAL_MS, held: 0, texts: new Set([text]) });
    return last?.held ?? 0;
  }
}
