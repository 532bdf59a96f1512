/** Lets something happen a few times a second, evenly spread. */
export class Pacer {
  readonly #intervalMs: number;
  #nextAt = -Infinity;

  constructor(perSecond: number) {
    this.#intervalMs = 1000 / perSecond;
  }

  tryTake(mono: number): boolean {
    if (mono < this.#nextAt) return false;
    this.#nextAt = mono + this.#intervalMs;
    return true;
  }
}
