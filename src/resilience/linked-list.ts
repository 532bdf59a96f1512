/** What a list needs to hold an item: the item keeps its neighbors itself, so it is in one list at a time. */
export interface Linked<Item> {
  older?: Item | undefined;
  newer?: Item | undefined;
}

/**
 * Items in order of arrival. Open at both ends and in the middle: a queue of thousands is no reason to search. Nor does one
 * that left stay in memory: as a `Set` is emptied and filled again, V8 leaves behind its old tables with the members they had,
 * each pointing to the next, and only a major collection ends that. Until then each minor one copies them, which was a third
 * of the processor time of a cache miss.
 */
export class LinkedList<Item extends Linked<Item>> {
  oldest: Item | undefined;
  newest: Item | undefined;
  size = 0;

  add(item: Item): void {
    item.older = this.newest;
    if (this.newest === undefined) this.oldest = item;
    else this.newest.newer = item;
    this.newest = item;
    this.size++;
  }

  /** Nothing happens if it isn't in the list any more. */
  remove(item: Item): void {
    const { older, newer } = item;
    if (older === undefined && this.oldest !== item) return;
    if (older === undefined) this.oldest = newer;
    else older.newer = newer;
    if (newer === undefined) this.newest = older;
    else newer.older = older;
    // An item in the old generation would keep its neighbors alive, and they theirs.
    item.older = undefined;
    item.newer = undefined;
    this.size--;
  }
}
