/**
 * What LiteRT's kernels take beside dtypes, ties and fixed parameters (columns of operators.ts): weights and biases by the dtype of the
 * activations, block-wise weights, conversions, and kinds that look at integers as plain numbers. A row a kind; what has none is not known
 * to be refused. Sources: Prepare and Eval of tflite/kernels; measured with ai-edge-litert 2.3.
 */
import type { Dtype } from "../model/tensor-types.ts";

export interface LitertKernel {
  /** dtypes of weights by that of the activations; FLOAT32: kernels that round activations at run time. */
  readonly weights?: Readonly<Partial<Record<Dtype, readonly Dtype[]>>>;
  /** Weights beside float activations need a scale for each channel. */
  readonly hybridPerChannel?: true;
  /**
   * What happens to an INT32 bias of INT16 activations: read as half as many INT64 ones, unless the options say INT32 (`option`) or whatever
   * they say (`never`); or right in the optimized kernel alone (`risky`).
   */
  readonly bias32?: "option" | "never" | "risky";
  /** dtypes of weights with a scale for each block of a row; how many rows and whose activation: `dynamic.blocks` of the operator table. */
  readonly blocks?: readonly Dtype[];
  /** Rows of packed weights that have to be whole bytes, or a delegate leaves the operator alone. */
  readonly evenRows?: true;
  /** It has no kernel for quantized values: it takes integers for the numbers they are. */
  readonly plain?: true;
  /** dtypes of its result by that of its operand. */
  readonly converts?: Readonly<Partial<Record<Dtype, readonly Dtype[]>>>;
  /** It gives a variable, which options name; or the variable's value, or takes one as this operand. */
  readonly variable?: "is" | "read" | { readonly written: number };
}

const plain: LitertKernel = { plain: true };
const TO_FLOAT: readonly Dtype[] = ["FLOAT32"];

export const LITERT_KERNELS: Readonly<Record<string, LitertKernel>> = {
  ADD_N: plain,
  ASSIGN_VARIABLE: { variable: { written: 1 } },
  ATAN2: plain,
  CEIL: plain,
  CONV_2D: {
    weights: { INT8: ["INT8", "INT4"], INT16: ["INT8", "INT4"], FLOAT32: ["INT8", "INT4", "UINT8"] },
    bias32: "option",
  },
  CONV_3D: plain,
  CONV_3D_TRANSPOSE: plain,
  COS: plain,
  CUMSUM: plain,
  DEPTHWISE_CONV_2D: {
    weights: { INT8: ["INT8", "INT4"], INT16: ["INT8"], FLOAT32: ["INT8"] },
    hybridPerChannel: true,
    bias32: "never",
  },
  DEQUANTIZE: {
    converts: {
      INT2: TO_FLOAT,
      INT4: TO_FLOAT,
      UINT4: TO_FLOAT,
      INT8: TO_FLOAT,
      UINT8: TO_FLOAT,
      INT16: TO_FLOAT,
      FLOAT16: TO_FLOAT,
    },
  },
  EMBEDDING_LOOKUP: { blocks: ["INT4", "INT2"] },
  FLOOR: plain,
  FLOOR_DIV: plain,
  FLOOR_MOD: plain,
  FULLY_CONNECTED: {
    weights: {
      INT8: ["INT8", "INT4", "INT2"],
      INT16: ["INT8", "INT4", "INT16"],
      FLOAT32: ["INT8", "INT4", "INT2", "UINT8"],
    },
    bias32: "risky",
    blocks: ["INT4"],
    evenRows: true,
  },
  L2_POOL_2D: plain,
  LOCAL_RESPONSE_NORMALIZATION: plain,
  NEG: plain,
  POW: plain,
  QUANTIZE: {
    converts: {
      FLOAT32: ["INT8", "UINT8", "INT16", "INT4", "UINT4"],
      INT8: ["INT8", "UINT8", "INT16"],
      UINT8: ["INT8", "UINT8", "INT16"],
      INT16: ["INT8", "INT16", "INT32"],
      INT32: ["INT8", "INT16"],
    },
  },
  READ_VARIABLE: { variable: "read" },
  ROUND: plain,
  SCATTER_ND: plain,
  SEGMENT_SUM: plain,
  SIGN: plain,
  SIN: plain,
  SQUARE: plain,
  TRANSPOSE_CONV: {
    weights: { INT8: ["INT8"], INT16: ["INT8"], FLOAT32: ["INT8"] },
    bias32: "option",
  },
  VAR_HANDLE: { variable: "is" },
};

const NOTHING_KNOWN: LitertKernel = {};

/** The row of a kind. */
export function litertKernel(op: string): LitertKernel {
  return LITERT_KERNELS[op] ?? NOTHING_KNOWN;
}
