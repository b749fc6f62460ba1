/**
 * The verifier (§6): does every operator have the dtypes, granularity and scales that its row promises? Lists all problems.
 *
 * `quantize` may keep operators float on purpose; an operator all of whose tensors are float then is an island and fine.
 * The drop-in front allows none, as the reference.
 */

import {
  activeNodes,
  type Dtype,
  describe,
  type Graph,
  isConstant,
  type Node,
  resultsOf,
  yieldedBy,
} from "../graph/graph.ts";
import { dtypeOption } from "../graph/options.ts";
import { isPerTensor } from "../graph/quantparam.ts";
import type { Tensor } from "../model/index.ts";
import { roundHalfAway } from "../rules/arithmetic.ts";
import { isActivationDtype, isRuntimeQuantized } from "../rules/dtypes.ts";
import { type OperandRole, type OperatorRow, RULES_OF, roleOf, rowOf, tiedOperands } from "../rules/operators.ts";
import type { Scheme } from "../rules/schemes.ts";
import { type Context, granularityOf, schemeOf } from "./context.ts";
import { variableTraps, warnOfVersions } from "./litert/verify-graph.ts";
import { trapsOf } from "./litert/verify-traps.ts";
import { predefined } from "./special.ts";

export interface VerifyOptions {
  /** Operators that have no quantized tensor (float ones, shape arithmetic) may stay so. */
  readonly allowFloat: boolean;
  /** So may those that compute in float and have quantized constants only (dynamic range). */
  readonly allowFloatWithWeights?: boolean;
  /** The graph's tensors as read, of a .tflite file: what computes in float with integer weights is held to LiteRT's kernels as well. */
  readonly tables?: readonly Tensor[];
}

/** All problems of a graph, one line each, with tensor names; empty when it verifies. */
export function verify(graph: Graph, context: Context, options: VerifyOptions): string[] {
  const problems: string[] = [];
  const forLitert: Node[] = [];
  for (const node of activeNodes(graph)) {
    const operator = node.kind === "result" ? node.inputs[0]! : node;
    if (operator.kind !== "operator" || operator.float) continue;
    const scheme = schemeOf(context, node);
    // A file's family is known only now; the reference has rows of its own.
    const row = graph.rules === "one" ? operator.row : rowOf(operator.op, RULES_OF[scheme.family]);
    const check = new Check(node, operator, row, scheme, problems);
    check.family();
    if (node === operator && isForLitert(operator, scheme, options)) {
      forLitert.push(node);
      const found = trapsOf(node, rowOf(node.op, RULES_OF.litert), context, options.tables);
      problems.push(...found.map((text) => `${describe(node)}: ${text}`));
    }
    if (!row.verify) continue;
    if (options.allowFloat && hasNothingQuantized(operator)) continue;
    if (options.allowFloatWithWeights && quantizedTensors(operator).every(isConstant)) continue;
    if (node.kind === "result") check.result();
    else check.operator(granularityOf(context, node) === "channel");
  }
  warnOfVersions(forLitert, context);
  return [...problems, ...variableTraps(forLitert, context.graphs)];
}

/** Its scheme is LiteRT's, or it computes in float in a file of LiteRT's format. */
function isForLitert(operator: Node, { family }: Scheme, { tables }: VerifyOptions): boolean {
  return family === "litert" || (tables !== undefined && quantizedTensors(operator).every(isConstant));
}

/** All float, or all plain numbers: integers of an activation's dtype without parameters belong beside floats nowhere. */
function hasNothingQuantized(operator: Node): boolean {
  const tensors = tensorsOf(operator);
  if (!tensors.some(({ dtype }) => isActivationDtype(dtype))) return true;
  return quantizedTensors(operator).length === 0 && !tensors.some(({ dtype }) => dtype === "FLOAT32");
}

/** Operands and results of an activation's dtype that have parameters. */
export function quantizedTensors(operator: Node): Node[] {
  return tensorsOf(operator).filter(isRuntimeQuantized);
}

function tensorsOf(operator: Node): Node[] {
  const results = operator.row.multiple ? resultsOf(operator) : [operator];
  return [...operator.inputs, ...results].filter((tensor) => tensor !== null);
}

/** The checks of one operator or result. */
class Check {
  constructor(
    private readonly node: Node,
    private readonly op: Node,
    private readonly row: OperatorRow,
    private readonly scheme: Scheme,
    private readonly problems: string[],
  ) {}

  /** A result of SPLIT, SPLIT_V or UNPACK: the dtype, and exactly the operand's parameters. */
  result(): void {
    if (this.row.verify !== "same parameters") return;
    this.dtype(this.node, "result", this.scheme.activation.dtype);
    this.sameAsOperand();
    this.perTensor(this.node, "result");
  }

