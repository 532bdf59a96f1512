import { sha256 as digest } from '@noble/hashes/sha2.js';
import { utf8ToBytes } from '@noble/hashes/utils.js';

import type { Platform } from './platform.js';

export { env } from './env.js';

/** In JavaScript: `crypto.subtle` is asynchronous, and absent on insecure origins. */
export const sha256: Platform['sha256'] = (text) => String.fromCharCode(...digest(utf8ToBytes(text)));

export const defaultTransport: Platform['defaultTransport'] = (_settings, ways) => ways.globalFetchTransport();

export const sharesPromises: Platform['sharesPromises'] = true;
