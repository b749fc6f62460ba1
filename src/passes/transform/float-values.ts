/**
 * The floats that an integer constant stands for, as a description; no weight is read.
 *
 *     w: INT8 [8, 64], 8 scales along axis 0          →   f32(q − zero point) · scale of its channel
 *     w: INT4 [8, 64], block-wise scales [8, 64/32]   →   f32(q) · scale of its block of 32 along the last axis
 *     w: FLOAT16                                      →   the same numbers
 *
 * Arithmetic and layouts are LiteRT's (DEQUANTIZE, and FULLY_CONNECTED's block-wise weights).
 */
import type { Dtype, Node } from "../../graph/graph.ts";
import { type QuantParam, quantParam } from "../../graph/quantparam.ts";
import { bytesPerElement, type Model, nameOf, TensorType } from "../../model/index.ts";
import { isDequantizable } from "../../rules/dtypes.ts";
import { type Constant, type PackedKind, stored } from "../../weights/constant.ts";
import type { IntegerKind } from "../../weights/kernels.ts";
import { describedAsFloats } from "../prepare/fold-constants.ts";

type ConstantNode = Node & { constant: Constant };

/** Whether a constant says how its integers are floats: scales in its table or outside it. */
export function hasFloatValues({ quant, tensor }: Node): boolean {
  return (quant?.scale.length ?? 0) > 0 || tensor?.quantization?.details !== undefined;
}

/**
 * The description, or why there is none (a phrase that follows the constant's name). It is read as `dtype`; `subgraph` is the constant's, which has the tensors
 * that block-wise scales lie in.
 */
export function floatValues(source: ConstantNode, dtype: Dtype, model: Model, subgraph: number): Constant | string {
  const { constant, tensor, shape } = source;
  // Read as another type (src/rules/hybrid.ts), it has no zero point.
  const zeros = (quant: QuantParam) => quantParam({ ...quant, zeroPoint: quant.zeroPoint.map(() => 0n) });
  const quant = source.quant && (dtype === source.dtype ? source.quant : zeros(source.quant));
  const { count } = constant;
  const size = bytesPerElement(TensorType[dtype]);
  if (!isDequantizable(dtype)) return `is ${dtype}, for which there is no rule`;
  if (constant.length !== Math.ceil(count * size!))
    return `has ${constant.length} bytes, which are no ${count} ${dtype}`;
  const details = tensor?.quantization?.details;
  if (details?.type === "BlockwiseQuantization") return blockwise(source, details.value ?? {}, model, subgraph);
  if (details && !quant?.scale.length) return `has parameters of the kind ${details.type}, for which there is no rule`;
  if (!quant?.scale.length) return `is ${dtype} without a scale`;
  if (!quant.scale.every(Number.isFinite)) return "has a scale that is no finite number";
  const described = describedAsFloats({ dtype, shape, quant }, constant);
  if (described) return described;
  const { scale, zeroPoint, axis } = quant;
  return `has ${scale.length} scales and ${zeroPoint.length} zero points along axis ${axis}, which do not fit its shape [${shape}]`;
}

function blockwise(
  { shape, dtype, constant }: ConstantNode,
  table: { readonly scales?: number; readonly zeroPoints?: number; readonly blockSize?: number },
  model: Model,
  subgraph: number,
): Constant | string {
  const { scales: at = 0, zeroPoints = 0, blockSize: block = 0 } = table;
  // The file's default is 0, which is a tensor; quantizers write −1, which is none.
  if (zeroPoints > 0) return "has zero points block by block, for which there is no rule";
  const scales = model.subgraphs?.[subgraph]?.tensors?.[at];
  const content = model.buffers?.[scales?.buffer ?? 0]?.data;
  const { count } = constant;
  const blocks = count / block;
  if (!(block > 0) || (shape.at(-1) ?? 0) % block !== 0)
    return `has blocks of ${block}, which do not fit its shape [${shape}]`;
  const type = nameOf(TensorType, scales?.type ?? 0);
  const size = type === "FLOAT16" ? 2 : 4;
  if (
    !content ||
    "deferred" in content ||
    !(type === "FLOAT16" || type === "FLOAT32") ||
    content.length !== blocks * size
  )
    return `has block-wise scales that are not there as ${blocks} FLOAT16 or FLOAT32`;
  const kept = stored(content, blocks);
  const floats: Constant = size === 2 ? { kind: "half", of: kept, count: blocks, length: blocks * 4 } : kept;
  return {
    ...{ kind: "blockwise", of: constant, dtype: dtype as IntegerKind | PackedKind, block, scales: floats },
    ...{ count, length: count * 4 },
  };
}

/** float16 as float32; null for any other type. */
export function floatsOfHalves({ dtype, constant }: ConstantNode): Constant | null {
  const { count, length } = constant;
  const isHalf = dtype === "FLOAT16" && length === count * 2;
  return isHalf ? { kind: "half", of: constant, count, length: count * 4 } : null;
}
