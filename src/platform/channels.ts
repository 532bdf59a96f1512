import type { Observer } from '../core/events.js';
import { lazy } from '../core/lazy.js';
import type { Platform } from './platform.js';

const POINTS: Readonly<Partial<Record<keyof Observer, string>>> = {
  onVerdict: 'keyverify:verdict',
  onFailure: 'keyverify:failure',
  onStale: 'keyverify:stale',
  onFailOpen: 'keyverify:fail-open',
  onBreaker: 'keyverify:breaker',
  onInvalidate: 'keyverify:invalidate',
  onRevocation: 'keyverify:revocation',
  onRevocationGap: 'keyverify:revocation-gap',
};

const TRACES: Readonly<Partial<Record<keyof Observer, string>>> = {
  onAsk: 'keyverify:ask',
  onShared: 'keyverify:shared',
};

/** Publishes to `node:diagnostics_channel`. While nobody listens, a method isn't there, so that no event is built for it. */
const observers = lazy((): readonly Observer[] => {
  const { channel, tracingChannel } = process.getBuiltinModule('node:diagnostics_channel');
  const observer: Observer = {};
  const add = (method: string, target: object, publish: unknown): void => {
    // Some runtimes don't tell.
    const get = (): unknown => (Reflect.get(target, 'hasSubscribers') === false ? undefined : publish);
    Object.defineProperty(observer, method, { get });
  };
  for (const [method, name] of Object.entries(POINTS)) {
    const point = channel(name);
    add(method, point, (event: unknown) => point.publish(event));
  }
  for (const [method, name] of Object.entries(TRACES)) {
    const tracing = tracingChannel<unknown, object>(name);
    add(method, tracing, (event: object, run: () => Promise<unknown>) => tracing.tracePromise(run, { ...event }));
  }
  return [observer];
});

export const diagnosticsObserver: Platform['diagnosticsObserver'] = observers;
