import { apiKeyAuth, type AuthorizerEvent, type LambdaEvent } from 'keyverify/lambda';
import { adapterRoutes } from 'keyverify/testing';
import { describe, expect, it } from 'vitest';

import type { GuardOptions } from '../../src/guard/options.js';
import { acme, failedClosed, rejected, saying } from '../guard/verifiers.js';
import { callHandler, eventOf, type EventVersion, serveHandler } from './events.js';
import { testAdapter } from './suite.js';

/** With one value for each header, a load balancer drops all but the last. */
const hidesValues = [
  'refuses two keys in one request, in two headers or in one',
  'refuses two bearers, of which Node keeps the first',
  'refuses a header that is sent twice, also where one of the two has no key',
];

const VERSIONS = ['1.0', '2.0', 'ALB', 'ALB, several values', 'Lattice'] as const satisfies EventVersion[];

for (const version of VERSIONS) {
  testAdapter(
    `Lambda, events of version ${version}`,
    (verifier, handler) => {
      const routes = Object.entries(adapterRoutes).map(([path, options]) => {
        const { protect } = apiKeyAuth(verifier, options);
        return [
          path,
          protect((_, identity) => ({ statusCode: 200, body: JSON.stringify(handler(identity)) })),
        ] as const;
      });
      const byPath = new Map(routes);
      return Promise.resolve(
        serveHandler(async (call) => await byPath.get(call.path)?.(eventOf(call, version)), version),
      );
    },
    { call: callHandler, leaves: false, except: version === 'ALB' ? hidesValues : [] },
  );
}

describe('a protected function', () => {
  const query = (version: EventVersion): LambdaEvent =>
    eventOf({ url: '', path: '/?a=b&key=sk%2B1', method: 'GET', headers: [] }, version);

  const reading = async (event: LambdaEvent, keySources?: GuardOptions['keySources']) => {
    const verifier = saying(acme);
    const { protect } = apiKeyAuth(verifier, keySources && { keySources });
    const result = await protect((_, identity, context: string) => `${identity.client} ${context}`)(event, 'context');
    return [result, verifier.asked.map(({ key }) => key)];
  };

  it('hands on the event, the identity and what Lambda passes', async () => {
    expect(await reading({ headers: { 'x-api-key': 'sk-1' } })).toEqual(['acme context', ['sk-1']]);
  });

  it('need not take what Lambda passes', async () => {
    const handler = apiKeyAuth(saying(acme)).protect((_, identity) => identity.client);
    expect(await handler({ headers: { 'x-api-key': 'sk-1' } }, 'context', 'callback')).toBe('acme');
  });

  it.each<[string, LambdaEvent, GuardOptions['keySources']]>([
    ['a header in any case', { headers: { 'X-Api-Key': 'sk+1' } }, undefined],
    ['a cookie of version 2.0', { headers: {}, cookies: ['a=b', 'key=sk%2B1'] }, [{ cookie: 'key' }]],
    ['a cookie of version 1.0', { headers: { Cookie: 'a=b; key=sk%2B1' } }, [{ cookie: 'key' }]],
    ['the query of version 2.0', { rawQueryString: 'a=b&key=sk%2B1' }, [{ query: 'key' }]],
    ['the query of version 1.0', { multiValueQueryStringParameters: { key: ['sk+1'] } }, [{ query: 'key' }]],
    ['the query of version 1.0 without lists', { queryStringParameters: { key: 'sk+1' } }, [{ query: 'key' }]],
    ['the query of a load balancer', query('ALB'), [{ query: 'key' }]],
    ['the query of a load balancer, in lists', query('ALB, several values'), [{ query: 'key' }]],
  ])('reads a key from %s', async (_, event, keySources) => {
    expect(await reading(event, keySources)).toEqual(['acme context', ['sk+1']]);
  });

  it.each<[string, LambdaEvent]>([
    ['nothing', {}],
    ['null, as REST has it', { headers: null, multiValueHeaders: null, queryStringParameters: null }],
    ['a header without a value', { headers: { 'x-api-key': undefined } }],
    ['a header that is null', { headers: { 'x-api-key': null as never } }],
    ['a header that is null in a list', { multiValueHeaders: { 'x-api-key': [null as never] } }],
    ['a header that is an object', { headers: { 'x-api-key': { a: 1 } as never, authorization: 5 as never } }],
    ['a query that is null', { headers: {}, queryStringParameters: { key: null as never } }],
  ])('denies a request with %s', async (_, event) => {
    expect(await reading(event, ['bearer', { header: 'x-api-key' }, { query: 'key' }])).toMatchObject([
      { statusCode: 401 },
      [],
    ]);
  });

  it.each(VERSIONS)('denies a HEAD without a body, and a GET with one, for an event of version %s', async (version) => {
    const call = { url: '', path: '/', headers: [] };
    const [head] = await reading(eventOf({ ...call, method: 'HEAD' }, version));
    expect(head).toMatchObject({ statusCode: 401, body: '' });
    const [get] = await reading(eventOf({ ...call, method: 'GET' }, version));
    expect(get).toMatchObject({ statusCode: 401, body: expect.stringContaining('"missing_key"') as string });
  });

  it.each(VERSIONS)(
    'denies with lists of headers only where they are read, for an event of version %s',
    async (version) => {
      const event = eventOf({ url: '', path: '/', method: 'GET', headers: [['x-request-id', 'req-7']] }, version);
      const [denial] = await reading(event);
      const headers = {
        'content-type': 'application/problem+json',
        'www-authenticate': 'Bearer realm="api"',
        'cache-control': 'no-store',
        'x-request-id': 'req-7',
      };
      const lists = Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, [value]]));
      expect(denial).toStrictEqual({
        statusCode: 401,
        headers,
        ...(version === 'ALB, several values' && { multiValueHeaders: lists }),
        body: expect.any(String) as string,
      });
    },
  );

  it('denies with the id that API Gateway gave the request', async () => {
    const [denial] = await reading({ headers: {}, requestContext: { requestId: 'c6af9ac6-7b61' } });
    expect(denial).toMatchObject({ headers: { 'x-request-id': 'c6af9ac6-7b61' } });
  });
});

