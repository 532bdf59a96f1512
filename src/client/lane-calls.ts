import { LinkedList, type Linked } from '../resilience/linked-list.js';
import type { LagWatch } from '../resilience/loop-lag.js';
import type { OutageEvidence, WatchedCall } from './evidence.js';

/** A question that holds a slot, and how late the event loop was meanwhile. */
export interface LaneCall extends Linked<LaneCall> {
  readonly call: WatchedCall & { readonly waitsToRetry: boolean; giveUp(): void };
  readonly lag: LagWatch;
}

/** The questions of one lane that hold a slot, in the order in which they were sent. */
export class LaneCalls extends LinkedList<LaneCall> {
  /** How many of them were sent at this moment or later. */
  sentSince(mono: number): number {
    let count = 0;
    for (let held = this.newest; held !== undefined; held = held.older) {
      if ((held.call.firstSentAt ?? mono) < mono) break;
      count++;
    }
    return count;
  }

  /**
   * Makes room: gives up the oldest question that waits for its retry, or that hangs where that is no sign of an outage.
   */
  makeRoom(mono: number, evidence: Pick<OutageEvidence, 'hangsAfterMs' | 'isNoSign'>): void {
    for (let held = this.oldest; held !== undefined; held = held.newer) {
      const { call, lag } = held;
      const hangs = call.firstSentAt !== undefined && mono - call.firstSentAt - lag.ms >= evidence.hangsAfterMs;
      if (!call.waitsToRetry && !(hangs && evidence.isNoSign(call))) continue;
      this.remove(held);
      call.giveUp();
      return;
    }
  }
}
