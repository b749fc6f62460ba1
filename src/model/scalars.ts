/** Scalars of the schema: how wide they are, how they are read, which typed array holds many of them. */
import type { Pages } from "./pages.ts";
import type { ScalarType } from "./schema.gen.ts";

export type Scalar = number | boolean | bigint;

export type TypedArray =
  | Int8Array
  | Uint8Array
  | Int16Array
  | Uint16Array
  | Int32Array
  | Uint32Array
  | Float32Array
  | Float64Array
  | BigInt64Array
  | BigUint64Array;

/** Bytes of one scalar. */
export const SCALAR_SIZE: Readonly<Record<ScalarType, 1 | 2 | 4 | 8>> = {
  bool: 1,
  byte: 1,
  ubyte: 1,
  short: 2,
  ushort: 2,
  int: 4,
  uint: 4,
  float: 4,
  double: 8,
  long: 8,
  ulong: 8,
};

/**
 * Elements of an int vector (a shape, an operator's operands) up to which it is read and written one by one: a typed array this small
 * has no buffer of its own until it is asked for, and making one takes longer.
 */
export const SHORT_VECTOR = 8;

interface ArrayClass {
  new (buffer: ArrayBuffer): TypedArray;
  from(values: Iterable<never>): TypedArray;
}

/** The typed array of a vector of a scalar. A vector of bool is bytes, as they are in the file. */
export const ARRAYS: Readonly<Record<ScalarType, ArrayClass>> = {
  bool: Uint8Array,
  byte: Int8Array,
  ubyte: Uint8Array,
  short: Int16Array,
  ushort: Uint16Array,
  int: Int32Array,
  uint: Uint32Array,
  float: Float32Array,
  double: Float64Array,
  long: BigInt64Array,
  ulong: BigUint64Array,
};

/** Reads one scalar at a position. */
export const READ_SCALAR: Readonly<Record<ScalarType, (pages: Pages, position: number) => Scalar>> = {
  bool: (pages, position) => pages.u8(position) !== 0,
  byte: (pages, position) => pages.i8(position),
  ubyte: (pages, position) => pages.u8(position),
  short: (pages, position) => pages.i16(position),
  ushort: (pages, position) => pages.u16(position),
  int: (pages, position) => pages.i32(position),
  uint: (pages, position) => pages.u32(position),
  float: (pages, position) => pages.f32(position),
  double: (pages, position) => pages.f64(position),
  long: (pages, position) => pages.i64(position),
  ulong: (pages, position) => pages.u64(position),
};
