import type { Verified } from '../../core/result.js';
import type { DenialContext, DenialOverrides, ProblemDetails } from '../../guard/denial.js';
import type { DefaultVerifier } from '../../guard/verifier.js';

type Identity = Verified | null;

/** Routes whose options may differ from those of the guard. */
export const routes = {
  '/me': {},
  '/optional': { optional: true },
  '/open': { failOpen: true },
  '/fresh': { maxAgeMs: 0 },
  '/authorized': { authorize: (identity: Identity) => identity?.client === 'globex' },
  '/authorize-throws': {
    authorize: (): boolean => {
      throw new Error('inside');
    },
  },
} as const;

/** Routes with options that only a guard has. */
export const guardedRoutes = {
  '/overridden': {
    onDenied: ({ reason }: ProblemDetails, { result }: DenialContext): DenialOverrides => ({
      status: 404,
      headers: { 'content-type': 'application/json', 'x-why': result?.source ?? 'none' },
      body: { error: reason },
    }),
  },
  '/hook-logs': { onDenied: (): void => undefined },
  '/hook-throws': {
    onDenied: (): never => {
      throw new Error('inside');
    },
  },
} as const;

/** The routes of the service under test, and the options of the adapter for each. */
export const adapterRoutes = { ...routes, ...guardedRoutes };

/** A path of the service under test. */
export type AdapterPath = keyof typeof adapterRoutes;

/** The handler of every route: the service answers 200 with what it returns, as JSON. */
export type AdapterHandler = (identity: Identity) => { readonly tenant: string | null };

/** A service that is running. */
export interface AdapterService {
  /** Its origin, without a slash at the end. */
  readonly url: string;
  readonly close: () => Promise<unknown>;
}

/** Starts a service on a free port, with the adapter under test in front of each of `adapterRoutes`. */
export type ServeAdapter = (verifier: DefaultVerifier, handler: AdapterHandler) => Promise<AdapterService>;
