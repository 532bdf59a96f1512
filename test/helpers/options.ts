import { InvalidOptionsError } from 'keyverify';

import { resolveOptions } from '../../src/options/resolve.js';

export const URL_AND_TOKEN = { verifyUrl: 'https://admin.test/verify', serviceToken: 'token-1' };

/** What these options are refused for, beside a right URL and token. */
export function issues(options: object, base: object = URL_AND_TOKEN): unknown {
  try {
    resolveOptions({ ...base, ...options });
  } catch (error) {
    return error instanceof InvalidOptionsError ? error.issues : error;
  }
  return [];
}
