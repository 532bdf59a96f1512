import type { Exchange, SendOptions, Transport, WireRequest, WireResponse } from '../transport.js';

/** A transport that is loaded by the first request, or by `warmUp()`. */
export function deferredTransport(load: () => Promise<Transport>): Transport {
  let loading: Promise<Transport> | undefined;
  let loaded: Transport | undefined;
  const open = async (): Promise<Transport> => (loaded = await (loading ??= load()));
  return {
    send: (request, options) =>
      loaded === undefined ? deferredExchange(open(), request, options) : loaded.send(request, options),
    async warmUp() {
      await open();
    },
    async close() {
      await (await loading)?.close?.();
    },
    isOverloaded: async (waitedMs) => (await loaded?.isOverloaded?.(waitedMs)) ?? false,
  };
}

function deferredExchange(opening: Promise<Transport>, request: WireRequest, options?: SendOptions): Exchange {
  let exchange: Exchange | undefined;
  let abortReason: Error | undefined;
  const send = async (): Promise<WireResponse> => {
    const transport = await opening;
    if (abortReason !== undefined) throw abortReason;
    exchange = transport.send(request, options);
    return await exchange.response;
  };
  return {
    response: send(),
    abort(reason) {
      abortReason = reason;
      exchange?.abort(reason);
    },
    isSent: () => exchange !== undefined && (exchange.isSent?.() ?? true),
  };
}
