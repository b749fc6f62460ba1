/**
 * Layers whose results are linear in constant weights, as the methods of this folder see them: a matrix of weights [O, K] by the vectors that it
 * is multiplied with (src/calibration/moments/taps.ts). What kinds these are says src/rules/linear-kinds.ts.
 */
import { type Axis, type Taps, vectorLength } from "../calibration/moments/taps.ts";
import { activeNodes, type Graph, isConstant, type Node } from "../graph/graph.ts";
import { option } from "../graph/options.ts";
import { Padding } from "../model/index.ts";
import { type LinearKind, linearKind } from "../rules/linear-kinds.ts";
import { operandsWith } from "../rules/operators.ts";
import type { Constant } from "../weights/constant.ts";

export interface LinearLayer {
  readonly graph: Graph;
  readonly node: Node;
  readonly kind: LinearKind;
  /** The tensor that it reads. */
  readonly activation: Node;
  /** Slots of its weights and its bias; that of the bias may be empty. */
  readonly weightsAt: number;
  readonly biasAt: number | undefined;
  readonly taps: Taps;
  /** Rows of the matrix: channels of the result. */
  readonly outputs: number;
  /** Values of a row. */
  readonly length: number;
  /** Groups of rows that read other channels; of a depthwise layer each input channel is one. */
  readonly groups: number;
}

/** The layers of a graph that are float and have constant weights, in creation order. */
export function linearLayersOf(graph: Graph): LinearLayer[] {
  return activeNodes(graph).flatMap((node) => layerOf(graph, node) ?? []);
}

/** The node as a layer; null where it is none, or where its sizes are not known beforehand. */
function layerOf(graph: Graph, node: Node): LinearLayer | null {
  const kind = node.kind === "operator" && !node.float && node.dtype === "FLOAT32" ? linearKind(node.op) : undefined;
  if (!kind) return null;
  const at = (role: "activation" | "weights" | "bias") => operandsWith(node.row, node.row.in.length, role)[0];
  const [activationAt, weightsAt, biasAt] = [at("activation"), at("weights"), at("bias")];
  if (activationAt === undefined || weightsAt === undefined) return null;
  const [activation, weights] = [node.inputs[activationAt], node.inputs[weightsAt]];
  if (!activation || isConstant(activation) || activation.dtype !== "FLOAT32") return null;
  if (!isConstant(weights) || weights.dtype !== "FLOAT32" || weights.constant.count === 0) return null;
  const bias = biasAt === undefined ? null : node.inputs[biasAt];
  if (bias && (!isConstant(bias) || bias.dtype !== "FLOAT32")) return null;
  const taps = tapsOf(node, kind, activation.shape, weights.shape);
  if (!taps) return null;
  const { shape } = weights;
  const outputs = kind.weights === "rows" ? shape[0]! : shape.at(-1)!;
  const length = weights.constant.count / outputs;
  const groups = kind.weights === "taps" ? taps.channels : vectorLength(taps) / length;
  if (!Number.isInteger(groups) || outputs % groups !== 0) return null;
  if (bias && bias.constant!.count !== outputs) return null;
  return { graph, node, kind, activation, weightsAt, biasAt, taps, outputs, length, groups };
}

function tapsOf(
  node: Node,
  { window, weights: layout }: LinearKind,
  input: readonly number[],
  weights: readonly number[],
): Taps | null {
  if (window === "none") {
    const channels = weights.at(-1)!;
    return weights.length === 2 && product(input) % channels === 0 ? { kind: "rows", channels } : null;
  }
  if (input.length !== 4 || weights.length !== 4 || node.shape.length !== 4) return null;
  if (window === "scatter" && input[3] !== weights[3]) return null;
  if (layout === "taps" && weights[0] !== 1) return null;
  const axis = (dim: 1 | 2, strideName: string, dilationName: string): Axis => {
    const [size, positions, taps] = [input[dim]!, node.shape[dim]!, weights[dim]!];
    const stride = Number(option(node, strideName) ?? 1);
    const dilation = window === "gather" ? Number(option(node, dilationName) ?? 1) : 1;
    // A transposed convolution is padded as the convolution from its result to its input.
    const [from, to] = window === "gather" ? [size, positions] : [positions, size];
    const beyond = Math.max(0, (to - 1) * stride + (taps - 1) * dilation + 1 - from);
    const pad = Number(option(node, "padding") ?? Padding.SAME) === Padding.SAME ? Math.floor(beyond / 2) : 0;
    return { size, positions, taps, stride, dilation, pad, scatter: window === "scatter" };
  };
  const rows = axis(1, "strideH", "dilationHFactor");
  const columns = axis(2, "strideW", "dilationWFactor");
  if ([rows, columns].some(({ size, positions, stride }) => !(size > 0 && positions > 0 && stride > 0))) return null;
  return { kind: "window", rows, columns, channels: input[3]! };
}

const product = (dims: readonly number[]) => dims.reduce((a, b) => a * b, 1);

/** Which values of a vector the rows of a group are multiplied with, in the order of a row. */
export function columnsOf({ kind, taps, groups, length }: LinearLayer, group: number): Int32Array {
  const columns = new Int32Array(length);
  const { channels } = taps;
  const own = channels / groups;
  for (let k = 0; k < length; k++)
    if (groups === 1) columns[k] = k;
    else if (kind.weights === "taps") columns[k] = k * channels + group;
    else columns[k] = Math.floor(k / own) * channels + group * own + (k % own);
  return columns;
}

/** The constant that a layer's weights are now. */
export function weightsOf({ node, weightsAt }: LinearLayer): Node & { constant: Constant } {
  const weights = node.inputs[weightsAt];
  if (!isConstant(weights)) throw new Error(`"${node.name}" has lost its weights`);
  return weights;
}
