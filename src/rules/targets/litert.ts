/**
 * LiteRT: rows are derived from the operator table (`families.litert`: dtypes with kernels, ties, fixed parameters), and say beside that what
 * kernels take of weights, biases and versions. Sources: the kernels of LiteRT 2.3 (tflite/kernels), measured with its interpreter.
 */
import { once } from "../../base/once.ts";
import type { Dtype } from "../../model/tensor-types.ts";
import { litertKernel } from "../litert-kernels.ts";
import type { OperatorRow } from "../operator-row.ts";
import { kindsOf } from "../operators.ts";
import { SCHEMES, schemeWith } from "../schemes.ts";
import {
  laterRuntime,
  leastRuntime,
  neededVersion,
  highestVersion as registeredVersion,
  VERSIONS,
} from "../versions.ts";
import type { Target, TargetOperator } from "./target.ts";

const FLOAT: readonly Dtype[] = ["FLOAT32"];
const CLAMPS = ["NONE", "RELU", "RELU6", "RELU_N1_TO_1"];

/** Kernels of the old scheme, per tensor. */
const WITH_UINT8: ReadonlySet<string> = new Set(
  `ADD SUB MUL DIV AVERAGE_POOL_2D MAX_POOL_2D CONV_2D DEPTHWISE_CONV_2D FULLY_CONNECTED TRANSPOSE_CONV CONCATENATION LOGISTIC TANH SOFTMAX
  LOG_SOFTMAX L2_NORMALIZATION RELU RELU6 RELU_N1_TO_1 RELU_0_TO_1 LEAKY_RELU PRELU HARD_SWISH GELU MEAN SUM REDUCE_MAX REDUCE_MIN REDUCE_PROD
  RESHAPE SQUEEZE EXPAND_DIMS TRANSPOSE SLICE STRIDED_SLICE SPLIT SPLIT_V PACK UNPACK GATHER GATHER_ND PAD PADV2 MIRROR_PAD DEPTH_TO_SPACE
  SPACE_TO_DEPTH BATCH_TO_SPACE_ND SPACE_TO_BATCH_ND RESIZE_BILINEAR RESIZE_NEAREST_NEIGHBOR SELECT SELECT_V2 MAXIMUM MINIMUM EQUAL NOT_EQUAL
  LESS LESS_EQUAL GREATER GREATER_EQUAL TILE REVERSE_V2 REVERSE_SEQUENCE TOPK_V2 ARG_MAX ARG_MIN BROADCAST_TO EMBEDDING_LOOKUP`.split(
    /\s+/,
  ),
);

/** Of operators that copy integers, those whose kernel compares parameters; the others compute something else without a word. */
const COMPARES: ReadonlySet<string> = new Set(
  "EXPAND_DIMS UNPACK CONCATENATION PACK MIRROR_PAD PADV2 BATCH_TO_SPACE_ND SPACE_TO_BATCH_ND REDUCE_MAX REDUCE_MIN FILL".split(
    " ",
  ),
);

/** Look at no scale: they hand on, count or cast what is there. */
const BLIND =
  `CAST SHAPE RANK IF WHILE CALL_ONCE VAR_HANDLE READ_VARIABLE ASSIGN_VARIABLE STABLEHLO_COMPOSITE ZEROS_LIKE WHERE`.split(
    " ",
  );

/** Have kernels for 8 or 16 bits that take integers for what they stand for. */
const IGNORE_SCALES = "NEG FLOOR_DIV FLOOR_MOD SCATTER_ND SIGN".split(" ");

/** Not in the registry (measured: "Didn't find op for builtin opcode"); ONE's own kinds are in no .tflite file. */
const UNKNOWN =
  `BCQ_FULLY_CONNECTED BCQ_GATHER GRU INSTANCE_NORM RMS_NORM ROPE CALL CONCAT_EMBEDDINGS STABLEHLO_ABS STABLEHLO_BROADCAST_IN_DIM
  STABLEHLO_CBRT STABLEHLO_CLAMP STABLEHLO_COMPARE STABLEHLO_CONCATENATE STABLEHLO_CONVERT STABLEHLO_CONVOLUTION STABLEHLO_COSINE
  STABLEHLO_CUSTOM_CALL STABLEHLO_DIVIDE STABLEHLO_DOT_GENERAL STABLEHLO_DYNAMIC_SLICE STABLEHLO_DYNAMIC_UPDATE_SLICE STABLEHLO_EXPONENTIAL
  STABLEHLO_FLOOR STABLEHLO_IOTA STABLEHLO_LOG STABLEHLO_LOGISTIC STABLEHLO_NEGATE STABLEHLO_OR STABLEHLO_POWER STABLEHLO_REDUCE
  STABLEHLO_REMAINDER STABLEHLO_RESHAPE STABLEHLO_RSQRT STABLEHLO_SELECT STABLEHLO_SLICE STABLEHLO_SORT STABLEHLO_SUBTRACT STABLEHLO_TANH
  STABLEHLO_TRANSPOSE STABLEHLO_WHILE`.split(/\s+/);

