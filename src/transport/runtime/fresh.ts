import type { Dispatcher } from '../dispatcher.js';
import type { Exchange, SendOptions, Transport, WireRequest } from '../transport.js';
import type { Pool } from './renewed-pool.js';

/**
 * Sends up to `limit` requests at once by `usual`. Those that ask for it, and what exceeds the limit, go over a connection of
 * their own, which `open` opens: no request waits for a connection that another one uses. `reserved` requests share one
 * connection.
 */
export function withFresh(
  usual: Transport,
  limit: number,
  through: (dispatcher: () => Dispatcher) => Transport,
  open: () => Pool,
  reserved: () => Dispatcher,
): Transport {
  const apart = through(reserved);
  const opened = new Set<Pool>();
  let active = 0;
  const end = (): void => {
    active--;
  };
  const sendFresh = (request: WireRequest): Exchange => {
    const pool = open();
    opened.add(pool);
    const exchange = through(() => pool).send(request);
    const close = (): void => {
      opened.delete(pool);
      void pool.destroy();
    };
    exchange.response.then(close, close);
    return exchange;
  };
  return {
    ...usual,
    send(request: WireRequest, options?: SendOptions): Exchange {
      if (options?.reserved === true) return apart.send(request);
      if (active >= limit || options?.fresh === true) return sendFresh(request);
      active++;
      const exchange = usual.send(request);
      exchange.response.then(end, end);
      return exchange;
    },
    async close() {
      await Promise.all([usual.close?.(), ...[...opened].map((pool) => pool.destroy())]);
    },
  };
}
