import { isNear, shown } from '../core/messages.js';
import { isText } from '../core/schema.js';
import { isMisspelt, nearMiss, notFlag, notText, plain } from '../protocol/near-miss.js';
import type { DecodeContext, ProtocolAnswer } from '../protocol/protocol.js';
import { notVerdict } from '../protocol/status.js';
import { isPlausibleTime, parseRfc3339 } from '../protocol/time.js';
import type { ExpiryDefinition, FieldSource, VerdictDefinition } from './definition.js';
import { isEpochMs, NAME } from './functions.js';
import { isRecord, ownField, pickerOf, stepsOf, valueAt, WHOLE, type Picker } from './pick.js';

/** Reads the JSON of a response. */
export interface VerdictReader {
  read(json: unknown, context: DecodeContext): ProtocolAnswer;
  /** Why the key is rejected, by our name for it. */
  reason?(json: unknown, context: DecodeContext): unknown;
  /** The key server's own fault, if it reports one. */
  fault?(json: unknown, context: DecodeContext): ProtocolAnswer | undefined;
}

/** Reads as the definition has it. `name`: that of the protocol, for messages. */
export function verdictReader(verdict: VerdictDefinition, name?: string): VerdictReader {
  const { flag, identity, client, tenant, keyId, expires, claims = WHOLE, faults = [] } = verdict;
  const isGood = flag === undefined ? identityReader(identity) : pickerOf(flag, 'verdict.flag');
  const pickClient = pickerOf(client, 'verdict.client');
  const pickTenant = pickerOf(tenant, 'verdict.tenant');
  const pickKeyId = pickerOf(keyId, 'verdict.keyId');
  const pickExpiry = pickerOf(expires?.at, 'verdict.expires.at');
  const pickClaims = claimsPicker(verdict);
  const pickReason = pickerOf(verdict.reason, 'verdict.reason');

  const reason = (json: unknown, context: DecodeContext): unknown => {
    const name = pickReason(json, context);
    return isText(name) ? (ownField(verdict.reasons, name) ?? name) : undefined;
  };

  const fault = (json: unknown, context: DecodeContext): ProtocolAnswer | undefined => {
    if (faults.length === 0) return undefined;
    const name = pickReason(json, context);
    return isText(name) && faults.includes(name)
      ? { failure: { kind: 'server_error', message: `keyverify: the key server reports a fault of its own: ${name}` } }
      : undefined;
  };

  const read = (json: unknown, context: DecodeContext): ProtocolAnswer => {
    if (!isRecord(json)) return notVerdict('not a JSON object', name);
    const ownFault = fault(json, context);
    if (ownFault !== undefined) return ownFault;
    const good = isGood(json, context);
    if (good === false) {
      const why = reason(json, context);
      return { kind: 'rejected', reason: isText(why) ? why : undefined };
    }
    const clientId = pickClient(json, context);
    const tenantId = pickTenant(json, context);
    const pickedId = pickKeyId(json, context) ?? undefined;
    // No text, so that it is named as wrong.
    const publicId = pickedId === undefined && isMisspelledAt(keyId, json) ? null : pickedId;
    const expiry = pickExpiry(json, context) ?? undefined;
    const expiresAt = toEpochMs(expiry, expires?.unit);
    const rest = pickClaims(json, context) ?? {};
    const isTime = !Number.isNaN(expiresAt) && !(expiresAt === undefined && isMisspelledAt(expires?.at, json));
    // By hand and not by zod: a miss is measured.
    if (good === true && isText(clientId) && isText(tenantId) && isTextOrNothing(publicId) && isTime && isRecord(rest))
      return { kind: 'verified', client: clientId, tenant: tenantId, keyId: publicId, expiresAt, claims: rest };
    const wrong = [
      ...(good === true ? [] : [placeOf('good', flag ?? identity, json, flag && notFlag(good))]),
      ...(isText(clientId) ? [] : [placeOf('client', client, json, notText(clientId))]),
      ...(isText(tenantId) ? [] : [placeOf('tenant', tenant, json, notText(tenantId))]),
      ...(isTextOrNothing(publicId) ? [] : [placeOf('keyId', keyId, json, notText(publicId))]),
      ...(isTime ? [] : [placeOf('expiresAt', expires?.at, json, notTime(expiry, expires?.unit))]),
      ...(isRecord(rest) ? [] : [placeOf('claims', claims, json)]),
    ];
    // Where one place is read for two fields, it is named once.
    return notVerdict(`missing or wrong: ${[...new Set(wrong)].join('; ')}`, name);
  };
  return { read, reason, fault };
}

