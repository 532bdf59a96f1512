import type { Clock } from '../core/clock.js';
import type { RevocationGapEvent } from '../core/events.js';
import { isBefore, NOWHERE, type Positions, type StreamPosition } from './position.js';

type GapReason = RevocationGapEvent['reason'];
type TellGap = (reason: GapReason, problem: string | undefined) => void;

/** Where another process stood, as far as that can be compared with where this one stands. */
export interface KnownPositions {
  readonly positions: Readonly<Record<string, StreamPosition>>;
  /** Whether it stood where this process knows of everything that came after it, in each stream. */
  readonly isCurrent: boolean;
}

/** How often gaps are told at most, in milliseconds: one tells of all before it. */
const TELL_GAPS_MS = 1_000;

/** How far a process has read a stream, and the gaps that it has found. */
export class StreamPlace {
  gaps = 0;
  /** When the last gap was found. */
  gapAt = -Infinity;
  readonly #clock: Clock;
  readonly #tell: TellGap;
  #last: string | undefined;
  #isLost = false;
  #begin = { position: NOWHERE, mono: Infinity };
  #toldAt = -Infinity;
  #isToTell = false;
  #cancelTell: () => void = () => undefined;

  constructor(clock: Clock, tell: TellGap) {
    this.#clock = clock;
    this.#tell = tell;
  }

  /** Up to which it has been read; `undefined` if what comes next doesn't follow anything. */
  get position(): string | undefined {
    return this.#isLost ? undefined : this.#last;
  }

  /** Whether what stands at this position has not been read before a gap. */
  isNew(position: string): boolean {
    return this.#last === undefined || isBefore(this.#last, position);
  }

  /** A position in another generation, or further back, is a gap. */
  goTo(position: string): void {
    const from = this.position;
    this.#last = position;
    this.#isLost = false;
    const isGap = from !== undefined && isBefore(position, from);
    if (isGap) this.gap('lost');
    if (isGap || from === undefined) this.beginAt(position);
  }

  /** From here on, nothing is missing. What came before may have been trimmed before this process read the stream. */
  beginAt(position: string): void {
    this.#begin = { position, mono: this.#clock.monotonic() };
  }

  /**
   * Whether all that came after this position is known here; `undefined`: of a process that didn't follow the stream, and asked
   * then on the monotonic clock.
   */
  isKnownSince(position: string | undefined, mono: number): boolean {
    const begin = this.#begin;
    return position === undefined ? mono > begin.mono : !isBefore(position, begin.position);
  }

  /** What comes next doesn't follow what was read last. */
  lose(): void {
    this.#isLost = true;
    this.gap('lost');
  }

  /** What comes next is new, and not to be compared with what came before. `problem`: what is wrong with an event. */
  gap(reason: GapReason, problem?: string): void {
    this.gaps++;
    this.gapAt = this.#clock.monotonic();
    if (this.#isToTell) return;
    this.#isToTell = true;
    const tell = (): void => {
      this.#isToTell = false;
      this.#toldAt = this.#clock.monotonic();
      this.#tell(reason, problem);
    };
    const leftMs = this.#toldAt + TELL_GAPS_MS - this.gapAt;
    if (leftMs <= 0) tell();
    else this.#cancelTell = this.#clock.after(leftMs, tell, true);
  }

  close(): void {
    this.#cancelTell();
  }
}

/**
 * What the positions say here of another process that asked then, on the monotonic clock. Nothing, if a gap has been found
 * since, or if this process has not read so far.
 */
export function comparePositions(
  places: readonly (readonly [source: string, place: StreamPlace])[],
  positions: Positions,
  mono: number,
): KnownPositions {
  const known: [string, StreamPosition][] = [];
  let isCurrent = true;
  for (const [source, place] of places) {
    const { position: own, gaps, gapAt } = place;
    const position = positions[source];
    if (own === undefined) continue;
    if (!place.isKnownSince(position, mono)) isCurrent = false;
    else if (position !== undefined && mono > gapAt && !isBefore(own, position))
      known.push([source, { position, gaps }]);
  }
  return { positions: Object.fromEntries(known), isCurrent };
}
