/** How much of the rate is left after a failure, as of TCP's window after a loss in CUBIC (RFC 9438). */
const SLOWER = 0.7;

/** Lets something happen a few times a second, evenly spread: more often while it succeeds, but never less often. */
export class Pacer {
  readonly #leastPerSecond: number;
  #perSecond: number;
  #tookAt = -Infinity;

  constructor(perSecond: number) {
    this.#leastPerSecond = perSecond;
    this.#perSecond = perSecond;
  }

  /** With `yields`, only what others have left for twice as long again. */
  tryTake(mono: number, yields?: boolean): boolean {
    if (mono < this.#tookAt + ((yields ? 3 : 1) * 1000) / this.#perSecond) return false;
    this.#tookAt = mono;
    return true;
  }

  speedUp(): void {
    this.#perSecond += this.#leastPerSecond;
  }

  slowDown(): void {
    this.#perSecond = Math.max(this.#perSecond * SLOWER, this.#leastPerSecond);
  }
}
