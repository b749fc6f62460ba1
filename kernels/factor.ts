/** The factor of a covariance (Cholesky), in float64. */
import { demand, listResult, reserve } from "./memory";

/** to += by · from. */
export function addScaled(to: usize, from: usize, by: f64, count: usize): void {
  const factor = f64x2.splat(by);
  const pairs = to + ((count & ~1) << 3);
  while (to < pairs) {
    v128.store(to, f64x2.add(v128.load(to), f64x2.mul(factor, v128.load(from))));
    to += 16;
    from += 16;
  }
  if ((count & 1) == 1) store<f64>(to, load<f64>(to) + by * load<f64>(from));
}

/** Rows of the factor whose part in all further rows is taken away together: these are then read and written once for all of them. */
const PIVOTS: usize = 4;

/** T, upper triangular, with TᵀT = the matrix (Cholesky); an empty list where the matrix is not positive definite. */
export function factor(matrix: usize, count: usize, size: u32): usize {
  const n = <usize>size;
  demand(n > 0 && count == n * n);
  const result = reserve(count << 3);
  memory.copy(result, matrix, count << 3);
  for (let first: usize = 0; first < n; first += PIVOTS) {
    const some = min(PIVOTS, n - first);
    for (let i = first; i < first + some; i++) {
      const row = result + ((i * n) << 3);
      for (let before = first; before < i; before++) {
        const other = result + ((before * n + i) << 3);
        addScaled(row + (i << 3), other, -load<f64>(other), n - i);
      }
      const pivot = load<f64>(row + (i << 3));
      if (!(pivot > 0)) return listResult(result, 0);
      const root = Math.sqrt(pivot);
      memory.fill(row, 0, i << 3);
      store<f64>(row + (i << 3), root);
      for (let j = i + 1; j < n; j++) store<f64>(row + (j << 3), load<f64>(row + (j << 3)) / root);
    }
    if (some == PIVOTS) takeAway(result + ((first * n) << 3), result, first + PIVOTS, n);
  }
  return listResult(result, count);
}

/** From rows `first` on: what four rows of the factor, which lie one after the other, have in them. Sums have the order of the rows. */
function takeAway(pivots: usize, result: usize, first: usize, n: usize): void {
  const line = n << 3;
  for (let k = first; k < n; k++) {
    let from = pivots + (k << 3);
    const by0 = -load<f64>(from);
    const by1 = -load<f64>(from + line);
    const by2 = -load<f64>(from + 2 * line);
    const by3 = -load<f64>(from + 3 * line);
    const four0 = f64x2.splat(by0);
    const four1 = f64x2.splat(by1);
    const four2 = f64x2.splat(by2);
    const four3 = f64x2.splat(by3);
    let to = result + ((k * n + k) << 3);
    const count = n - k;
    const pairs = to + ((count & ~1) << 3);
    while (to < pairs) {
      let sum = f64x2.add(v128.load(to), f64x2.mul(four0, v128.load(from)));
      sum = f64x2.add(sum, f64x2.mul(four1, v128.load(from + line)));
      sum = f64x2.add(sum, f64x2.mul(four2, v128.load(from + 2 * line)));
      v128.store(to, f64x2.add(sum, f64x2.mul(four3, v128.load(from + 3 * line))));
      to += 16;
      from += 16;
    }
    if ((count & 1) == 1) {
      let sum = load<f64>(to) + by0 * load<f64>(from);
      sum += by1 * load<f64>(from + line);
      sum += by2 * load<f64>(from + 2 * line);
      store<f64>(to, sum + by3 * load<f64>(from + 3 * line));
    }
  }
}