const UNITS: Readonly<Record<ExpiryDefinition['unit'], string>> = {
  iso: 'RFC 3339 text',
  s: 'epoch seconds',
  ms: 'epoch milliseconds',
  'iso-or-s': 'RFC 3339 text or epoch seconds',
};

/** Which time was expected, and what came. */
const notTime = (value: unknown, unit: ExpiryDefinition['unit'] = 'iso'): string =>
  value === undefined || value === null ? '' : `: expected ${UNITS[unit]}, got ${shown(value)}`;

const isTextOrNothing = (value: unknown): value is string | undefined => value === undefined || isText(value);

/** An object is as good as `true`, and `null` as `false`. */
function identityReader(identity: FieldSource | undefined): Picker {
  const pick = pickerOf(identity, 'verdict.identity');
  return (json, context) => {
    const found = pick(json, context);
    if (found === null) return false;
    return isRecord(found) && !Object.entries(found).some(saysNo) ? true : undefined;
  };
}

/** What says by a usual name that a key is valid, and so may be nothing but `true`: another word for it needs `flag`. */
const GOOD = /^(?:is)?(?:valid|active|enabled|ok|success|authorized|authenticated|allowed)$/;
/** What says that it is not, and so may be nothing but `false`, `null` or empty. */
const BAD =
  /^(?:is|has)?(?:errors?|invalid|inactive|(?:revoked|disabled|deleted|suspended|blocked|banned|expired)(?:at|on)?)$/;

/** An identity that says so itself is not one of a valid key. */
function saysNo([field, value]: readonly [string, unknown]): boolean {
  const name = plain(field);
  if (GOOD.test(name)) return value !== true;
  return BAD.test(name) && value !== false && value !== null && value !== '';
}

/** What is left of the claims without the fields that have a place of their own in the result. */
function claimsPicker(verdict: VerdictDefinition): Picker {
  const { flag, client, tenant, keyId, expires, claims = WHOLE } = verdict;
  const pick = pickerOf(claims, 'verdict.claims');
  if (typeof claims === 'function') return pick;
  const depth = stepsOf(claims).length;
  const taken = new Set(
    [flag, client, tenant, keyId, expires?.at].flatMap((place) => {
      const steps = typeof place === 'string' ? stepsOf(place) : [];
      const isWithin = steps.length === depth + 1 && steps.slice(0, depth).join('.') === stepsOf(claims).join('.');
      return isWithin ? steps.slice(depth) : [];
    }),
  );
  return (json, context) => {
    const found = pick(json, context);
    if (!isRecord(found)) return found;
    const rest: Record<string, unknown> = {};
    for (const name of Object.keys(found)) if (name !== '__proto__' && !taken.has(name)) rest[name] = found[name];
    return rest;
  };
}

/** Epoch milliseconds; `NaN` for what does not fit the unit. */
function toEpochMs(expiry: unknown, unit: ExpiryDefinition['unit'] = 'iso'): number | undefined {
  if (expiry === undefined) return undefined;
  const isIso = unit === 'iso' || unit === 'iso-or-s';
  if (typeof expiry === 'string') return isIso ? parseRfc3339(expiry) : NaN;
  if (typeof expiry !== 'number' || !Number.isFinite(expiry) || unit === 'iso') return NaN;
  const ms = unit === 'ms' ? expiry : expiry * 1000;
  // In the other unit, the key would have expired long ago, or would outlive its expiry.
  return isPlausibleTime(ms) && (unit !== 'ms' || isEpochMs(ms)) ? ms : NaN;
}

/** Whether what may be left out is where it should be, but under another spelling. */
function isMisspelledAt(pick: FieldSource | undefined, json: unknown): boolean {
  if (typeof pick !== 'string') return false;
  const steps = stepsOf(pick);
  return isMisspelt(steps.slice(-1).join('.'), valueAt(json, steps.slice(0, -1)));
}

/** Names the field of which another name may be a typo, where there is none of its own. */
function typo(name: string, json: unknown): string {
  const fields = isRecord(json) && !Object.hasOwn(json, name) ? Object.keys(json) : [];
  const [near] = fields.filter((field) => field.length > 2 && isNear(field, name) && NAME.test(field));
  return near === undefined ? '' : ` (there is ${near})`;
}

/** Where a value was looked for, what is wrong with it, and what there is instead that is like it. */
function placeOf(field: string, pick: FieldSource | undefined, json: unknown, problem = ''): string {
  if (typeof pick !== 'string') return `${field} (picked by a function)${problem}`;
  const steps = stepsOf(pick);
  const name = steps.at(-1) ?? '';
  const parent = valueAt(json, steps.slice(0, -1));
  return pick + problem + (nearMiss(name, parent) || typo(name, parent));
}
