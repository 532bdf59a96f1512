const MAX_MARKS = 16_384;

/**
 * Keys of which nothing is known but that they were invalidated: made-up ones among them must evict no verdict. The number of
 * marks is bounded; where there would be more, every key of which nothing is known counts as marked.
 */
export class Marks {
  readonly #fingerprints = new Set<string>();
  #areAll = false;

  has(fingerprint: string): boolean {
    return this.#areAll || this.#fingerprints.has(fingerprint);
  }

  add(fingerprint: string): void {
    if (this.#fingerprints.size >= MAX_MARKS && !this.#fingerprints.has(fingerprint)) this.addAll();
    this.#fingerprints.add(fingerprint);
  }

  addAll(): void {
    this.#fingerprints.clear();
    this.#areAll = true;
  }

  /** There is an answer. */
  delete(fingerprint: string): void {
    this.#fingerprints.delete(fingerprint);
  }
}
