/**
 * What a model wants to be fed: name, type and shape of every input, and what those are in bytes.
 */
import { MinmaxqError } from "../base/errors.ts";

/** One model input. A record of a data set holds `byteLength(input)` little-endian bytes for each, in model input order. */
export interface InputSpec {
  readonly name: string;
  /** What a signature calls it, where that is another name. */
  readonly signatureName?: string;
  /** Name of the schema's TensorType, e.g. "FLOAT32". */
  readonly dtype: string;
  /** Fully known; `[]` is a scalar. */
  readonly shape: readonly number[];
}

/** Records to feed a model. */
export interface DataSet {
  /** For people: `"face.npz" (16 records)`. */
  readonly description: string;
  /** Number of records; at least 1. */
  readonly count: number;
  /** The records are made up: ranges of them mean nothing. */
  readonly random?: true;
  /**
   * The records in order: one little-endian byte array per model input, in model input order. The arrays are the
   * receiver's. May be iterated several times; memory does not grow with the count.
   */
  records(): AsyncIterable<Uint8Array[]>;
  close(): void;
}

interface Element {
  readonly bytes: number;
  /** NumPy's type code without the byte order ("f4"); the same names as in `.npy` headers. */
  readonly numpy: string;
}

/** The types a model input may have; one row a type. */
const ELEMENTS: Readonly<Record<string, Element>> = {
  FLOAT32: { bytes: 4, numpy: "f4" },
  FLOAT16: { bytes: 2, numpy: "f2" },
  FLOAT64: { bytes: 8, numpy: "f8" },
  INT8: { bytes: 1, numpy: "i1" },
  INT16: { bytes: 2, numpy: "i2" },
  INT32: { bytes: 4, numpy: "i4" },
  INT64: { bytes: 8, numpy: "i8" },
  UINT8: { bytes: 1, numpy: "u1" },
  UINT16: { bytes: 2, numpy: "u2" },
  UINT32: { bytes: 4, numpy: "u4" },
  UINT64: { bytes: 8, numpy: "u8" },
  BOOL: { bytes: 1, numpy: "b1" },
  COMPLEX64: { bytes: 8, numpy: "c8" },
};

/** Size, number and NumPy code of an input's elements. Throws for types without fixed-size elements (STRING, RESOURCE …). */
export function elementOf(input: InputSpec): Element {
  const element = ELEMENTS[input.dtype];
  if (element === undefined) {
    throw new MinmaxqError(
      `model input "${input.name}" is ${input.dtype}: sample data of that type cannot be read (known: ${Object.keys(ELEMENTS).join(", ")})`,
      { subject: `model input "${input.name}"` },
    );
  }
  return element;
}

/** Schema name of a NumPy type code ("f4" → "FLOAT32"), or undefined. */
export function dtypeOfNumpy(code: string): string | undefined {
  return Object.keys(ELEMENTS).find((dtype) => ELEMENTS[dtype]!.numpy === code);
}

export function elementCount(shape: readonly number[]): number {
  return shape.reduce((product, dim) => product * dim, 1);
}

/** Bytes one record holds for this input. */
export function byteLength(input: InputSpec): number {
  return elementCount(input.shape) * elementOf(input).bytes;
}

/** `[1, 128, 128, 3]`, as messages show shapes. */
export function shapeText(shape: readonly number[]): string {
  return `[${shape.join(", ")}]`;
}

/** `input "x" (FLOAT32 [1, 128, 128, 3])`, as messages name inputs; `"x" = "image"` where a signature says "image". */
export function inputText({ name, signatureName, dtype, shape }: InputSpec): string {
  const names = signatureName === undefined ? `"${name}"` : `"${name}" = "${signatureName}"`;
  return `model input ${names} (${dtype} ${shapeText(shape)})`;
}

export function sameShape(a: readonly number[], b: readonly number[]): boolean {
  return a.length === b.length && a.every((dim, i) => dim === b[i]);
}
