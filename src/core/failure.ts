/** Why there is no verdict. */
export type FailureKind =
  | 'unreachable'
  | 'timeout'
  | 'server_error'
  | 'rate_limited'
  | 'overloaded'
  | 'circuit_open'
  | 'misconfigured'
  | 'invalid_response';

/** The stable `code` of every error this library creates. */
export type ErrorCode = `KEYVERIFY_${Uppercase<FailureKind>}` | 'KEYVERIFY_INVALID_OPTIONS';

/** Only an outage of the key server may fail open: nothing that a caller, our own load or our own settings can cause. */
const MAY_OPEN: ReadonlySet<FailureKind> = new Set(['unreachable', 'timeout', 'server_error', 'circuit_open']);

const CODES: Readonly<Record<FailureKind, ErrorCode>> = {
  unreachable: 'KEYVERIFY_UNREACHABLE',
  timeout: 'KEYVERIFY_TIMEOUT',
  server_error: 'KEYVERIFY_SERVER_ERROR',
  rate_limited: 'KEYVERIFY_RATE_LIMITED',
  overloaded: 'KEYVERIFY_OVERLOADED',
  circuit_open: 'KEYVERIFY_CIRCUIT_OPEN',
  misconfigured: 'KEYVERIFY_MISCONFIGURED',
  invalid_response: 'KEYVERIFY_INVALID_RESPONSE',
};

/** The base of every error this library creates. Its message and cause never hold a key or a service token. */
export abstract class KeyVerifyError extends Error {
  abstract readonly code: ErrorCode;
}

/** What is known of a failure beside its kind. */
export interface FailureDetails {
  /** The underlying error, reduced to name, code and message, with secrets taken out. */
  readonly cause?: Error | undefined;
  /** How long the key server asked us to wait, in milliseconds. */
  readonly retryAfterMs?: number | undefined;
  /** How many requests were sent for this answer. */
  readonly attempts?: number | undefined;
  /** How long it took, in milliseconds. */
  readonly durationMs?: number | undefined;
}

/** A failure in the making: why one attempt gave no verdict, while another may follow. */
export interface AttemptFailure extends Pick<FailureDetails, 'cause' | 'retryAfterMs'> {
  readonly kind: FailureKind;
  readonly message: string;
}

/**
 * Until somebody reads the stack of an error, V8 keeps the frames themselves, and with them what they work on: the key.
 * Nobody throws these errors, so the frames say nothing.
 */
export function dropFrames(error: Error): void {
  error.stack = `${error.name}: ${error.message}`;
}

/** Why the key server gave no verdict. It is carried by a result, never thrown by `verify()`. */
export class VerifyFailure extends KeyVerifyError {
  override readonly name = 'VerifyFailure';
  readonly kind: FailureKind;
  readonly code: ErrorCode;
  /** How many requests were sent for this answer. */
  readonly attempts: number;
  /** How long it took, in milliseconds. */
  readonly durationMs: number;
  /** How long to wait before asking again, in milliseconds, where that is known. */
  readonly retryAfterMs: number | undefined;

  constructor(kind: FailureKind, message: string, details: FailureDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.kind = kind;
    this.code = CODES[kind];
    this.attempts = details.attempts ?? 0;
    this.durationMs = details.durationMs ?? 0;
    this.retryAfterMs = details.retryAfterMs;
    dropFrames(this);
  }

  /** Whether the key server is out, which is the only thing that `failOpen` opens for. */
  get isOutage(): boolean {
    return MAY_OPEN.has(this.kind);
  }
}

/** Thrown by the constructor of `KeyVerifier`: every mistake in the options, one line each. */
export class InvalidOptionsError extends KeyVerifyError {
  override readonly name = 'InvalidOptionsError';
  readonly code = 'KEYVERIFY_INVALID_OPTIONS';
  /** One sentence a mistake: the option, what was expected and what came. */
  readonly issues: readonly string[];

  constructor(issues: readonly string[]) {
    super(`keyverify: invalid options\n${issues.map((issue) => `  - ${issue}`).join('\n')}`);
    this.issues = issues;
  }
}
