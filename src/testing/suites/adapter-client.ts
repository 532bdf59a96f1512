import { request, type IncomingMessage } from 'node:http';
import { text } from 'node:stream/consumers';

/** One call to the service under test. A header that is given twice is sent twice. */
export interface AdapterCall {
  /** The origin of the service. */
  readonly url: string;
  readonly path: string;
  readonly method: string;
  readonly headers: readonly (readonly [name: string, value: string])[];
  /** Ends the call: the caller leaves. */
  readonly signal?: AbortSignal | undefined;
}

/** What came back, in terms of HTTP. */
export interface AdapterReply {
  readonly status: number;
  readonly headers: Readonly<Record<string, unknown>>;
  readonly body: string;
}

/** Reads a response of `node:http` in full. */
export async function replyOf(response: IncomingMessage): Promise<AdapterReply> {
  return { status: Number(response.statusCode), headers: response.headers, body: await text(response) };
}

/** Calls the service under test over HTTP, on a connection of its own. */
export async function callHttp({ url, path, method, headers, signal }: AdapterCall): Promise<AdapterReply> {
  return await new Promise<AdapterReply>((resolve, reject) => {
    const sent = request(url + path, { method, agent: false, ...(signal && { signal }) });
    for (const name of new Set(headers.map(([name]) => name))) {
      sent.setHeader(
        name,
        headers.filter((header) => header[0] === name).map((header) => header[1]),
      );
    }
    sent.once('error', reject);
    sent.once('response', (response) => void replyOf(response).then(resolve, reject));
    sent.end();
  });
}
