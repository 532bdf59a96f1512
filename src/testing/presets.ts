import { isRecord } from '../protocols/pick.js';
import type { DraftReply, KeyAnswer, Respond } from './reply.js';

const OK = 200;

/** What the presets pick by functions, by the name of the preset. */
export const PRESET_RESPONSES: Readonly<Record<string, Respond>> = {
  introspection(answer, { json }) {
    if (typeof answer === 'string') return { status: OK, json: { active: false } };
    return { status: OK, json: { ...record(json), active: true, client_id: answer.client } };
  },

  unkey(answer, { json }) {
    const meta = { requestId: 'req_test' };
    const data = record(record(json)['data']);
    if (typeof answer !== 'string')
      return { status: OK, json: { meta, data: { ...data, valid: true, code: 'VALID' } } };
    return { status: OK, json: { meta, data: { ...data, valid: false, code: data['code'] } } };
  },

  workos(answer, { json }) {
    if (typeof answer === 'string') return { status: OK, json: { api_key: null } };
    const owner = { type: 'user', id: answer.client, organization_id: answer.tenant };
    return { status: OK, json: { api_key: { ...record(record(json)['api_key']), owner } } };
  },

  clerk(answer, draft) {
    return { status: typeof answer === 'string' ? clerkStatus(answer) : OK, json: clerkJson(answer, draft) };
  },
};

/** Clerk has two kinds of rejected keys; every other is one that it doesn't know. */
const clerkStatus = (reason: string): number => (reason === 'revoked' || reason === 'expired' ? OK : 404);

function clerkJson(answer: KeyAnswer, { json }: DraftReply): unknown {
  if (typeof answer === 'string' && clerkStatus(answer) !== OK) return { errors: [{ code: 'resource_not_found' }] };
  return { ...record(json), revoked: answer === 'revoked', expired: answer === 'expired' };
}

const record = (value: unknown): Readonly<Record<string, unknown>> => (isRecord(value) ? value : {});
