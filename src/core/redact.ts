import { dropFrames } from './failure.js';

const REDACTED = '[redacted]';

/** Shorter secrets would be found in every other word of a claim; no key or token worth its name is that short. */
const SHORTEST_IN_CLAIMS = 8;

/** Takes the secrets out of a text, however it quotes them. */
export function redact(text: string, secrets: readonly string[]): string {
  let clean = text;
  for (const secret of secrets) {
    if (secret === '') continue;
    for (const form of quotedForms(secret)) clean = clean.replaceAll(form, REDACTED);
  }
  return clean;
}

export function containsSecret(text: string, secrets: readonly string[]): boolean {
  return secrets.some(
    // No way of quoting makes it shorter, so most texts need not be searched.
    (secret) =>
      secret.length >= SHORTEST_IN_CLAIMS &&
      text.length >= secret.length &&
      quotedForms(secret).some((form) => text.includes(form)),
  );
}

/** The ways in which a text is quoted: as it is, in JSON, in a URL. */
function quotedForms(secret: string): readonly string[] {
  // JSON escapes nothing that a URL leaves as it is. Not by a RegExp: the engine would keep the secret, as its input.
  const inUrl = encodeURIComponent(secret);
  return inUrl === secret ? [secret] : [secret, JSON.stringify(secret).slice(1, -1), inUrl];
}

/** Reduces an error of whatever kind to a name, a code and a message without secrets, so that it can be shown. */
export function redactError(error: unknown, secrets: readonly string[]): Error {
  const { name, message, code } = innermostError(error);
  // OpenSSL ends its messages with a line break, and a log wants one line.
  const safe = new Error(redact(message.trim(), secrets));
  safe.name = redact(name, secrets);
  dropFrames(safe);
  return code === undefined ? safe : Object.assign(safe, { code: redact(code, secrets) });
}

/** The innermost error is the one that says what happened: `fetch` wraps it, and so do several addresses tried in turn. */
export function innermostError(error: unknown): { name: string; message: string; code: string | undefined } {
  let name = 'Error';
  let message = '';
  let code: string | undefined;
  let current: unknown = error;
  for (let depth = 0; depth < 8 && current instanceof Error; depth++) {
    // Errors of the caller's own may have any value there.
    const { name: kind, message: text }: { readonly name: unknown; readonly message: unknown } = current;
    if (typeof kind === 'string') name = kind;
    if (typeof text === 'string' && text !== '') message = text;
    if ('code' in current && typeof current.code === 'string') ({ code } = { code: current.code });
    current = current.cause ?? (current instanceof AggregateError ? current.errors[0] : undefined);
  }
  return { name, message: message === '' ? (code ?? 'no message') : message, code };
}

/**
 * Makes what the server said safe to keep and to share: deeply frozen, nothing that could pollute a prototype, and no
 * secret should the server echo one. Works in place and without recursion: the tree may be as deep as a response is long.
 */
export function sanitize<T extends object>(tree: T, secrets: readonly string[]): T {
  const pending: object[] = [tree];
  for (let node = pending.pop(); node !== undefined; node = pending.pop()) {
    for (const [field, value] of Object.entries(node)) {
      if (field === '__proto__' || containsSecret(field, secrets)) Reflect.deleteProperty(node, field);
      else if (typeof value === 'string' && containsSecret(value, secrets)) Reflect.set(node, field, REDACTED);
      else if (isPlain(value) && !Object.isFrozen(value)) pending.push(value);
    }
    Object.freeze(node);
  }
  return tree;
}

function isPlain(value: unknown): value is object {
  if (typeof value !== 'object' || value === null) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === Array.prototype || prototype === null;
}