describe('an authorizer', () => {
  const arn = 'arn:aws:execute-api:eu-1:123456789012:api/prod/GET/orders';
  const context = { client: 'acme', tenant: 'eu-1', keyId: '' };
  const policy = (effect: string, principalId: string, resource = arn) => ({
    principalId,
    policyDocument: {
      Version: '2012-10-17',
      Statement: [{ Action: 'execute-api:Invoke', Effect: effect, Resource: resource }],
    },
  });
  const token: AuthorizerEvent = { authorizationToken: 'Bearer sk-1', methodArn: arn };
  const rest: AuthorizerEvent = { headers: { 'X-Api-Key': 'sk-1' }, methodArn: arn };
  const http: AuthorizerEvent = { version: '2.0', headers: { authorization: 'Bearer sk-1' } };

  it('hands on the caller, by a policy or simply', async () => {
    const { authorizer } = apiKeyAuth(saying({ ...acme, keyId: 'key_1' }));
    const known = { ...context, keyId: 'key_1' };
    expect(await authorizer(token)).toEqual({ ...policy('Allow', 'acme'), context: known });
    expect(await authorizer(rest)).toEqual({ ...policy('Allow', 'acme'), context: known });
    expect(await authorizer(http)).toEqual({ isAuthorized: true, context: known });
    expect(await authorizer({ ...rest, methodArn: undefined } as unknown as AuthorizerEvent)).toMatchObject(
      policy('Allow', 'acme', '*'),
    );
  });

  it('admits nobody in particular where that is optional', async () => {
    const { authorizer } = apiKeyAuth(saying(acme), { optional: true });
    const nobody = { client: '', tenant: '', keyId: '' };
    expect(await authorizer({ methodArn: arn })).toEqual({ ...policy('Allow', 'unknown'), context: nobody });
  });

  it('denies by a policy, or simply, a caller who may not do this', async () => {
    const { authorizer } = apiKeyAuth(saying(acme), { authorize: () => false });
    const nobody = { client: '', tenant: '', keyId: '' };
    expect(await authorizer(token)).toEqual({ ...policy('Deny', 'unknown'), context: nobody });
    expect(await authorizer(http)).toEqual({ isAuthorized: false, context: nobody });
  });

  it.each([token, rest, http])(
    'throws what API Gateway answers with 401 for a key that is not valid',
    async (event) => {
      await expect(apiKeyAuth(saying(rejected('revoked'))).authorizer(event)).rejects.toThrow(/^Unauthorized$/);
    },
  );

  it('throws the same without a key, and with two', async () => {
    const { authorizer } = apiKeyAuth(saying(acme));
    await expect(authorizer({ methodArn: arn })).rejects.toThrow(/^Unauthorized$/);
    await expect(authorizer({ ...rest, multiValueHeaders: { 'x-api-key': ['sk-1', 'sk-2'] } })).rejects.toThrow(
      /^Unauthorized$/,
    );
  });

  it('never calls an outage unauthorized', async () => {
    await expect(apiKeyAuth(saying(failedClosed('timeout'))).authorizer(token)).rejects.toThrow(/^unavailable$/);
  });
});
