import type { Platform } from './platform.js';

export { LRUCache, env, explain, ownTransport, sha256, viaDispatcher } from './web.js';

/** Here a promise dies with the request that made it, and throws when another request awaits it. */
export const sharesPromises: Platform['sharesPromises'] = false;
