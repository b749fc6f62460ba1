/**
 * What follows from constants alone becomes a constant.
 *
 *     constant w ─▶ TRANSPOSE t ─▶ FULLY_CONNECTED        →   constant t ─▶ FULLY_CONNECTED
 *     constant q (INT8) ─▶ DEQUANTIZE w ─▶ CONV_2D        →   constant w, described as the numbers that q stands for
 *     x ─▶ SHAPE ─▶ STRIDED_SLICE ─▶ PACK s ─▶ RESHAPE    →   constant s ─▶ RESHAPE     (where x has no unknown dims)
 *
 * Described, whatever their size, without reading a byte: operators that only change the shape, and DEQUANTIZE. The shape of a
 * tensor is known. Everything else is computed by LiteRT, so the numbers are those that the runtime would have computed, as long as the
 * result is not large and does not swell the file. An operator that yields an output of the graph stays: runtimes want
 * outputs to be computed. So does what LiteRT refuses.
 */
import { exportModel } from "../../graph/export.ts";
import { activeNodes, type Dtype, type Graph, isConstant, type Node, yieldedBy } from "../../graph/graph.ts";
import { rangeOf } from "../../model/bytes.ts";
import { byteLength, type Operator, TensorType } from "../../model/index.ts";
import { isDequantizable, isSmallInteger } from "../../rules/dtypes.ts";
import { canBeComputed, kindFacts } from "../../rules/kind-facts.ts";
import { type Constant, channelsAlong, type PackedKind, stored, wholeTensor } from "../../weights/constant.ts";
import { fillConstants } from "../../weights/fill.ts";
import type { IntegerKind } from "../../weights/kernels.ts";
import type { Workspace } from "../context.ts";
import { becomeConstant, countOf, type Edit, hasScale, isStatic, retire } from "./edit.ts";

/** Bytes of results that are computed; they stay in memory until the model is written. */
const LARGEST = 16 << 20;
/** Up to this many bytes a result may be larger than its operands. */
const WORTH_GROWING = 1 << 20;
/** Bytes of operands and results that LiteRT gets at a time. */
const BATCH = 256 << 20;

export async function foldConstants(graph: Graph, space: Workspace): Promise<Edit[]> {
  const edits: Edit[] = [];
  const refused = new Set<Node>();
  for (;;) {
    describeAll(graph, edits);
    const ready = activeNodes(graph).filter((node) => !refused.has(node) && isComputable(node));
    if (ready.length === 0) return edits;
    for (const some of batchesOf(ready)) {
      const values = await compute(space, graph, some);
      for (const operator of some) {
        const results = yieldedBy(operator);
        if (!results.every((result) => values.get(result)?.length === bytesOf(result))) {
          refused.add(operator);
          continue;
        }
        for (const result of results) becomeConstant(graph, result, storedBytes(values.get(result)!, result));
        retire(operator);
        edits.push({ op: operator.op, tensor: operator.name });
      }
    }
  }
}

/** Folds what needs no computing, until nothing more follows. */
function describeAll(graph: Graph, edits: Edit[]): void {
  const fromFile = saysWhatIsDynamic(graph);
  const certain = new Map<Node, boolean>();
  for (let before = -1; before < edits.length; ) {
    before = edits.length;
    for (const node of activeNodes(graph)) {
      const constant =
        node.kind === "operator" ? described(node, (source) => fromFile && isCertain(source, certain)) : null;
      if (!constant) continue;
      becomeConstant(graph, node, constant);
      retire(node);
      edits.push({ op: node.op, tensor: node.name });
    }
  }
}

