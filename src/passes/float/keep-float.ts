/**
 * Before the phases, for `quantize` only: operators that cannot be quantized soundly stay float, with Dequantize and Quantize at
 * their borders.
 *
 *     x ─▶ CUSTOM ─▶ y   →   x ─▶ Dequantize ─▶ CUSTOM (float) ─▶ Quantize (y's range) ─▶ …
 *
 * What the file has quantized already stays as it is in the same way (`quantized-already.ts`): float borders around it get Quantize and
 * Dequantize. The drop-in front does not run this; it treats such operators as the reference does (§9.1).
 */
import { addDequantize, addQuantize } from "../../graph/edit.ts";
import {
  activeNodes,
  type Dtype,
  type FloatReason,
  type Graph,
  isConstant,
  type Node,
  setInput,
  yieldedBy,
} from "../../graph/graph.ts";
import { hasRule } from "../../rules/operators.ts";
import { type Context, leave, noteFloat } from "../context.ts";
import { floatVariables } from "../litert/variables.ts";
import { canonicalDtypes } from "../minmax/io-dtypes.ts";
import { BETWEEN_FLOAT, betweenFloat } from "./between-float.ts";
import { reasonToStayFloat } from "./float-reasons.ts";
import { isQuantizedAlready, reasonToKeep } from "./quantized-already.ts";

/** Marks what stays float and notes why. Runs before weights are fake-quantized, which skips marked operators. */
export function chooseFloat(graph: Graph, context: Context): void {
  for (const node of activeNodes(graph)) {
    if (node.kind !== "operator") continue;
    if (isQuantizedAlready(node)) {
      leave(context, node, reasonToKeep(node));
      continue;
    }
    if (!touchesFloat(node)) {
      // Shape arithmetic and the like: nothing to quantize, constants of any kind are fine.
      if (!hasRule(node.row) || node.row.constants === "refused") node.float = NOTHING_TO_DO;
      continue;
    }
    const reason = isAskedFor(node, context) ? ASKED_FOR : reasonToStayFloat(node, yieldedBy(node), context);
    if (reason !== null) leave(context, node, reason);
  }
  keepVariablesTogether(graph, context);
  for (const node of betweenFloat(graph, context)) leave(context, node, BETWEEN_FLOAT);
  keepVariablesTogether(graph, context);
  for (const output of graph.outputs) {
    if (!isConstant(output.inputs[0]) || output.dtype !== "FLOAT32") continue;
    keepOutput(output);
    noteFloat(context, output, { code: "constant-output", text: "is a constant" });
  }
}

/** Kernels copy a variable's integers: where one reader or writer stays float, all do. */
function keepVariablesTogether(graph: Graph, context: Context): void {
  for (const [node, reason] of floatVariables(graph, context.graphs)) leave(context, node, reason);
}

/** Whether a person wants an operator to stay float. */
export function isAskedFor(node: Node, { layers }: Context): boolean {
  return [node, ...yieldedBy(node)].some(({ name }) => layers.get(name)?.float);
}

/** Puts Dequantize and Quantize at the borders of what was marked. Runs when ranges are known, before the phases. */
export function insertFloatBorders(graph: Graph, context: Context): void {
  // What was marked since the beginning (infinite values, domains) may be one of a variable's.
  keepVariablesTogether(graph, context);
  const wantedInputs = canonicalDtypes("input", graph.inputs, context.options.inputDtypes, context.options.scheme);
  const isFloatInput = (node: Node) => node.kind === "input" && wantedInputs[graph.inputs.indexOf(node)] === "FLOAT32";
  const wantedOutputs = canonicalDtypes("output", graph.outputs, context.options.outputDtypes, context.options.scheme);
  for (const node of activeNodes(graph)) {
    if (node.kind !== "operator" || !node.float || node.float.code === NOTHING_TO_DO.code) continue;
    dequantizeOperands(graph, node, isFloatInput);
    for (const yielded of yieldedBy(node)) quantizeResult(graph, yielded, wantedOutputs);
  }
}

const NOTHING_TO_DO: FloatReason = { code: "nothing-to-do", text: "has no float tensors" };

function touchesFloat(node: Node): boolean {
  return [...node.inputs, ...yieldedBy(node)].some((tensor) => tensor?.dtype === "FLOAT32");
}

/** Float operators read float: one Dequantize per tensor, shared by all float operators that read it. What is float in the result needs none. */
function dequantizeOperands(graph: Graph, node: Node, isFloat: (operand: Node) => boolean): void {
  node.inputs.forEach((operand, index) => {
    if (operand?.dtype !== "FLOAT32" || isConstant(operand) || operand.float || isFloat(operand)) return;
    if (operand.kind === "variable" && !operand.quant) return;
    const shared = [...operand.users].find((user) => user.op === "DEQUANTIZE" && user.float?.code === BORDER.code);
    const dequantize = shared ?? addDequantize(graph, operand);
    dequantize.float = BORDER;
    setInput(node, index, dequantize);
  });
}

/** A person wants it so (`--layer NAME=float32`). */
export const ASKED_FOR: FloatReason = { code: "asked-for", text: "you asked for float32" };
const BORDER: FloatReason = { code: "border", text: "leads to a float operator" };

/** Quantized operators and outputs read a Quantize with the float result's recorded range. */
function quantizeResult(graph: Graph, yielded: Node, wantedOutputs: readonly Dtype[]): void {
  const { quant } = yielded;
  if (yielded.dtype !== "FLOAT32") return;
  yielded.quant = null;
  for (const user of yielded.users) {
    if (user.kind === "output" && wantedOutputs[graph.outputs.indexOf(user)] === "FLOAT32") keepOutput(user);
  }
  const readers = [...yielded.users].filter((user) => !user.float && user.kind !== "result");
  if (readers.length === 0) return;
  const quantize = addQuantize(graph, yielded, "FLOAT32", quant);
  for (const user of readers) {
    user.inputs.forEach((operand, index) => {
      if (operand === yielded) setInput(user, index, quantize);
    });
  }
}

function keepOutput(output: Node): void {
  output.float = { code: "float-producer", text: "a float operator yields it" };
  output.quant = null;
}
