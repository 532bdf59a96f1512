const HEADER_NAME = /^[\w!#$%&'*+.^`|~-]+$/;

/** Whether this can be sent as the name of a header, RFC 9110 5.1. */
export const isHeaderName = (value: unknown): value is string => typeof value === 'string' && HEADER_NAME.test(value);

/**
 * Whether this can be sent as the value of a header: visible ASCII, and spaces between. Not by a RegExp, since the engine
 * would keep the token as RegExp.input.
 */
export function isHeaderValue(value: unknown): value is string {
  if (typeof value !== 'string' || value === '' || value.startsWith(' ') || value.endsWith(' ')) return false;
  for (let at = 0; at < value.length; at++) if (!isPrintable(value.charCodeAt(at))) return false;
  return true;
}

const isPrintable = (code: number): boolean => code >= 0x20 && code <= 0x7e;