/** The constant that an operator's result is, without reading operands; null when it is none, or has to be computed. */
function described(node: Node, isKnown: (source: Node) => boolean): Constant | null {
  const source = node.inputs[0];
  if (!source || isRead(node)) return null;
  const row = node.row;
  if (row.looksAtShapeOnly) return shapeConstant(node, source, isConstant(source) || isKnown(source));
  if (!node.inputs.every((operand) => operand === null || isConstant(operand)) || !isConstant(source)) return null;
  const { constant } = source;
  const fits = isStatic(node) && countOf(node) === constant.count && constant.count > 0;
  if (!fits || hasScale(node)) return null;
  if (row.sameElements) return node.dtype === source.dtype && !hasScale(source) ? constant : null;
  return node.op === "DEQUANTIZE" && node.dtype === "FLOAT32" ? dequantizedConstant(source, constant) : null;
}

/** An output of the graph shows it. */
function isRead(node: Node): boolean {
  return [...node.users].some((user) => user.kind === "output");
}

/** The dims of `source`, or their number where the result is a scalar. */
function shapeConstant(node: Node, source: Node, isKnown: boolean): Constant | null {
  if (!isKnown || !isStatic(source)) return null;
  const values = node.shape.length === 0 ? [source.shape.length] : source.shape;
  if (values.length === 0 || countOf(node) !== values.length) return null;
  const list = node.dtype === "INT64" ? BigInt64Array.from(values, BigInt) : Int32Array.from(values);
  if (node.dtype !== "INT64" && node.dtype !== "INT32") return null;
  return stored(rangeOf(new Uint8Array(list.buffer)), values.length);
}

/**
 * Whether unknown dims can be told from the file: tools that make an input dynamic without saying so of what follows leave shapes
 * that are examples.
 */
function saysWhatIsDynamic(graph: Graph): boolean {
  const isDynamic = (node: Node) => !isStatic(node);
  return !graph.inputs.some(isDynamic) || graph.nodes.some((node) => node.kind !== "input" && isDynamic(node));
}

/** Whether a declared shape can be trusted: nothing that it follows from has a size that is known only when the model runs. */
function isCertain(node: Node, known: Map<Node, boolean>): boolean {
  const before = known.get(node);
  if (before !== undefined) return before;
  known.set(node, true);
  const certain = node.kind !== "operator" || sizeIsCertain(node, known);
  const result = certain && node.inputs.every((operand) => operand === null || isCertain(operand, known));
  known.set(node, result);
  return result;
}

function sizeIsCertain({ op, inputs }: Node, known: Map<Node, boolean>): boolean {
  const operands = inputs.filter((operand) => operand !== null);
  const { size } = kindFacts(op);
  if (size === "operands" || operands.every(isConstant)) return true;
  if (size === "values") return false;
  // A count or shape that is computed of certain shapes alone will be folded itself.
  const counts = operands.slice(1).filter(({ dtype }) => dtype === "INT32" || dtype === "INT64");
  return counts.every((count) => isConstant(count) || followsFromShapes(count, known));
}

/** Whether a value depends on nothing but constants and shapes. */
function followsFromShapes(node: Node, known: Map<Node, boolean>): boolean {
  if (isConstant(node)) return true;
  if (node.kind !== "operator") return false;
  if (node.row.looksAtShapeOnly) return node.inputs[0] ? isCertain(node.inputs[0], known) : false;
  return node.inputs.every((operand) => operand === null || followsFromShapes(operand, known));
}

/** As `describedAsFloats`, of the small integers that weights are; null for others. */
export function dequantizedConstant(source: Pick<Node, "dtype" | "shape" | "quant">, of: Constant): Constant | null {
  return isSmallInteger(source.dtype) ? describedAsFloats(source, of) : null;
}

/** Integers with a scale seen as floats: the kernel computes as TFLite does, f32(q − zero point) · scale. Null where the scales do not fit. */
export function describedAsFloats(source: Pick<Node, "dtype" | "shape" | "quant">, of: Constant): Constant | null {
  const { quant, dtype, shape } = source;
  if (!quant || !isDequantizable(dtype)) return null;
  const { scale, zeroPoint, axis } = quant;
  const layout = scale.length === 1 ? wholeTensor(of.count) : channelsAlong(shape, axis);
  if (scale.length !== layout.channels || zeroPoint.length !== layout.channels) return null;
  const kind = dtype as IntegerKind | PackedKind;
  return { kind: "dequantized", of, dtype: kind, layout, scale, zeroPoint, count: of.count, length: of.count * 4 };
}

