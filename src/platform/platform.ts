import type { Dispatcher } from '../transport/undici.js';
import type { Transport, TransportSettings } from '../transport/transport.js';
import type { TransportProblem } from '../transport/problems.js';

/** A map that forgets what has gone unused for longest. */
interface Lru<K, V> {
  readonly size: number;
  get(key: K): V | undefined;
  /** Finds without counting that as a use. */
  peek(key: K): V | undefined;
  set(key: K, value: V): unknown;
  delete(key: K): boolean;
  clear(): void;
  /** In no order that one may count on. */
  forEach(visit: (value: V, key: string) => void): void;
}

/**
 * What differs by runtime: each module beside this one exports all of it, and package.json's `imports` picks one. What
 * several modules of the build hold becomes a file of its own there, so these hold what they need of the core twice.
 */
export interface Platform {
  /** SHA-256 as 32 characters, one for each byte; synchronous. */
  sha256(text: string): string;
  /** Holds `max` entries at the most. */
  readonly LRUCache: new <K extends string, V extends string | number | boolean | object>(options: {
    readonly max: number;
  }) => Lru<K, V>;
  /** How requests go out where the caller brings no way of their own: by something better than the global `fetch`. */
  readonly ownTransport: ((settings: TransportSettings) => Transport) | undefined;
  /** How requests go through a dispatcher of undici's, where there can be one. */
  readonly viaDispatcher: ((verifyUrl: string, open: () => Dispatcher | Promise<Dispatcher>) => Transport) | undefined;
  /** What the code of an error says, where it is more than a lost connection. */
  explain(code: string): TransportProblem | undefined;
  /** An environment variable, where there are any and they may be read. */
  env(name: string): string | undefined;
  /** Whether a promise that one request made may be awaited by another, and outlives the first. */
  readonly sharesPromises: boolean;
}
