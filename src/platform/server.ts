import { hash } from 'node:crypto';

import { globalFetchTransport } from '../server/fetch.js';
import type { Platform } from './platform.js';

export { env } from './env.js';

export const sha256: Platform['sha256'] = (text) => hash('sha256', text, 'hex');

export const defaultTransport: Platform['defaultTransport'] = globalFetchTransport;

export const sharesPromises: Platform['sharesPromises'] = true;
