/**
 * Inside, a fingerprint is 32 characters of 8 bits: a map hashes, compares and keeps half as much as of hexadecimal
 * digits. Outside (events, `invalidate`) it is the 64 digits that everybody else calls a SHA-256.
 */
const DIGITS = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'));

export function toHex(fingerprint: string): string {
  let hex = '';
  for (let i = 0; i < fingerprint.length; i++) hex += String(DIGITS[fingerprint.charCodeAt(i)]);
  return hex;
}

export function fromHex(hex: string): string {
  let fingerprint = '';
  for (let i = 0; i < hex.length; i += 2) fingerprint += String.fromCharCode(parseInt(hex.slice(i, i + 2), 16));
  return fingerprint;
}
