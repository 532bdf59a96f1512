import type { Observer } from '../core/events.js';
import { isNear, meant } from '../core/messages.js';

/** Every method of an observer. */
const HOOKS = Object.keys({
  onVerdict: 0,
  onFailure: 0,
  onStale: 0,
  onFailOpen: 0,
  onBreaker: 0,
  onControl: 0,
  onAbort: 0,
  onInvalidate: 0,
  onShared: 0,
  onRevocation: 0,
  onRevocationGap: 0,
  onAsk: 0,
  onJoin: 0,
  onAttach: 0,
  onDetach: 0,
} satisfies Record<keyof Observer, 0>);

/** Names the methods that would never be called, since there is no such event. */
export function observerIssues(observers: readonly object[]): string[] {
  return observers.flatMap((observer, at) =>
    namesOf(observer)
      .filter((name) => /^on[A-Z]/.test(name) && !HOOKS.includes(name))
      // An instance may have methods for others to call, such as Nest's onModuleInit().
      .filter((name) => isLiteral(observer) || HOOKS.some((hook) => isNear(hook, name)))
      .map((name) => `observers.${at}.${name}: there is no such event${meant(name, HOOKS)}`),
  );
}

const isLiteral = (value: object): boolean => [Object.prototype, null].includes(Reflect.getPrototypeOf(value));

/** Its own names, and those that its class has. */
function namesOf(observer: object): string[] {
  const names: string[] = [];
  for (let holder: object | null = observer; holder !== null; holder = Reflect.getPrototypeOf(holder))
    names.push(...Object.getOwnPropertyNames(holder));
  return [...new Set(names)];
}
