/** Where a stream stood, by the name of its source. */
export type Positions = Readonly<Record<string, string>>;

/** A position in a stream. */
export interface StreamPosition {
  readonly position: string;
  /** How many gaps had been found in the stream: between two of them, positions say what came first. Else the time does. */
  readonly gaps: number;
}

/** As many digits as 64 bits can have, and no leading zeros: so numbers compare by length and text. */
const POSITION = /^(?:0|[1-9]\d{0,19})(?:-(?:0|[1-9]\d{0,19})){1,2}$/;

/** The position of a process that has read nothing yet: in no generation of any stream. */
export const NOWHERE = '0-0';

export const isPosition = (value: unknown): value is string => typeof value === 'string' && POSITION.test(value);

/** The generation of the stream to which a position belongs. */
export const generationOf = (position: string): string => position.slice(0, position.indexOf('-'));

/** Whether a position comes before another one. Also `true` if they can't be compared, which takes the same generation. */
export function isBefore(position: string, other: string): boolean {
  if (!isPosition(position) || !isPosition(other)) return true;
  const [generation, ...numbers] = position.split('-');
  const [otherGeneration, ...others] = other.split('-');
  if (generation !== otherGeneration) return true;
  const at = others.findIndex((number, i) => number !== numbers[i]);
  const [number = '', than = ''] = [numbers[at], others[at]];
  return number.length === than.length ? number < than : number.length < than.length;
}
