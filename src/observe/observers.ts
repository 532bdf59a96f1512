import { callSafely, type Observer } from '../core/events.js';

/** Tells every observer. An event is built only for those who want it: `tell((o) => o.onStale?.({ … }))`. */
export class Observers<Claims> {
  readonly #observers: readonly Observer<Claims>[];

  constructor(observers: readonly Observer<Claims>[]) {
    this.#observers = observers;
  }

  tell(event: (observer: Observer<Claims>) => unknown): void {
    for (const observer of this.#observers) callSafely(event, observer);
  }
}
