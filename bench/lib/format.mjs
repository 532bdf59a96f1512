export function duration(ns) {
  if (ns < 0) return `-${duration(-ns)}`;
  // Rounded up, a little less than a unit is the next one.
  if (ns < 999.5) return `${ns.toFixed(0)} ns`;
  if (ns < 999_950) return `${(ns / 1e3).toFixed(ns < 9_995 ? 2 : 1)} µs`;
  if (ns < 999_950_000) return `${(ns / 1e6).toFixed(1)} ms`;
  return `${(ns / 1e9).toFixed(2)} s`;
}

export const times = ({ value, low, high }) =>
  low === undefined ? value.toFixed(2) : `${value.toFixed(2)} (${low.toFixed(2)} to ${high.toFixed(2)})`;
