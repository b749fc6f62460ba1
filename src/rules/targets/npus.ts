/**
 * NPUs behind a compiler: what it does not take runs on the CPU, by the rows of `host`. Rows here are the compiler's own demands.
 *
 * Sources: Vela 5.2 (`vela --supported-ops-report`, and what it did with models of single operators: test/targets/vela-operators.tsv); coral.ai, "TensorFlow models on the Edge TPU".
 */
import { once } from "../../base/once.ts";
import type { Dtype } from "../../model/tensor-types.ts";
import { LITERT } from "./litert.ts";
import type { Limit, Target, TargetOperator } from "./target.ts";
import { TFLM } from "./tflm.ts";

const I8: readonly Dtype[] = ["INT8", "UINT8"];
const I16: readonly Dtype[] = ["INT8", "UINT8", "INT16"];

const most = (of: Limit["of"], limit: number, more: Partial<Limit> = {}): Limit => ({ of, most: limit, ...more });

const kinds = (names: string, row: TargetOperator) =>
  Object.fromEntries(names.split(/\s+/).map((op): [string, TargetOperator] => [op, row]));

const row = (dtypes: readonly Dtype[], ...limits: readonly Limit[]): TargetOperator => ({
  dtypes,
  limits: [{ of: "rank of the result", least: 1 }, ...limits],
  absentOperands: true,
});

/** Vela rewrites longer strides where nothing is padded. */
const STRIDES: readonly Limit[] = [
  most("stride height", 3, { padding: "SAME" }),
  most("stride width", 3, { padding: "SAME" }),
];
const WEIGHTS: readonly Limit[] = [
  most("sum of a filter's weights", 127 * 65_536),
  most("rank of the bias", 1),
  most("bits of a bias", 40),
];
const weighted = (...limits: readonly Limit[]): TargetOperator => ({
  ...row(I16, ...WEIGHTS, ...limits),
  weightDtypes: { INT8: ["INT8"], UINT8: ["UINT8"], INT16: ["INT8"] },
  biasDtypes: { INT8: ["INT32", "INT64"], UINT8: ["INT32", "INT64"], INT16: ["INT32", "INT64"] },
});

/** Enlarging by another factor, or by several. */
const RESIZE = row(I16, { of: "enlargement", only: [1, 2, 4, 8] });

/** It rewrites them to operators that it then cannot place, and ends. */
const FLOAT_ENDS = { neverFloat: "Vela 5.2 ends where it is float" } as const;
const ENDS: TargetOperator = { dtypes: [], keepFloat: "Vela 5.2 ends where it is quantized" };

