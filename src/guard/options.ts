import { InvalidOptionsError } from '../core/errors.js';
import type { DefaultClaims, Verified } from '../core/result.js';
import type { DenialContext, DenialOverrides, ProblemDetails } from './denial.js';
import type { KeySource } from './key-sources.js';

/** The identity of a caller: `null` only where a route is optional or may fail open. */
export type IdentityOf<Claims, FailOpen extends boolean, Optional extends boolean> =
  Verified<Claims> | (true extends FailOpen | Optional ? null : never);

/** The options that may differ from route to route. */
export interface RouteOptions<
  Claims = DefaultClaims,
  FailOpen extends boolean = boolean,
  Optional extends boolean = boolean,
> {
  /** Admits a request without a key, with `null` for an identity. A key that is sent must still be valid. Default: `false`. */
  readonly optional?: Optional;
  /** Overrides the verifier's `failOpen`. A caller admitted that way has `null` for an identity. Default: the verifier's. */
  readonly failOpen?: FailOpen;
  /** The oldest verdict that will do, in milliseconds; `0` asks the key server each time. Default: any within its TTL. */
  readonly maxAgeMs?: number;
  /**
   * Whether this caller may do this. Anything but `true` is a 403 (reason `not_allowed`); an error is a 500.
   * Default: every valid key may.
   */
  readonly authorize?: (identity: IdentityOf<Claims, FailOpen, Optional>) => boolean | Promise<boolean>;
}

/** The options of a guard, and of `apiKeyAuth` in every adapter. */
export interface GuardOptions<
  Claims = DefaultClaims,
  FailOpen extends boolean = boolean,
  Optional extends boolean = boolean,
> extends RouteOptions<Claims, FailOpen, Optional> {
  /** Where to look for the key. More than one key in a request is a 400. Default: `['bearer', { header: 'x-api-key' }]`. */
  readonly keySources?: readonly KeySource[];
  /** The realm in `WWW-Authenticate`: printable ASCII without quotes and backslashes. Default: `'api'`. */
  readonly realm?: string;
  /**
   * Sees every denial, and may change the answer by what it returns. It can't admit the caller: if it throws, or returns
   * what can't be sent, the answer is a plain 500. Default: the answer is the problem details.
   */
  readonly onDenied?: (
    problem: ProblemDetails,
    context: DenialContext,
    // eslint-disable-next-line @typescript-eslint/no-invalid-void-type -- a hook that only logs returns nothing
  ) => DenialOverrides | undefined | void | Promise<DenialOverrides | undefined | void>;
}

const ROUTE_NAMES = [
  'optional',
  'failOpen',
  'maxAgeMs',
  'authorize',
] as const satisfies readonly (keyof RouteOptions)[];
const NAMES = [...ROUTE_NAMES, 'keySources', 'realm', 'onDenied'] as const satisfies readonly (keyof GuardOptions)[];

/** Printable, and nothing that could end the quoted string it is part of. */
const REALM = /^[ !#-[\]-~]*$/;

function issuesOf(options: RouteOptions, names: readonly string[]): string[] {
  const issues = Object.keys(options)
    .filter((name) => !names.includes(name))
    .map((name) => `${name} is not an option here: expected one of ${names.join(', ')}`);
  if (!((options.maxAgeMs ?? 0) >= 0)) issues.push('maxAgeMs is not a number of milliseconds from 0 up');
  return issues;
}

function throwIfAny(issues: readonly string[]): void {
  if (issues.length > 0) throw new InvalidOptionsError(issues);
}

/** Refuses what would guard a route otherwise than it reads, a misspelt option first of all. */
export function checkRouteOptions(options: RouteOptions): void {
  throwIfAny(issuesOf(options, ROUTE_NAMES));
}

/** As for a route, and the rest. */
export function checkGuardOptions(options: GuardOptions): void {
  const { realm = '', keySources } = options;
  const issues = issuesOf(options, NAMES);
  if (!REALM.test(realm)) issues.push('realm is not printable ASCII without quotes and backslashes');
  if (keySources?.length === 0) issues.push('keySources is empty: expected at least one source');
  throwIfAny(issues);
}
