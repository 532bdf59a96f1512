import { isLoopback } from '../core/loopback.js';
import { shown } from '../core/messages.js';

const ABSOLUTE = 'expected a URL with https:// or http://, such as https://keys.example.com/verify';

/** What is wrong with a URL for the key server, as the end of a sentence; it is never quoted, since it may hold a password. */
export function urlIssue(url: unknown, allowInsecureHttp: boolean): string | undefined {
  if (url === undefined || url === '') return `${ABSOLUTE}, got ${shown(url)}; pass it, or set KEYVERIFY_URL`;
  const text = url instanceof URL ? url.href : url;
  if (typeof text !== 'string' || !URL.canParse(text)) return ABSOLUTE;
  const { protocol, hostname, username, password, hash } = new URL(text);
  if (protocol !== 'https:' && protocol !== 'http:') return ABSOLUTE;
  if (username !== '' || password !== '') return 'expected no credentials, which belong in serviceToken';
  if (hash !== '') return 'expected no fragment';
  if (protocol === 'http:' && !allowInsecureHttp && !isLoopback(hostname))
    return `expected https: for ${hostname}, since http: is not encrypted; or pass allowInsecureHttp: true`;
  return undefined;
}
