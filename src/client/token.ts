import { VerifyFailure } from '../core/failure.js';
import { shown } from '../core/messages.js';
import { redactError } from '../core/redact.js';
import { isHeaderValue } from '../core/header.js';
import type { TokenSource } from '../core/token.js';

/**
 * A caller's key may be why the key server answers 401. Such keys make us fetch a token once a second at most, and ever more
 * rarely, down to once a minute, while the server takes the token from others and a new one helps nobody.
 */
const RENEWAL_INTERVAL_MS = 1000;
const LONGEST_INTERVAL_MS = 60_000;

/** Fetches the service token once, and again when the key server no longer takes it. */
export class ServiceToken {
  readonly #source: TokenSource;
  #token: string | undefined;
  #pending: Promise<string> | undefined;
  /** When the latest renewal began, on the monotonic clock, and how long after it the next one may. */
  #renewedAt = -Infinity;
  #intervalMs = RENEWAL_INTERVAL_MS;
  /** Since when tokens were refused and nobody was answered with the one in hand. */
  #refusedSince: number | undefined;

  constructor(source: TokenSource) {
    this.#source = source;
    if (typeof source === 'string') this.#token = source;
  }

  /** The token in hand, if there is one. */
  get current(): string | undefined {
    return this.#token;
  }

  /** Fetches a token; with `shared`, joins a fetch that is under way. */
  async fetch(shared: boolean): Promise<string> {
    if (shared && this.#pending !== undefined) return await this.#pending;
    const pending = this.#call();
    this.#pending = pending;
    try {
      this.#token = await pending;
      return this.#token;
    } finally {
      this.forget(pending);
    }
  }

  /** An error that may quote the token, without it. */
  readonly redacted = (error: unknown): Error => redactError(error, [this.#token ?? '']);

  /** Fetches a token ahead of the first question. Rejects with a failure that names where it comes from. */
  async warmUp(shared: boolean): Promise<void> {
    try {
      if (this.#token === undefined) await this.fetch(shared);
    } catch (error) {
      throw new VerifyFailure('misconfigured', 'keyverify: serviceToken() failed', { cause: redactError(error, []) });
    }
  }

  /** Gives up on a token that doesn't come, so that the next call asks anew. */
  forget(pending = this.#pending): void {
    if (this.#pending === pending) this.#pending = undefined;
  }

  /** The server took this token. `helped`: for a key for which it had refused another one. */
  accept(token: string, helped: boolean): void {
    if (token !== this.#token) return;
    this.#refusedSince = undefined;
    if (helped) this.#intervalMs = RENEWAL_INTERVAL_MS;
  }

  /**
   * Fetches another token than the one that was refused, which stays in hand until then: others may be answered with it.
   * `undefined` if there may be no other one now.
   */
  renew(refused: string, mono: number, shared: boolean): Promise<string> | undefined {
    if (typeof this.#source === 'string' || this.#token === undefined) return undefined;
    if (refused !== this.#token) return Promise.resolve(this.#token);
    this.#refusedSince ??= mono;
    if (shared && this.#pending !== undefined) return this.#pending;
    const sinceMs = mono - this.#renewedAt;
    // Those that can't share a renewal make their own beside it.
    if (sinceMs < RENEWAL_INTERVAL_MS) return shared ? undefined : this.fetch(false);
    if (sinceMs < this.#intervalMs && mono - this.#refusedSince < RENEWAL_INTERVAL_MS) return undefined;
    this.#renewedAt = mono;
    this.#intervalMs = Math.min(2 * this.#intervalMs, LONGEST_INTERVAL_MS);
    return this.fetch(shared);
  }

  async #call(): Promise<string> {
    const token = await this.#given();
    if (isHeaderValue(token)) return token;
    throw new TypeError(`expected a string of printable ASCII, got ${shown(token, 'printable')}`);
  }

  async #given(): Promise<unknown> {
    try {
      return typeof this.#source === 'function' ? await this.#source() : this.#source;
    } catch (error) {
      // It may say which token could not be renewed.
      throw this.redacted(error);
    }
  }
}
