/** Elements of tensors as numbers. */
import type { Dtype } from "../graph/graph.ts";

type View = new (buffer: ArrayBufferLike, offset: number, length: number) => ArrayLike<number>;

const VIEWS: Partial<Record<Dtype, readonly [bytes: number, view: View]>> = {
  FLOAT32: [4, Float32Array],
  FLOAT64: [8, Float64Array],
  INT8: [1, Int8Array],
  UINT8: [1, Uint8Array],
  BOOL: [1, Uint8Array],
  INT16: [2, Int16Array],
  UINT16: [2, Uint16Array],
  INT32: [4, Int32Array],
  UINT32: [4, Uint32Array],
};

/** Whether numbersOf knows the type. */
export function hasNumbers(dtype: Dtype): boolean {
  return dtype === "INT64" || VIEWS[dtype] !== undefined;
}

/** Little-endian bytes as numbers; a view where that is possible. INT64 past 2^53 is rounded. */
export function numbersOf(bytes: Uint8Array, dtype: Dtype): ArrayLike<number> {
  if (dtype === "INT64") {
    const { buffer, byteOffset, byteLength } = aligned(bytes, 8);
    return Float64Array.from(new BigInt64Array(buffer, byteOffset, byteLength / 8), Number);
  }
  const [size, Numbers] = VIEWS[dtype]!;
  const { buffer, byteOffset, byteLength } = aligned(bytes, size);
  return new Numbers(buffer, byteOffset, byteLength / size);
}

function aligned(bytes: Uint8Array, size: number): Uint8Array {
  return bytes.byteOffset % size === 0 ? bytes : bytes.slice();
}
