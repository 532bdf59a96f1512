import { describe, expect, it, test } from 'vitest';

import type { ProtocolAnswer, WireProtocol } from 'keyverify';
import { protocolCases, type ProtocolUnderTest } from 'keyverify/testing';

import { defaultProtocol } from '../../../src/protocol/default.js';
import { failing } from './run.js';

const contract = (protocol: Partial<WireProtocol> = {}): ProtocolUnderTest => ({
  protocol: { ...defaultProtocol, ...protocol },
  verified: (client) => ({ status: 200, body: JSON.stringify({ valid: true, client, tenant: 'cust-A', plan: 'pro' }) }),
  rejected: { status: 200, body: '{"valid":false,"reason":"revoked"}' },
});

describe('the default protocol', () => {
  test.each(protocolCases(contract()))('$name', async ({ run }) => await run());
});

describe('the suite for protocols', () => {
  const encode: WireProtocol['encode'] = (question) => defaultProtocol.encode(question);
  const decode: WireProtocol['decode'] = (response, context) => defaultProtocol.decode(response, context);
  const valid = (client: string, tenant = 'cust-A'): ProtocolAnswer => ({ kind: 'verified', client, tenant });
  const refusal = (reason: string): ProtocolAnswer => ({ kind: 'rejected', reason });
  const clientOf = (body: Uint8Array): string => /"client":"([^"]*)"/.exec(Buffer.from(body).toString())?.[1] ?? '';

  it.each<[string, Partial<WireProtocol>, RegExp[]]>([
    [
      'puts the key into the URL',
      { encode: async (question) => ({ ...(await encode(question)), url: `https://keys.test/${question.key}` }) },
      [/URL/],
    ],
    ['sends no key', { encode: async (question) => ({ ...(await encode(question)), body: '' }) }, [/URL/]],
    ['sends no token', { encode: (question) => encode({ ...question, token: '' }) }, [/URL/]],
    [
      'asks for no body',
      { encode: async (question) => ({ ...(await encode(question)), needsBody: () => false }) },
      [/asks for the body/],
    ],
    ['verifies everything', { decode: ({ body }) => valid(clientOf(body)) }, [/bad key/, /not list/, /401/]],
    ['rejects everything', { decode: () => refusal('no') }, [/good key/, /429/, /cannot read/, /401/]],
    [
      'looks at the status too late',
      {
        decode: (response, context) => {
          const decoded = decode({ ...response, status: 200 }, context);
          return 'failure' in decoded && response.status !== 200 ? decode(response, context) : decoded;
        },
      },
      [/429/, /not list/],
    ],
    [
      'takes rubbish for a rejection',
      {
        decode: (response, context) => {
          const decoded = decode(response, context);
          return 'failure' in decoded && response.status === 200 ? refusal('rubbish') : decoded;
        },
      },
      [/cannot read/],
    ],
    [
      'does not renew its token',
      {
        decode: (response, context) =>
          decode(response.status === 401 ? { ...response, status: 403 } : response, context),
      },
      [/401/],
    ],
    [
      'gives no tenant',
      {
        decode: (response, context) => {
          const decoded = decode(response, context);
          if ('failure' in decoded) return decoded;
          return decoded.kind === 'verified' ? valid(decoded.client, '') : decoded;
        },
      },
      [/good key/],
    ],
  ])('fails a protocol that %s', async (_, protocol, names) => {
    const failed = await failing(protocolCases(contract(protocol)));
    expect(failed).toEqual(names.map((name): unknown => expect.stringMatching(name)));
  });

  it('lets a protocol throw at what is no verdict', async () => {
    const protocol: WireProtocol = {
      ...defaultProtocol,
      decode(response, context) {
        const decoded = decode(response, context);
        if ('failure' in decoded && response.status !== 401) throw new Error('no verdict');
        return decoded;
      },
    };
    expect(await failing(protocolCases(contract(protocol)))).toEqual([]);
  });

  it('wants no token of a protocol that sends none', async () => {
    const tokenless = contract({ encode: (question) => encode({ ...question, token: '' }) });
    expect(await failing(protocolCases({ ...tokenless, sendsToken: false }))).toEqual([]);
    expect(await failing(protocolCases({ ...contract(), sendsToken: false }))).toHaveLength(1);
  });
});
