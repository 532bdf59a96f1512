/** `localhost` alone: what stands before it, the resolver decides. */
const LOOPBACK = /^(?:localhost|127(?:\.\d{1,3}){3}|\[::1\])$/;

/** What is wrong with a URL for the key server, as the end of a sentence; it is never quoted, since it may hold a password. */
export function urlIssue(url: unknown, allowInsecureHttp: boolean): string | undefined {
  if (url === undefined) return 'expected an absolute http(s) URL, got nothing; pass it, or set KEYVERIFY_URL';
  const text = url instanceof URL ? url.href : url;
  if (typeof text !== 'string' || !URL.canParse(text)) return 'expected an absolute http(s) URL';
  const { protocol, hostname, username, password, hash } = new URL(text);
  if (protocol !== 'https:' && protocol !== 'http:') return `expected https: (or http:), got ${protocol}`;
  if (username !== '' || password !== '') return 'expected no credentials in it, they belong in serviceToken';
  if (hash !== '') return 'expected no fragment in it';
  if (protocol === 'http:' && !allowInsecureHttp && !LOOPBACK.test(hostname))
    return 'expected https: for another machine, http: would show every key; allowInsecureHttp: true allows it';
  return undefined;
}
