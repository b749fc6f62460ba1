/** Facts about element types that quantization asks for, one row per type; a type without a row is of no use to it. */
import type { Dtype } from "../model/tensor-types.ts";

interface DtypeFacts {
  readonly kind: "float" | "integer";
  /** Counts as quantized when parameters are there (§1.1; INT8 and the 4-bit types do not). */
  readonly countsAsQuantized?: true;
  /** Runtimes have activations of it. */
  readonly activation?: true;
  /** Parameters may stand for floats: such a constant can be dequantized. */
  readonly dequantizable?: true;
  /** Indices, counts and shapes have it, too. */
  readonly counts?: true;
  /** Least and largest zero point. */
  readonly zeroPoints?: readonly [number, number];
}

const FACTS: Partial<Readonly<Record<Dtype, DtypeFacts>>> = {
  FLOAT32: { kind: "float" },
  FLOAT16: { kind: "float" },
  BFLOAT16: { kind: "float" },
  FLOAT64: { kind: "float" },
  COMPLEX64: { kind: "float" },
  COMPLEX128: { kind: "float" },
  UINT8: {
    kind: "integer",
    countsAsQuantized: true,
    activation: true,
    dequantizable: true,
    zeroPoints: [0, 255],
  },
  INT16: {
    kind: "integer",
    countsAsQuantized: true,
    activation: true,
    dequantizable: true,
    zeroPoints: [-32768, 32767],
  },
  INT8: { kind: "integer", activation: true, dequantizable: true, zeroPoints: [-128, 127] },
  INT32: { kind: "integer", countsAsQuantized: true, dequantizable: true, counts: true },
  INT64: { kind: "integer", countsAsQuantized: true, dequantizable: true, counts: true },
  INT4: { kind: "integer", dequantizable: true },
  UINT4: { kind: "integer", dequantizable: true },
  INT2: { kind: "integer", dequantizable: true },
  UINT16: { kind: "integer" },
  UINT32: { kind: "integer" },
};

/** float16, float64 and the like: floats that are not what passes work on. */
export function isOtherFloat(dtype: Dtype): boolean {
  return FACTS[dtype]?.kind === "float" && dtype !== "FLOAT32";
}

export function isInteger(dtype: Dtype): boolean {
  return FACTS[dtype]?.kind === "integer";
}

/** A tensor that is quantized: it has parameters, and its type counts (§1.1). */
export function isQuantized(node: { readonly quant: unknown; readonly dtype: Dtype }): boolean {
  return node.quant !== null && FACTS[node.dtype]?.countsAsQuantized === true;
}

/** Whether a runtime's activations can have this type, in whatever scheme. */
export function isActivationDtype(dtype: Dtype): boolean {
  return FACTS[dtype]?.activation === true;
}

/** What a runtime takes for quantized: a tensor of such a type that has parameters. */
export function isRuntimeQuantized({ quant, dtype }: { readonly quant: unknown; readonly dtype: Dtype }): boolean {
  return quant !== null && isActivationDtype(dtype);
}

/** Whether integers of this type can stand for floats. */
export function isDequantizable(dtype: Dtype): boolean {
  return FACTS[dtype]?.dequantizable === true;
}

/** Whether integers of this type are there to stand for floats: not the types that indices, counts and shapes have as well. */
export function isSmallInteger(dtype: Dtype): boolean {
  return isDequantizable(dtype) && FACTS[dtype]?.counts !== true;
}

/** Least and largest zero point of a type; undefined where any will do. */
export function zeroPointLimits(dtype: Dtype): readonly [number, number] | undefined {
  return FACTS[dtype]?.zeroPoints;
}
