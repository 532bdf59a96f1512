import { hash } from 'node:crypto';

import { fromHex } from '../fingerprint.js';
import type { Platform } from './platform.js';

export { env } from './env.js';

/** Deno takes longer for a string of bytes than for hexadecimal digits and the way back. */
export const sha256: Platform['sha256'] =
  'Deno' in globalThis ? (text) => fromHex(hash('sha256', text, 'hex')) : (text) => hash('sha256', text, 'binary');

export const defaultTransport: Platform['defaultTransport'] = (_settings, ways) => ways.globalFetchTransport();

export const sharesPromises: Platform['sharesPromises'] = true;
