/** Results that Workers give in any order. */

/** Calls `take` with each record's result in the order of the records; those that come early wait: a few, as Workers are not far ahead. */
export function inOrder<T>(take: (record: number, result: T) => void): (record: number, result: T) => void {
  const early = new Map<number, T>();
  let next = 0;
  return (record, result) => {
    early.set(record, result);
    for (; early.has(next); next++) {
      take(next, early.get(next)!);
      early.delete(next);
    }
  };
}
