import { SETTINGS } from './wire.js';

const TICK_MS = 20;
/** A call passes through two processes: where each misses less than this, it still ends in time. */
const LIMIT_MS = SETTINGS.timeoutMs * 0.3;

/** Tells when this process lacks a processor, at once or bit by bit, so that its times prove little. */
export class Pulse {
  readonly #timer: NodeJS.Timeout;
  #late: { readonly at: number; readonly ms: number }[] = [];
  #last = Date.now();

  /** Calls `faint` at every beat at which it has missed too much. */
  constructor(faint: (at: number) => void) {
    this.#timer = setInterval(() => {
      const at = Date.now();
      this.#late = this.#late.filter((beat) => beat.at > at - SETTINGS.timeoutMs);
      this.#late.push({ at, ms: this.#missing(at) });
      this.#last = at;
      if (this.isFaint) faint(at);
    }, TICK_MS);
  }

  /** A beat that is due may not have had its turn yet. */
  get isFaint(): boolean {
    return this.#late.reduce((sum, { ms }) => sum + ms, this.#missing(Date.now())) > LIMIT_MS;
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  #missing(at: number): number {
    return Math.max(0, at - this.#last - TICK_MS);
  }
}
