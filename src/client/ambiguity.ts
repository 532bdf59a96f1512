/** How many good keys may turn bad by ambiguous responses within the window before such responses are doubted. */
const MAX_TURNED = 2;
const WINDOW_MS = 300_000;

/**
 * A key server that rejects a key by a bare 401 or 404 answers the same when our own token or URL is wrong. One good key
 * that turns bad was revoked; several at once, with no certain verdict in between, are more likely our own mistake.
 */
export class AmbiguousRejections {
  #turned = 0;
  #since = -Infinity;

  /** Whether an ambiguous rejection counts as a verdict. `wasGood`: the cached verdict says that the key is good. */
  isBelieved(wasGood: boolean, mono: number): boolean {
    if (this.#turned <= MAX_TURNED && mono - this.#since > WINDOW_MS) this.#turned = 0;
    if (wasGood && this.#turned <= MAX_TURNED) {
      if (this.#turned === 0) this.#since = mono;
      this.#turned++;
    }
    return this.#turned <= MAX_TURNED;
  }

  /** Told of a verdict that only the right URL gives, and only to a good token: it ends the doubt. */
  recordCertain(): void {
    this.#turned = 0;
  }
}
