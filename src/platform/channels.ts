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
  const asking = tracingChannel<unknown, object>('keyverify:ask');
  const trace: NonNullable<Observer['onAsk']> = (event, run) => asking.tracePromise(run, { ...event });
  add('onAsk', asking, trace);
  return [observer];
});

export const diagnosticsObserver: Platform['diagnosticsObserver'] = observers;
