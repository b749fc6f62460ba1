/**
 * int8 → uint8: every int8 value and zero point plus 128, scales as they are (§5.5); uint8 → int8: the same minus 128. Every tensor
 * stands for the same floats as before.
 *
 *     x: INT8, scale s, zero point −3   ⇄   x: UINT8, scale s, zero point 125
 */
import {
  activeNodes,
  addNode,
  type Dtype,
  type Graph,
  isConstant,
  type Node,
  resultsOf,
  setInput,
} from "../../graph/graph.ts";
import { quantParam } from "../../graph/quantparam.ts";
import { operandsWith } from "../../rules/operators.ts";
import { type Context, warn } from "../context.ts";

interface Direction {
  readonly from: Dtype;
  readonly to: Dtype;
  /** What zero points and values become more. */
  readonly plus: bigint;
}

/** Directions by the dtype that people ask for. */
export const REQUANTIZED = {
  uint8: { from: "INT8", to: "UINT8", plus: 128n },
  int8: { from: "UINT8", to: "INT8", plus: -128n },
} as const satisfies Record<string, Direction>;

export type RequantizedTo = keyof typeof REQUANTIZED;

/**
 * Gives the number of tensors turned. Without a context: every such tensor, as the reference does, which knows no others than those of
 * int8 models. With one, weights that become int8 with a zero point other than 0 are warned of.
 */
export function requantize(graph: Graph, wanted: RequantizedTo, context?: Context): number {
  const { from, to, plus } = REQUANTIZED[wanted];
  const active = activeNodes(graph);
  const all = active.filter(({ dtype, quant }) => dtype === from && quant);
  const turned = context ? ofActivations(graph, all) : all;
  for (const node of turned) {
    const quant = node.quant!;
    node.quant = quantParam({ ...quant, zeroPoint: quant.zeroPoint.map((zeroPoint) => zeroPoint + plus) });
    node.dtype = to;
    if (!node.constant) continue;
    const { count, length } = node.constant;
    node.constant = { kind: "shifted", of: node.constant, count, length };
  }
  // A vector has one axis only, whatever the file says.
  for (const node of active) {
    if (node.quant && node.shape.length === 1 && node.quant.axis !== 0)
      node.quant = quantParam({ ...node.quant, axis: 0 });
  }
  graph.outputs.forEach((output, i) => {
    if (output.inputs[0]?.dtype === to) graph.outputDtypes[i] = output.dtype = to;
  });
  if (context && wanted === "int8") warnOfWeights(context, active);
  return turned.filter(({ kind }) => kind !== "output").length;
}

/**
 * The tensors to turn: activations of the dtype, and constants that an operator reads together with some. Weights under int16 or float
 * activations stay: no kernel has them in uint8. A constant that operators of both sorts read is doubled.
 */
function ofActivations(graph: Graph, all: readonly Node[]): Node[] {
  const activations = new Set<Node | null>(all.filter(({ kind }) => kind !== "constant"));
  const turned = [...activations] as Node[];
  for (const node of all) {
    if (node.kind !== "constant") continue;
    const users = [...node.users];
    const belongs = (user: Node) => [user, ...user.inputs, ...resultsOf(user)].some((each) => activations.has(each));
    const own = users.filter(belongs);
    if (own.length === 0) continue;
    const others = users.filter((user) => !belongs(user));
    turned.push(node);
    if (others.length === 0) continue;
    const { name, dtype, shape, quant, constant } = node;
    const copy = addNode(graph, { kind: "constant", name, dtype, shape, quant, constant });
    for (const user of others)
      user.inputs.forEach((operand, index) => {
        if (operand === node) setInput(user, index, copy);
      });
  }
  return turned;
}

/** int8 kernels want weights around 0; uint8 weights that were made asymmetric are not. */
function warnOfWeights(context: Context, nodes: readonly Node[]): void {
  for (const node of nodes) {
    if (node.kind !== "operator") continue;
    for (const index of operandsWith(node.row, node.inputs.length, "weights")) {
      const weights = node.inputs[index];
      const zeroPoint =
        isConstant(weights) && weights.dtype === "INT8" && weights.quant?.zeroPoint.find((z) => z !== 0n);
      if (typeof zeroPoint !== "bigint") continue;
      const text = `weights "${weights!.name}" have zero point ${zeroPoint}, and int8 kernels take 0 only; 'minmaxq dequantize' and quantize anew`;
      warn(context, node, "int8-weights-asymmetric", text, { zeroPoint: Number(zeroPoint) });
    }
  }
}
