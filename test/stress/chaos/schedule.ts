import { phases, type Phase } from './plan.js';

/** The plan by the clock of this process. */
export class Schedule {
  readonly phases: readonly Phase[];
  /** Milliseconds since the epoch. */
  startedAt = Infinity;

  constructor(seed: number, seconds: number) {
    this.phases = phases(seed, seconds);
  }

  get isSiege(): boolean {
    const phase = this.#now;
    return phase?.kind === 'siege' && Date.now() < this.startedAt + phase.toMs;
  }

  /** In the second half of a quiet outage nobody asks, up to the time by which the verifier has to have recovered by itself. */
  get quietMs(): number {
    const phase = this.#now;
    if (phase?.kind !== 'outage' || Date.now() < this.busyUntil(phase) || !phase.quiet) return 0;
    return Math.max(0, this.startedAt + phase.calmFromMs - Date.now());
  }

  /** Up to when hostile callers ask in this phase. */
  busyUntil(phase: Phase): number {
    const toMs = phase.kind === 'outage' && phase.quiet ? (phase.fromMs + phase.toMs) / 2 : phase.toMs;
    return this.startedAt + Math.min(toMs, phase.endMs);
  }

  get #now(): Phase | undefined {
    return this.phases.find(({ endMs }) => Date.now() < this.startedAt + endMs);
  }
}
