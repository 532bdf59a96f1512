import { get } from 'node:http';

/** How often it asks, in milliseconds. */
const INTERVAL_MS = 50;
/** When nobody has been answered for this part of the timeout, the library may rightly see an outage. */
const SILENT_RATIO = 0.4;
/** So long after the server has answered nobody, a breaker may still be open, in milliseconds. */
const AFTERMATH_MS = 1_500;

interface Attended<T> {
  readonly from: number;
  readonly to: number;
  readonly value: T;
}

/**
 * Asks the server too, on connections of its own and without the library, and so knows when the server answers nobody. Where a
 * process shares its event loop with the server, one that lacks a processor is such a server.
 */
export class Witness {
  readonly #url: string;
  readonly #silentMs: number;
  readonly #timer: NodeJS.Timeout;
  readonly #silences: { readonly from: number; readonly to: number }[] = [];

  constructor(url: string, timeoutMs: number) {
    this.#url = url;
    this.#silentMs = timeoutMs * SILENT_RATIO;
    this.#timer = setInterval(() => this.#ask(), INTERVAL_MS);
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  /** Notes when this happened. */
  async attend<T>(act: () => T | Promise<T>): Promise<Attended<T>> {
    const from = performance.now();
    const value = await act();
    return { from, to: performance.now(), value };
  }

  /** What happened while the server answered. */
  attested<T>(all: readonly Attended<T>[]): T[] {
    return all
      .filter(
        ({ from, to }) => !this.#silences.some((silence) => silence.from < to && from < silence.to + AFTERMATH_MS),
      )
      .map(({ value }) => value);
  }

  #ask(): void {
    const from = performance.now();
    const end = (): void => {
      const to = performance.now();
      if (to - from > this.#silentMs) this.#silences.push({ from, to });
    };
    get(this.#url, { agent: false }, (response) => response.resume().once('end', end)).once('error', end);
  }
}
