/** How long a tiny job waits in a pool that is busy, in milliseconds. */
export const PING_MS = 100;

let ping: Promise<boolean> | undefined;

/**
 * Whether libuv's threads are so busy that a tiny job waits for long. Lookups need one, and a full pool isn't seen in the
 * event loop. One ping serves all who ask while it is in flight.
 */
export async function isThreadPoolBusy(): Promise<boolean> {
  return await (ping ??= new Promise((resolve) => {
    // A late loop is not a busy pool: what has been done by now is to be heard first.
    const timer = setTimeout(() => setImmediate(resolve, true), PING_MS);
    process.getBuiltinModule('node:crypto').randomFill(new Uint8Array(1), () => {
      ping = undefined;
      clearTimeout(timer);
      resolve(false);
    });
  }));
}
