/** When the circuit breaker opens, and how often it probes. */
export interface BreakerOptions {
  /** How many failures in a row open it. */
  readonly failureThreshold: number;
  /** The first pauses between two probes, in milliseconds. */
  readonly openMs: number;
  /** The longest pause between two probes, in milliseconds. */
  readonly maxOpenMs: number;
}

/** `closed`: questions are asked. `open`: only a few are. `half-open`: open, and a control question is being asked. */
export type BreakerState = 'closed' | 'open' | 'half-open';
