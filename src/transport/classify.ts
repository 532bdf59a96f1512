import { fieldOf, isString } from '../core/schema.js';
import { isTransportError, TransportError, type TransportFailureKind } from './transport.js';

/** What an error says about the request that it ended. */
export interface Diagnosis {
  readonly kind: TransportFailureKind;
  readonly message: string;
  /** No connection was made. */
  readonly unconnected?: true;
}

/** What lists go by. Raw: redaction comes later, or a secret could take a part out of a code. */
export interface ErrorDetails {
  readonly name: string;
  readonly code: string;
  readonly message: string;
  /** Any other field of the error. */
  readonly field: (name: string) => unknown;
}

/** Names the failure that an error comes to. */
export type Classify = (error: unknown, url: string) => TransportError;

/** How a runtime tells what went wrong. */
export interface FailureChecks {
  readonly classify: Classify;
  /** See `Transport.isOverloaded`. */
  readonly isOverloaded?: (waitedMs: number) => Promise<boolean>;
}

export const UNREACHABLE: Diagnosis = {
  kind: 'unreachable',
  message: 'keyverify: the key server cannot be reached, or closed the connection',
};

export const UNCONNECTED: Diagnosis = { ...UNREACHABLE, unconnected: true };

export const TLS_FAILED: Diagnosis = {
  kind: 'misconfigured',
  message: 'keyverify: the TLS handshake failed: check verifyUrl and the certificates',
};

/**
 * With TLS 1.3 a server that wants a client certificate says so when the handshake is over for us, by closing the connection.
 * So it is no outage; but it may be one bad backend of several, and worth another attempt.
 */
export const CLOSED_AT_ONCE: Diagnosis = {
  kind: 'invalid_response',
  message: 'keyverify: the key server closed a new TLS connection at once: it may want a client certificate',
};

export const NOT_HTTP: Diagnosis = {
  kind: 'invalid_response',
  message: 'keyverify: the key server gave no readable HTTP response',
};

export const OWN_LIMIT: Diagnosis = {
  kind: 'overloaded',
  message: 'keyverify: this process may be out of sockets, ports, file descriptors or memory',
};

const UNKNOWN: Diagnosis = {
  kind: 'misconfigured',
  message: 'keyverify: the request failed in an unknown way',
};

/**
 * Classifies by a list of what may be an outage: an error that is not on it denies. Of several addresses tried in turn,
 * each has to say so.
 */
export function classifier(diagnose: (error: ErrorDetails, url: string) => Diagnosis | undefined): Classify {
  return (error, url) => {
    if (isTransportError(error)) return error;
    const found = rootCauses(error).map((cause) => diagnose(details(cause), url) ?? UNKNOWN);
    const denial = found.find(({ kind }) => kind !== 'unreachable');
    const { kind, message } = denial ?? UNREACHABLE;
    const unconnected = found.every((diagnosis) => diagnosis.unconnected === true);
    return new TransportError(kind, message, { cause: error, unconnected });
  };
}

/** More errors than this behind one say nothing: getters can make up causes without end. */
const MOST_CAUSES = 256;

/** The innermost errors are the ones that say what happened: `fetch` wraps them, and so do several addresses tried in turn. */
function rootCauses(error: unknown): readonly unknown[] {
  const roots: unknown[] = [];
  // Iterating over a set includes what is added meanwhile, and each error comes once, in a circle too.
  const found = new Set<unknown>([error]);
  for (const current of found) {
    if (found.size > MOST_CAUSES) return [undefined];
    // Not by `instanceof`: in a VM as Jest's, the errors of Node are of another realm.
    const members = fieldOf(current, 'errors');
    const cause = fieldOf(current, 'cause');
    if (Array.isArray(members) && members.length > 0) for (const member of members) found.add(member);
    else if (cause === undefined || cause === null || found.has(cause)) roots.push(current);
    else found.add(cause);
  }
  return roots.length === 0 ? [undefined] : roots;
}

function details(error: unknown): ErrorDetails {
  const field = (name: string): unknown => fieldOf(error, name);
  const text = (name: string): string => {
    const value = field(name);
    return isString(value) ? value : '';
  };
  return { name: text('name'), code: text('code'), message: text('message'), field };
}
