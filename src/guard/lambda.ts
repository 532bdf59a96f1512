import type { GuardRequest } from './request.js';

type Values<T> = Readonly<Record<string, T | undefined>>;

/** The parts of an event that a guard reads: of a function URL, of API Gateway (1.0 and 2.0) or of a load balancer. */
export interface LambdaEvent {
  readonly headers?: Values<string> | null;
  /** Version 1.0: every value of a header. */
  readonly multiValueHeaders?: Values<readonly string[]> | null;
  /** Version 2.0: the cookies, which are not among the headers. */
  readonly cookies?: readonly string[];
  readonly rawQueryString?: string;
  readonly queryStringParameters?: Values<string> | null;
  readonly multiValueQueryStringParameters?: Values<readonly string[]> | null;
  readonly httpMethod?: string;
  readonly requestContext?: {
    readonly requestId?: string;
    readonly http?: { readonly method?: string };
  };
}

export const methodOf = ({ httpMethod, requestContext }: LambdaEvent): string | undefined =>
  httpMethod ?? requestContext?.http?.method;

/** Names and values; version 1.0 has every value in a record of its own. */
function pairsOf(single: LambdaEvent['headers'], multiple: LambdaEvent['multiValueHeaders']): [string, string][] {
  const entries = Object.entries<string | readonly string[] | undefined>(multiple ?? single ?? {});
  return entries.flatMap(([name, values = []]) => [values].flat().map((value): [string, string] => [name, value]));
}

/** Every value of a header. In version 1.0 names come in any case. */
function valuesOf({ headers, multiValueHeaders, cookies }: LambdaEvent, name: string): readonly string[] {
  if (name === 'cookie' && cookies !== undefined) return cookies;
  return pairsOf(headers, multiValueHeaders)
    .filter(([sent]) => sent.toLowerCase() === name)
    .map(([, value]) => value);
}

/** The query, encoded: version 1.0 has it decoded. */
function queryOf({ rawQueryString, queryStringParameters, multiValueQueryStringParameters }: LambdaEvent): string {
  return rawQueryString ?? String(new URLSearchParams(pairsOf(queryStringParameters, multiValueQueryStringParameters)));
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
