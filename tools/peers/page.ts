import { PROBLEMS } from '../../src/guard/problem.js';

/** What one service answered to one request. */
export interface Answer {
  /** `null`: nothing, for as long as was waited. */
  readonly status: number | null;
  readonly challenge: string | null;
  readonly retryAfter: string | null;
  /** Whether the handler was reached. */
  readonly reached: boolean;
  /** Whether the text of an inner error was shown to the caller, in a header or in the body. */
  readonly leaks: boolean;
}

const WHEN: Readonly<Record<keyof typeof PROBLEMS, string>> = {
  'missing-key': 'No key came, and the route is not optional.',
  'invalid-key': 'The key is known to be bad; `reason` says how: `unknown_key`, `revoked`, `expired`, ...',
  'ambiguous-key': 'More than one key came, or one that may be several: two headers, one header twice, a comma in it.',
  'insufficient-scope': 'The key is good, but not for the scope of this service.',
  forbidden: 'The key is good, but `allow()` said no.',
  'rate-limited': 'The key server says that this key has called too often.',
  unavailable: 'There is no verdict: the key server is out, overloaded or incoherent, or this service is overloaded.',
  internal: 'This service is misconfigured, or something threw. The caller learns nothing more.',
};

function problem(name: keyof typeof PROBLEMS): string {
  const row = PROBLEMS[name];
  const challenge = 'challenge' in row ? (row.challenge === 'none' ? '' : `, error="${row.challenge}"`) : null;
  const headers = [
    ...(challenge === null ? [] : [`\`WWW-Authenticate: Bearer realm="api"${challenge}\``]),
    ...(row.status === 503 ? ['`Retry-After`'] : []),
  ];
  const sent = headers.length === 0 ? '' : ` Sent with ${headers.join(' and ')}.`;
  return `### ${name}\n\n**${row.status}** "${row.title}". ${WHEN[name]}${sent}\n`;
}

function cell({ status, challenge, retryAfter, reached, leaks }: Answer): string {
  if (status === null) return 'no answer';
  return [
    `**${status}**`,
    ...(reached ? ['handler reached'] : []),
    ...(challenge === null ? [] : [`\`${challenge.replace(/, DPoP .*/, '').replaceAll('|', '\\|')}\``]),
    ...(retryAfter === null ? [] : [`Retry-After ${retryAfter}`]),
    ...(leaks ? ['the inner error is shown'] : []),
  ].join('<br>');
}

/** The page about adapters: what they answer, and what others answer to the same requests. */
export function page(rows: readonly { name: string; answers: readonly Answer[] }[], patienceMs: number): string {
  const names = Object.keys(PROBLEMS) as (keyof typeof PROBLEMS)[];
  return `<!-- Written by \`npm run docs:adapters\`: change tools/peers/, not this page. -->

# What the adapters answer

Every denial of every adapter comes from one table, as \`application/problem+json\` (RFC 9457) with
\`Cache-Control: no-store\` and \`X-Request-Id\`. Its \`type\` is the address of one of the headings below and stays
the same; \`reason\` says more; \`requestId\` is the caller's own \`X-Request-Id\` or a new one.

${names.map(problem).join('\n')}
## What others answer

The same requests, put to services on loopback that differ only in their guard. Where a package asks for a function that
checks a key, it is given the shortest one there is: a \`fetch\` of the key server.

| guard | good key | no key | bad key | outage | a callback throws |
| --- | --- | --- | --- | --- | --- |
${rows.map(({ name, answers }) => `| ${name} | ${answers.map(cell).join(' | ')} |`).join('\n')}

- In the outage the key server doesn't listen, and nothing is remembered of the key. For express-oauth2-jwt-bearer it is
  the issuer of the tokens that is out; @unkey/hono talks to a stand-in for its service.
- The challenges are shown without those for DPoP. "No answer" means none within ${patienceMs / 1000} s.
- What throws is a callback of the service's own (\`allow\`, \`auth\`, \`verifyToken\`, \`validators\`, \`getKey\`), with an
  error whose text is not meant for callers. \`NODE_ENV\` is \`production\`.
`;
}
