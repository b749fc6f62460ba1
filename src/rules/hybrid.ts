/** What LiteRT's hybrid kernels (float activations, integer weights) make of weights. */
import type { Dtype } from "../model/tensor-types.ts";

/**
 * Kinds whose float kernels take UINT8 weights as if their bytes were INT8, whatever the zero point says: the old converter wrote int8
 * weights so, with zero point 0. Measured with ai-edge-litert 2.3 on models of one operator with bytes above 127 and zero points of 0 and
 * 128 (EMBEDDING_LOOKUP takes 0 only); the sequence kinds share RNN's and SVDF's code. DEPTHWISE_CONV_2D, TRANSPOSE_CONV and BATCH_MATMUL
 * refuse such weights; GATHER and DEQUANTIZE read UINT8 as it is.
 */
const AS_INT8: ReadonlySet<string> = new Set([
  "BIDIRECTIONAL_SEQUENCE_LSTM",
  "BIDIRECTIONAL_SEQUENCE_RNN",
  "CONV_2D",
  "EMBEDDING_LOOKUP",
  "FULLY_CONNECTED",
  "LSTM",
  "RNN",
  "SVDF",
  "UNIDIRECTIONAL_SEQUENCE_LSTM",
  "UNIDIRECTIONAL_SEQUENCE_RNN",
]);

/** The dtype as which an operator with a result of dtype `result` reads a constant of dtype `weights`. */
export function readAs(op: string, result: Dtype, weights: Dtype): Dtype {
  return weights === "UINT8" && result === "FLOAT32" && AS_INT8.has(op) ? "INT8" : weights;
}
