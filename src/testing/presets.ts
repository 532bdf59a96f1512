import { isRecord } from '../protocols/pick.js';
import type { DraftReply, Finding, Respond } from './reply.js';

const OK = 200;

/** What the presets pick by functions, by the name of the preset. */
export const PRESET_RESPONSES: Readonly<Record<string, Respond>> = {
  introspection(finding, { json }) {
    if (typeof finding === 'string') return { status: OK, json: { active: false } };
    return { status: OK, json: { ...record(json), active: true, client_id: finding.client } };
  },

  unkey(finding, { json }) {
    const meta = { requestId: 'req_test' };
    const data = record(record(json)['data']);
    if (typeof finding !== 'string')
      return { status: OK, json: { meta, data: { ...data, valid: true, code: 'VALID' } } };
    return { status: OK, json: { meta, data: { ...data, valid: false, code: data['code'] } } };
  },

  workos(finding, { json }) {
    if (typeof finding === 'string') return { status: OK, json: { api_key: null } };
    const owner = { type: 'user', id: finding.client, organization_id: finding.tenant };
    return { status: OK, json: { api_key: { ...record(record(json)['api_key']), owner } } };
  },

  clerk(finding, draft) {
    return { status: typeof finding === 'string' ? clerkStatus(finding) : OK, json: clerkJson(finding, draft) };
  },
};

/** Clerk has two kinds of bad keys; every other is one that it doesn't know. */
const clerkStatus = (reason: string): number => (reason === 'revoked' || reason === 'expired' ? OK : 404);

function clerkJson(finding: Finding, { json }: DraftReply): unknown {
  if (typeof finding === 'string' && clerkStatus(finding) !== OK) return { errors: [{ code: 'resource_not_found' }] };
  return { ...record(json), revoked: finding === 'revoked', expired: finding === 'expired' };
}

const record = (value: unknown): Readonly<Record<string, unknown>> => (isRecord(value) ? value : {});
