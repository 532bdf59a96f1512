import type * as Undici from 'undici';

import { isLoopback } from '../../core/loopback.js';
import { fieldOf } from '../../core/schema.js';
import type { Dispatcher } from '../dispatcher.js';
import type { TransportOptions } from '../transport.js';
import { RenewedPool, type Pool } from './renewed-pool.js';
import { coalescedLookup } from './dns-lookup.js';

/** Under the 5 s after which many servers close an idle connection, so that none is closed with a request in flight. */
const KEEP_ALIVE_MS = 4000;

/** A connection outlives a change of the server's address by this much. */
const CONNECTION_LIFE_MS = 60_000;

/** The connections to the key server. */
export interface Connections {
  readonly main: () => Dispatcher;
  /** How many requests it sends at once before one waits for another. */
  readonly limit: number;
  /** A connection that is kept for requests of their own kind. */
  readonly reserved: () => Dispatcher;
  /** Opens a connection for one request, to be destroyed after it. */
  readonly fresh: () => Pool;
  readonly destroy: () => Promise<void>;
}

/** Opens them, through a proxy where the environment names one. */
export function openConnections(
  { Pool: UndiciPool, EnvHttpProxyAgent }: Pick<typeof Undici, 'Pool' | 'EnvHttpProxyAgent'>,
  { verifyUrl, timeoutMs, maxConcurrency }: TransportOptions,
): Connections {
  const { protocol, hostname, origin } = new URL(verifyUrl);
  const options = {
    pipelining: 1,
    keepAliveTimeout: KEEP_ALIVE_MS,
    // A server's hint must not keep a connection for longer than the networks in between remember it.
    keepAliveMaxTimeout: KEEP_ALIVE_MS,
    allowH2: false,
    connect: { timeout: timeoutMs, lookup: coalescedLookup(process.getBuiltinModule('node:dns').lookup) },
  };
  // No proxy could reach this machine for us.
  if (hasProxy(protocol) && !isLoopback(hostname)) {
    const toProxy = { ...options, clientFactory: proxyPool(UndiciPool) };
    const open = (): Pool => new EnvHttpProxyAgent({ ...toProxy, clientTtl: CONNECTION_LIFE_MS });
    const [agent, reserved] = [open(), open()];
    const destroy = async (): Promise<void> => {
      await Promise.all([agent.destroy(), reserved.destroy()]);
    };
    const fresh = (): Pool => new EnvHttpProxyAgent(toProxy);
    return { main: () => agent, limit: Infinity, reserved: () => reserved, fresh, destroy };
  }
  // With a limit, undici reuses connections sooner: 1.3 times as many requests a second at 64 on loopback.
  const limited = { ...options, connections: maxConcurrency };
  const main = new RenewedPool(() => new UndiciPool(origin, limited), CONNECTION_LIFE_MS);
  const reserved = new RenewedPool(() => new UndiciPool(origin, { ...options, connections: 1 }), CONNECTION_LIFE_MS);
  const fresh = (): Pool => new UndiciPool(origin, options);
  const destroy = async (): Promise<void> => {
    await Promise.all([main.destroy(), reserved.destroy()]);
  };
  return { main: () => main.current, limit: maxConcurrency, reserved: () => reserved.current, fresh, destroy };
}

/**
 * The connections to a proxy. If it hangs up instead of answering CONNECT, undici takes that for a loss that a new connection
 * makes good, and asks again at once, without end.
 */
const proxyPool =
  (UndiciPool: typeof Undici.Pool) =>
  (origin: URL, options: object): Undici.Dispatcher => {
    const pool = new UndiciPool(origin, options);
    const connect = pool.connect.bind(pool);
    return Object.assign(pool, {
      connect: async (params: Undici.Dispatcher.ConnectOptions) => {
        try {
          return await connect(params);
        } catch (error) {
          if (fieldOf(error, 'code') !== 'UND_ERR_SOCKET') throw error;
          throw Object.assign(new Error('the proxy closed the connection'), { code: 'ECONNRESET' });
        }
      },
    });
  };

/** The names that undici reads. */
function hasProxy(protocol: string): boolean {
  const names =
    protocol === 'https:' ? ['https_proxy', 'HTTPS_PROXY', 'http_proxy', 'HTTP_PROXY'] : ['http_proxy', 'HTTP_PROXY'];
  return names.some((name) => (process.env[name] ?? '') !== '');
}
