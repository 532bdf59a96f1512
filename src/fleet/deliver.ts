import type { Clock } from '../core/clock.js';
import type { FollowContext, PositionedMessage } from './revocation.js';

/** How many messages take effect at once before others get their turn: a thousand would block the event loop for over 10 ms. */
const SLICE = 200;

/** Delivers messages in slices, until the signal aborts. */
export async function deliver(
  messages: readonly PositionedMessage[],
  { sink, clock, signal }: Pick<FollowContext, 'sink' | 'clock' | 'signal'>,
): Promise<void> {
  for (let at = 0; at < messages.length && !signal.aborted; at += SLICE) {
    if (at > 0) await sleep(clock, 0, signal);
    sink.deliver(messages.slice(at, at + SLICE));
  }
}

/** Ends early if the signal aborts. */
export async function sleep(clock: Clock, ms: number, signal: AbortSignal): Promise<void> {
  await new Promise<void>((resolve) => {
    const cancel = clock.after(ms, end, true);
    signal.addEventListener('abort', end, { once: true });
    function end(): void {
      cancel();
      signal.removeEventListener('abort', end);
      resolve();
    }
  });
}
