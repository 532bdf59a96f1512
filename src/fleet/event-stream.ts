/** One event of a stream, as far as it matters here. */
export interface ServerSentEvent {
  readonly id: string;
  readonly data: string;
}

/** A line or an event that has no end must not fill the memory, in characters. */
const MAX_BUFFERED = 65_536;

/** Splits a text/event-stream into events, wherever its chunks are cut. Throws at an event that has no end. */
export class EventStreamParser {
  #rest = '';
  #id = '';
  #data: string[] = [];

  push(chunk: string): readonly ServerSentEvent[] {
    const events: ServerSentEvent[] = [];
    // A line break may be cut in two: a CR at the end waits for its LF.
    const lines = (this.#rest + chunk).split(/\r\n|\n|\r(?!$)/);
    this.#rest = String(lines.pop());
    for (const line of lines) {
      if (line !== '') this.#read(line);
      else if (this.#data.length > 0) {
        events.push({ id: this.#id, data: this.#data.join('\n') });
        this.#data = [];
      }
    }
    const buffered = this.#data.reduce((length, line) => length + line.length, this.#rest.length);
    if (buffered > MAX_BUFFERED) throw new TypeError('an event is too long');
    return events;
  }

  #read(line: string): void {
    const colon = line.indexOf(':');
    const name = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? '' : line.slice(colon + 1).replace(/^ /, '');
    if (name === 'data') this.#data.push(value);
    else if (name === 'id') this.#id = value;
  }
}
