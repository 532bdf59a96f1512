import { setTimeout as sleep } from 'node:timers/promises';

import type { VerifyResult } from 'keyverify';

import type { Random } from '../lib/random.js';
import type { Phase } from './plan.js';
import { POISONS, POISON_PREFIX, type Attack, type Caller, type Poison } from './wire.js';

/** What hostile callers have: the service's front, and what it tells them of its state. */
export interface Target {
  /** `undefined`: no result, the caller was wrong or the run ends. */
  readonly ask: (who: Caller, key: number | string) => Promise<VerifyResult<unknown, boolean> | undefined>;
  readonly isBreakerOpen: () => boolean;
}

/** A slow worker needs a while for each: it must catch up before the next. */
const FLOOD = { size: 64, everyMs: 1_200, everyMsIfSlow: 2_500 } as const;
/** Eight at once open a breaker that counts failures; then 40 a second. */
const POISON = { burst: 8, everyMs: 25 } as const;
const PROVOKE_EVERY_MS = 250;
const BUSY = { everyMs: 2_500, forMs: 600, askEveryMs: 50 } as const;
const OUTAGE_EVERY_MS = 50;
/** Longer than the 2 048 bytes that some data bases take. */
const LONG = 3_000;

/** Callers without a good key. Every loop ends with its phase. */
export class Hostile {
  readonly #target: Target;
  readonly #random: Random;
  #until = 0;
  /** When the service last told somebody to come back. */
  #returnAt = Infinity;

  constructor(target: Target, random: Random) {
    this.#target = target;
    this.#random = random;
  }

  async siege({ revoked }: Extract<Phase, { kind: 'siege' }>, attack: Attack, until: number): Promise<void> {
    this.#until = until;
    this.#returnAt = Infinity;
    await Promise.all([this.#attack(attack), this.#outlive(revoked)]);
  }

  /** Made-up keys, which a verifier that may open has to let in while its server is out for everybody; and poison. */
  async outage(until: number): Promise<void> {
    this.#until = until;
    await this.#every(OUTAGE_EVERY_MS, () => {
      this.#madeUp();
      if (this.#random.chance(0.1)) this.#poison(this.#random.pick(POISONS));
    });
  }

  async #attack(attack: Attack): Promise<void> {
    if (attack === 'poison') {
      const first = this.#random.pick(POISONS);
      for (let i = 0; i < POISON.burst; i++) this.#poison(first);
      await this.#every(POISON.everyMs, () => this.#poison(this.#random.pick(POISONS)));
    } else if (attack === 'limit all' || attack === 'limit made-up') {
      await this.#every(PROVOKE_EVERY_MS, () => this.#madeUp());
    } else if (attack === 'busy') {
      const load = this.#every(BUSY.everyMs, () => compute(BUSY.forMs));
      await this.#every(BUSY.askEveryMs, () => this.#madeUp());
      await load;
    } else {
      await this.#every(attack === 'flood, slow' ? FLOOD.everyMsIfSlow : FLOOD.everyMs, () => {
        for (let i = 0; i < FLOOD.size; i++) this.#madeUp();
      });
    }
  }

  /** A revoked key comes back at every moment at which nobody may be asked: pauses that end, and an open breaker. */
  async #outlive(key: number): Promise<void> {
    while (Date.now() < this.#until) {
      await this.#ask('revoked', key);
      const waitMs = this.#target.isBreakerOpen() ? 10 : 100;
      const pauseMs = this.#returnAt - Date.now();
      await sleep(pauseMs > 0 ? Math.min(waitMs, pauseMs) : waitMs);
    }
  }

  #madeUp(): void {
    void this.#ask('made-up', `sk-chaos-made-up-${this.#digits()}`);
  }

  #poison(kind: Poison): void {
    const key = `${POISON_PREFIX}${kind}-${this.#digits()}`;
    void this.#ask(`poison ${kind}`, kind === 'long' ? key.padEnd(LONG, 'x') : key);
  }

  async #ask(who: Caller, key: number | string): Promise<void> {
    const result = await this.#target.ask(who, key);
    const failure = result !== undefined && 'failure' in result ? result.failure : undefined;
    if (failure?.retryAfterMs !== undefined) this.#returnAt = Date.now() + failure.retryAfterMs;
  }

  async #every(ms: number, act: () => void): Promise<void> {
    while (Date.now() < this.#until) {
      act();
      await sleep(ms);
    }
  }

  #digits(): string {
    return (
      Math.floor(this.#random.next() * 2 ** 32).toString(36) + Math.floor(this.#random.next() * 2 ** 32).toString(36)
    );
  }
}

/** The service's own load: its event loop does nothing else for so long. */
function compute(ms: number): void {
  const until = performance.now() + ms;
  while (performance.now() < until);
}
