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

/** Says of an option that doesn't exist here where it belongs. */
export function withPlace(issue: string): string {
  const name = VERIFIER_OPTIONS.find((option) => issue.startsWith(`${option}: there is no such option`));
  return name === undefined ? issue : `${name}: there is no such option here, it is one of KeyVerifier`;
}
