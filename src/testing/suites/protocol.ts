import { equal, notEqual, ok } from 'node:assert/strict';

import { decodeResponse } from '../../protocol/decode.js';
import type { DecodeContext, DecodedVerdict, WireProtocol } from '../../protocol/protocol.js';
import type { WireRequest, WireResponse } from '../../transport/transport.js';
import type { ContractCase } from './contract-case.js';
import { checkDecoded, checkSynchronous, encoded, fieldProblems } from './protocol-parts.js';
import { checkProtocolUnderTest, checkSample } from './validate.js';

/** A response of the key server. */
export interface SampleResponse {
  readonly status: number;
  /** By name, in lower case. Default: `content-type: application/json`. */
  readonly headers?: Readonly<Record<string, string>> | undefined;
  readonly body: string;
}

/** Your protocol, and how its verdicts look. */
export interface ProtocolUnderTest {
  readonly protocol: WireProtocol;
  /** A response that verifies the key of this client. */
  readonly verified: (client: string) => SampleResponse;
  /** A response that rejects a key. */
  readonly rejected: SampleResponse;
  /** Whether it sends the service token. Default: `true`. */
  readonly sendsToken?: boolean | undefined;
}

const KEY = 'sk-0123456789abcdef';
const TOKEN = 'token-0123456789abcdef';
const CLIENT = 'client-0123456789abcdef';
const JSON_TYPE = { 'content-type': 'application/json' };

async function encode({ protocol }: ProtocolUnderTest): Promise<WireRequest> {
  return await encoded(protocol, { url: 'https://keys.test/verify', key: KEY, scope: 'cust-A', token: TOKEN });
}

type Decoded = ReturnType<typeof decodeResponse>;
type Sample = Omit<SampleResponse, 'body'> & { readonly body: string | Uint8Array };

function responseOf({ status, headers = JSON_TYPE, body }: Sample): WireResponse {
  const bytes = typeof body === 'string' ? new TextEncoder().encode(body) : body;
  return { status, header: (name: string) => headers[name], body: bytes };
}

const contextNow = (): DecodeContext => ({ secrets: [KEY, TOKEN], askedAt: Date.now(), scope: undefined });

function decode({ protocol }: ProtocolUnderTest, sample: Sample): Decoded {
  const [response, context] = [responseOf(sample), contextNow()];
  checkSynchronous(protocol, response, context);
  return decodeResponse(protocol, response, context);
}

/** Reads a response that is a verdict, in which a field that the core does not know would have no effect. */
function decodeSample(subject: ProtocolUnderTest, sample: SampleResponse): Decoded {
  checkDecoded(subject.protocol, responseOf(sample), contextNow());
  return decode(subject, sample);
}

const isVerdict = (decoded: Decoded): decoded is DecodedVerdict => !('failure' in decoded);

/** The verdict, if there is one. */
function verdict(...question: Parameters<typeof decode>): DecodedVerdict | undefined {
  const decoded = decode(...question);
  return isVerdict(decoded) ? decoded : undefined;
}

/** What it is instead. */
const instead = (decoded: Decoded): string =>
  isVerdict(decoded) ? `, but ${decoded.kind}` : `: ${decoded.failure.message}`;

type Check = (subject: ProtocolUnderTest) => Promise<void> | void;

const CHECKS: Readonly<Record<string, Check>> = {
  'has no field that would have no effect': ({ protocol }) => {
    const problems = fieldProblems(protocol);
    ok(problems.length === 0, problems.join('; '));
  },

  'sends the key, and the token, but neither in the URL': async (subject) => {
    const request = await encode(subject);
    const sent = JSON.stringify(request.headers) + String(request.body);
    ok(sent.includes(KEY), 'the key is not sent');
    equal(sent.includes(TOKEN), subject.sendsToken !== false, 'the token is sent, or is not');
    ok(!request.url.includes(KEY) && !request.url.includes(TOKEN), 'the URL may be logged on its way');
  },

  'asks for the body of every status that a verdict has': async (subject) => {
    const { needsBody } = await encode(subject);
    for (const { status } of [subject.verified(CLIENT), subject.rejected]) ok(needsBody(status), `status ${status}`);
  },

  'reads the verdict on a valid key': (subject) => {
    const decoded = decodeSample(subject, subject.verified(CLIENT));
    ok(isVerdict(decoded) && decoded.kind === 'verified', `it is not verified${instead(decoded)}`);
    equal(decoded.client, CLIENT);
  },

  'reads the verdict on a rejected key': (subject) => {
    const decoded = decodeSample(subject, subject.rejected);
    ok(isVerdict(decoded) && decoded.kind === 'rejected', `it is not rejected${instead(decoded)}`);
  },

  'takes no 429 for a verdict, though its body looks like one': (subject) => {
    for (const sample of [subject.verified(CLIENT), subject.rejected])
      equal(verdict(subject, { ...sample, status: 429 }), undefined);
  },

  'takes a status that it does not list for a failure': (subject) => {
    const listed = [subject.verified(CLIENT).status, subject.rejected.status];
    for (let status = 200; status < 600; status++)
      if (!listed.includes(status))
        notEqual(verdict(subject, { ...subject.verified(CLIENT), status })?.kind, 'verified', `status ${status}`);
  },

  'takes a body that it cannot read for a failure': (subject) => {
    const verified = subject.verified(CLIENT);
    const half = verified.body.slice(0, verified.body.length / 2);
    for (const body of [
      '',
      half,
      '{',
      '{}',
      'null',
      '[]',
      '"valid"',
      'true',
      '<!doctype html>',
      new Uint8Array([0xff]),
    ])
      equal(verdict(subject, { ...verified, body }), undefined, `the body ${JSON.stringify(body)}`);
  },

  'says that a 401 refuses the token': (subject) => {
    if (subject.sendsToken === false) return;
    const decoded = decode(subject, { status: 401, body: '{}' });
    ok(!isVerdict(decoded), 'a 401 is taken for a verdict');
    equal(decoded.failure.kind, 'misconfigured');
    equal(decoded.failure.tokenRefused, true);
  },
};

/**
 * What every wire protocol must do, beyond what is its own. Throws `InvalidOptionsError` for wrong options.
 *
 * @example
 * ```ts
 * const cases = protocolCases({
 *   protocol: myProtocol,
 *   verified: (client) => ({ status: 200, body: JSON.stringify({ ok: true, owner: client, org: 'cust-A' }) }),
 *   rejected: { status: 200, body: '{"ok":false,"code":"REVOKED"}' },
 * });
 * for (const { name, run } of cases) test(name, run);
 * ```
 */
export function protocolCases(subject: ProtocolUnderTest): readonly ContractCase[] {
  checkProtocolUnderTest(subject);
  checkSample(subject.verified(CLIENT));
  return Object.entries(CHECKS).map(([name, check]) => ({ name, run: async () => await check(subject) }));
}
