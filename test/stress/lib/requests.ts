import diagnostics from 'node:diagnostics_channel';

const requestOf = (message: unknown): unknown => (message as { readonly request: unknown }).request;

/** Counts the requests of this process independently of the library, through undici's diagnostics channels. */
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
