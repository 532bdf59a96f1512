import { setTimeout as sleep } from 'node:timers/promises';

import { POISON_PREFIX, type Attack } from './wire.js';

/** What becomes of a question. */
export type Treatment = 'pass' | 'reset' | 'close' | 'hang' | { readonly status: number; readonly retryAfter?: number };

/** DynamoDB's limit: a key server that uses keys as primary keys answers 500 past it. */
const LONGEST_KEY = 2_048;
const SHED = { capacity: 4, answerMs: 25 } as const;
const SLOW_ANSWER_MS = 8;
const RETRY_AFTER_S = 2;
/** A made-up key makes the server answer 429 to everybody for so long, if it has not just done so. */
const LIMIT_ALL = { forMs: 500, everyMs: 2_500 } as const;

const TREATMENTS: Readonly<Record<string, Treatment>> = {
  reset: 'reset',
  close: 'close',
  hang: 'hang',
  502: { status: 502 },
  503: { status: 503 },
};

/** The server as one verifier sees it, with a firewall before it that judges keys by their content. Neither is ever out. */
export class Firewall {
  attack: Attack | undefined;
  #answering = 0;
  #worker: Promise<unknown> = Promise.resolve();
  #limitedUntil = -Infinity;
  #mayLimitFrom = -Infinity;

  async treat(key: string): Promise<Treatment> {
    if (key.length > LONGEST_KEY) return { status: 500 };
    if (key.startsWith(POISON_PREFIX)) {
      const [kind = ''] = key.slice(POISON_PREFIX.length).split('-');
      return TREATMENTS[kind] ?? 'pass';
    }
    if (this.attack === 'limit all' || this.attack === 'limit made-up') return this.#limit(!/^sk-chaos-\d+$/.test(key));
    if (this.attack === 'flood, shed') {
      if (this.#answering >= SHED.capacity) return { status: 503 };
      this.#answering++;
      await sleep(SHED.answerMs);
      this.#answering--;
    }
    if (this.attack === 'flood, slow') {
      const turn = this.#worker.then(async () => await sleep(SLOW_ANSWER_MS));
      this.#worker = turn;
      await turn;
    }
    return 'pass';
  }

  #limit(isUnknown: boolean): Treatment {
    const limited = { status: 429, retryAfter: RETRY_AFTER_S };
    if (this.attack === 'limit made-up') return isUnknown ? limited : 'pass';
    const now = Date.now();
    if (isUnknown && now >= this.#mayLimitFrom) {
      this.#limitedUntil = now + LIMIT_ALL.forMs;
      this.#mayLimitFrom = now + LIMIT_ALL.everyMs;
    }
    return now < this.#limitedUntil ? limited : 'pass';
  }
}
