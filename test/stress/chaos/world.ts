import { phases, type Phase } from './plan.js';
import { AFTERMATH_MS, RECOVERY, type Attack } from './wire.js';

interface Fault {
  /** `undefined`: all of them. */
  readonly verifier: number | undefined;
  readonly from: number;
  to: number;
  readonly kind: FaultKind;
}

/** An outage for everybody; something that may be one for somebody; answers that are no verdicts, which is no outage. */
export type FaultKind = 'outage' | 'partial' | 'answer';

/** What was done to servers and lines, and when: by the plan, and as it came about. */
export class World {
  /** When the servers' process lacked a processor: they were out then, although the plan says nothing. */
  readonly stalls: number[] = [];
  readonly #phases: readonly Phase[];
  readonly #faults: Fault[] = [];
  #startedAt = Infinity;

  constructor(seed: number, seconds: number) {
    this.#phases = phases(seed, seconds);
  }

  begin(): number {
    this.#startedAt = Date.now();
    return this.#startedAt;
  }

  /** Notes a fault; the function that is returned notes its end. */
  fault(verifier: number | undefined, kind: FaultKind): () => void {
    const fault = { verifier, from: Date.now(), to: Infinity, kind };
    this.#faults.push(fault);
    return () => {
      fault.to = Date.now();
    };
  }

  /** Whether everything has been well for so long that every key must get its verdict. */
  isCalm(verifier: number, from: number, to: number): boolean {
    const phase = this.#phaseAt(from);
    if (phase === undefined || from - this.#startedAt < phase.calmFromMs) return false;
    return to - this.#startedAt < phase.endMs && !this.isStalled(from, to) && !this.hadFault(verifier, from, to);
  }

  isStalled(from: number, to: number): boolean {
    return this.stalls.some((at) => at > from - AFTERMATH_MS && at - AFTERMATH_MS < to);
  }

  /** Whether there was an outage between the two times, or so shortly before that a verifier may not have recovered. */
  hadOutage(verifier: number, from: number, to: number): boolean {
    return this.#had(verifier, from, to, ({ kind }) => kind !== 'answer');
  }

  hadFault(verifier: number, from: number, to: number): boolean {
    return this.#had(verifier, from, to, () => true);
  }

  /** When the outage for everybody began that lasted all the time between the two. */
  outageAt(from: number, to: number): number | undefined {
    const outage = this.#faults.findLast(({ kind }) => kind === 'outage');
    return outage !== undefined && outage.from <= from && outage.to >= to ? outage.from : undefined;
  }

  /** Whether nobody is answered at all in the outage of this time. */
  isHangAt(at: number): boolean {
    const phase = this.#phaseAt(at);
    return phase?.kind === 'outage' && phase.fault === 'black-hole';
  }

  attackAt(verifier: number, at: number): Attack | undefined {
    const phase = this.#phaseAt(at);
    return phase?.kind === 'siege' && at - this.#startedAt < phase.toMs ? phase.attacks[verifier] : undefined;
  }

  #phaseAt(at: number): Phase | undefined {
    const ms = at - this.#startedAt;
    return this.#phases.find(({ fromMs, endMs }) => ms >= fromMs && ms < endMs);
  }

  #had(verifier: number, from: number, to: number, counts: (fault: Fault) => boolean): boolean {
    return this.#faults.some(
      (fault) =>
        counts(fault) &&
        (fault.verifier ?? verifier) === verifier &&
        fault.from <= to &&
        fault.to + (fault.to - fault.from > RECOVERY.LONG_MS ? RECOVERY.longMs : RECOVERY.shortMs) >= from,
    );
  }
}
