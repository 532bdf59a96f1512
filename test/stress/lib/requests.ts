import diagnostics from 'node:diagnostics_channel';

const requestOf = (message: unknown): unknown => (message as { readonly request: unknown }).request;

/** Watches the wire of this process from outside the library: undici, and `fetch` with it, says what it sends and when it ends. */
export function watchRequests(): { readonly now: number; readonly most: number; readonly sent: number } {
  const inFlight = new Set<unknown>();
  let most = 0;
  let sent = 0;
  diagnostics.subscribe('undici:client:sendHeaders', (message) => {
    inFlight.add(requestOf(message));
    most = Math.max(most, inFlight.size);
    sent++;
  });
  for (const end of ['undici:request:trailers', 'undici:request:error'])
    diagnostics.subscribe(end, (message) => inFlight.delete(requestOf(message)));
  return {
    get now() {
      return inFlight.size;
    },
    get most() {
      return most;
    },
    get sent() {
      return sent;
    },
  };
}
