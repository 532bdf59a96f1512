import type { Clock } from '../core/clock.js';
import type { Breaker } from './breaker.js';

type Probed = Pick<Breaker<unknown>, 'state' | 'openedAt' | 'probeAt' | 'beginProbe'>;

/** Probes in the background for as long as a breaker is open; a probe is told for how many milliseconds it has been. */
export class ProbeTimer {
  readonly #clock: Clock;
  readonly #breaker: Probed;
  readonly #probe: (openMs: number) => void;
  #cancel: (() => void) | undefined;

  constructor(clock: Clock, breaker: Probed, probe: (openMs: number) => void) {
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
      const mono = this.#clock.monotonic();
      breaker.beginProbe(mono);
      this.#probe(mono - breaker.openedAt);
      this.start();
    };
    this.#cancel = this.#clock.after(Math.max(0, breaker.probeAt - this.#clock.monotonic()), probe, true);
  }

  stop(): void {
    this.#cancel?.();
  }
}
