import type { FailureKind } from './failure.js';
import { fieldOf } from './schema.js';

/** The stable `code` of every error this library creates. */
export type ErrorCode = `KEYVERIFY_${Uppercase<FailureKind>}` | 'KEYVERIFY_INVALID_OPTIONS' | 'KEYVERIFY_NOT_PUBLISHED';

/** In the global registry, so that copies of this library (ESM beside CJS, another realm) know each other's errors. */
const BRAND = Symbol.for('keyverify.error');

/** The base of every error this library creates. Its message and cause never hold a key or a service token. */
export abstract class KeyVerifyError extends Error {
  /** What went wrong, as a stable code such as `KEYVERIFY_TIMEOUT`. */
  abstract readonly code: ErrorCode;

  /**
   * The error as plain data, with its kind, code and message: for `JSON.stringify()`, and for `structuredClone()` and
   * `postMessage()`, which keep of an error itself no more than name, message and stack.
   */
  toJSON(): { readonly name: string; readonly message: string; readonly code: ErrorCode } {
    return Object.assign({}, this, { name: this.name, message: this.message, code: this.code });
  }

  // On the prototype: a field would be printed with each error.
  // eslint-disable-next-line @typescript-eslint/class-literal-property-style
  get [BRAND](): true {
    return true;
  }
}

/**
 * Whether this library created the error. Unlike `instanceof`, it also recognizes errors of another copy of the library:
 * ESM beside CJS, or another realm.
 */
export function isKeyVerifyError(error: unknown): error is KeyVerifyError {
  return fieldOf(error, BRAND) === true;
}

/** Thrown for wrong options, by the constructor of `KeyVerifier` among others. It names every mistake at once. */
export class InvalidOptionsError extends KeyVerifyError {
  override readonly name = 'InvalidOptionsError';
  readonly code = 'KEYVERIFY_INVALID_OPTIONS';
  /** One sentence for each mistake: the option, what was expected and what was passed. */
  readonly issues: readonly string[];

  constructor(issues: readonly string[]) {
    super(`keyverify: invalid options\n${issues.map((issue) => `  - ${issue}`).join('\n')}`);
    this.issues = issues;
  }
}

/** Why `revoke()` rejects: the keys are revoked in this process, but the others may not know. */
export class NotPublishedError extends KeyVerifyError {
  override readonly name = 'NotPublishedError';
  readonly code = 'KEYVERIFY_NOT_PUBLISHED';
}

/**
 * Drops the frames of an error's stack. Until the stack is read, V8 keeps the frames themselves and with them what they
 * refer to: the key. Nobody throws these errors, so the frames say nothing.
 */
export function dropFrames(error: Error): void {
  error.stack = `${error.name}: ${error.message}`;
}
