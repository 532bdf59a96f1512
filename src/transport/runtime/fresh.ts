import type { Exchange, SendOptions, Transport, WireRequest } from '../transport.js';
import type { Dispatcher } from '../dispatcher.js';
import type { Pool } from './renewed-pool.js';

/** Sends requests that ask for it over a connection of their own, which `open` opens, and all others by `usual`. */
export function withFresh(
  usual: Transport,
  through: (dispatcher: () => Dispatcher) => Transport,
  open: () => Pool,
): Transport {
  const opened = new Set<Pool>();
  const sendFresh = (request: WireRequest): Exchange => {
    const pool = open();
    opened.add(pool);
    const exchange = through(() => pool).send(request);
    const end = (): void => {
      opened.delete(pool);
      void pool.destroy();
    };
    exchange.response.then(end, end);
    return exchange;
  };
  return {
    ...usual,
    send: (request: WireRequest, options?: SendOptions) =>
      options?.fresh === true ? sendFresh(request) : usual.send(request),
    async close() {
      await Promise.all([usual.close?.(), ...[...opened].map((pool) => pool.destroy())]);
    },
  };
}
