import type { Transport, TransportSettings } from '../server/transport.js';

/** What differs by runtime: each module beside this one exports all of it, and package.json's `imports` picks one. */
export interface Platform {
  /** SHA-256 as 32 characters, one for each byte; synchronous. */
  sha256(text: string): string;
  /** How requests go out where the caller brings no way of their own. */
  defaultTransport(settings: TransportSettings): Transport;
  /** An environment variable, where there are any and they may be read. */
  env(name: string): string | undefined;
  /** Whether a promise that one request made may be awaited by another, and outlives the first. */
  readonly sharesPromises: boolean;
}
