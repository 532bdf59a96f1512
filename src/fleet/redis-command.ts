import { shown } from '../core/messages.js';
import { redactError } from '../core/redact.js';
import { check, isFunction } from '../core/schema.js';

/**
 * Sends one command to Redis and resolves to its reply; `key` is the name that the command is about, for a client of a
 * cluster. For ioredis `(command) => redis.call(...command)`, for node-redis `(command) => client.sendCommand(command)`.
 */
export type SendCommand = (command: [string, ...string[]], key: string) => Promise<unknown>;

/** What the option `send` has to be. */
export const sendOption = () =>
  check((value): value is SendCommand => isFunction(value), 'a function such as (command) => redis.call(...command)');

/** Few clients and servers say in an error which command it was. Without what else the error of a client may hold. */
export function commandError(error: unknown, command: string): Error {
  const named = redactError(error, []);
  named.message = `${command}: ${named.message}`;
  return named;
}

/** The reply to a script, which is an array. Throws if it is anything else; since that may be a secret, it isn't quoted. */
export function scriptReply(reply: unknown): readonly unknown[] {
  if (Array.isArray(reply)) return reply;
  if (reply === undefined) throw new TypeError('send() returned nothing: it has to return the reply of Redis');
  throw new TypeError(`send() returned ${shown(reply)}, expected the reply to EVAL, an array`);
}
