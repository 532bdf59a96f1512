const RFC_3339 = /^\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(?:\.\d+)?(?:[Zz]|[+-]\d\d:\d\d)$/;

/** Epoch milliseconds past the year 5138 were milliseconds already, and taken for seconds: the key would outlive its end. */
const LATEST = 1e14;

export function isPlausibleTime(ms: unknown): ms is number {
  return typeof ms === 'number' && ms < LATEST;
}

/** Epoch milliseconds, or `NaN`. */
export function parseRfc3339(text: string): number {
  return RFC_3339.test(text) ? Date.parse(text.replace(' ', 'T').toUpperCase()) : NaN;
}
