import type { Observer } from '../core/events.js';

/** What differs by runtime, other than how it reaches a server: each module beside this one exports all of it. */
export interface Platform {
  /** SHA-256 as 32 characters, one for each byte; synchronous. */
  sha256(text: string): string;
  /** An environment variable; `undefined` where there are none or they may not be read. */
  env(name: string): string | undefined;
  /**
   * Whether promises and timers outlive the request that made them, so that other requests may await them: `false` on
   * isolates.
   */
  readonly sharesPromises: boolean;
  /** What publishes events to the runtime's diagnostics channels, where it has any. */
  diagnosticsObserver(): readonly Observer[];
}
