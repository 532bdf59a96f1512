const RFC_3339 =
  /^(\d{4}-\d\d-(\d\d))[Tt ]((?:[01]\d|2[0-3]):[0-5]\d):([0-5]\d|60)(\.\d+)?([Zz]|[+-](?:[01]\d|2[0-3]):[0-5]\d)$/;

/**
 * The end of the year 9999, the last that RFC 3339 can write. Epoch milliseconds that were taken for seconds are past it:
 * the key would outlive its expiry.
 */
const LATEST = Date.UTC(10_000, 0);

export function isPlausibleTime(ms: unknown): ms is number {
  return typeof ms === 'number' && ms < LATEST;
}

const SECOND = 1000;
const DAY = 86_400 * SECOND;

/** Epoch milliseconds, or `NaN`. */
export function parseRfc3339(text: string): number {
  const [, date, day, minute, second, fraction = '', offset = ''] = RFC_3339.exec(text) ?? [];
  // `Date` takes 30 February for 2 March, and is no number without a match.
  if (new Date(`${date}T00:00:00Z`).getUTCDate() !== Number(day)) return NaN;
  if (second !== '60') return Date.parse(`${date}T${minute}:${second}${fraction}${offset.toUpperCase()}`);
  // It knows no leap second either, which is the last one of a day in UTC.
  const ms = Date.parse(`${date}T${minute}:59${fraction}${offset.toUpperCase()}`) + SECOND;
  return ms % DAY < SECOND ? ms : NaN;
}
