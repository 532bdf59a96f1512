import { _SHA256 as Sha256 } from '@noble/hashes/sha2.js';

import type { Platform } from './platform.js';

export { env } from './env.js';
export { LRUCache } from './lru.js';

const utf8 = new TextEncoder();

/** In JavaScript: `crypto.subtle` is asynchronous, and absent on insecure origins. */
export const sha256: Platform['sha256'] = (text) =>
  String.fromCharCode(...new Sha256().update(utf8.encode(text)).digest());

export const ownTransport: Platform['ownTransport'] = undefined;

export const viaDispatcher: Platform['viaDispatcher'] = undefined;

export const explain: Platform['explain'] = () => undefined;

export const sharesPromises: Platform['sharesPromises'] = true;
