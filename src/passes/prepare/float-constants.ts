/**
 * What stands for float32 constants becomes float32 constants of the graph, as descriptions; no byte is read.
 *
 *     constant FLOAT16 ─▶ DEQUANTIZE w   →   constant w: FLOAT32
 *     constant sparse ─▶ DENSIFY d (─▶ DEQUANTIZE w)   →   constant d (or w)
 *
 * The new constant has the operator's name. Constants without users are not written (src/graph/export.ts).
 */
import { addNode, type Graph, isConstant, type Node, replace } from "../../graph/graph.ts";
import { bytesPerElement, elementCount, TensorType } from "../../model/index.ts";
import type { Constant } from "../../weights/constant.ts";

/**
 * `likeReference`: a sparse constant whose bytes would fill the dense tensor is taken as if it were dense, as the reference does
 * (golden FullyConnected_004); otherwise every sparse constant is laid out densely for everybody who reads it.
 */
export function expandConstants(graph: Graph, likeReference = false): void {
  for (const node of [...graph.nodes]) {
    if (isConstant(node) && node.tensor?.sparsity) makeDense(graph, node, likeReference);
    if (node.kind !== "operator") continue;
    const source = node.inputs[0];
    if (!isConstant(source)) continue;
    if (node.op === "DENSIFY") become(graph, node, source, source.dtype, source.constant);
    if (node.op === "DEQUANTIZE" && source.dtype === "FLOAT16") {
      const { count } = source.constant;
      become(graph, node, source, "FLOAT32", { kind: "half", of: source.constant, count, length: count * 4 });
    }
  }
}

/** Puts a constant in the place of an operator; tensor and name are the operator's. So is the shape, unless it leaves sizes open. */
function become(graph: Graph, node: Node, source: Node, dtype: Node["dtype"], constant: Constant): void {
  const { name, tensor } = node;
  const shape = elementCount(node.shape) === constant.count ? node.shape : source.shape;
  const made = addNode(graph, { kind: "constant", name, dtype, shape, tensor, constant });
  replace(node, made);
}

function makeDense(graph: Graph, node: Node & { constant: Constant }, likeReference: boolean): void {
  const size = bytesPerElement(TensorType[node.dtype]);
  const { sparsity } = node.tensor!;
  if (!sparsity || !size || size < 1) return;
  const count = node.shape.reduce((a, b) => a * b, 1);
  const isRead = [...node.users].some((user) => user.op === "DENSIFY");
  if (likeReference && !isRead && node.constant.length === count * size) return;
  const constant: Constant = {
    kind: "dense",
    of: node.constant,
    sparsity,
    shape: node.shape,
    count,
    length: count * size,
  };
  const { name, dtype, shape, quant, quantAsRead, tensor } = node;
  replace(node, addNode(graph, { kind: "constant", name, dtype, shape, quant, quantAsRead, tensor, constant }));
}
