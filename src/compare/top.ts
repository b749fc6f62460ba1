/** The k largest of a list. */

/** Indices of the `k` largest values, the largest first; among equals the lower index (§8.1). NaN is never among them. */
export function topOf(values: ArrayLike<number>, k: number): number[] {
  const top: number[] = [];
  for (let i = 0; i < values.length; i++) {
    const value = values[i]!;
    if (top.length === k && !(value > values[top[k - 1]!]!)) continue;
    if (Number.isNaN(value)) continue;
    let at = Math.min(top.length, k - 1);
    for (; at > 0 && value > values[top[at - 1]!]!; at--) top[at] = top[at - 1]!;
    top[at] = i;
  }
  return top;
}

/** |top k of a ∩ top k of b| / k. */
export function topMatch(a: ArrayLike<number>, b: ArrayLike<number>, k: number): number {
  const other = topOf(b, k);
  return topOf(a, k).filter((index) => other.includes(index)).length / k;
}
