import { fail, ok } from 'node:assert/strict';

import { isHeaderName, isHeaderValue } from '../../core/header.js';
import { isNear, sentence, shown } from '../../core/messages.js';
import { innermostError } from '../../core/redact.js';
import { fieldOf, isBoolean, isFunction, isObject, isString, isText } from '../../core/schema.js';
import type { DecodeContext, Question, WireProtocol } from '../../protocol/protocol.js';
import { returnedProblem } from '../../protocols/functions.js';
import type { WireRequest, WireResponse } from '../../transport/transport.js';

/** What each field of a protocol that may be left out has to be. */
const FIELDS: Readonly<
  Record<Exclude<keyof WireProtocol, 'encode' | 'decode'>, readonly [is: (value: unknown) => boolean, expected: string]>
> = {
  url: [isText, 'a string that is not empty'],
  serviceToken: [
    (value) => value === false || isFunction(value) || isHeaderValue(value),
    'printable ASCII, a function that returns it, or false',
  ],
  scope: [(value) => value === 'sent' || value === 'compared', "'sent' or 'compared'"],
  ignoreCacheControl: [isBoolean, 'true or false'],
  admits: [isFunction, 'a function'],
};

/** What is wrong with the fields of a protocol, besides its methods: what the core does not know has no effect. */
export function fieldProblems(protocol: WireProtocol): readonly string[] {
  const names = namesOf(protocol);
  return Object.entries(FIELDS).flatMap(([name, [is, expected]]) => {
    const value = fieldOf(protocol, name);
    if (value !== undefined) return is(value) ? [] : [sentence(name, expected, value)];
    // A class may have methods of its own.
    const typo = names.find((other) => other !== name && isNear(name, other));
    return typo === undefined ? [] : [`${typo}: there is no such field, did you mean ${name}?`];
  });
}

/** Its own names, and those that its class has. */
const namesOf = (holder: object | null): readonly string[] =>
  holder === null || holder === Object.prototype
    ? []
    : [...Object.getOwnPropertyNames(holder), ...namesOf(Reflect.getPrototypeOf(holder))];

/** The request, if it can be sent. */
export async function encoded(protocol: WireProtocol, question: Question): Promise<WireRequest> {
  let request: WireRequest;
  try {
    request = await protocol.encode(question);
  } catch (error) {
    return threw('encode', error);
  }
  const problem = requestProblem(request);
  ok(problem === undefined, `encode() returned ${problem}`);
  return request;
}

/** What a transport could not send, or would be blamed for. */
function requestProblem(request: unknown): string | undefined {
  if (!isObject(request)) return shown(request);
  const [url, method, headers, body, needsBody] = ['url', 'method', 'headers', 'body', 'needsBody'].map((name) =>
    fieldOf(request, name),
  );
  if (!isString(url) || !URL.canParse(url)) return sentence('url', 'an absolute URL', url);
  if (!isText(method)) return sentence('method', 'a string that is not empty', method);
  if (!isObject(headers) || Symbol.iterator in headers) return sentence('headers', 'an object of strings', headers);
  for (const [name, value] of Object.entries<unknown>({ ...headers })) {
    if (!isHeaderName(name)) return `headers: ${JSON.stringify(name)} is not the name of a header`;
    if (value !== '' && !isHeaderValue(value)) return sentence(`headers.${name}`, 'a string of printable ASCII', value);
  }
  if (body !== undefined && !isString(body)) return sentence('body', 'a string, or undefined', body);
  return isFunction(needsBody) ? undefined : sentence('needsBody', 'a function', needsBody);
}

/** Reads a response that is a verdict. */
export function checkDecoded(protocol: WireProtocol, response: WireResponse, context: DecodeContext): void {
  let answer: unknown;
  try {
    answer = protocol.decode(response, context);
  } catch (error) {
    return threw('decode', error);
  }
  const problem = returnedProblem(answer);
  ok(problem === undefined, `decode() returned ${problem}`);
}

/** Refuses what is asynchronous, which may reject where nobody waits for it. */
export function checkSynchronous(protocol: WireProtocol, response: WireResponse, context: DecodeContext): void {
  let answer: unknown;
  try {
    answer = protocol.decode(response, context);
  } catch {
    // It may throw at what is no verdict.
    return;
  }
  if (!(answer instanceof Promise)) return;
  answer.catch(() => undefined);
  fail('decode() returned a promise, and has to be synchronous');
}

const threw = (method: string, error: unknown): never => fail(`${method}() threw: ${innermostError(error).message}`);
