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
    const put = putter(dense, packed, size);
    let read = 0;
    const last = levels.length - 1;
    const walk = (level: number, position: number, at: number): void => {
      const { format, denseSize, arraySegments, arrayIndices } = levels[level]!;
      const step = steps[level]!;
      const isDense = (format ?? DENSE) === DENSE;
      const segments = isDense ? undefined : values(arraySegments);
      const indices = isDense ? undefined : values(arrayIndices);
      const from = segments ? segments[position]! : 0;
      const to = segments ? segments[position + 1]! : (denseSize ?? 0);
      const first = segments ? 0 : position * (denseSize ?? 0);
      for (let i = from; i < to; i++) {
        const next = at + (indices ? indices[i]! : i) * step;
        if (level === last) put(next, read++);
        else walk(level + 1, first + i, next);
      }
    };
    if (levels.length === 0) put(0, 0);
    else walk(0, 0, 0);
    return dense;
  };
}

/** Copies an element of `size` bytes to a place from a place, both counted in elements. */
function putter(dense: Uint8Array<ArrayBuffer>, packed: Uint8Array, size: number): (to: number, from: number) => void {
  const List = size === 4 ? Uint32Array : size === 2 ? Uint16Array : size === 1 ? Uint8Array : undefined;
  if (!List || packed.byteOffset % size !== 0 || packed.byteLength % size !== 0)
    return (to, from) => dense.set(packed.subarray(from * size, (from + 1) * size), to * size);
  const target = new List(dense.buffer);
  const source = new List(packed.buffer as ArrayBuffer, packed.byteOffset, packed.byteLength / size);
  return (to, from) => {
    target[to] = source[from]!;
  };
}
