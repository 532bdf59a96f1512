import type { GuardRequest } from './request.js';

type Values<T> = Readonly<Record<string, T | undefined>>;

/**
 * The parts of an event that a guard reads: of a function URL, of API Gateway (1.0 and 2.0), of a load balancer or of VPC
 * Lattice (2.0).
 */
export interface LambdaEvent {
  /** VPC Lattice: every value of a header. */
  readonly headers?: Values<string | readonly string[]> | null;
  /** Version 1.0: every value of a header. */
  readonly multiValueHeaders?: Values<readonly string[]> | null;
  /** Version 2.0: the cookies, which are not among the headers. */
  readonly cookies?: readonly string[];
  readonly rawQueryString?: string;
  readonly queryStringParameters?: Values<string | readonly string[]> | null;
  readonly multiValueQueryStringParameters?: Values<readonly string[]> | null;
  readonly httpMethod?: string;
  /** VPC Lattice. */
  readonly method?: string;
  readonly requestContext?: {
    readonly requestId?: string;
    readonly http?: { readonly method?: string };
    /** Of a load balancer. */
    readonly elb?: object;
  };
}

export const methodOf = ({ httpMethod, method, requestContext }: LambdaEvent): string | undefined =>
  httpMethod ?? method ?? requestContext?.http?.method;

/** Whether the event is of a load balancer whose target group has several values for a header, in the response, too. */
export const hasSeveralValues = ({ requestContext, multiValueHeaders }: LambdaEvent): boolean =>
  requestContext?.elb !== undefined && (multiValueHeaders ?? undefined) !== undefined;

/** Names and values; version 1.0 has every value in a record of its own. */
function pairsOf(single: LambdaEvent['headers'], multiple: LambdaEvent['multiValueHeaders']): [string, string][] {
  // An event is JSON of somebody else, so that a value may be anything.
  return Object.entries<unknown>(multiple ?? single ?? {}).flatMap(([name, values]) =>
    [values]
      .flat()
      .filter((value) => typeof value === 'string')
      .map((value): [string, string] => [name, value]),
  );
}

/** Every value of a header. In version 1.0 names come in any case. */
function valuesOf({ headers, multiValueHeaders, cookies }: LambdaEvent, name: string): readonly string[] {
  if (name === 'cookie' && cookies !== undefined) return cookies;
  return pairsOf(headers, multiValueHeaders)
    .filter(([sent]) => sent.toLowerCase() === name)
    .map(([, value]) => value);
}

/** The query, encoded: version 1.0 has it decoded, and a load balancer as it was sent. */
function queryOf(event: LambdaEvent): string {
  const { rawQueryString, queryStringParameters, multiValueQueryStringParameters, requestContext } = event;
  if (rawQueryString !== undefined) return rawQueryString;
  const pairs = pairsOf(queryStringParameters, multiValueQueryStringParameters);
  if (requestContext?.elb === undefined) return String(new URLSearchParams(pairs));
  return pairs.map((pair) => pair.join('=')).join('&');
}

/** An event as a guard sees it. */
export function fromEvent(event: LambdaEvent): GuardRequest {
  return {
    header: (name) => valuesOf(event, name),
    get url() {
      return `?${queryOf(event)}`;
    },
    requestId: event.requestContext?.requestId,
  };
}
