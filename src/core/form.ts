/** What `encodeURIComponent` leaves as it is, or writes in another way. */
const DIFFERENT = [
  ['%20', '+'],
  ['!', '%21'],
  ["'", '%27'],
  ['(', '%28'],
  [')', '%29'],
  ['~', '%7E'],
] as const;

const isLetter = (code: number): boolean => (code | 0x20) >= 0x61 && (code | 0x20) <= 0x7a;
const isDigit = (code: number): boolean => code >= 0x30 && code <= 0x39;

/**
 * Whether there are only letters, digits and `-._*`, which stay as they are: nearly all keys and tokens are of those. Not by a
 * RegExp: the engine would keep the text, as its input.
 */
export function isUnreserved(text: string): boolean {
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (!isLetter(code) && !isDigit(code) && code !== 0x2d && code !== 0x2e && code !== 0x5f && code !== 0x2a)
      return false;
  }
  return true;
}

/**
 * Encodes a text as a value of `application/x-www-form-urlencoded`. Not by a RegExp, since the engine would keep the text as
 * its input, nor by `URLSearchParams`, which replaces half a surrogate pair.
 */
export function formEncode(text: string): string {
  return DIFFERENT.reduce((encoded, [from, to]) => encoded.replaceAll(from, to), encodeURIComponent(text));
}
