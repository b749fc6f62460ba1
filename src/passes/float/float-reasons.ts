/** Why `quantize` keeps an operator float: one function a reason, the first that holds is told. */
import { type FloatCode, type FloatReason, isConstant, type Node } from "../../graph/graph.ts";
import { fusedActivation } from "../../graph/options.ts";
import { hasRange } from "../../graph/quantparam.ts";
import { calledName } from "../../model/index.ts";
import { isInteger, isOtherFloat } from "../../rules/dtypes.ts";
import { kindFacts } from "../../rules/kind-facts.ts";
import { hasRule, type OperatorRow, operandsWith } from "../../rules/operators.ts";
import { FAMILIES, NEEDS_KERNEL, type Scheme } from "../../rules/schemes.ts";
import { hasKernel, kernelRow, type Target, targetRow } from "../../rules/targets.ts";
import { type Context, granularityOf, schemeOf } from "../context.ts";
import { nonConstantOperands } from "../minmax/check-before.ts";
import { axisProblem } from "../minmax/own-values.ts";

interface Case {
  readonly node: Node;
  readonly row: OperatorRow;
  /** The tensors that the operator yields. */
  readonly results: readonly Node[];
  readonly perChannel: boolean;
  readonly scheme: Scheme;
  readonly target: Target | undefined;
}

/** Why an operator cannot be quantized soundly, or null. */
export function reasonToStayFloat(node: Node, results: readonly Node[], context: Context): FloatReason | null {
  const one: Case = {
    node,
    row: node.row,
    results,
    perChannel: granularityOf(context, node) === "channel",
    scheme: schemeOf(context, node),
    target: context.options.target,
  };
  for (const [code, reason] of REASONS) {
    const text = reason(one);
    if (text !== null) return { code, text };
  }
  return null;
}

const REASONS: readonly (readonly [code: FloatCode, reason: (one: Case) => string | null])[] = [
  ["custom-operator", customOperator],
  ["no-rule", leftWhole],
  ["no-kernel", noKernelInFamily],
  ["no-rule", noRule],
  ["float-by-definition", floatByDefinition],
  ["constant-operand", constantOperand],
  ["dynamic-weights", weightsThatVary],
  ["other-dtype", otherFloats],
  ["state-without-range", state],
  ["weights-do-not-fit", weightsThatDoNotFit],
  ["values-do-not-fit", valuesThatDoNotFit],
  ["target", noKernel],
];

function customOperator({ node }: Case): string | null {
  return node.op === "CUSTOM" ? "custom operators cannot be quantized" : null;
}

/** What a composite computes is known by its name alone to runtimes that have a kernel for it. */
function leftWhole({ node: { op, operator } }: Case): string | null {
  if (!kindFacts(op).decomposes) return null;
  const name = operator && calledName(operator);
  return `it is left whole${name ? ` ("${name}")` : ""}; --prepare inline-composite puts its decomposition's operators in its place`;
}

/** Fused activations that an integer kernel computes by clamping its result. */
const CLAMPS = ["NONE", "RELU", "RELU6", "RELU_N1_TO_1"];

function noKernelInFamily({ node, row, scheme: { name, family, activation } }: Case): string | null {
  if (!NEEDS_KERNEL[family] || row.looksAtShapeOnly || row.verify === "cast" || isFloatByDefinition(row)) return null;
  const rule = row.families?.[family];
  if (!rule?.dtypes?.includes(activation.dtype)) return `${FAMILIES[family]} has no ${name} kernel for it`;
  const fused = fusedActivation(node);
  if (fused === "NONE" || (CLAMPS.includes(fused) && rule.fused !== "none")) return null;
  return `${FAMILIES[family]} has no ${name} kernel for it with a fused ${fused}`;
}

function noRule({ node, row }: Case): string | null {
  return row.looksAtShapeOnly || hasRule(node.row) ? null : "there is no rule to quantize this kind";
}

