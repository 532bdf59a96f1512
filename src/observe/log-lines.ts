import type { BreakerOptions } from '../core/breaker.js';
import type { FailureKind, VerifyFailure } from '../core/failure.js';
import type { StatusCounts } from '../core/stats.js';

/** What lines tell about the verifier. */
export interface LogSettings {
  /** Origin and path of `verifyUrl`. */
  readonly publicUrl: string;
  readonly failOpen: boolean;
  readonly cacheTtlMs: number;
  readonly rejectedTtlMs: number;
  readonly staleIfErrorMs: number;
  readonly timeoutMs: number;
  readonly degradedTtlMs: number;
  readonly breaker: BreakerOptions | false;
}

export const BACK = ' No action is needed.';

/** The package comes without its docs. */
export const DOCS = 'https://github.com/keyverify/keyverify/blob/main/docs/';

/** What to do about it. */
const ADVICE: Readonly<Record<FailureKind, string>> = {
  unreachable: 'Check that it is running, then DNS, the network and firewalls.',
  timeout: 'Check its load and the network.',
  server_error: 'Look at its log.',
  rate_limited: 'Raise its limit for this service, or cacheTtlMs.',
  overloaded: 'Look for a flood of new keys; give this process more CPU, or raise maxConcurrency.',
  // The line about what opened the breaker has said it all.
  circuit_open: '',
  // Each message names another setting.
  misconfigured: 'Correct it here or at the key server.',
  invalid_response: 'Check what answers there, such as a proxy.',
};

const because = ({ message, cause }: VerifyFailure): string =>
  cause instanceof Error && !message.includes(cause.message) ? `${message} (${cause.message})` : message;

const SERVER = 'the key server';

/** The same with the URL: after the key server where the message names it. */
function located(failure: VerifyFailure, publicUrl: string): string {
  const said = because(failure);
  return said.includes(SERVER) ? said.replace(SERVER, () => `${SERVER} ${publicUrl}`) : `${said}, at ${publicUrl}`;
}

/** A server that sends JSON without the fields of a verdict is no proxy. */
const advice = ({ kind, message }: VerifyFailure): string =>
  kind === 'invalid_response' && message.includes('not a verdict')
    ? `Compare its answer with ${DOCS}protocol.md, or your protocol.`
    : ADVICE[kind];

/** What a guard makes of the failure. */
const effect = (failure: VerifyFailure, failOpen: boolean): string => {
  if (!failure.isOutage) {
    const why = failOpen ? ', although failOpen is on: no outage is proven' : '';
    return `denied (${failure.kind === 'misconfigured' ? 500 : 503})${why}`;
  }
  // A route or a call may have a failOpen of its own.
  const usual = failOpen ? 'let in without an identity' : 'denied (503)';
  return `${usual}, unless a route or call sets failOpen: ${!failOpen}`;
};

export function duration(ms: number): string {
  if (ms < 120_000) return `${Math.round(ms / 1000)} s`;
  return ms < 7_200_000 ? `${Math.round(ms / 60_000)} min` : `${Math.round(ms / 3_600_000)} h`;
}

/** A status that names a setting, as in `404: check verifyUrl`: it is hardly wrong if others are answered. */
const SETTING = /\d: check /;

const OF_KEY = `If unknown keys get this answer, see ${DOCS}key-server.md#401-or-404`;

const more = (unsaid: number): string => (unsaid > 0 ? ` (${unsaid} more since the last line like this.)` : '');

/** The lines of the log. Each says what happened, at which key server, what callers notice and what to do. */
export const lines = {
  /** `isOwn`: others are answered. */
  failure: (failure: VerifyFailure, { publicUrl, failOpen }: LogSettings, unsaid: number, isOwn: boolean): string => {
    const said = located(failure, publicUrl);
    return (
      `${said}.${more(unsaid)} ` +
      `${isOwn ? 'Others were just answered: only callers with this key and' : 'Callers'} without a cached ` +
      `verdict are ${effect(failure, failOpen)}. ${isOwn && SETTING.test(said) ? OF_KEY : advice(failure)}`
    );
  },

  again: ({ publicUrl }: LogSettings): string => `keyverify: ${SERVER} ${publicUrl} answers again.`,

  mistake: (message: string, unsaid: number): string => message + more(unsaid),

  opened: (failure: VerifyFailure, { publicUrl, failOpen, staleIfErrorMs }: LogSettings): string =>
    `keyverify: the key server ${publicUrl} is down: ${because(failure).replace('keyverify: ', '')}. Cached verdicts hold for up to ` +
    `${duration(staleIfErrorMs)} past their TTL; all other callers are ${effect(failure, failOpen)}. ${advice(failure)}`,

  closed: ({ publicUrl }: LogSettings, ms: number, before: StatusCounts, now: StatusCounts): string => {
    const opened = now['failed-open'] - before['failed-open'];
    return (
      `keyverify: the key server ${publicUrl} is back after ${duration(ms)}, in which ` +
      // Of rejected keys, the outage changed nothing.
      `${now['failed-closed'] - before['failed-closed']} calls were denied, ` +
      `${now.verified.stale - before.verified.stale} served stale and ${opened} let in without an identity.` +
      (opened > 0 ? '' : BACK)
    );
  },

  failedOpen: ({ publicUrl }: LogSettings): string =>
    `keyverify: callers are let in without an identity, even with a made-up key, since failOpen is on and ${publicUrl} is down.`,

  caching: ({ publicUrl }: LogSettings): string =>
    `keyverify: ${publicUrl} forbids caching, so every call asks it and nobody is served while it is down. ` +
    'Send verdicts with "Cache-Control: private, max-age=300".',

  clock: ({ publicUrl }: LogSettings, skewMs: number): string =>
    `keyverify: the clock of this machine is ${duration(Math.abs(skewMs))} ${skewMs > 0 ? 'ahead of' : 'behind'} that of ` +
    `${publicUrl}, so keys expire too ${skewMs > 0 ? 'early' : 'late'}. Synchronize both (NTP).`,

  afterClose: 'keyverify: this verifier is closed, so keys without a cached verdict are denied (500).',

  durations: (short: readonly (readonly [name: string, ms: number, ...unknown[]])[]): string => {
    const meant = short.map(([name, ms]) => `${name}: ${ms} ms; if you meant ${ms} s, pass ${ms} * 1000`);
    return `keyverify: durations are in milliseconds. ${meant.join('. ')}.`;
  },
};
