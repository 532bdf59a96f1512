import { callSafely, type AskEvent, type AskOutcome, type Observer } from '../core/events.js';
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

  /** Asks within every observer that wants to be around a question: exactly once, even if one throws. `ask` must not reject. */
  around<Answer>(
    event: AskEvent,
    ask: () => Promise<Answer>,
    toOutcome: (answer: Answer) => AskOutcome,
  ): Promise<Answer> {
    let run = ask;
    for (const observer of this.#observers.toReversed()) {
      if (observer.onAsk === undefined) continue;
      const inner = lazy(run);
      const within = async (): Promise<AskOutcome> => toOutcome(await inner());
      run = () => {
        callSafely((o) => o.onAsk?.(event, within), observer);
        return inner();
      };
    }
    return run();
  }
}