type Rows = Readonly<Record<string, TargetOperator>>;

/** Weights and biases of an operator that multiplies and sums: what its kernels take of dtypes stands in litert-kernels.ts. */
function heavy(op: string, more: Partial<TargetOperator> = {}): Omit<TargetOperator, "dtypes"> {
  const { weights = {}, hybridPerChannel, bias32 } = litertKernel(op);
  const { FLOAT32: alone = [], ...integers } = weights;
  return {
    weights: "any",
    perTensorWith: ["UINT8"],
    weightDtypes: { UINT8: ["UINT8"], ...integers },
    symmetricWeights: ["INT8", "INT16"],
    biasDtypes: { UINT8: ["INT32"], INT8: ["INT32"], INT16: bias32 === "never" ? ["INT64"] : ["INT64", "INT32"] },
    weightsAlone: { dtypes: alone, granularity: hybridPerChannel ? "per channel" : "any" },
    absentOperands: true,
    ...more,
  };
}

/** What kernels demand beside the columns of the operator table. */
const BESIDE: Readonly<Record<string, Omit<TargetOperator, "dtypes">>> = {
  CONV_2D: heavy("CONV_2D", { operandsQuantized: 3 }),
  DEPTHWISE_CONV_2D: heavy("DEPTHWISE_CONV_2D"),
  FULLY_CONNECTED: heavy("FULLY_CONNECTED"),
  TRANSPOSE_CONV: heavy("TRANSPOSE_CONV"),
  ADD: { rounds: { INT8: "up" } },
  SUB: { rounds: { INT8: "up" } },
  RESIZE_BILINEAR: { rounds: { INT8: "up" } },
  SQRT: { domain: { operand: 0, not: "negative" } },
  RSQRT: { domain: { operand: 0, not: "negative" } },
};

/** QUANTIZE also goes from integers to integers; DEQUANTIZE from all of them to float. */
const BORDERS: Rows = {
  QUANTIZE: {
    dtypes: sourcesOf("QUANTIZE"),
    results: ["INT8", "UINT8", "INT16", "INT32", "INT4", "UINT4"],
    conversions: litertKernel("QUANTIZE").converts,
  },
  DEQUANTIZE: { dtypes: sourcesOf("DEQUANTIZE"), results: FLOAT },
};

/** dtypes that a conversion takes. */
function sourcesOf(op: string): Dtype[] {
  return Object.keys(litertKernel(op).converts ?? {}) as Dtype[];
}

/** The row of one kind, as LiteRT's kernels take it. */
function derived(op: string, row: OperatorRow): TargetOperator {
  const rule = row.families?.litert;
  if (!rule?.dtypes) return { dtypes: FLOAT, ...optional };
  const dtypes: Dtype[] = [
    "FLOAT32",
    ...rule.dtypes,
    ...(rule.unsound ?? []),
    ...(WITH_UINT8.has(op) ? (["UINT8"] as const) : []),
  ];
  const { out } = { ...row, ...rule.row };
  // The int8 kernel of TANH looks results up in a table, whatever their parameters are.
  const kind = out.role === "special" && out.kind !== "integer" ? out.kind : undefined;
  const fixed = kind
    ? Object.fromEntries(
        dtypes.flatMap((dtype) => {
          const parameters = schemeWith("litert", dtype)?.activation.fixed[kind];
          return parameters && !(kind === "tanh" && dtype === "INT8") ? [[dtype, parameters]] : [];
        }),
      )
    : rule.fixed;
  return {
    dtypes: [...new Set(dtypes)],
    ...optional,
    ...(rule.tied && {
      tied: {
        operands: rule.tied,
        otherwise: COMPARES.has(op) ? ("refused" as const) : ("wrong" as const),
        ...(rule.rescales && { rescales: rule.rescales }),
      },
    }),
    ...(fixed && { fixed }),
    ...(row.fuses && { fused: rule.fused === "none" ? ["NONE"] : CLAMPS }),
    ...BESIDE[op],
  };
}

