/** Those who wait on a signal. It gets one listener from us: Node warns of a leak from the eleventh on. */
const waiting = new WeakMap<AbortSignal, Set<() => void>>();

function onAbort(signal: AbortSignal, leave: () => void): () => void {
  let leavers = waiting.get(signal);
  if (leavers === undefined) {
    const all = new Set<() => void>();
    leavers = all;
    waiting.set(signal, all);
    const leaveAll = (): void => all.forEach((each) => each());
    signal.addEventListener('abort', leaveAll, { once: true });
  }
  leavers.add(leave);
  return () => waiting.get(signal)?.delete(leave);
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
