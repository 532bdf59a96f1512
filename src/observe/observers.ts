import {
  callSafely,
  type AskEvent,
  type AskOutcome,
  type Observer,
  type SharedEvent,
  type SharedOutcome,
} from '../core/events.js';
import { lazy } from '../core/lazy.js';

/** Tells every observer. An event is built only for those who want it: `tell((o) => o.onStale?.({ … }))`. */
export class Observers<Claims> {
  readonly #observers: readonly Observer<Claims>[];

  constructor(observers: readonly Observer<Claims>[]) {
    this.#observers = observers;
  }

  tell(event: (observer: Observer<Claims>) => unknown): void {
    for (const observer of this.#observers) callSafely(event, observer);
  }

  /** Asks within every observer that has `onAsk`: exactly once, even if one throws. `ask` must not reject. */
  ask<Asked>(event: AskEvent, ask: () => Promise<Asked>, toOutcome: (asked: Asked) => AskOutcome): Promise<Asked> {
    return this.#around('onAsk', (o, run: () => Promise<AskOutcome>) => o.onAsk?.(event, run), ask, toOutcome);
  }

  /** The same for an operation on the shared cache, and `onShared`. */
  share<Done>(event: SharedEvent, work: () => Promise<Done>, toOutcome: (done: Done) => SharedOutcome): Promise<Done> {
    return this.#around(
      'onShared',
      (o, run: () => Promise<SharedOutcome>) => o.onShared?.(event, run),
      work,
      toOutcome,
    );
  }

  #around<Done, Outcome>(
    method: 'onAsk' | 'onShared',
    call: (observer: Observer<Claims>, run: () => Promise<Outcome>) => unknown,
    work: () => Promise<Done>,
    toOutcome: (done: Done) => Outcome,
  ): Promise<Done> {
    let run = work;
    // Most often there is none.
    if (!this.#observers.some((o) => o[method] !== undefined)) return work();
    for (const observer of this.#observers.toReversed()) {
      if (observer[method] === undefined) continue;
      const inner = lazy(run);
      const within = async (): Promise<Outcome> => toOutcome(await inner());
      run = () => {
        callSafely((o) => call(o, within), observer);
        return inner();
      };
    }
    return run();
  }
}
