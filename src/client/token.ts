import { VerifyFailure } from '../core/failure.js';
import { redactError } from '../core/redact.js';
import { isHeaderValue, type TokenSource } from '../core/token.js';

/** A caller's key may be why the key server answers 401: it makes us fetch so many tokens at once, then one a second. */
const RENEWALS_AT_ONCE = 5;
const RENEWAL_INTERVAL_MS = 1000;

/** Fetches the service token once, and again when the key server no longer takes it. */
export class ServiceToken {
  readonly #source: TokenSource;
  #token: string | undefined;
  /** The last one that was fetched, even if it was refused. */
  #latest = '';
  #pending: Promise<string> | undefined;
  /** Until when the renewals so far are paid for, at one a second, on the monotonic clock. */
  #renewalsUntil = -Infinity;

  constructor(source: TokenSource) {
    this.#source = source;
    if (typeof source === 'string') this.#token = source;
  }

  /** Whether asking again may give another one. */
  get renewable(): boolean {
    return typeof this.#source === 'function';
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

  /** Drops the token that was refused, unless it has been renewed already. Returns whether there may be another one now. */
  refuse(token: string, mono: number): boolean {
    if (!this.renewable) return false;
    if (this.#token !== token) return true;
    if (this.#renewalsUntil - mono > (RENEWALS_AT_ONCE - 1) * RENEWAL_INTERVAL_MS) return false;
    this.#renewalsUntil = Math.max(this.#renewalsUntil, mono) + RENEWAL_INTERVAL_MS;
    this.#token = undefined;
    return true;
  }

  async #call(): Promise<string> {
    const token = await this.#given();
    if (isHeaderValue(token)) return (this.#latest = token);
    throw new TypeError('expected a string of visible characters');
  }

  async #given(): Promise<unknown> {
    try {
      return typeof this.#source === 'function' ? await this.#source() : this.#source;
    } catch (error) {
      // It may say which token could not be renewed.
      throw redactError(error, [this.#latest]);
    }
  }
}
