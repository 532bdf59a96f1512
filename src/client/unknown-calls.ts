import { LinkedList, type Linked } from '../resilience/linked-list.js';
import type { LagWatch } from '../resilience/loop-lag.js';
import type { WatchedCall } from './evidence.js';

/** A question about an unknown key, and how late the event loop was meanwhile. */
export interface UnknownCall extends Linked<UnknownCall> {
  readonly call: WatchedCall & { readonly waitsToRetry: boolean; skipRetry(): void; abandon(): void };
  readonly lag: LagWatch;
}

/** The questions about unknown keys that hold a slot. */
export class UnknownCalls extends LinkedList<UnknownCall> {
  /**
   * Makes room: the oldest question that waits for its retry goes without it, or hangs, for longer than `hangsAfterMs` and while
   * others were answered, and is given up.
   */
  makeRoom(mono: number, hangsAfterMs: number, answeredSince: (call: WatchedCall) => boolean): void {
    for (let unknown = this.oldest; unknown !== undefined; unknown = unknown.newer) {
      const { call, lag } = unknown;
      const hangs = call.firstSentAt !== undefined && mono - call.firstSentAt - lag.ms >= hangsAfterMs;
      if (!call.waitsToRetry && !(hangs && answeredSince(call))) continue;
      this.remove(unknown);
      if (call.waitsToRetry) call.skipRetry();
      else call.abandon();
      return;
    }
  }
}
