import type { Rejected, Verified } from '../core/result.js';
import type { StoredSelector } from '../core/selector.js';
import { isBefore, type StreamPosition } from '../fleet/position.js';

/** Whether a selector selects the verdict on this fingerprint. */
export function selects(selector: StoredSelector, fingerprint: string, result: Verified<unknown> | Rejected): boolean {
  if ('fingerprint' in selector) return selector.fingerprint === fingerprint;
  if (!result.valid) return false;
  if ('keyId' in selector) return selector.keyId === result.keyId;
  if ('client' in selector) return selector.client === result.client;
  return selector.tenant === result.tenant;
}

/** When a verdict was asked for: by this process, at a position of its log; or by another one. */
export type AskedAt = number | SharedAskedAt;

/** When another process asked, by what this one can know of it. */
interface SharedAskedAt {
  /** The latest moment on the monotonic clock of this process at which it can have been. */
  readonly mono: number;
  /** Where the streams of revocations stood for the other process, as far as this one can tell. */
  readonly positions: Readonly<Record<string, StreamPosition>>;
}

/** Something that invalidates what was asked for before it. */
export interface Invalidation {
  /** Its position in the log of this process. */
  readonly position: number;
  /** When this process learned of it, on the monotonic clock. */
  readonly mono: number;
  /** Where it stands in a stream; `undefined` for an invalidation by this process alone. */
  readonly stream?: (StreamPosition & { readonly source: string }) | undefined;
}

/** The latest invalidations of one selector. What was asked for before one of them is invalidated. */
class Watermark {
  #position = 0;
  /** By this process alone. */
  #mono = -Infinity;
  readonly #streams = new Map<string, StreamPosition & { readonly mono: number }>();

  /** Returns whether it is new: a stream may deliver twice. */
  raise({ position, mono, stream }: Invalidation): boolean {
    if (stream === undefined) this.#mono = Math.max(this.#mono, mono);
    else {
      const known = this.#streams.get(stream.source);
      if (known?.gaps === stream.gaps && !isBefore(known.position, stream.position)) return false;
      this.#streams.set(stream.source, { position: stream.position, gaps: stream.gaps, mono });
    }
    this.#position = Math.max(this.#position, position);
    return true;
  }

  include(other: Watermark): void {
    this.#position = Math.max(this.#position, other.#position);
    this.#mono = Math.max(this.#mono, other.#mono);
    for (const [source, mark] of other.#streams) {
      const known = this.#streams.get(source);
      const isLater = known === undefined || known.gaps < mark.gaps;
      if (isLater || (known.gaps === mark.gaps && isBefore(known.position, mark.position)))
        this.#streams.set(source, mark);
    }
  }

  isAfter(asked: AskedAt): boolean {
    if (typeof asked === 'number') return asked < this.#position;
    if (asked.mono <= this.#mono) return true;
    for (const [source, { position, gaps, mono }] of this.#streams) {
      const known = asked.positions[source];
      if (known?.gaps === gaps ? isBefore(known.position, position) : asked.mono <= mono) return true;
    }
    return false;
  }
}

const MAX_SELECTORS = 16_384;

/** By the values of one field of a verdict. */
type Watermarks = Map<string, Watermark>;

/**
 * What was invalidated, by this process or by a stream of revocations, so that an answer that was asked for before is not
 * taken for a new one. The log is bounded: what was asked for before an invalidation that was dropped counts as invalidated.
 */
export class InvalidationLog {
  readonly #fingerprints: Watermarks = new Map();
  readonly #keyIds: Watermarks = new Map();
  readonly #clients: Watermarks = new Map();
  readonly #tenants: Watermarks = new Map();
  /** All of them, the one that was raised longest ago first. */
  readonly #order = new Map<Watermark, { readonly watermarks: Watermarks; readonly value: string }>();
  readonly #floor = new Watermark();

  /** Returns whether it is new. */
  add(selector: StoredSelector | 'all', invalidation: Invalidation): boolean {
    if (selector === 'all') return this.#floor.raise(invalidation);
    const place = this.#placeOf(selector);
    const { watermarks, value } = place;
    const watermark = watermarks.get(value) ?? new Watermark();
    const isNew = watermark.raise(invalidation);
    watermarks.set(value, watermark);
    // Moved to the end.
    this.#order.delete(watermark);
    this.#order.set(watermark, place);
    if (this.#order.size > MAX_SELECTORS) this.#dropOldest();
    return isNew;
  }

  /** Whether a verdict that was asked for then has been invalidated since. */
  invalidatedSince(asked: AskedAt, fingerprint: string, result: Verified<unknown> | Rejected): boolean {
    if (this.#floor.isAfter(asked)) return true;
    if (this.#order.size === 0) return false;
    if (this.#fingerprints.get(fingerprint)?.isAfter(asked) === true) return true;
    if (!result.valid) return false;
    const { keyId, client, tenant } = result;
    return (
      (keyId !== undefined && this.#keyIds.get(keyId)?.isAfter(asked) === true) ||
      this.#clients.get(client)?.isAfter(asked) === true ||
      this.#tenants.get(tenant)?.isAfter(asked) === true
    );
  }

  #placeOf(selector: StoredSelector): { readonly watermarks: Watermarks; readonly value: string } {
    if ('fingerprint' in selector) return { watermarks: this.#fingerprints, value: selector.fingerprint };
    if ('keyId' in selector) return { watermarks: this.#keyIds, value: selector.keyId };
    if ('client' in selector) return { watermarks: this.#clients, value: selector.client };
    return { watermarks: this.#tenants, value: selector.tenant };
  }

  #dropOldest(): void {
    for (const [watermark, { watermarks, value }] of this.#order) {
      this.#floor.include(watermark);
      this.#order.delete(watermark);
      watermarks.delete(value);
      return;
    }
  }
}
