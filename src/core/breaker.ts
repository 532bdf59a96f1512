/** When the circuit breaker opens, and how often it probes. */
export interface BreakerOptions {
  /** How many failures in a row open it. Default: 5. */
  readonly failureThreshold: number;
  /** The pause before each of the first probes, in milliseconds. Default: 1 000. */
  readonly openMs: number;
  /** The longest pause between two probes, in milliseconds. Default: 5 000. */
  readonly maxOpenMs: number;
}

/** `closed`: questions are asked. `open`: only a few are. `half-open`: open, and a control question is being asked. */
export type BreakerState = 'closed' | 'open' | 'half-open';
