import { _SHA256 as Sha256 } from '@noble/hashes/sha2.js';

import { lazy } from '../core/lazy.js';
import type { Platform } from './platform.js';

export { env } from './env.js';

/** Not at import: some test environments have no encoder. */
const utf8 = lazy(() => new TextEncoder());

/** In JavaScript: `crypto.subtle` is asynchronous, and absent on insecure origins. */
export const sha256: Platform['sha256'] = (text) =>
  String.fromCharCode(...new Sha256().update(utf8().encode(text)).digest());

export const sharesPromises: Platform['sharesPromises'] = true;

export const diagnosticsObserver: Platform['diagnosticsObserver'] = () => [];
