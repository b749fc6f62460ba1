/** Sparse constants → dense bytes, by the traversal that the format describes (TFLite sparsity parameters). */
import type { DimensionType, SparsityParameters } from "../model/index.ts";

/** The compiler holds it to the schema; the schema's tables would double what each Worker of the weight stream loads. */
const DENSE: (typeof DimensionType)["DENSE"] = 0;

/**
 * A function that lays packed elements of `size` bytes out densely in row-major order of `shape`; the rest is zero.
 *
 * The levels are walked from the outside in: level i walks dimension traversalOrder[i]; orders past the rank are blocks, which
 * subdivide dimension blockMap[order − rank]. A DENSE level takes each index in turn, a SPARSE_CSR level those listed in its
 * segment. Packed elements lie in the order of the walk. The reader has checked the parameters (src/model/sparsity.ts).
 */
export function expander(
  sparsity: SparsityParameters,
  shape: readonly number[],
  size: number,
): (packed: Uint8Array) => Uint8Array {
  const order = sparsity.traversalOrder ?? new Int32Array();
  const blocks = sparsity.blockMap ?? new Int32Array();
  const levels = sparsity.dimMetadata ?? [];
  const rank = shape.length;
  const strides = shape.map((_, i) => shape.slice(i + 1).reduce((a, b) => a * b, 1));
  const blockSize = (dimension: number) => {
    const block = [...blocks].indexOf(dimension);
    if (block < 0) return 1;
    return levels[[...order].indexOf(rank + block)]?.denseSize ?? 1;
  };
  // How far one step of each level moves in the dense tensor.
  const steps = [...order].map((d) => (d < rank ? strides[d]! * blockSize(d) : strides[blocks[d - rank]!]!));
  const values = (vector: { value?: { values?: ArrayLike<number> } | null } | undefined) => vector?.value?.values ?? [];

  return (packed) => {
    const dense = new Uint8Array(shape.reduce((a, b) => a * b, 1) * size);
    // A level without positions: nothing is stored, however many positions the levels before it have.
    if (levels.some(({ format, denseSize }) => (format ?? DENSE) === DENSE && (denseSize ?? 0) === 0)) return dense;
    let read = 0;
    const walk = (level: number, position: number, at: number): void => {
      if (level === levels.length) {
        dense.set(packed.subarray(read, read + size), at * size);
        read += size;
        return;
      }
      const { format, denseSize, arraySegments, arrayIndices } = levels[level]!;
      const step = steps[level]!;
      if ((format ?? DENSE) === DENSE) {
        const count = denseSize ?? 0;
        for (let i = 0; i < count; i++) walk(level + 1, position * count + i, at + i * step);
        return;
      }
      const segments = values(arraySegments);
      const indices = values(arrayIndices);
      for (let i = segments[position]!; i < segments[position + 1]!; i++) walk(level + 1, i, at + indices[i]! * step);
    };
    walk(0, 0, 0);
    return dense;
  };
}
