/**
 * Lets something happen a few times a second, more often while it succeeds, but never less often. The intervals vary at random:
 * somebody who comes at the pace of even ones would take all of them.
 */
export class Pacer {
  readonly #leastPerSecond: number;
  readonly #random: () => number;
  #perSecond: number;
  #tookAt = -Infinity;

  constructor(perSecond: number, random: () => number) {
    this.#leastPerSecond = perSecond;
    this.#perSecond = perSecond;
    this.#random = random;
  }

  /** With `yields`, only what others have left for twice as long again. */
  tryTake(mono: number, yields?: boolean): boolean {
    const intervalMs = 1000 / this.#perSecond;
    if (mono < this.#tookAt + intervalMs * (yields ? 3 : 1)) return false;
    this.#tookAt = mono + intervalMs * (this.#random() - 0.5);
    return true;
  }

  speedUp(): void {
    this.#perSecond += this.#leastPerSecond;
  }

  /** Lowers the rate, by default to 70 %, as CUBIC lowers TCP's window after a loss (RFC 9438). */
  slowDown(ratio = 0.7): void {
    this.#perSecond = Math.max(this.#perSecond * ratio, this.#leastPerSecond);
  }
}
