/** Goes on at once where nothing is to be waited for: an `await` takes longer than a lookup. */
export function whenReady<T, R>(value: T | Promise<T>, use: (ready: T) => R | Promise<R>): R | Promise<R> {
  return value instanceof Promise ? value.then(use) : use(value);
}
