import type { WireResponse } from '../transport/transport.js';

/**
 * How far our clock is ahead of the server's, in milliseconds. `Date` counts in whole seconds, and so is half a second old on
 * average. In a response from a cache it is older.
 */
export function clockSkewMs(response: WireResponse, wall: number): number | undefined {
  if (response.header('age') !== undefined) return undefined;
  const date = Date.parse(response.header('date') ?? '');
  return Number.isNaN(date) ? undefined : Math.round(wall - date - 500);
}
