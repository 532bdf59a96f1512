import type { Rejected, Verified } from '../core/result.js';
import type { StoredSelector } from '../core/selector.js';
import { isBefore, type Positions } from '../fleet/revocation.js';

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
  /** Where the streams of revocations stood for the other process. */
  readonly positions: Positions;
}

/** Something that invalidates what was asked for before it. */
export interface Invalidation {
  /** Its position in the log of this process. */
  readonly position: number;
  /** When this process learned of it, on the monotonic clock. */
  readonly mono: number;
  /** Where it stands in a stream; `undefined` for an invalidation by this process alone. */
  readonly stream?: { readonly source: string; readonly position: string } | undefined;
}

/** The latest invalidations of one selector. What was asked for before one of them is invalidated. */
class Watermark {
  #position = 0;
  /** By this process alone. */
  #mono = -Infinity;
  readonly #streams = new Map<string, { readonly position: string; readonly mono: number }>();

  /** Returns whether it is new: a stream may deliver twice. */
  raise({ position, mono, stream }: Invalidation): boolean {
    if (stream === undefined) this.#mono = Math.max(this.#mono, mono);
    else {
      const known = this.#streams.get(stream.source);
      if (known !== undefined && !isBefore(known.position, stream.position)) return false;
      this.#streams.set(stream.source, { position: stream.position, mono });
    }
    this.#position = Math.max(this.#position, position);
    return true;
  }

  include(other: Watermark): void {
    this.#position = Math.max(this.#position, other.#position);
    this.#mono = Math.max(this.#mono, other.#mono);
    for (const [source, { position, mono }] of other.#streams)
      this.raise({ position: this.#position, mono, stream: { source, position } });
  }

  isAfter(asked: AskedAt): boolean {
    if (typeof asked === 'number') return asked < this.#position;
    if (asked.mono <= this.#mono) return true;
    for (const [source, { position, mono }] of this.#streams) {
      const known = asked.positions[source];
      if (known === undefined ? asked.mono <= mono : isBefore(known, position)) return true;
    }
    return false;
  }
}

const MAX_SELECTORS = 16_384;

/**
 * What was invalidated, by this process or by a stream of revocations, so that an answer that was asked for before is not
 * taken for a new one. The log is bounded: what was asked for before an invalidation that was dropped counts as invalidated.
 */
export class InvalidationLog {
  readonly #watermarks = new Map<string, Watermark>();
  readonly #floor = new Watermark();

  /** Returns whether it is new. */
  add(selector: StoredSelector | 'all', invalidation: Invalidation): boolean {
    if (selector === 'all') return this.#floor.raise(invalidation);
    const id = idOf(selector);
    const watermark = this.#watermarks.get(id) ?? new Watermark();
    const isNew = watermark.raise(invalidation);
    // Moved to the end: the one that was raised longest ago is dropped first.
    this.#watermarks.delete(id);
    this.#watermarks.set(id, watermark);
    if (this.#watermarks.size > MAX_SELECTORS) this.#dropOldest();
    return isNew;
  }

  /** Whether a verdict that was asked for then has been invalidated since. */
  invalidatedSince(asked: AskedAt, fingerprint: string, result: Verified<unknown> | Rejected): boolean {
    if (this.#floor.isAfter(asked) || this.#isAfter({ fingerprint }, asked)) return true;
    if (this.#watermarks.size === 0 || !result.valid) return false;
    const { keyId, client, tenant } = result;
    return (
      (keyId !== undefined && this.#isAfter({ keyId }, asked)) ||
      this.#isAfter({ client }, asked) ||
      this.#isAfter({ tenant }, asked)
    );
  }

  #isAfter(selector: StoredSelector, asked: AskedAt): boolean {
    return this.#watermarks.get(idOf(selector))?.isAfter(asked) === true;
  }

  #dropOldest(): void {
    for (const [id, watermark] of this.#watermarks) {
      this.#floor.include(watermark);
      this.#watermarks.delete(id);
      return;
    }
  }
}

/** A name and a value as one text. */
function idOf(selector: StoredSelector): string {
  const [[name, value] = []] = Object.entries(selector);
  return `${String(name)}:${String(value)}`;
}
