/** A place in the order of use, which is a ring. */
class Place {
  readonly key: string;
  older: Place = this;
  newer: Place = this;

  constructor(key: string) {
    this.key = key;
  }

  leave(): void {
    this.older.newer = this.newer;
    this.newer.older = this.older;
    this.older = this;
    this.newer = this;
  }

  enterBefore(newer: Place): void {
    this.leave();
    this.older = newer.older;
    this.newer = newer;
    this.older.newer = this;
    newer.older = this;
  }
}

class Entry<V> extends Place {
  readonly value: V;

  constructor(key: string, value: V) {
    super(key);
    this.value = value;
  }
}

/** As much of lru-cache as is used, for where all code is downloaded. A Map alone would search its holes for the oldest. */
export class LRUCache<K extends string, V> {
  readonly #max: number;
  readonly #entries = new Map<string, Entry<V>>();
  /** Between the newest and the oldest. */
  readonly #end = new Place('');

  constructor({ max }: { readonly max: number }) {
    this.#max = max;
  }

  get size(): number {
    return this.#entries.size;
  }

  get(key: K): V | undefined {
    const entry = this.#entries.get(key);
    entry?.enterBefore(this.#end);
    return entry?.value;
  }

  peek(key: K): V | undefined {
    return this.#entries.get(key)?.value;
  }

  set(key: K, value: V): void {
    this.#drop(key);
    const entry = new Entry(key, value);
    entry.enterBefore(this.#end);
    this.#entries.set(key, entry);
    if (this.size > this.#max) this.#drop(this.#end.newer.key);
  }

  delete(key: K): boolean {
    return this.#drop(key);
  }

  clear(): void {
    this.#entries.clear();
    this.#end.leave();
  }

  forEach(visit: (value: V, key: string) => void): void {
    this.#entries.forEach(({ value }, key) => visit(value, key));
  }

  #drop(key: string): boolean {
    this.#entries.get(key)?.leave();
    return this.#entries.delete(key);
  }
}
