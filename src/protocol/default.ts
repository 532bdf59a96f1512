import { VERSION } from '../version.js';
import { parseJson } from './json.js';
import type { WireProtocol } from './protocol.js';
import { invalidResponse, statusFailure } from './status.js';
import { decodeVerdict } from './verdict.js';

/** Sent by every protocol. */
export const USER_AGENT = `keyverify/${VERSION}`;

const needsBody = (status: number): boolean => status === 200;

/**
 * The contract of docs/protocol.md. It could be a `defineProtocol()`, and a test holds the two against each other; but
 * then everybody's bundle would carry what checks and interprets a definition.
 */
export const defaultProtocol: WireProtocol = {
  scope: 'sent',

  encode({ url, key, scope, token }) {
    return {
      url,
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        accept: 'application/json',
        // Without it, any coding would do (RFC 9110 12.5.3).
        'accept-encoding': 'identity',
        'x-service-token': token,
        'user-agent': USER_AGENT,
      },
      body: JSON.stringify({ key, scope }),
      needsBody,
    };
  },

  decode(response, { askedAt }) {
    if (response.status !== 200) return { failure: statusFailure(response, askedAt) };
    const json = parseJson(response);
    return typeof json === 'string' ? invalidResponse(json) : decodeVerdict(json.value);
  },
};
