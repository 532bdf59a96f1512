import type { Platform } from './platform.js';

export { diagnosticsObserver, env, sha256 } from './web.js';

/** Here a promise dies with the request that made it, and throws when another request awaits it. */
export const sharesPromises: Platform['sharesPromises'] = false;
