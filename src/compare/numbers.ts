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

/** A tensor of integers that stand for floats: scale · (integer − zero point). */
export interface Integers {
  readonly dtype: Dtype;
  readonly scale: number;
  readonly zeroPoint: number;
}

/** Least and largest integer of the types that are quantized. */
const BOUNDS: Partial<Record<Dtype, readonly [least: number, largest: number]>> = {
  INT8: [-128, 127],
  UINT8: [0, 255],
  INT16: [-32768, 32767],
};

/** Types that `Integers` may have. */
export const dtypesOfIntegers: ReadonlySet<Dtype> = new Set(Object.keys(BOUNDS) as Dtype[]);

/** The floats that integers stand for, as LiteRT's DEQUANTIZE computes them: in double, then rounded once. */
export function dequantized(bytes: Uint8Array, { dtype, scale, zeroPoint }: Integers): Float32Array {
  const integers = numbersOf(bytes, dtype);
  const values = new Float32Array(integers.length);
  for (let i = 0; i < values.length; i++) values[i] = scale * (integers[i]! - zeroPoint);
  return values;
}

/** Little-endian bytes of the integers for float32 values, as LiteRT's QUANTIZE: a float32 quotient, half away from 0, clamped; NaN is the zero point. */
export function quantizedBytes(bytes: Uint8Array, { dtype, scale, zeroPoint }: Integers): Uint8Array {
  const [least, largest] = BOUNDS[dtype]!;
  const floats = numbersOf(bytes, "FLOAT32");
  const integers = dtype === "INT16" ? new Int16Array(floats.length) : new Uint8Array(floats.length);
  for (let i = 0; i < floats.length; i++) {
    const quotient = Math.fround(floats[i]! / scale);
    const rounded = Math.sign(quotient) * Math.round(Math.abs(quotient));
    // Bytes below 0 wrap to what they are as INT8.
    integers[i] = Number.isNaN(rounded) ? zeroPoint : Math.min(largest, Math.max(least, rounded + zeroPoint));
  }
  return new Uint8Array(integers.buffer);
}

/** What a tensor's bytes say, its integers as the floats that they stand for. */
export function valuesOf(bytes: Uint8Array, dtype: Dtype, integers: Integers | undefined): ArrayLike<number> {
  return integers ? dequantized(bytes, integers) : numbersOf(bytes, dtype);
}