const optional = { absentOperands: true } as const;

/** All rows, with the highest version that a runtime knows of each: what LiteRT has registered, or what an older one had. */
function rows(runtime?: string): Rows {
  const found: Record<string, TargetOperator> = {};
  for (const [op, row] of kindsOf("litert")) if (row.families?.litert?.dtypes) found[op] = derived(op, row);
  for (const op of BLIND) found[op] = { dtypes: ["FLOAT32", "INT8", "UINT8", "INT16"], ...optional };
  for (const op of IGNORE_SCALES) found[op] = { dtypes: FLOAT, ignoresScales: true, ...optional };
  Object.assign(found, BORDERS);
  for (const op of Object.keys(VERSIONS)) found[op] ??= { dtypes: FLOAT, ...optional };
  for (const op of UNKNOWN) found[op] = { dtypes: [] };
  return Object.fromEntries(
    Object.entries(found).map(([op, row]) => {
      const version = highestVersion(op, runtime);
      if (version === undefined) return [op, row];
      const dtypes = runtime ? row.dtypes.filter((dtype) => versionWith(op, dtype) <= version) : row.dtypes;
      return [op, { ...row, dtypes, version }];
    }),
  );
}

/** The highest version that LiteRT has registered, or that a runtime knew; undefined for kinds without versions. */
function highestVersion(op: string, runtime?: string): number | undefined {
  const highest = registeredVersion(op);
  if (highest === undefined || runtime === undefined) return highest;
  for (let version = highest; version > 0; version--) {
    const least = leastRuntime(op, version);
    if (least && laterRuntime(least, runtime) === runtime) return version;
  }
  return 0;
}

/** The version that an operator needs whose operands and results have a dtype. */
function versionWith(op: string, dtype: Dtype): number {
  const tensor = { dtype, shape: [1, 1, 1, 1], scales: [1], axis: 0, sparse: false };
  const facts = { operands: [tensor, tensor, tensor], results: [tensor], option: () => undefined };
  return neededVersion(op, facts) ?? 1;
}

export const LITERT: Target = {
  name: "litert",
  runtime: "LiteRT",
  scheme: SCHEMES.int8.name,
  schemes: ["int8", "int16x8"],
  weightSchemes: ["dynamic", "weights"],
  family: "litert",
  formats: ["tflite"],
  activations: ["INT8", "INT16", "UINT8", "FLOAT32"],
  otherwise: "it takes int8, int16, uint8 and float32",
  prepare: { always: [], quantized: [] },
  foldsFloat16: false,
  dropsShapeSignatures: false,
  operators: once(() => rows()),
  others: { dtypes: FLOAT, ...optional },
  leavesPlain: true,
  symmetric: ["INT16"],
  oneScale: true,
};

/** Older runtimes: what TensorFlow 2.5 has; sums of 16 bits were copied there. */
const portable = once(() => {
  const all = rows("2.5.0");
  return {
    ...all,
    ...without(all, ["INT4", "INT2"]),
    SUM: { ...all.SUM!, tied: { operands: [0], otherwise: "wrong", dtypes: ["INT16"] } },
    // 16 bits came later, without a version of their own.
    PRELU: { ...all.PRELU!, dtypes: ["FLOAT32", "INT8", "UINT8"] },
    DIV: { ...all.DIV!, dtypes: ["FLOAT32", "UINT8"] },
  } satisfies Rows;
});

export const LITERT_PORTABLE: Target = {
  ...LITERT,
  name: "litert-portable",
  runtime: "LiteRT of TensorFlow 2.5",
  operators: portable,
};

/** Rows with weights, without those of some dtypes. */
function without(all: Rows, dtypes: readonly Dtype[]): Rows {
  const left = (given: readonly Dtype[]) => given.filter((dtype) => !dtypes.includes(dtype));
  return Object.fromEntries(
    Object.entries(all).flatMap(([op, row]) => {
      if (!row.weightDtypes) return [];
      const weightDtypes = Object.fromEntries(
        Object.entries(row.weightDtypes).map(([dtype, given]) => [dtype, left(given)]),
      );
      const weightsAlone = row.weightsAlone && { ...row.weightsAlone, dtypes: left(row.weightsAlone.dtypes) };
      return [[op, { ...row, weightDtypes, weightsAlone }]];
    }),
  );
}
