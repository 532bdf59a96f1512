import type { Exchange, Transport, WireRequest } from '../transport.js';

/** Sends so many requests at once by one transport, and what exceeds them by another: no request waits for a connection. */
export function withOverflow(main: Transport, spare: Transport, limit: number): Transport {
  let active = 0;
  const end = (): void => {
    active--;
  };
  return {
    ...main,
    send(request: WireRequest): Exchange {
      if (active >= limit) return spare.send(request);
      active++;
      const exchange = main.send(request);
      exchange.response.then(end, end);
      return exchange;
    },
  };
}