function floatByDefinition({ row }: Case): string | null {
  if (row.verify === "cast") return "a cast keeps numbers as they are, so it has no scale";
  return isFloatByDefinition(row) ? "its result is float by definition" : null;
}

function isFloatByDefinition({ dtype }: OperatorRow): boolean {
  return typeof dtype === "object" && "fixed" in dtype && dtype.fixed === "FLOAT32";
}

/** No rule covers the constant: the row refuses it, or the phase that would quantize it looks at other operands only. */
function constantOperand({ node, row }: Case): string | null {
  const refused = row.constants === "refused" && node.inputs.some((operand) => isConstant(operand));
  const units = operandsWith(row, node.inputs.length, "unit").length > 0;
  const input = units && operandsOf(node, row, "activation").some((operand) => isConstant(operand));
  return refused || input ? "it has a constant operand, for which there is no rule" : null;
}

function weightsThatVary({ node }: Case): string | null {
  const [dynamic] = nonConstantOperands(node);
  return dynamic ? `its ${dynamic.name} "${node.inputs[dynamic.index]!.name}" is not a constant` : null;
}

function otherFloats({ node, row, results }: Case): string | null {
  const other = [...node.inputs, ...results].find((tensor) => tensor && isOtherFloat(tensor.dtype));
  // An integer where an activation is expected (POW by an INT32) has no scale.
  const integer = operandsOf(node, row, "activation").find(
    (operand) => operand && isInteger(operand.dtype) && !operand.quant,
  );
  const odd = other ?? integer;
  return odd ? `"${odd.name}" is ${odd.dtype}` : null;
}

/** A variable's values are in no recording. */
function state({ node }: Case): string | null {
  const variable = node.inputs.find(
    (operand) => operand?.kind === "variable" && operand.tensor?.isVariable && !hasRange(operand.quant),
  );
  return variable ? `its state "${variable.name}" has no range` : null;
}

function weightsThatDoNotFit({ node, row, perChannel }: Case): string | null {
  const floatInput = operandsOf(node, row, "activation").some((operand) => operand?.dtype === "FLOAT32");
  for (const index of operandsWith(row, node.inputs.length, "weights")) {
    const weights = node.inputs[index];
    const role = row.in[index]!;
    if (!weights || role.role !== "weights") continue;
    if (weights.dtype !== "FLOAT32" && floatInput)
      return `its ${role.name} "${weights.name}" is ${weights.dtype} already`;
    if (weights.shape.includes(0)) return `its ${role.name} "${weights.name}" is empty`;
    const problem = perChannel ? axisProblem(weights, role) : null;
    if (problem) return problem;
  }
  return null;
}

/** Per channel, gamma, beta, alpha and bias have one value for each entry of their last dimension. */
function valuesThatDoNotFit({ node, row, perChannel }: Case): string | null {
  if (!perChannel) return null;
  for (const role of ["unit", "bias"] as const) {
    for (const operand of operandsOf(node, row, role)) {
      if (!operand) {
        if (role === "unit") return "an operand is missing";
      } else if (operand.shape.slice(0, -1).some((dim) => dim !== 1) || operand.shape.length === 0) {
        return `"${operand.name}" has shape [${operand.shape}]; per channel only its last dimension may be above 1`;
      }
    }
  }
  return null;
}

/** The target computes it in float only. */
function noKernel({ node, target, scheme }: Case): string | null {
  if (!target) return null;
  const keepFloat = targetRow(target, node.op).keepFloat ?? kernelRow(target, node.op).keepFloat;
  if (keepFloat) return `${keepFloat} (${target.name})`;
  return hasKernel(target, node.op, scheme.activation.dtype)
    ? null
    : `${target.name} has no ${scheme.name} kernel for it`;
}

function operandsOf(node: Node, row: OperatorRow, role: "activation" | "unit" | "bias"): (Node | null | undefined)[] {
  return operandsWith(row, node.inputs.length, role).map((index) => node.inputs[index]);
}
