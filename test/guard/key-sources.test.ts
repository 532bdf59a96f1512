import { describe, expect, it } from 'vitest';

import { type KeySource, readKey } from '../../src/guard/key-sources.js';

type Headers = Record<string, string | string[]>;

const read = (headers: Headers, sources?: KeySource[], url = '/') =>
  readKey({ header: (name) => [headers[name] ?? []].flat(), url }, sources);

const ambiguous = { ambiguous: true };

describe('reading a key off a request', () => {
  it.each<[string, Headers]>([
    ['Authorization: Bearer', { authorization: 'Bearer sk-1' }],
    ['the scheme in any case', { authorization: 'bEARER   sk-1' }],
    ['X-API-Key', { 'x-api-key': 'sk-1' }],
    ['X-API-Key beside the credentials of another scheme', { authorization: 'Basic abc=', 'x-api-key': 'sk-1' }],
    ['X-API-Key beside an empty bearer', { authorization: 'Bearer', 'x-api-key': 'sk-1' }],
  ])('finds it by default in %s', (_, headers) => expect(read(headers)).toEqual({ key: 'sk-1' }));

  it.each<[string, Headers]>([
    ['nothing', {}],
    ['another scheme', { authorization: 'Basic abc=' }],
    ['a scheme that begins like it', { authorization: 'Bearersk-1' }],
    ['a scheme that ends like it', { authorization: 'Xbearer sk-1' }],
    ['an empty value', { authorization: 'Bearer ', 'x-api-key': '' }],
    ['a cookie or query that was not asked for', { cookie: 'key=sk-1' }],
  ])('finds none in %s', (_, headers) => expect(read(headers, undefined, '/?key=sk-1')).toEqual({ key: null }));

  it.each<[string, Headers]>([
    ['the same header twice', { 'x-api-key': ['sk-1', 'sk-2'] }],
    ['the same header twice with one key', { 'x-api-key': ['sk-1', 'sk-1'] }],
    ['the same header twice, joined on the way', { 'x-api-key': 'sk-1, sk-2' }],
    ['two bearers', { authorization: ['Bearer sk-1', 'Bearer sk-2'] }],
    ['two bearers, joined on the way', { authorization: 'Bearer sk-1, Bearer sk-2' }],
    ['a bearer with something behind it', { authorization: 'Bearer sk-1 sk-2' }],
    ['two headers', { authorization: 'Bearer sk-1', 'x-api-key': 'sk-2' }],
    ['two headers with one key', { authorization: 'Bearer sk-1', 'x-api-key': 'sk-1' }],
  ])('refuses %s', (_, headers) => expect(read(headers)).toEqual(ambiguous));

  it('reads a header of the user’s choice, by any case of its name', () => {
    expect(read({ 'x-acme-key': 'sk-1', 'x-api-key': 'sk-2' }, [{ header: 'X-Acme-Key' }])).toEqual({ key: 'sk-1' });
  });

  it('reads a parameter of the query, decoded', () => {
    const sources: KeySource[] = [{ query: 'api_key' }];
    expect(read({}, sources, '/orders?page=2&api_key=sk%2F1')).toEqual({ key: 'sk/1' });
    expect(read({}, sources, '?api_key=sk-1')).toEqual({ key: 'sk-1' });
    expect(read({}, sources, 'https://api.test/orders?api_key=sk-1')).toEqual({ key: 'sk-1' });
    expect(read({}, sources, '/orders')).toEqual({ key: null });
    expect(read({}, sources, '/orders?api_key=sk-1&api_key=sk-2')).toEqual(ambiguous);
  });

  it('reads a cookie, quoted or not', () => {
    const sources: KeySource[] = [{ cookie: 'key' }];
    expect(read({ cookie: 'theme=dark; key=sk-1' }, sources)).toEqual({ key: 'sk-1' });
    expect(read({ cookie: 'key="sk-1"; monkey=no' }, sources)).toEqual({ key: 'sk-1' });
    expect(read({ cookie: ['key=sk-1', 'key=sk-2'] }, sources)).toEqual(ambiguous);
    expect(read({ cookie: 'monkey=no' }, sources)).toEqual({ key: null });
  });

  it.each([
    ['"sk-1"', 'sk-1'],
    ['"sk-1', '"sk-1'],
    ['sk-1"', 'sk-1"'],
    ['"', '"'],
    ['""', null],
  ])('takes quotes off a cookie in pairs only: %s', (value, key) => {
    expect(read({ cookie: `key=${value}` }, [{ cookie: 'key' }])).toEqual({ key });
  });

  it('decodes a cookie, as the parsers of cookies do', () => {
    const sources: KeySource[] = [{ cookie: 'key' }];
    expect(read({ cookie: 'key=sk%2B1%3D' }, sources)).toEqual({ key: 'sk+1=' });
    expect(read({ cookie: 'key="sk%2B1"' }, sources)).toEqual({ key: 'sk+1' });
    expect(read({ cookie: 'key=100%' }, sources)).toEqual({ key: '100%' });
    expect(read({ cookie: 'key=sk-1%20sk-2' }, sources)).toEqual(ambiguous);
  });

  it.each([' ', '\t', ',', '\u00a0', '\u2003'])('does not take a value with %j in it for one key', (separator) => {
    expect(read({ 'x-api-key': `sk-1${separator}sk-2` })).toEqual(ambiguous);
    expect(read({ 'x-api-key': 'schlüssel' })).toEqual({ key: 'schlüssel' });
  });

  it('reads a subprotocol of a WebSocket', () => {
    const sources: KeySource[] = [{ subprotocol: 'key.' }];
    expect(read({ 'sec-websocket-protocol': 'v1, key.sk-1' }, sources)).toEqual({ key: 'sk-1' });
    expect(read({ 'sec-websocket-protocol': 'chat.example.v1, key.sk-1' }, sources)).toEqual({ key: 'sk-1' });
    expect(read({ 'sec-websocket-protocol': 'v1' }, sources)).toEqual({ key: null });
    expect(read({ 'sec-websocket-protocol': 'key.sk-1, key.sk-2' }, sources)).toEqual(ambiguous);
  });

  it.each<[string | string[], object]>([
    [['Basic eDp5', 'Bearer sk-1'], ambiguous],
    [['Bearer sk-1', ''], ambiguous],
    ['Basic eDp5, Bearer sk-1', ambiguous],
    [',bearer sk-1', ambiguous],
    [['Basic eDp5', 'Basic eDp6'], { key: null }],
    ['Digest username="a", realm="b", bearer="c"', { key: null }],
    ['', { key: null }],
  ])('reads Authorization: %j alike, joined by a framework or not', (authorization, found) => {
    expect(read({ authorization })).toEqual(found);
  });

  it('refuses a header that is sent twice, also if one of the two is empty', () => {
    expect(read({ 'x-api-key': ['', 'sk-1'] })).toEqual(ambiguous);
    expect(read({ 'x-api-key': ', sk-1' })).toEqual(ambiguous);
    expect(read({ 'x-api-key': '' })).toEqual({ key: null });
  });

  it('refuses a key in each of two places that were asked for', () => {
    expect(read({ cookie: 'key=sk-1', authorization: 'Bearer sk-2' }, ['bearer', { cookie: 'key' }])).toEqual(
      ambiguous,
    );
  });

  it('leaves no key with the engine, which keeps the last text that matched', () => {
    read({ authorization: 'Bearer sk-0123456789' });
    read({ cookie: 'key="sk-0123456789"' }, [{ cookie: 'key' }]);
    read({ authorization: 'Bearer sk-0123456789, Bearer sk-0123456789' });
    read({ 'x-api-key': ['sk-0123456789', 'sk-0123456789 '] });
    const { input } = RegExp as unknown as { input: string };
    expect(input).not.toContain('sk-0123456789');
  });
});
