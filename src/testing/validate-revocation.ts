import { checkOptions } from '../core/check-options.js';
import { lazy } from '../core/lazy.js';
import { check, number, optional, type Shape } from '../core/schema.js';
import { parseMessage, type RevocationSelector } from '../fleet/revocation.js';
import { text } from './validate.js';

/** Whether followers could read it. */
const isSelector = (select: unknown): select is RevocationSelector =>
  parseMessage(JSON.stringify({ v: 1, type: 'revoked', select })) !== undefined;

const shape = lazy((): Shape => ({
  type: check((value): value is string => value === 'revoked' || value === 'changed', "'revoked' or 'changed'"),
  select: check(
    isSelector,
    'an object of exactly one of fingerprint, keyId, client and tenant, with a string, or { all: true }',
  ),
  scope: optional(text()),
  at: optional(number(() => true, 'epoch milliseconds')),
}));

/** A revocation that nobody could read would be a gap, and not what the test is about. */
export const checkRevocation = (revocation: unknown): unknown => checkOptions(shape(), revocation, 'revocation');
