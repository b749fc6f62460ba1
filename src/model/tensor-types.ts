/** Bytes of tensors by their type and shape. */
import { TensorType } from "./schema.gen.ts";

/** Element type, by its name in the schema. */
export type Dtype = keyof typeof TensorType;

/** Bytes of one element; half and quarter bytes for packed types. Not here: types without a fixed element size. */
const ELEMENT_BYTES: Readonly<Partial<Record<TensorType, number>>> = {
  [TensorType.FLOAT32]: 4,
  [TensorType.FLOAT16]: 2,
  [TensorType.INT32]: 4,
  [TensorType.UINT8]: 1,
  [TensorType.INT64]: 8,
  [TensorType.BOOL]: 1,
  [TensorType.INT16]: 2,
  [TensorType.COMPLEX64]: 8,
  [TensorType.INT8]: 1,
  [TensorType.FLOAT64]: 8,
  [TensorType.COMPLEX128]: 16,
  [TensorType.UINT64]: 8,
  [TensorType.UINT32]: 4,
  [TensorType.UINT16]: 2,
  [TensorType.INT4]: 0.5,
  [TensorType.UINT4]: 0.5,
  [TensorType.BFLOAT16]: 2,
  [TensorType.INT2]: 0.25,
  [TensorType.FLOAT8_E4M3FN]: 1,
  [TensorType.FLOAT8_E5M2]: 1,
};

/**
 * Bytes of one element: 4 for FLOAT32, 0.5 for INT4 (two in a byte). Undefined for types without a fixed element
 * size (STRING, RESOURCE, VARIANT, block formats such as GGML_Q4_0).
 */
export function bytesPerElement(type: TensorType): number | undefined {
  return ELEMENT_BYTES[type];
}

/** Number of elements of a shape; 1 for a scalar's empty shape. Dimensions below 0 (unknown) give NaN. */
export function elementCount(shape: ArrayLike<number>): number {
  let count = 1;
  for (let i = 0; i < shape.length; i++) count *= shape[i]! < 0 ? Number.NaN : shape[i]!;
  return count;
}

/**
 * Bytes of a dense tensor, packed types rounded up to whole bytes. Undefined when it cannot be told: unknown
 * dimensions, or a type without a fixed element size.
 */
export function byteLength(type: TensorType, shape: ArrayLike<number>): number | undefined {
  const bytes = bytesPerElement(type);
  const count = elementCount(shape);
  return bytes === undefined || Number.isNaN(count) ? undefined : Math.ceil(bytes * count);
}
