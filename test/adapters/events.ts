import type { LambdaEvent } from 'keyverify/lambda';
import type { AdapterCall, AdapterReply } from 'keyverify/testing';

/** What a handler of a Lambda function returns for HTTP. */
interface Result {
  readonly statusCode?: number;
  readonly headers?: Readonly<Record<string, string | number | boolean>>;
  readonly multiValueHeaders?: Readonly<Record<string, readonly (string | number | boolean)[]>>;
  readonly body?: string;
  readonly isBase64Encoded?: boolean;
}

/**
 * The shape of the events: of API Gateway's version 1.0 (REST) or 2.0 (HTTP, function URLs), or of a load balancer, whose
 * target group has headers with one value or with several, or of VPC Lattice's version 2.0.
 */
export type EventVersion = '1.0' | '2.0' | 'ALB' | 'ALB, several values' | 'Lattice';

const requestContext = {
  accountId: '123456789012',
  apiId: 'api',
  domainName: 'api.test',
  stage: '$default',
  identity: { sourceIp: '127.0.0.1' },
};

function grouped(headers: AdapterCall['headers']): Map<string, string[]> {
  const all = new Map<string, string[]>();
  for (const [name, value] of headers) all.set(name, [...(all.get(name) ?? []), value]);
  return all;
}

/** REST: names as they were sent, and every value beside the last one. */
function eventV1({ path, method, headers }: AdapterCall) {
  const [rawPath = '', query = ''] = path.split('?');
  const parameters = new URLSearchParams(query);
  const lists = [...new Set(parameters.keys())].map((name) => [name, parameters.getAll(name)] as const);
  return {
    version: '1.0',
    resource: '/{proxy+}',
    path: rawPath,
    httpMethod: method,
    headers: Object.fromEntries(headers),
    multiValueHeaders: Object.fromEntries(grouped(headers)),
    queryStringParameters: Object.fromEntries(parameters),
    multiValueQueryStringParameters: Object.fromEntries(lists),
    requestContext: { ...requestContext, path: rawPath, httpMethod: method, requestTimeEpoch: 0 },
    body: null,
    isBase64Encoded: false,
  };
}

/** HTTP: names in lower case, values joined by a comma, cookies apart. */
function eventV2({ path, method, headers }: AdapterCall) {
  const [rawPath = '', rawQueryString = ''] = path.split('?');
  const lower = headers.map(([name, value]) => [name.toLowerCase(), value] as const);
  const joined = [...grouped(lower)].map(([name, values]) => [name, values.join(',')] as const);
  const cookies = lower.filter(([name]) => name === 'cookie').map(([, value]) => value);
  return {
    version: '2.0',
    routeKey: '$default',
    rawPath,
    rawQueryString,
    cookies,
    headers: Object.fromEntries(joined.filter(([name]) => name !== 'cookie')),
    requestContext: { ...requestContext, http: { method, path: rawPath, protocol: 'HTTP/1.1', sourceIp: '127.0.0.1' } },
    isBase64Encoded: false,
  };
}

/** Names in lower case, the query as it was sent; every value of a header, or the last one. */
function eventAlb({ path, method, headers }: AdapterCall, several: boolean) {
  const [rawPath = '', query = ''] = path.split('?');
  const lower = headers.map(([name, value]) => [name.toLowerCase(), value] as const);
  const parameters = query === '' ? [] : query.split('&').map((pair) => pair.split('=') as [string, string]);
  return {
    requestContext: { elb: { targetGroupArn: 'arn:aws:elasticloadbalancing:eu-1:123456789012:targetgroup/api/1' } },
    httpMethod: method,
    path: rawPath,
    ...(several
      ? {
          multiValueHeaders: Object.fromEntries(grouped(lower)),
          multiValueQueryStringParameters: Object.fromEntries(grouped(parameters)),
        }
      : { headers: Object.fromEntries(lower), queryStringParameters: Object.fromEntries(parameters) }),
    body: '',
    isBase64Encoded: false,
  };
}

/** Every value of a header in a list, and the method in a place of its own. */
function eventLattice({ path, method, headers }: AdapterCall) {
  const [rawPath = '', query = ''] = path.split('?');
  const lower = headers.map(([name, value]) => [name.toLowerCase(), value] as const);
  return {
    version: '2.0',
    path: rawPath,
    method,
    headers: Object.fromEntries(grouped(lower)),
    queryStringParameters: Object.fromEntries(grouped([...new URLSearchParams(query)])),
    requestContext: { serviceArn: 'arn:aws:vpc-lattice:eu-1:123456789012:service/svc-1', timeEpoch: '0' },
    isBase64Encoded: false,
  };
}

export function eventOf(call: AdapterCall, version: EventVersion): LambdaEvent {
  if (version === 'Lattice') return eventLattice(call) as LambdaEvent;
  if (version === '1.0') return eventV1(call) as LambdaEvent;
  return version === '2.0' ? eventV2(call) : eventAlb(call, version !== 'ALB');
}

/** The handlers that are served, by the URL of their service. */
const handlers = new Map<string, (call: AdapterCall) => Promise<unknown>>();

/** Serves a handler of events in place of a port: `callHandler()` finds it by its URL. */
export function serveHandler(
  handler: (call: AdapterCall) => Promise<unknown>,
  version?: EventVersion,
): {
  url: string;
  close: () => Promise<boolean>;
} {
  const url = `event://${handlers.size}-${Math.random()}`;
  const several = async (call: AdapterCall): Promise<unknown> => {
    // Such a target group ignores `headers`.
    const { headers: _, ...result } = (await handler(call)) as Result;
    return result;
  };
  handlers.set(url, version === 'ALB, several values' ? several : handler);
  return { url, close: async () => await Promise.resolve(handlers.delete(url)) };
}

/** Calls a handler as API Gateway does, and reads what it returns in terms of HTTP. */
export async function callHandler(call: AdapterCall): Promise<AdapterReply> {
  const result = (await handlers.get(call.url)?.(call)) as Result;
  const { statusCode = 200, headers = {}, multiValueHeaders = {}, body = '', isBase64Encoded = false } = result;
  const all = {
    ...headers,
    ...Object.fromEntries(Object.entries(multiValueHeaders).map(([name, [value]]) => [name, value])),
  };
  return {
    status: statusCode,
    headers: Object.fromEntries(Object.entries(all).map(([name, value]) => [name.toLowerCase(), String(value)])),
    // API Gateway sends no body in the answer to a HEAD.
    body: call.method === 'HEAD' ? '' : isBase64Encoded ? Buffer.from(body, 'base64').toString() : body,
  };
}
