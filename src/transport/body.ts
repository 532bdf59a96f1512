import { MAX_RESPONSE_BYTES, TransportError } from './transport.js';

/** The body of a response as it comes in, up to `MAX_RESPONSE_BYTES`. */
export class BodyBuffer {
  readonly #chunks: Uint8Array[] = [];
  #size = 0;

  /** Takes a chunk, or says what is wrong where the body gets too large. */
  push(chunk: Uint8Array): TransportError | undefined {
    this.#size += chunk.byteLength;
    if (this.#size > MAX_RESPONSE_BYTES) return tooLarge();
    this.#chunks.push(chunk);
    return undefined;
  }

  /** All of it; not a copy where it came in one piece. */
  bytes(): Uint8Array {
    const [first, second] = this.#chunks;
    if (first !== undefined && second === undefined) return first;
    const whole = new Uint8Array(this.#size);
    let offset = 0;
    for (const chunk of this.#chunks) {
      whole.set(chunk, offset);
      offset += chunk.byteLength;
    }
    return whole;
  }
}

export const NO_BODY: Uint8Array = new Uint8Array();

const tooLarge = (): TransportError =>
  new TransportError('invalid_response', `keyverify: the response is larger than ${MAX_RESPONSE_BYTES} bytes`);
