/** One event of a stream, as far as it matters here. */
export interface ServerSentEvent {
  readonly id: string;
  readonly data: string;
}

/** A line or an event that has no end must not fill the memory, in characters; a line counts as one more. */
const MAX_BUFFERED = 65_536;

/** Splits a text/event-stream into events, wherever its chunks are cut. Throws at an event that has no end. */
export class EventStreamParser {
  #rest = '';
  /** The last line ended with a CR: an LF that comes next belongs to it. */
  #endedWithCr = false;
  #id = '';
  #data: string[] = [];
  #length = 0;

  push(chunk: string): readonly ServerSentEvent[] {
    const events: ServerSentEvent[] = [];
    // A character that is cut in two leaves an empty chunk.
    if (chunk === '') return events;
    // A CR ends a line at once: its LF may never come.
    const text = this.#endedWithCr && chunk.startsWith('\n') ? chunk.slice(1) : chunk;
    this.#endedWithCr = chunk.endsWith('\r');
    const lines = (this.#rest + text).split(/\r\n|\n|\r/);
    this.#rest = String(lines.pop());
    for (const line of lines) {
      if (line !== '') this.#read(line);
      else if (this.#data.length > 0) {
        events.push({ id: this.#id, data: this.#data.join('\n') });
        this.#data = [];
        this.#length = 0;
      }
    }
    this.#check(this.#rest.length);
    return events;
  }

  #read(line: string): void {
    const colon = line.indexOf(':');
    const name = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? '' : line.slice(colon + 1).replace(/^ /, '');
    if (name === 'id') this.#id = value;
    if (name !== 'data') return;
    this.#data.push(value);
    this.#length += value.length + 1;
    this.#check(0);
  }

  #check(rest: number): void {
    if (this.#length + rest > MAX_BUFFERED) throw new TypeError('an event is too long');
  }
}