  operator(perChannel: boolean): void {
    switch (this.row.verify) {
      case "cast":
        return this.cast();
      case "reshape":
        return this.reshape();
      case "index result":
        this.dtype(this.node, "result", dtypeOption(this.node, "outputType"));
        return this.operands(perChannel);
      case "roles or all integer":
        if (this.isAll("INT32") || this.isAll("INT64")) return;
        break;
      case "same parameters":
        if (this.row.multiple) return this.operands(perChannel);
        this.sameAsOperand();
    }
    // Results are nodes of their own then, or there are none.
    if (this.row.multiple || yieldedBy(this.op).length === 0) return this.operands(perChannel);
    if (this.row.out.role === "boolean") {
      this.dtype(this.node, "result", "BOOL");
    } else {
      this.dtype(this.node, "result", this.scheme.activation.dtype);
      this.perTensor(this.node, "result");
      this.specialParameters();
    }
    this.operands(perChannel);
  }

  /** What the kernels of the scheme's family demand of the result (src/rules/operators.ts). */
  family(): void {
    const rule = this.row.families?.[this.scheme.family];
    const { quant, dtype } = this.node;
    if (!rule || !quant || dtype !== this.scheme.activation.dtype) return;
    if (!rule.rescales?.includes(dtype))
      for (const index of tiedOperands(this.row, this.op.inputs.length, this.scheme.family)) this.sameAs(index);
    const fixed = rule.fixed?.[dtype];
    if (fixed && (quant.scale[0] !== Math.fround(fixed.scale) || Number(quant.zeroPoint[0]) !== fixed.zeroPoint))
      this.problem(`its parameters must be scale ${fixed.scale}, zero point ${fixed.zeroPoint}`);
  }

  private operands(perChannel: boolean): void {
    this.op.inputs.forEach((operand, index) => {
      this.operand(operand, index, roleOf(this.row, index), perChannel);
    });
  }

  private operand(operand: Node | null, index: number, role: OperandRole, perChannel: boolean): void {
    const what = `operand ${index}`;
    if (!operand) {
      if (role.role !== "bias" && role.role !== "raw") this.problem(`${what} is absent`);
      return;
    }
    switch (role.role) {
      case "raw":
        if (role.dtypes.length > 0 && !role.dtypes.includes(operand.dtype) && this.rawMatters(operand))
          this.problem(`${what} "${operand.name}" is ${operand.dtype}, expected ${role.dtypes.join(" or ")}`);
        return;
      case "activation": {
        const { activation, weights } = this.scheme;
        const asWeights = role.constant && isConstant(operand);
        this.dtype(operand, what, (asWeights ? weights.layer : activation).dtype);
        return this.perTensor(operand, what);
      }
      case "unit":
        this.dtype(operand, role.name, this.scheme.activation.dtype);
        return perChannel && !this.scheme.accepts
          ? this.perChannel(operand, role.name, operand.shape.length - 1)
          : this.perTensor(operand, role.name);
      case "weights":
        this.weights(operand, role, perChannel);
        return;
      case "bias":
        if (!isConstant(operand)) return;
        this.bias(operand, role.name, perChannel);
    }
  }

  private weights(operand: Node, role: OperandRole & { role: "weights" }, perChannel: boolean): void {
    const { accepts, weights } = this.scheme;
    const { dtype, symmetric } = weights[perChannel ? "channel" : "layer"];
    if (!accepts?.weights.includes(operand.dtype)) this.dtype(operand, role.name, dtype);
    if (perChannel) this.perChannel(operand, role.name, role.axis);
    else this.perTensor(operand, role.name);
    const at = accepts?.symmetricAt;
    if (at === undefined || (!symmetric && !perChannel)) return;
    if (operand.quant?.zeroPoint.some((zeroPoint) => zeroPoint !== BigInt(at)))
      this.problem(`wrong zero point: ${role.name} "${operand.name}" must have ${at} everywhere`);
  }

  private bias(operand: Node, name: string, perChannel: boolean): void {
    const { accepts, bias } = this.scheme;
    if (!accepts?.bias.includes(operand.dtype)) this.dtype(operand, name, bias[perChannel ? "channel" : "layer"]);
    // A vector has one axis, whatever a converter wrote.
    const axis = accepts && operand.shape.length === 1 ? (operand.quant?.axis ?? 0) : operand.shape.length - 1;
    if (!perChannel) this.perTensor(operand, name);
    else this.perChannel(operand, name, axis, operand.shape.at(-1));
    this.biasScale(operand);
  }

  /** Optional index operands of unchecked kinds are whatever they are. */
  private rawMatters(operand: Node): boolean {
    return operand.kind !== "variable";
  }

  private isAll(dtype: Dtype): boolean {
    return this.node.dtype === dtype && this.op.inputs.every((operand) => operand?.dtype === dtype);
  }

  private dtype(tensor: Node, what: string, expected: Dtype): void {
    if (tensor.dtype === expected) return;
    const where = what === "result" ? "its result" : `${what} "${tensor.name}"`;
    const remedy =
      tensor.dtype === "FLOAT32" && !isConstant(tensor) && !tensor.quant ? " (no range was recorded for it)" : "";
    this.problem(`wrong dtype: ${where} is ${tensor.dtype}, expected ${expected}${remedy}`);
  }

