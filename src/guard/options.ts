import { InvalidOptionsError } from '../core/failure.js';
import type { DefaultClaims, FailedClosed, Rejected, Verified, VerifyResult } from '../core/result.js';
import type { VerifyOptions } from '../options/verify-options.js';
import type { KeySource } from './key-sources.js';
import type { Problem } from './problem.js';

/** What a guard asks: a `KeyVerifier`, or a double of one. */
export interface AnyVerifier {
  verify(key: string, options: VerifyOptions): Promise<VerifyResult<unknown, boolean>>;
  /** What `verify()` would say without a wait. Without it, every request waits for a promise. */
  verifyCached?(key: string, options: VerifyOptions): Verified<unknown> | Rejected | undefined;
}

/** A verifier that lets nobody in without an identity unless a call says otherwise. */
export interface ClosedVerifier<Claims = DefaultClaims> {
  verify(key: string, options: { readonly failOpen?: undefined }): Promise<VerifyResult<Claims>>;
}

/** Whether a verifier fails open unless a call says otherwise; `boolean` stands for "it may". */
export type FailOpenBy<V extends AnyVerifier> = V extends ClosedVerifier<ClaimsOf<V>> ? false : boolean;

/** What a verifier's key server says about a key beside its owner. */
export type ClaimsOf<V extends AnyVerifier> =
  Extract<Awaited<ReturnType<V['verify']>>, { readonly verifiedAt: number }> extends Verified<infer Claims>
    ? Claims
    : never;

/** Who is let in: `null` only where a route is optional or may fail open. */
export type IdentityOf<Claims, FailOpen extends boolean, Optional extends boolean> =
  Verified<Claims> | (true extends FailOpen | Optional ? null : never);

/** What is known of a denial beside its body. None of it holds the key. */
export interface DenialContext {
  /** What the verifier said, where it was asked and denied. */
  readonly result?: Rejected | FailedClosed | undefined;
  /** What was thrown, where something was: log it, the caller sees none of it. */
  readonly error?: unknown;
}

/** What a hook changes of a denial. What it leaves out stays as it was. */
export interface DenialShape {
  /** 400 to 599. */
  readonly status?: number;
  /** Added to the headers, or in place of those of the same name. `Cache-Control` and `X-Request-Id` stay as they are. */
  readonly headers?: Readonly<Record<string, string>>;
  /** In place of the body: a string as it is, anything else as JSON. */
  readonly body?: unknown;
}

/** What may differ from route to route. */
export interface RouteOptions<
  Claims = DefaultClaims,
  FailOpen extends boolean = boolean,
  Optional extends boolean = boolean,
> {
  /** Lets a request without a key in, with `null` for an identity. A key that is presented must still be good. Default: false. */
  readonly optional?: Optional;
  /** Overrides the verifier's `failOpen` for this route. */
  readonly failOpen?: FailOpen;
  /** The oldest verdict that will do, in milliseconds; 0 asks the key server each time. Default: any within its TTL. */
  readonly maxAgeMs?: number;
  /** Whether this caller may do this: anything but `true` is a 403. */
  readonly allow?: (identity: IdentityOf<Claims, FailOpen, Optional>) => boolean | Promise<boolean>;
}

/** How a door is guarded. */
export interface GuardOptions<
  Claims = DefaultClaims,
  FailOpen extends boolean = boolean,
  Optional extends boolean = boolean,
> extends RouteOptions<Claims, FailOpen, Optional> {
  /** Where the key is looked for. More than one key in a request is a 400. Default: `['bearer', { header: 'x-api-key' }]`. */
  readonly keyFrom?: readonly KeySource[];
  /** The realm of the challenge. Default: `api`. */
  readonly realm?: string;
  /** Sees every denial, and may shape it. It can't undo one: if it throws, the answer is a plain 500. */
  readonly onDenied?: (
    problem: Problem,
    context: DenialContext,
  ) => DenialShape | undefined | Promise<DenialShape | undefined>;
}

const ROUTE_NAMES = ['optional', 'failOpen', 'maxAgeMs', 'allow'] as const satisfies readonly (keyof RouteOptions)[];
const NAMES = [...ROUTE_NAMES, 'keyFrom', 'realm', 'onDenied'] as const satisfies readonly (keyof GuardOptions)[];

/** Printable, and nothing that could end the quoted string it stands in. */
const REALM = /^[ !#-[\]-~]*$/;

function issuesOf(options: RouteOptions, names: readonly string[]): string[] {
  const issues = Object.keys(options)
    .filter((name) => !names.includes(name))
    .map((name) => `${name} is not known here: expected one of ${names.join(', ')}`);
  if (!((options.maxAgeMs ?? 0) >= 0)) issues.push('maxAgeMs is not a number of milliseconds from 0 up');
  return issues;
}

function refuseAny(issues: readonly string[]): void {
  if (issues.length > 0) throw new InvalidOptionsError(issues);
}

/** Refuses what would guard a route otherwise than it reads, a misspelt option first of all. */
export function checkRouteOptions(options: RouteOptions): void {
  refuseAny(issuesOf(options, ROUTE_NAMES));
}

/** As for a route, and the rest. */
export function checkGuardOptions(options: GuardOptions): void {
  const { realm = '', keyFrom } = options;
  const issues = issuesOf(options, NAMES);
  if (!REALM.test(realm)) issues.push('realm is not printable ASCII without quotes and backslashes');
  if (keyFrom?.length === 0) issues.push('keyFrom names no place to look for a key in');
  refuseAny(issues);
}
