/** Checks a sparse tensor's description, so that making it dense cannot read or write outside. */
import type { Fail } from "./fail.ts";
import { DimensionType, type SparseIndexVector, type Tensor, TensorType } from "./schema.gen.ts";
import { bytesPerElement } from "./tensor-types.ts";

/**
 * The levels of `sparsity` are walked from the outside in. A DENSE level multiplies the number of positions by its
 * size; a SPARSE_CSR level has one segment for each position so far and as many positions after as it has indices.
 * The last number of positions is the number of stored values. `length` is the buffer's size in bytes; 0 is not checked.
 */
export function checkSparsity(tensor: Tensor, length: number, path: string, fail: Fail): void {
  const sparsity = tensor.sparsity!;
  const rank = tensor.shape?.length ?? 0;
  const blockMap = sparsity.blockMap ?? new Int32Array();
  const order = sparsity.traversalOrder ?? new Int32Array();
  const levels = sparsity.dimMetadata ?? [];
  const at = `${path}.sparsity`;

  if (blockMap.length > rank || blockMap.some((dimension) => dimension < 0 || dimension >= rank)) {
    fail(`${at}.blockMap`, `names a dimension outside the ${rank} of the shape`, sparsity);
  }
  if (order.length !== rank + blockMap.length || order.length !== levels.length) {
    const what = `has ${order.length} entries and ${levels.length} levels for ${rank} dimensions and ${blockMap.length} blocks`;
    fail(`${at}.traversalOrder`, what, sparsity);
  }
  if ([...order].sort((a, b) => a - b).some((dimension, i) => dimension !== i)) {
    fail(`${at}.traversalOrder`, `[${order.join(", ")}] is no permutation`, sparsity);
  }

  let positions = 1;
  for (const [i, level] of levels.entries()) {
    const where = `${at}.dimMetadata[${i}]`;
    const dimension = order[i]!;
    const size = level.denseSize ?? 0;
    if ((level.format ?? DimensionType.DENSE) === DimensionType.DENSE) {
      if (size < 0 || (dimension < rank && size > tensor.shape![dimension]!)) {
        fail(where, `has the size ${size} for dimension ${dimension}`, level);
      }
      positions *= size;
      continue;
    }
    const segments = valuesOf(level.arraySegments);
    const indices = valuesOf(level.arrayIndices);
    if (!segments || !indices) fail(where, "has no segments or no indices", level);
    if (segments.length <= positions) {
      fail(where, `has ${segments.length} segment ends for ${positions} positions`, level);
    }
    let before = 0;
    for (let p = 0; p <= positions; p++) {
      if (segments[p]! < before) fail(where, `has the segment end ${segments[p]} after ${before}`, level);
      before = segments[p]!;
    }
    if (before > indices.length) fail(where, `has ${indices.length} indices, its segments name ${before}`, level);
    const limit = dimension < rank ? tensor.shape![dimension]! : Number.POSITIVE_INFINITY;
    for (let p = 0; p < before; p++) {
      if (!(indices[p]! >= 0 && indices[p]! < limit)) {
        fail(where, `has the index ${indices[p]}, the dimension's size is ${limit}`, level);
      }
    }
    positions = before;
  }
  const needed = Math.ceil(positions * (bytesPerElement(tensor.type ?? TensorType.FLOAT32) ?? 0));
  if (length > 0 && needed > length)
    fail(path, `is sparse and needs ${needed} bytes, its buffer has ${length}`, tensor);
}

function valuesOf(vector: SparseIndexVector | undefined): ArrayLike<number> | undefined {
  return vector?.value?.values;
}