  private perTensor(tensor: Node, what: string): void {
    if (isPerTensor(tensor.quant)) return;
    this.problem(`wrong granularity: ${what} "${tensor.name}" must have one scale and one zero point`);
  }

  private perChannel(tensor: Node, what: string, axis: number, channels = tensor.shape[axis]): void {
    const quant = tensor.quant;
    if (quant && quant.axis === axis && quant.scale.length === channels && quant.zeroPoint.length === channels) return;
    this.problem(
      `wrong granularity: ${what} "${tensor.name}" must have ${channels} scales and zero points along axis ${axis}`,
    );
  }

  /** |bias scale − input scale × weight scale| < 2⁻²³, absolute, as the reference. */
  private biasScale(bias: Node): void {
    const find = (role: OperandRole["role"]) =>
      this.op.inputs.find((_, index) => roleOf(this.row, index).role === role);
    const input = find("activation")?.quant?.scale;
    const weights = find("weights")?.quant?.scale;
    const own = bias.quant?.scale;
    const fits = own && input?.length === 1 && weights?.length === own.length;
    const holds = fits && (areProducts(own, input[0]!, weights) || this.isNearEnough(own, input[0]! * weights[0]!));
    if (!holds) this.problem(`wrong bias scale: bias "${bias.name}" must have input scale × weight scale`);
  }

  /** What a runtime takes that looks at the result's scale only. */
  private isNearEnough(own: Float32Array, product: number): boolean {
    const share = this.scheme.accepts?.biasShare ?? 0;
    return own.length === 1 && Math.abs(own[0]! - product) <= share * (this.node.quant?.scale[0] ?? 0);
  }

  private sameAsOperand(): void {
    const out = this.row.out;
    if (out.role === "same") this.sameAs(out.operand);
  }

  private sameAs(operand: number): void {
    const source = this.op.inputs[operand];
    const a = this.node.quant;
    const b = source?.quant;
    if (a && b && a.scale[0] === b.scale[0] && a.zeroPoint[0] === b.zeroPoint[0]) return;
    this.problem(`its parameters must be those of "${source?.name ?? "its operand"}"`);
  }

  private specialParameters(): void {
    const out = this.row.out;
    if (out.role !== "special") return;
    const quant = this.node.quant;
    const scale = quant?.scale[0];
    if (out.kind === "integer") {
      if (this.scheme.accepts) return;
      if (scale === undefined || scale !== Math.fround(roundHalfAway(scale)))
        this.problem(`its scale ${scale} must be an integer`);
      return;
    }
    const fixed = predefined(out.kind, this.scheme.activation, null);
    if (scale !== fixed.scale[0] || quant?.zeroPoint[0] !== fixed.zeroPoint[0])
      this.problem(
        `its parameters must be those of ${out.kind}: scale ${fixed.scale[0]}, zero point ${fixed.zeroPoint[0]}`,
      );
  }

  private cast(): void {
    for (const [tensor, name] of [
      [this.op.inputs[0], "inDataType"],
      [this.node, "outDataType"],
    ] as const) {
      if (!tensor?.quant) continue;
      this.dtype(tensor, tensor === this.node ? "result" : "operand 0", this.scheme.activation.dtype);
      if (dtypeOption(this.node, name) !== tensor.dtype)
        this.problem(`its option ${name} is ${dtypeOption(this.node, name)}, but "${tensor.name}" is ${tensor.dtype}`);
      this.perTensor(tensor, "tensor");
    }
  }

  private reshape(): void {
    const [tensor, shape] = this.op.inputs;
    if (!tensor) return this.problem("operand 0 is absent");
    if (this.node.quant) {
      this.dtype(this.node, "result", this.scheme.activation.dtype);
      this.dtype(tensor, "operand 0", this.scheme.activation.dtype);
    } else if (tensor.dtype !== this.node.dtype) {
      this.problem(`wrong dtype: operand 0 "${tensor.name}" is ${tensor.dtype}, its result ${this.node.dtype}`);
    }
    if (isConstant(shape) && shape.dtype !== "INT32")
      this.problem(`operand 1 "${shape.name}" is ${shape.dtype}, expected INT32`);
    if (!tensor.quant !== !this.node.quant)
      return this.problem(`wrong granularity: "${tensor.name}" and its result must both have parameters or neither`);
    if (this.node.quant) {
      this.perTensor(this.node, "result");
      this.perTensor(tensor, "operand 0");
    }
  }

  private problem(text: string): void {
    this.problems.push(`${describe(this.node)}: ${text}`);
  }
}

function isProduct(scale: number, product: number): boolean {
  return Math.abs(Math.fround(scale - product)) < 2 ** -23;
}

/** A loop without calls (an array rounds as Math.fround does): a large model has a million of them, and this runs for the first time. */
function areProducts(scales: Float32Array, input: number, weights: Float32Array): boolean {
  const { length } = scales;
  const products = new Float32Array(length);
  for (let i = 0; i < length; i++) {
    products[i] = input * weights[i]!;
    if (scales[i] !== products[i] && !isProduct(scales[i]!, products[i]!)) return false;
  }
  return true;
}
