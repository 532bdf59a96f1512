import { request, type IncomingMessage } from 'node:http';
import { text } from 'node:stream/consumers';

/** One call to a guarded service. Headers are sent as often as they are given. */
export interface Call {
  readonly url: string;
  readonly path: string;
  readonly method: string;
  readonly headers: readonly (readonly [name: string, value: string])[];
  readonly signal?: AbortSignal | undefined;
}

/** What came back, in the words of HTTP. */
export interface Reply {
  readonly status: number;
  readonly headers: Readonly<Record<string, unknown>>;
  readonly body: string;
}

export async function replyOf(response: IncomingMessage): Promise<Reply> {
  return { status: response.statusCode ?? 0, headers: response.headers, body: await text(response) };
}

export async function callHttp({ url, path, method, headers, signal }: Call): Promise<Reply> {
  return await new Promise<Reply>((resolve, reject) => {
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
