import { lazy } from '../core/lazy.js';
import type { WireResponse } from '../transport/transport.js';

const utf8 = lazy(() => new TextDecoder('utf-8', { fatal: true }));

const MOST_SHOWN = 64;

/** The JSON of a response, or in a few words what it is instead. */
export function parseJson(response: WireResponse): { readonly value: unknown } | string {
  const type = response.header('content-type') ?? '';
  if (!/^application\/(?:[\w.+-]+\+)?json\b/i.test(type))
    // Whole or not at all: it may repeat a secret, and a part of one is not recognized.
    return `content-type ${type.length > MOST_SHOWN ? 'too long' : type || 'none'}, not application/json`;
  try {
    const value: unknown = JSON.parse(utf8().decode(response.body));
    return { value };
  } catch {
    return 'broken JSON';
  }
}
