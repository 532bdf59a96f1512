import { toHex } from './fingerprint.js';

/** Random, and new each time: a constant key could be blocked, cached or rate-limited. */
export function randomControlKey(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return `keyverify-control-${toHex(String.fromCharCode(...bytes))}`;
}
