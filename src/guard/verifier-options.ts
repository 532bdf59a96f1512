/** The options of a `KeyVerifier` that a guard doesn't have. */
export const VERIFIER_OPTIONS = [
  'verifyUrl',
  'serviceToken',
  'scope',
  'cacheTtlMs',
  'rejectedTtlMs',
  'staleIfErrorMs',
  'refreshAheadRatio',
  'maxEntries',
  'maxRejectedEntries',
  'timeoutMs',
  'retries',
  'maxConcurrency',
  'breaker',
  'keyFormat',
  'controlKey',
  'claims',
  'protocol',
  'fetch',
  'dispatcher',
  'transport',
  'sharedCache',
  'sharedTimeoutMs',
  'sharedNamespace',
  'revocations',
  'degradedTtlMs',
  'observers',
  'logger',
  'allowInsecureHttp',
  'dangerouslyAllowBrowser',
  'clock',
  'random',
] as const;

/** What a route can't have. */
const GUARD_OPTIONS = ['keySources', 'realm', 'onDenied'];

/** Where a key may be: an object in `keySources`. */
const KEY_SOURCES = ['header', 'query', 'cookie', 'subprotocol'];

/** Of a route of Fastify's: our options are misspelled in its `config`. */
const MISSPELLED = /^(config\..+): there is no such option$/s;

/** Says of an option that no route has where it belongs, or what it is called. */
export function withPlaceForRoute(issue: string): string {
  const name = GUARD_OPTIONS.find((option) => issue.startsWith(`${option}: there is no such option`));
  if (name === undefined) return withPlace(issue.replace(MISSPELLED, '$1: did you mean keyverify?'));
  return `${name}: there is no such option of a route, set it where the guard is made`;
}

/** Says of an option that no guard has where it belongs, or what it is called. */
export function withPlaceForGuard(issue: string): string {
  const name = KEY_SOURCES.find((option) => issue.startsWith(`${option}: there is no such option`));
  return name === undefined
    ? withPlace(issue)
    : `${name}: there is no such option, did you mean keySources: [{ ${name} }]?`;
}

function withPlace(issue: string): string {
  const isUnknown = (option: string): boolean => issue.startsWith(`${option}: there is no such option`);
  if (isUnknown('required')) return 'required: there is no such option, did you mean optional: true?';
  const name = VERIFIER_OPTIONS.find(isUnknown);
  return name === undefined ? issue : `${name}: there is no such option here, it is one of KeyVerifier`;
}
