import type { Rejected, Verified } from '../core/result.js';

/** Which verdicts to forget. */
export type Selector =
  | { readonly key: string }
  | { readonly fingerprint: string }
  | { readonly keyId: string }
  | { readonly client: string }
  | { readonly tenant: string };

/** A selector in the only form that is kept: a key is replaced by its fingerprint. */
export type StoredSelector = Exclude<Selector, { readonly key: string }>;

export function selects(selector: StoredSelector, fingerprint: string, verdict: Verified<unknown> | Rejected): boolean {
  if ('fingerprint' in selector) return selector.fingerprint === fingerprint;
  if (!verdict.valid) return false;
  if ('keyId' in selector) return selector.keyId === verdict.keyId;
  if ('client' in selector) return selector.client === verdict.client;
  return selector.tenant === verdict.tenant;
}

const MAX_LOGGED = 1024;

/**
 * What was invalidated, and when, so that an answer that was on its way meanwhile is not remembered.
 * The log is bounded: past its end, every answer that set out before it counts as overtaken.
 */
export class InvalidationLog {
  #now = 0;
  #floor = 0;
  readonly #log: { readonly generation: number; readonly selector: StoredSelector }[] = [];

  get position(): number {
    return this.#now;
  }

  invalidate(selector: StoredSelector): void {
    this.#log.push({ generation: ++this.#now, selector });
    if (this.#log.length <= MAX_LOGGED) return;
    // The log has no gaps, so the one that goes is the next after the floor.
    this.#log.shift();
    this.#floor++;
  }

  clear(): void {
    this.#floor = ++this.#now;
    this.#log.length = 0;
  }

  invalidatedSince(since: number, fingerprint: string, verdict: Verified<unknown> | Rejected): boolean {
    if (since < this.#floor) return true;
    return this.#log.some(({ generation, selector }) => generation > since && selects(selector, fingerprint, verdict));
  }
}
