/**
 * LiteRT for Microcontrollers (tflite-micro), reference kernels: rows of LiteRT, cut down to what its resolver has and its kernels compute with.
 * Measured with its Python interpreter (PyPI tflite-micro, October 2026): test/targets/tflm-operators.tsv.
 */
import { once } from "../../base/once.ts";
import type { Dtype } from "../../model/tensor-types.ts";
import { LITERT } from "./litert.ts";
import type { Target, TargetOperator } from "./target.ts";

/** Kernels for float, 8 and 16 bits. */
const INT16 = `ABS ADD AVERAGE_POOL_2D BATCH_MATMUL BROADCAST_TO CONCATENATION CONV_2D DEPTHWISE_CONV_2D DYNAMIC_UPDATE_SLICE EXPAND_DIMS
  FULLY_CONNECTED GREATER LEAKY_RELU LOGISTIC MAXIMUM MAX_POOL_2D MEAN MINIMUM MUL PACK PAD PADV2 RELU RELU6 RESHAPE RESIZE_NEAREST_NEIGHBOR
  REVERSE_V2 RSQRT SELECT_V2 SLICE SOFTMAX SPLIT SPLIT_V SQUEEZE STRIDED_SLICE SUB SUM TANH TRANSPOSE TRANSPOSE_CONV UNPACK`;

/** For float and 8 bits. */
const INT8 = `ARG_MAX ARG_MIN BATCH_TO_SPACE_ND DEPTH_TO_SPACE DIV ELU EMBEDDING_LOOKUP EQUAL FILL GATHER GATHER_ND GREATER_EQUAL HARD_SWISH
  L2_NORMALIZATION LESS LESS_EQUAL LOG_SOFTMAX MIRROR_PAD NOT_EQUAL PRELU REDUCE_MAX REDUCE_MIN RESIZE_BILINEAR SPACE_TO_BATCH_ND SPACE_TO_DEPTH
  SQUARED_DIFFERENCE`;

/** For float alone, or plain integers. */
const FLOAT = `ADD_N BROADCAST_ARGS CEIL COS CUMSUM EXP FLOOR FLOOR_DIV FLOOR_MOD L2_POOL_2D LOG LOGICAL_AND LOGICAL_NOT LOGICAL_OR NEG REDUCE_ALL
  ROUND SIN SQRT SQUARE SVDF`;

/** Whatever the dtype. */
const BLIND = "ASSIGN_VARIABLE CALL_ONCE CAST IF READ_VARIABLE SHAPE VAR_HANDLE WHILE ZEROS_LIKE";

const rows = (kinds: string, ...dtypes: readonly Dtype[]) =>
  Object.fromEntries(
    kinds.split(/\s+/).map((op): [string, TargetOperator] => {
      const { version: _, weightsAlone: __, ...row } = LITERT.operators()[op] ?? LITERT.others;
      return [op, { ...row, dtypes }];
    }),
  );

/** Those that its kernels compute as LiteRT's do. */
const asLitert = once(
  (): Readonly<Record<string, TargetOperator>> => ({
    ...rows(INT16, "FLOAT32", "INT8", "INT16"),
    ...rows(INT8, "FLOAT32", "INT8"),
    ...rows(FLOAT, "FLOAT32"),
    ...rows(BLIND, "FLOAT32", "INT8", "INT16", "UINT8"),
  }),
);

/** Filters of 4 bits where there are kernels, none of 2; biases of either width beside 16 bits. */
const heavy = (op: string, more: Partial<TargetOperator> = {}): TargetOperator => ({
  ...asLitert()[op]!,
  weightDtypes: { INT8: ["INT8", "INT4"], INT16: ["INT8"] },
  biasDtypes: { INT8: ["INT32"], INT16: ["INT64", "INT32"] },
  ...more,
});

/** It looks whether scales differ by more than that. */
const pool = (op: string): TargetOperator => ({
  ...asLitert()[op]!,
  tied: { operands: [0], otherwise: "refused", within: 1e-6 },
});

export const TFLM: Target = {
  ...LITERT,
  weightSchemes: [],
  name: "tflm",
  runtime: "LiteRT for Microcontrollers",
  activations: ["INT8", "INT16", "UINT8", "FLOAT32"],
  otherwise: "it takes int8 and int16 (uint8 and float32 at inputs and outputs)",
  operators: once(() => ({
    ...asLitert(),
    AVERAGE_POOL_2D: pool("AVERAGE_POOL_2D"),
    MAX_POOL_2D: pool("MAX_POOL_2D"),
    CONV_2D: heavy("CONV_2D", { operandsQuantized: 2 }),
    DEPTHWISE_CONV_2D: heavy("DEPTHWISE_CONV_2D"),
    FULLY_CONNECTED: heavy("FULLY_CONNECTED", { perTensorWeights: ["INT4"] }),
    TRANSPOSE_CONV: heavy("TRANSPOSE_CONV", { weightDtypes: { INT8: ["INT8"], INT16: ["INT8"] } }),
    TRANSPOSE: { ...asLitert().TRANSPOSE!, rank: { most: 5 } },
    QUANTIZE: {
      dtypes: ["FLOAT32", "INT8", "UINT8", "INT16", "INT32"],
      results: ["INT8", "UINT8", "INT16", "INT32"],
      conversions: {
        FLOAT32: ["INT8", "UINT8", "INT16"],
        INT8: ["INT8", "UINT8", "INT16", "INT32"],
        UINT8: ["INT8"],
        INT16: ["INT8", "INT16", "INT32"],
        INT32: ["INT8", "INT16"],
      },
    },
    DEQUANTIZE: { dtypes: ["INT8", "UINT8", "INT16"], results: ["FLOAT32"] },
    UNIDIRECTIONAL_SEQUENCE_LSTM: {
      dtypes: ["FLOAT32", "INT8", "INT16"],
      places: 24,
      absentOperands: true,
    },
  })),
  others: { dtypes: [] },
  narrowWeights: "its optimized kernels count on weights from −127 on",
};
