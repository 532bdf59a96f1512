import { DENIALS } from '../../src/guard/denial.ts';
import { table } from '../../tools/pages.ts';

const WHEN = {
  'missing-key': 'The request has no key, and the key is not `optional`.',
  'invalid-key': 'The key is rejected; `reason` says why, such as `unknown_key`, `revoked` or `expired`.',
  'ambiguous-key':
    'The request may have more than one key: it has two headers, one header twice, or whitespace or a comma in the key, as in `X-API-Key: Bearer sk-1`.',
  'insufficient-scope': 'The key is valid, but not for the scope of this service.',
  forbidden: 'The key is valid, but `authorize()` denied the request.',
  'rate-limited': 'The key server says that this key was used too often.',
  unavailable:
    'There is no verdict: the key server is down, overloaded or sends no valid verdict, or this service is overloaded.',
  internal: 'This service is misconfigured, or a callback threw. The response says no more than that.',
  aborted: 'The caller left before there was a verdict. Nobody reads this response, and `onDenied` is not called.',
};

function problem([name, { status, title, challenge }]) {
  const error = challenge === 'none' ? '' : `, error="${challenge}"`;
  const headers = [
    ...(challenge === undefined ? [] : [`\`WWW-Authenticate: Bearer realm="api"${error}\``]),
    ...(status === 503 ? ['`Retry-After`'] : []),
  ];
  const sent = headers.length === 0 ? '' : ` Sent with ${headers.join(' and ')}.`;
  return `### ${name}\n\n**${status}** "${title}". ${WHEN[name]}${sent}\n`;
}

const hasSilent = (rows) => rows.some(({ responses }) => responses.some(({ status }) => status === null));

function cell({ status, reached, leaks }) {
  if (status === null) return 'no response';
  return [`**${status}**`, reached && 'handler reached', leaks && 'shows the inner error'].filter(Boolean).join(', ');
}

function headers({ challenge, retryAfter }) {
  return [
    challenge && `\`${challenge.replace(/, DPoP .*/, '').replaceAll('|', '\\|')}\``,
    retryAfter && `\`Retry-After: ${retryAfter}\``,
  ]
    .filter(Boolean)
    .join(', ');
}

/** docs/adapters.md: the responses of our adapters, and those of other guards to the same requests. */
export function page(rows, timeoutMs) {
  return `<!-- Written by \`npm run bench adapters\`. Edit bench/adapters/, not this page. -->

# Responses of the adapters

All adapters send the same denials, as \`application/problem+json\` (RFC 9457) with \`Cache-Control: no-store\` and \`X-Request-Id\`.
The \`type\` is the URN \`urn:keyverify:problem:\` followed by one of the names below, and never changes. \`reason\` is more specific.
\`requestId\` is the framework's id of the request, else the caller's \`X-Request-Id\` if it is well-formed, else a new UUID.
\`Retry-After\` is rounded up to 5, 30 or 60 seconds, so that it doesn't show exactly when the key server is asked next.

## Problems

${Object.entries(DENIALS).map(problem).join('\n')}
## Other guards

The same requests were sent to services on loopback that differ only in their guard. A package that takes a function to check a
key got the shortest one: a \`fetch\` of the key server.

${table(
  ['guard', 'valid key', 'no key', 'invalid key', 'outage', 'a callback throws'],
  rows.map(({ name, responses }) => [name, ...responses.map(cell)]),
)}

- In the outage the key server refuses connections, and the key is in no cache. For express-oauth2-jwt-bearer the issuer of
  the tokens is down. @unkey/hono talks to a stand-in for its service.
${hasSilent(rows) ? `- "No response" means none within ${timeoutMs / 1000} s.\n` : ''}- The callback is one of the service's own (\`authorize\`, \`auth\`, \`verifyToken\`, \`validators\`, \`getKey\`). It throws an error
  with a text that callers must not see. \`NODE_ENV\` is \`production\`.

Headers of these responses, without DPoP challenges:

${table(
  ['guard', 'no key', 'invalid key', 'outage'],
  rows.map(({ name, responses: [, missing, invalid, outage] }) => [name, ...[missing, invalid, outage].map(headers)]),
)}
`;
}
