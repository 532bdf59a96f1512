import type { Pool } from 'undici';

import { dispatcherTransport } from '../transport/undici.js';
import type { Platform } from './platform.js';

export { LRUCache, env, explain, sha256, sharesPromises, viaDispatcher } from './server.js';

/** Under the 5 s after which many servers close an idle connection, so that none is closed with a request on its way. */
const KEEP_ALIVE_MS = 4000;

/** A pool of keep-alive connections, one for each question that may be asked at once. */
export const ownTransport: Platform['ownTransport'] = ({ verifyUrl, maxConcurrency, timeoutMs }) => {
  let pool: Pool | Promise<Pool> | undefined;

  const load = async (): Promise<Pool> => {
    // Not at import: undici takes longer to load than all the rest, and not everybody asks.
    const undici = await import('undici').catch((error: unknown) => {
      pool = undefined;
      // Not as its cause, whose code would be taken for this one's.
      throw Object.assign(new Error(`undici can not be loaded: ${String(error)}`), { code: 'TRANSPORT_NOT_LOADED' });
    });
    pool = new undici.Pool(new URL(verifyUrl).origin, {
      connections: maxConcurrency,
      pipelining: 1,
      keepAliveTimeout: KEEP_ALIVE_MS,
      allowH2: false,
      connect: { timeout: timeoutMs },
    });
    return pool;
  };
  const open = (): Pool | Promise<Pool> => (pool ??= load());

  return {
    ...dispatcherTransport(verifyUrl, open),
    async warmUp() {
      await open();
    },
    async close() {
      await (await pool)?.destroy();
    },
  };
};
