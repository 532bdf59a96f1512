import { dropFrames } from './errors.js';
import { formEncode, isUnreserved } from './form.js';
import { isObject, isString, isText } from './schema.js';

export const REDACTED = '[redacted]';

/** Shorter secrets would be found in every other word of a claim; no key or token worth its name is that short. */
const SHORTEST_SECRET = 8;

/**
 * Replaces the secrets in a text, in every form in which they may be quoted. All are found before any is replaced: a key that is
 * a part of the token would cut it up, and what is left of it would stay.
 */
export function redact(text: string, secrets: readonly string[]): string {
  const found: (readonly [from: number, to: number])[] = [];
  for (const form of secrets.flatMap(quotedForms)) {
    const { length } = form;
    for (let at = text.indexOf(form); length > 0 && at >= 0; at = text.indexOf(form, at + length)) {
      // A short one only as a word of its own: the key `SOCKET` must not cut up `UND_ERR_SOCKET`.
      const isPart = isWordCharacter(text[at - 1]) || isWordCharacter(text[at + length]);
      if (length >= SHORTEST_SECRET || !isPart) found.push([at, at + length]);
    }
  }
  let clean = '';
  let end = 0;
  for (const [from, to] of found.sort(([a], [b]) => a - b)) {
    if (from >= end) clean += text.slice(end, from) + REDACTED;
    end = Math.max(end, to);
  }
  return clean + text.slice(end);
}

/** Without a RegExp: the engine would keep the text, as RegExp.input. */
function isWordCharacter(character = ''): boolean {
  return (
    character === '_' || character.toLowerCase() !== character.toUpperCase() || (character >= '0' && character <= '9')
  );
}

/** Whether a text holds a secret. Those too short to be one are not looked for: they are in every other word. */
export function containsSecret(text: string, secrets: readonly string[]): boolean {
  return secrets.some(
    // No way of quoting makes it shorter, so most texts need not be searched.
    (secret) =>
      secret.length >= SHORTEST_SECRET &&
      text.length >= secret.length &&
      quotedForms(secret).some((form) => text.includes(form)),
  );
}

/** The ways in which a text is quoted: as it is, in JSON, in a URL, in a form. */
function quotedForms(secret: string): readonly string[] {
  // JSON and URLs escape nothing that a form leaves as it is.
  if (isUnreserved(secret)) return [secret];
  const forms = [secret, JSON.stringify(secret).slice(1, -1)];
  try {
    forms.push(encodeURIComponent(secret), formEncode(secret));
  } catch {
    // No URL can hold half a surrogate pair.
  }
  return forms;
}

/** Reduces an error of any kind to a name, a code and a message without secrets, so that it can be shown. */
export function redactError(error: unknown, secrets: readonly string[]): Error {
  const { name, message, code } = innermostError(error);
  // OpenSSL ends its messages with a line break, and a log wants one line.
  const safe = new Error(redact(message.trim(), secrets));
  safe.name = redact(name, secrets);
  dropFrames(safe);
  return code === undefined ? safe : Object.assign(safe, { code: redact(code, secrets) });
}

/** The innermost error says what happened: `fetch` wraps it, and so does an `AggregateError` of several addresses tried. */
export function innermostError(error: unknown): ErrorText {
  try {
    return readInnermost(error);
  } catch {
    // Errors of the caller's own may have getters, and those may throw.
    return { name: 'Error', message: 'no message', code: undefined };
  }
}

interface ErrorText {
  readonly name: string;
  readonly message: string;
  readonly code: string | undefined;
}

function readInnermost(error: unknown): ErrorText {
  let name = 'Error';
  let message = '';
  let code: string | undefined;
  let current: unknown = error;
  for (let depth = 0; depth < 8 && current instanceof Error; depth++) {
    // Errors of the caller's own may have any value there.
    const { name: kind, message: text }: { readonly name: unknown; readonly message: unknown } = current;
    if (isString(kind)) name = kind;
    if (isText(text)) message = text;
    if ('code' in current && isString(current.code)) code = current.code;
    current = current.cause ?? (current instanceof AggregateError ? current.errors[0] : undefined);
  }
  return { name, message: message === '' ? (code ?? 'no message') : message, code };
}

/**
 * Makes what the server said safe to keep and to share: deeply frozen, nothing that could pollute a prototype, and no
 * secret should the server echo one. Works in place and without recursion: the tree may be as deep as a response is long.
 * Returns how many levels it has.
 */
export function sanitize(tree: object, secrets: readonly string[]): number {
  const nodes = [tree];
  let levels = 0;
  let last: object | undefined = tree;
  // Each node comes once, in a circle too. Most trees have but one.
  let known: Set<object> | undefined;
  const add = (value: unknown): void => {
    if (!isTree(value)) return;
    known ??= new Set(nodes);
    if (known.has(value)) return;
    known.add(value);
    nodes.push(value);
  };
  // Iterating over an array includes what is added meanwhile.
  for (const node of nodes) {
    for (const field of Object.keys(node)) {
      const value: unknown = Reflect.get(node, field);
      if (field === '__proto__' || containsSecret(field, secrets)) Reflect.deleteProperty(node, field);
      else if (isString(value) && containsSecret(value, secrets)) Reflect.set(node, field, REDACTED);
      else add(value);
    }
    if (node instanceof Map) for (const item of [...node].flat()) add(item);
    if (node instanceof Set) for (const item of node) add(item);
    disableMutators(node);
    Object.freeze(node);
    // The last one of its level: all of the next level have been added.
    if (node === last) {
      levels += 1;
      last = nodes.at(-1);
    }
  }
  return levels;
}

/** What a schema may make of claims and what is frozen with them; instances of other classes are the schema's own. */
function isTree(value: unknown): value is object {
  if (!isObject(value)) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === Array.prototype || prototype === null || isBuiltIn(value);
}

const BUILT_INS = [Date, Map, Set];

const isBuiltIn = (value: object): boolean => BUILT_INS.some((type) => value instanceof type);

const MUTATOR = /^(?:set|add|delete|clear|getOrInsert)/;

/** Freezing a `Date`, `Map` or `Set` leaves its contents open. */
function disableMutators(value: object): void {
  const type = BUILT_INS.find((type) => value instanceof type);
  if (type === undefined) return;
  for (const name of Object.getOwnPropertyNames(type.prototype))
    if (MUTATOR.test(name)) Reflect.defineProperty(value, name, { value: refuseToChange });
}

function refuseToChange(): never {
  throw new TypeError('keyverify: claims are read-only');
}
