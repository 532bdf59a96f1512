/** Those who wait on a signal. It gets one listener from us: Node warns of a leak from the eleventh on. */
const waiting = new WeakMap<AbortSignal, Set<() => void>>();

function onAbort(signal: AbortSignal, leave: () => void): () => void {
  const leavers = waiting.get(signal) ?? listen(signal);
  leavers.add(leave);
  return () => leavers.delete(leave);
}

function listen(signal: AbortSignal): Set<() => void> {
  const leavers = new Set<() => void>();
  waiting.set(signal, leavers);
  signal.addEventListener('abort', () => leavers.forEach((leave) => leave()));
  return leavers;
}

/** Waits for the outcome, but no longer than the caller wants to: rejects with the signal's reason. */
export async function unlessAborted<T>(outcome: Promise<T>, signal: AbortSignal): Promise<T> {
  let leave!: () => void;
  const left = new Promise<undefined>((resolve) => {
    leave = () => resolve(undefined);
  });
  const stop = onAbort(signal, leave);
  const first = await Promise.race([outcome, left]);
  stop();
  if (first !== undefined) return first;
  signal.throwIfAborted();
  return await outcome;
}
