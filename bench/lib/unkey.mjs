/** @unkey/hono has the URL of its service built in: requests to it go to a stand-in instead. Returns what ends that. */
export function redirectUnkey(url) {
  const realFetch = globalThis.fetch;
  globalThis.fetch = async (input, init) => {
    const request = new Request(input, init);
    if (!request.url.startsWith('https://api.unkey.com/')) return await realFetch(input, init);
    const { method, headers } = request;
    return await realFetch(url + new URL(request.url).pathname, { method, headers, body: await request.text() });
  };
  return () => {
    globalThis.fetch = realFetch;
  };
}
