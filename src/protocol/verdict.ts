import type { $ZodIssue } from 'zod/v4/core';

import { lazy } from '../core/lazy.js';
import { fieldOf, isObject, isText, loose, optional, parse, check } from '../core/schema.js';
import { isMisspelt, nearMiss, notFlag, notText } from './near-miss.js';
import type { ProtocolAnswer } from './protocol.js';
import { notVerdict } from './status.js';
import { isPlausibleTime, parseRfc3339 } from './time.js';

const isTime = (value: unknown): value is string | number => typeof value === 'string' || Number.isFinite(value);

const identity = lazy(() => {
  const text = check(isText);
  return loose({
    valid: check((valid): valid is true => valid === true),
    client: text,
    tenant: text,
    key_id: optional(check((id): id is string | null => id === null || isText(id))),
    expires_at: optional(check((at): at is string | number | null => at === null || isTime(at))),
  });
});

const TEXTS = ['client', 'tenant', 'key_id'];

function wrongFields(issues: readonly $ZodIssue[], json: unknown): string {
  const places = issues.map((issue) => issue.path.join('.')).filter((path) => path !== '');
  if (places.length === 0) return 'not a JSON object';
  return `missing or wrong: ${places.map((place) => place + whatIsThere(place, json)).join('; ')}`;
}

function whatIsThere(place: string, json: unknown): string {
  const value = fieldOf(json, place);
  const problem = TEXTS.includes(place) ? notText(value) : place === 'valid' ? notFlag(value) : '';
  return problem + nearMiss(place, json);
}

const OPTIONAL = ['key_id', 'expires_at'];

/** Reads a verdict of the default contract. */
export function decodeVerdict(json: unknown): ProtocolAnswer {
  if (fieldOf(json, 'valid') === false) {
    const reason = fieldOf(json, 'reason');
    return { kind: 'rejected', reason: isText(reason) ? reason : undefined };
  }
  const read = parse(identity(), json);
  if (!read.success) return notVerdict(wrongFields(read.error.issues, json));
  const misspelt = OPTIONAL.filter((name) => isMisspelt(name, json));
  if (misspelt.length > 0)
    return notVerdict(`missing: ${misspelt.map((name) => name + nearMiss(name, json)).join(', ')}`);
  // A field that has no place of its own in the result is a claim.
  const { client, tenant, key_id: keyId, expires_at: expiry } = read.data;
  const rest: Readonly<Record<string, unknown>> = { ...(isObject(json) && json) };
  const { valid: _valid, client: _client, tenant: _tenant, key_id: _keyId, expires_at: _expiry, ...claims } = rest;
  const expiresAt = isTime(expiry) ? epochMs(expiry) : undefined;
  if (expiresAt !== undefined && !isPlausibleTime(expiresAt)) {
    // Python's isoformat() leaves the offset out, for one.
    const is = typeof expiry === 'number' ? ' looks like milliseconds' : '';
    return notVerdict(`expires_at${is}: expected epoch seconds, or RFC 3339 with Z or an offset`);
  }
  return { kind: 'verified', client, tenant, keyId: keyId ?? undefined, expiresAt, claims };
}

const epochMs = (expiry: string | number): number =>
  typeof expiry === 'number' ? expiry * 1000 : parseRfc3339(expiry);
