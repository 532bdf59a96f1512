import type * as Crypto from 'node:crypto';

import { fromHex } from '../core/fingerprint.js';
import type { Platform } from './platform.js';

export { diagnosticsObserver } from './channels.js';
export { env } from './env.js';

let loaded: typeof Crypto | undefined;

/** Not at import, a third of which it would be. */
const crypto = (): typeof Crypto => (loaded ??= process.getBuiltinModule('node:crypto'));

/** Deno takes longer for a string of bytes than for hexadecimal digits and the way back. */
export const sha256: Platform['sha256'] =
  'Deno' in globalThis
    ? (text) => fromHex(crypto().hash('sha256', text, 'hex'))
    : (text) => crypto().hash('sha256', text, 'binary');

export const sharesPromises: Platform['sharesPromises'] = true;
