import type { Clock } from '../core/clock.js';
import type { Breaker } from './breaker.js';

type Probed = Pick<Breaker<unknown>, 'state' | 'probeAt' | 'beginProbe'>;

/** Probes in the background for as long as a breaker is open. */
export class ProbeTimer {
  readonly #clock: Clock;
  readonly #breaker: Probed;
  readonly #probe: () => void;
  #cancel: (() => void) | undefined;

  constructor(clock: Clock, breaker: Probed, probe: () => void) {
    this.#clock = clock;
    this.#breaker = breaker;
    this.#probe = probe;
  }

  /** Called when the breaker opens. */
  start(): void {
    this.stop();
    const breaker = this.#breaker;
    const probe = (): void => {
      if (breaker.state === 'closed') return;
      breaker.beginProbe(this.#clock.monotonic());
      this.#probe();
      this.start();
    };
    this.#cancel = this.#clock.after(Math.max(0, breaker.probeAt - this.#clock.monotonic()), probe, true);
  }

  stop(): void {
    this.#cancel?.();
  }
}
