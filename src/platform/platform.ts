import type { dispatcherTransport } from '../server/dispatcher.js';
import type { globalFetchTransport } from '../server/fetch.js';
import type { Transport, TransportSettings } from '../server/transport.js';

/**
 * The ways out that the core knows. They are handed in, so that a platform module imports nothing of the core: code that
 * both hold becomes a file of its own in the build, and each file costs time at import.
 */
interface Ways {
  readonly dispatcherTransport: typeof dispatcherTransport;
  readonly globalFetchTransport: typeof globalFetchTransport;
}

/** What differs by runtime: each module beside this one exports all of it, and package.json's `imports` picks one. */
export interface Platform {
  /** SHA-256 as 32 characters, one for each byte; synchronous. */
  sha256(text: string): string;
  /** How requests go out where the caller brings no way of their own. */
  defaultTransport(settings: TransportSettings, ways: Ways): Transport;
  /** An environment variable, where there are any and they may be read. */
  env(name: string): string | undefined;
  /** Whether a promise that one request made may be awaited by another, and outlives the first. */
  readonly sharesPromises: boolean;
}
