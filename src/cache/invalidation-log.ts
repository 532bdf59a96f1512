import type { Rejected, Verified } from '../core/result.js';
import type { StoredSelector } from '../core/selector.js';

/** Whether a selector selects the verdict on this fingerprint. */
export function selects(selector: StoredSelector, fingerprint: string, result: Verified<unknown> | Rejected): boolean {
  if ('fingerprint' in selector) return selector.fingerprint === fingerprint;
  if (!result.valid) return false;
  if ('keyId' in selector) return selector.keyId === result.keyId;
  if ('client' in selector) return selector.client === result.client;
  return selector.tenant === result.tenant;
}

const MAX_LOGGED = 1024;

/**
 * What was invalidated, in order, so that an answer that was on its way meanwhile is not cached.
 * The log is bounded: an answer that set out before its first entry counts as invalidated.
 */
export class InvalidationLog {
  #position = 0;
  #first = 0;
  readonly #log: { readonly position: number; readonly selector: StoredSelector }[] = [];

  /** Where the log stands now. */
  get position(): number {
    return this.#position;
  }

  add(selector: StoredSelector): void {
    this.#log.push({ position: ++this.#position, selector });
    if (this.#log.length <= MAX_LOGGED) return;
    this.#log.shift();
    this.#first++;
  }

  /** Invalidates everything that is on its way. */
  addAll(): void {
    this.#first = ++this.#position;
    this.#log.length = 0;
  }

  /** Whether a verdict that was asked for at `position` has been invalidated since. */
  invalidatedSince(position: number, fingerprint: string, result: Verified<unknown> | Rejected): boolean {
    if (position < this.#first) return true;
    return this.#log.some((entry) => entry.position > position && selects(entry.selector, fingerprint, result));
  }
}
