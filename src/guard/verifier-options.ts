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

/** Says of an option that doesn't exist here where it belongs, or what it is called. */
export function withPlace(issue: string): string {
  const isUnknown = (option: string): boolean => issue.startsWith(`${option}: there is no such option`);
  if (isUnknown('required')) return 'required: there is no such option, did you mean optional: true?';
  const name = VERIFIER_OPTIONS.find(isUnknown);
  return name === undefined ? issue : `${name}: there is no such option here, it is one of KeyVerifier`;
}
