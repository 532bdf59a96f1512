import type { IncomingMessage, ServerResponse } from 'node:http';

import { toJson, type RevocationMessage } from '../fleet/revocation.js';

export const REVOCATIONS_PATH = '/internal/revocations';

/** How many messages are kept for those who come back. */
const RING = 1_000;

/** The key server's stream of revocations, as server-sent events. */
export class RevocationStream {
  readonly #heartbeatMs: number;
  readonly #followers = new Set<ServerResponse>();
  readonly #ring: { readonly seq: number; readonly text: string }[] = [];
  #epoch = Date.now();
  #seq = 0;

  constructor(heartbeatMs: number) {
    this.#heartbeatMs = heartbeatMs;
  }

  publish(message: RevocationMessage): void {
    this.#seq++;
    const text = this.#text(message);
    this.#ring.push({ seq: this.#seq, text });
    if (this.#ring.length > RING) this.#ring.shift();
    for (const response of this.#followers) response.write(text);
  }

  /** Another epoch, of which nothing is known yet. */
  restart(): void {
    this.#epoch = Math.max(Date.now(), this.#epoch + 1);
    this.#seq = 0;
    this.#ring.length = 0;
  }

  open({ headers, socket }: IncomingMessage, response: ServerResponse, isAccepted: boolean): void {
    if (!isAccepted) {
      response.writeHead(401).end();
      return;
    }
    socket.setNoDelay();
    response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-store' });
    const last = headers['last-event-id'];
    const after = last === undefined ? 0 : this.#resumeAfter(String(last));
    if (after === undefined) response.write(this.#text({ type: 'reset' }));
    for (const { seq, text } of this.#ring) if (seq > (after ?? 0)) response.write(text);
    const beat = (): void => void response.write(this.#text({ type: 'heartbeat' }));
    beat();
    const timer = setInterval(beat, this.#heartbeatMs);
    this.#followers.add(response);
    response.once('close', () => {
      clearInterval(timer);
      this.#followers.delete(response);
    });
  }

  /** The number of the last message that the follower has; `undefined` if what follows it isn't all there. */
  #resumeAfter(id: string): number | undefined {
    const [epoch, seq] = id.split('-').map(Number);
    const oldest = this.#ring[0]?.seq ?? this.#seq + 1;
    return epoch === this.#epoch && seq !== undefined && seq >= oldest - 1 && seq <= this.#seq ? seq : undefined;
  }

  #text(message: RevocationMessage): string {
    return `id: ${this.#epoch}-${this.#seq}\ndata: ${toJson(message)}\n\n`;
  }
}
