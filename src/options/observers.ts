import type { Observer } from '../core/events.js';
import { isNear, meant, sentence } from '../core/messages.js';
import { fieldOf, isFunction, isObject } from '../core/schema.js';

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
export function observerIssues(observers: readonly unknown[]): string[] {
  return observers.flatMap((observer, at) => {
    const own = `observers.${at}`;
    if (!isObject(observer)) return [sentence(own, 'an object', observer)];
    const first = observers.indexOf(observer);
    if (first < at) return [`${own}: the same object as observers.${first}`];
    const isLiteral = [Object.prototype, null].includes(Reflect.getPrototypeOf(observer));
    return [...new Set(namesOf(observer))].flatMap((name) => {
      const value = fieldOf(observer, name);
      const place = `${own}.${name}`;
      if (HOOKS.includes(name))
        return value === undefined || isFunction(value) ? [] : [sentence(place, 'a function', value)];
      // An instance may have methods for others to call, such as Nest's onModuleInit().
      const isHook = /^on[A-Z]/.test(name);
      const isMeant = isLiteral
        ? isHook || isFunction(value)
        : HOOKS.some((hook) => hook.toLowerCase() === name.toLowerCase() || (isHook && isNear(hook, name)));
      return isMeant ? [`${place}: there is no such event${meant(name, HOOKS)}`] : [];
    });
  });
}

/** Its own names, and those that its class has. */
const namesOf = (holder: object | null): string[] =>
  holder === null || holder === Object.prototype
    ? []
    : [...Object.getOwnPropertyNames(holder), ...namesOf(Reflect.getPrototypeOf(holder))];