/** Element types that LiteRT can be given and asked for. */
const COMPUTED: ReadonlySet<Dtype> = new Set<Dtype>(["FLOAT32", "INT32", "INT64", "INT16", "INT8", "UINT8", "BOOL"]);

/** A function of nothing but constants whose results are worth keeping. */
function isComputable(node: Node): boolean {
  if (node.kind !== "operator" || node.inputs.length === 0 || !canBeComputed(node.op)) return false;
  const results = yieldedBy(node);
  const isPlain = (tensor: Node) => COMPUTED.has(tensor.dtype) && !hasScale(tensor);
  if (!node.inputs.every((operand) => operand === null || (isConstant(operand) && isPlain(operand)))) return false;
  if (!results.every((result) => isPlain(result) && isStatic(result) && !isRead(result))) return false;
  const from = sum(node.inputs.map((operand) => operand?.constant?.length ?? 0));
  const size = sum(results.map(bytesOf));
  return (
    size > 0 && results.every((each) => bytesOf(each) > 0) && size <= Math.min(LARGEST, Math.max(from, WORTH_GROWING))
  );
}

function bytesOf(node: Node): number {
  return byteLength(TensorType[node.dtype], node.shape) ?? 0;
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((a, b) => a + b, 0);
}

function storedBytes(bytes: Uint8Array, node: Node): Constant {
  return stored(rangeOf(bytes), countOf(node));
}

/** Operators in groups whose operands and results fit into LiteRT's memory beside each other. */
function* batchesOf(operators: readonly Node[]): Generator<Node[]> {
  let batch: Node[] = [];
  let size = 0;
  for (const operator of operators) {
    const own = sum([...operator.inputs, ...yieldedBy(operator)].map((tensor) => (tensor ? bytesOf(tensor) : 0)));
    if (batch.length > 0 && size + own > BATCH) {
      yield batch;
      batch = [];
      size = 0;
    }
    batch.push(operator);
    size += own;
  }
  yield batch;
}

/** Bytes of the operators' results; none of those that LiteRT refuses. */
async function compute(space: Workspace, graph: Graph, operators: readonly Node[]): Promise<Map<Node, Uint8Array>> {
  // LiteRT is loaded only where there is something to fold.
  const [{ evaluate }, { EngineError }] = await Promise.all([
    import("../../calibration/evaluate.ts"),
    import("../../calibration/litert.ts"),
  ]);
  const index = space.graphs.indexOf(graph);
  const { model, nodes } = exportModel(
    space.opened.model,
    space.graphs.map((each) => (each === graph ? graph : undefined)),
  );
  const subgraph = model.subgraphs![index]!;
  const nodeOf = nodes[index]!;
  const wanted = new Set(operators.flatMap(yieldedBy));
  const tables = (subgraph.operators ?? []).filter((table) =>
    Array.from(table.outputs ?? []).some((tensor) => wanted.has(nodeOf[tensor]!)),
  );
  const run = async (some: readonly Operator[]): Promise<[Node, Uint8Array][]> => {
    try {
      const values = await evaluate(model, subgraph, some, new Map(), fillConstants);
      return [...values].map(([tensor, bytes]) => [nodeOf[tensor]!, bytes]);
    } catch (error) {
      if (!(error instanceof EngineError)) throw error;
      if (some.length <= 1) return [];
      const half = some.length >> 1;
      return [...(await run(some.slice(0, half))), ...(await run(some.slice(half)))];
    }
  };
  return new Map(await run(tables));
}