export const ETHOS_U: Target = {
  ...LITERT,
  weightSchemes: [],
  name: "ethos-u",
  runtime: "Vela for Ethos-U",
  otherwise: "it takes int8 and int16 (uint8 and float32 at inputs and outputs)",
  host: TFLM,
  operators: once(() => ({
    ...kinds(
      `ABS ADD MUL SUB CONCATENATION EXP EXPAND_DIMS LEAKY_RELU LOGISTIC MAXIMUM MINIMUM MIRROR_PAD NEG PACK PAD PADV2 PRELU
      REDUCE_MAX REDUCE_MIN RELU RELU6 RELU_0_TO_1 RELU_N1_TO_1 RESHAPE SLICE SOFTMAX SPLIT SPLIT_V SQUARED_DIFFERENCE SQUEEZE STRIDED_SLICE SUM
      TANH TILE TRANSPOSE UNPACK`,
      row(I16),
    ),
    ...kinds("EQUAL NOT_EQUAL LESS LESS_EQUAL GREATER GREATER_EQUAL SELECT SELECT_V2", ENDS),
    ARG_MAX: { ...row(I8, most("last dimension", 127)), ...FLOAT_ENDS },
    HARD_SWISH: { ...row(I8), ...FLOAT_ENDS },
    UNIDIRECTIONAL_SEQUENCE_LSTM: { ...row(I16), ...FLOAT_ENDS },
    AVERAGE_POOL_2D: row(
      I16,
      ...STRIDES,
      most("kernel height", 8, { padding: "SAME" }),
      most("kernel width", 8, { padding: "SAME" }),
      most("kernel height", 256, { padding: "VALID" }),
      most("kernel elements", 256 * 256, { padding: "VALID" }),
    ),
    BATCH_MATMUL: row(["INT8"]),
    CONV_2D: weighted(...STRIDES),
    DEPTHWISE_CONV_2D: weighted(most("stride height", 3), most("stride width", 3)),
    ELU: row(["INT8"]),
    FULLY_CONNECTED: weighted(),
    GELU: row(I8),
    LOG: row(["INT8", "INT16"]),
    MAX_POOL_2D: row(I16, ...STRIDES, most("kernel height", 256), most("kernel elements", 256 * 256)),
    MEAN: row(
      I16,
      { of: "batch", only: [1] },
      most("elements that are reduced", 2 ** 24, { dtypes: ["INT8"] }),
      most("elements that are reduced", 2 ** 23, { dtypes: ["UINT8"] }),
      most("elements that are reduced", 2 ** 16, { dtypes: ["INT16"] }),
    ),
    QUANTIZE: { ...row(I16), results: I16 },
    RESIZE_BILINEAR: RESIZE,
    RESIZE_NEAREST_NEIGHBOR: RESIZE,
    RSQRT: row(["INT8", "INT16"]),
    SHAPE: row(I16),
    TRANSPOSE_CONV: weighted(most("stride height", 2), most("stride width", 2)),
  })),
  others: { dtypes: [] },
};

/** The compiler of Coral's Edge TPU; it takes static shapes and 8 bits. */
const THREE_INNERMOST: Limit = { of: "dimensions above 1 beside the last three", most: 0 };
const edge = (...limits: readonly Limit[]): TargetOperator => ({
  dtypes: I8,
  limits: [THREE_INNERMOST, ...limits],
  absentOperands: true,
});
const UNFUSED = { fused: ["NONE"] } as const;

export const EDGETPU: Target = {
  ...LITERT,
  name: "edgetpu",
  runtime: "the Edge TPU compiler",
  schemes: ["int8"],
  weightSchemes: [],
  activations: ["INT8", "UINT8", "FLOAT32"],
  otherwise: "it takes int8 (uint8 and float32 at inputs and outputs)",
  host: {
    ...LITERT,
    operators: once(() => ({ ...LITERT.operators(), QUANTIZE: { ...LITERT.operators().QUANTIZE!, version: 2 } })),
  },
  operators: once(() => ({
    ...kinds(
      `ADD DEPTHWISE_CONV_2D CONV_2D EXPAND_DIMS L2_NORMALIZATION LOGISTIC MAXIMUM MEAN MINIMUM MUL PACK PAD PRELU QUANTIZE REDUCE_MAX
      REDUCE_MIN RELU RELU6 RELU_N1_TO_1 RESHAPE RESIZE_BILINEAR RESIZE_NEAREST_NEIGHBOR RSQRT SLICE SPACE_TO_DEPTH SPLIT SQUEEZE SUB SUM
      SQUARED_DIFFERENCE TANH TRANSPOSE TRANSPOSE_CONV UNIDIRECTIONAL_SEQUENCE_LSTM`,
      edge(),
    ),
    AVERAGE_POOL_2D: { ...edge(), ...UNFUSED },
    CONCATENATION: { ...edge(), ...UNFUSED },
    MAX_POOL_2D: { ...edge(), ...UNFUSED },
    FULLY_CONNECTED: { ...edge(most("dimensions above 1 of the result", 1)), weights: "per tensor" },
    SOFTMAX: edge(most("last dimension", 16_000), most("dimensions above 1 of the result", 1)),
    STRIDED_SLICE: edge({ of: "slice strides", only: [1] }),
  })),
  others: { dtypes: [] },
};
