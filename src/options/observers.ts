import type { Observer } from '../core/events.js';
import { isNear, meant, sentence } from '../core/messages.js';
import { fieldOf, isFunction } from '../core/schema.js';

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

/** Names the methods that can't be called, or never would be, since there is no such event. */
export function observerIssues(observers: readonly object[]): string[] {
  return observers.flatMap((observer, at) =>
    namesOf(observer).flatMap((name) => {
      const value = fieldOf(observer, name);
      const place = `observers.${at}.${name}`;
      if (HOOKS.includes(name))
        return value === undefined || isFunction(value) ? [] : [sentence(place, 'a function', value)];
      // An instance may have methods for others to call, such as Nest's onModuleInit().
      const isHook = /^on[A-Z]/.test(name);
      const isMeant = isLiteral(observer)
        ? isHook || isFunction(value)
        : HOOKS.some((hook) => isSame(hook, name) || (isHook && isNear(hook, name)));
      return isMeant ? [`${place}: there is no such event${meant(name, HOOKS)}`] : [];
    }),
  );
}

const isSame = (hook: string, name: string): boolean => hook.toLowerCase() === name.toLowerCase();

const isLiteral = (value: object): boolean => [Object.prototype, null].includes(Reflect.getPrototypeOf(value));

/** Its own names, and those that its class has. */
function namesOf(observer: object): string[] {
  const names: string[] = [];
  for (
    let holder: object | null = observer;
    holder !== null && holder !== Object.prototype;
    holder = Reflect.getPrototypeOf(holder)
  )
    names.push(...Object.getOwnPropertyNames(holder));
  return [...new Set(names)];
}
