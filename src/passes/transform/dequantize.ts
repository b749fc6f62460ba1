/**
 * A quantized model as a float one, by its scales: what `quantize` did taken back, up to the rounding of constants.
 *
 *     x: FLOAT32 ─▶ QUANTIZE ─▶ [CONV_2D: INT8, w: INT8] ─▶ DEQUANTIZE ─▶ y: FLOAT32
 *     →   x: FLOAT32 ─▶ [CONV_2D: FLOAT32, w: FLOAT32, described as w's values] ─▶ y: FLOAT32
 *
 * Every tensor whose integers stand for floats becomes float32: activations, variables, inputs and outputs lose their parameters, constants
 * become descriptions of their floats (float-values.ts), QUANTIZE and DEQUANTIZE have nothing left to do. A tensor without parameters that
 * has those of an operand (RESHAPE without a scale) goes with it. Indices, shapes and masks stay what they are.
 *
 * What cannot be told stays quantized, with its reason and with Quantize and Dequantize at its borders: custom operators, and operators one
 * of whose integer operands has no usable scale.
 *
 * AN ACTIVATION THAT ONLY THE INTEGERS DO. Integers end somewhere, and old converters leave a RELU or RELU6 to that: a result whose least
 * integer is its zero point is never below 0. The float operator would be, so its activation is written down:
 *
 *     CONV_2D, no activation, y: UINT8, scale 6/255, zero point 0   →   CONV_2D with RELU6
 */
import { addDequantize, addQuantize } from "../../graph/edit.ts";
import {
  activeNodes,
  addNode,
  type Dtype,
  describe,
  type Graph,
  isConstant,
  type Node,
  replace,
  setInput,
  yieldedBy,
} from "../../graph/graph.ts";
import { fusedActivation, option, setOptions } from "../../graph/options.ts";
import { hasRange, type QuantParam, quantParam } from "../../graph/quantparam.ts";
import { ActivationFunctionType } from "../../model/index.ts";
import { isActivationDtype, isOtherFloat, isSmallInteger, zeroPointLimits } from "../../rules/dtypes.ts";
import { readAs } from "../../rules/hybrid.ts";
import { kindFacts } from "../../rules/kind-facts.ts";
import { hasRule, roleOf } from "../../rules/operators.ts";
import { rangeOfParameters, schemesWith } from "../../rules/schemes.ts";
import { leave, QUANTIZED_ALREADY, type Workspace, warn } from "../context.ts";
import { declareCastDtypes } from "../minmax/quantize-activations.ts";
import { floatsOfHalves, floatValues, hasFloatValues } from "./float-values.ts";

/** What was done, over all graphs. */
export interface Dequantized {
  /** Tensors that were computed as integers: inputs, results, variables. */
  readonly activations: number;
  readonly constants: number;
  /** QUANTIZE and DEQUANTIZE operators that are gone. */
  readonly removed: number;
  /** Operators that got the activation that their integers had been. */
  readonly activated: number;
  /** Operators that stay quantized, each with its reason. */
  readonly kept: readonly string[];
}

/** Makes all graphs float in place; `keepRanges` writes what each activation could represent as its recorded range. Notes what stays. */
export function dequantizeModel(space: Workspace, keepRanges: boolean): Dequantized {
  const all = space.graphs.map((_, index) => new Dequantizer(space, index, keepRanges).run());
  const sum = (count: (each: Dequantized) => number) => all.reduce((total, each) => total + count(each), 0);
  return {
    activations: sum(({ activations }) => activations),
    constants: sum(({ constants }) => constants),
    removed: sum(({ removed }) => removed),
    activated: sum(({ activated }) => activated),
    kept: all.flatMap(({ kept }) => kept),
  };
}

type ConstantNode = Node & { constant: NonNullable<Node["constant"]> };

/** An operand of an operator that stays, as it was. */
interface Border {
  readonly node: Node;
  readonly slot: number;
  readonly operand: Node;
  readonly was: Was;
}

/** Parameters of a tensor as it was. */
interface Was {
  readonly dtype: Dtype;
  readonly quant: QuantParam;
}

class Dequantizer {
  private readonly graph: Graph;
  /** Nodes as the file has them; what is made here is not among them. */
  private readonly nodes: readonly Node[];
  /** Computed tensors that stand for floats, also by an operand's parameters. */
  private readonly scaled: Map<Node, Was>;
  /** Operators that stay quantized, and why. */
  private readonly kept = new Map<Node, string>();
  /** Floats of constants, by constant and the dtype that it is read as. */
  private readonly floats = new Map<string, Node | string>();
  private removed = 0;
  private activated = 0;

  constructor(
    private readonly space: Workspace,
    private readonly index: number,
    private readonly keepRanges: boolean,
  ) {
    this.graph = space.graphs[index]!;
    this.nodes = activeNodes(this.graph);
    this.scaled = scaledTensors(this.graph, this.nodes);
  }

  run(): Dequantized {
    const { nodes, scaled, kept } = this;
    const operators = nodes.filter(({ kind }) => kind === "operator");
    for (const node of operators) {
      const reason = isConversion(node) ? this.reasonOfConversion(node) : this.reasonToKeep(node);
      if (reason) kept.set(node, reason);
    }
    for (const [node, text] of kept) {
      leave(this.space.context, node, { code: QUANTIZED_ALREADY, text: `stays quantized: ${text}` });
    }
    const reasons = [...kept].map(([node, text]) => `${describe(node)}: ${text}`);
    // A state that an operator changes cannot be handed to it by a Quantize.
    for (const node of kept.keys())
      for (const operand of node.inputs) if (operand?.kind === "variable") scaled.delete(operand);
    // What their operands were, before a QUANTIZE in front of them goes.
    const borders = [...kept.keys()].flatMap((node) =>
      node.inputs.flatMap((operand, slot): Border[] => {
        const was = operand && scaled.get(operand);
        return was ? [{ node, slot, operand, was }] : [];
      }),
    );
    for (const node of operators) if (!isConversion(node) && !kept.has(node)) this.convert(node);
    for (const node of kept.keys()) this.dequantizeBehind(node);
    const floating = [...scaled].filter(([node]) => !kept.has(operatorOf(node)!));
    for (const [node, was] of floating) {
      node.dtype = "FLOAT32";
      node.quant = this.rangeOf(was);
    }
    for (const node of operators) if (isConversion(node) && !kept.has(node)) this.bypass(node);
    this.quantizeBefore(borders);
    for (const node of operators) if (!kept.has(node) && node.row.verify === "cast") declareCastDtypes(node);
    this.settleEnds();
    const made = [...this.floats.values()].filter((each) => typeof each !== "string" && each.users.size > 0);
    return {
      activations: floating.filter(([node]) => !isConversion(node)).length,
      constants: made.length,
      removed: this.removed,
      activated: this.activated,
      kept: reasons,
    };
  }

  /** Why an operator has to stay as it is, or null. */
  private reasonToKeep(node: Node): string | null {
    const operands = this.valueOperands(node).map(({ operand }) => operand);
    const facts = kindFacts(node.op);
    const touched = [...operands, ...yieldedBy(node)].some((tensor) => this.scaled.has(tensor));
    if (facts.foreign) {
      const takes = touched || operands.some((operand) => isConstant(operand) && hasFloatValues(operand));
      return takes ? "what a custom operator makes of integers is not in the file" : null;
    }
    if (!touched && !isFloatOperator(node)) return null;
    if (Number(option(node, "weightsFormat") ?? 0) !== 0 && operands.some(({ dtype }) => isSmallInteger(dtype)))
      return "its weights have a layout of their own (weightsFormat)";
    // Plain integers are in their place in a conversion by name, and where another graph says what is done with them.
    const plain = (node.row.dtype === "own" && hasRule(node.row)) || facts.calls;
    const without = [...operands, ...yieldedBy(node)].find(
      (tensor) => !plain && !isConstant(tensor) && isSmallInteger(tensor.dtype) && !this.scaled.has(tensor),
    );
    if (touched && without) return `"${without.name}" is ${without.dtype} without a scale`;
    for (const operand of operands) {
      if (!isConstant(operand) || operand.dtype === "FLOAT32") continue;
      if (!hasFloatValues(operand) && (plain || !isSmallInteger(operand.dtype))) continue;
      const floats = this.floatsOf(operand, readAs(node.op, node.dtype, operand.dtype));
      if (typeof floats === "string") return `constant "${operand.name}" ${floats}`;
    }
    return null;
  }

  /** The same of a QUANTIZE or DEQUANTIZE, which goes where its operand becomes float. */
  private reasonOfConversion(node: Node): string | null {
    const operand = node.inputs[0]!;
    if (operand.dtype === "FLOAT32" || this.scaled.has(operand)) return null;
    if (isOtherFloat(operand.dtype) && !this.scaled.has(node)) return null;
    if (!isConstant(operand)) return `"${operand.name}" is ${operand.dtype} without a scale`;
    const floats = this.floatsOf(operand, operand.dtype);
    return typeof floats === "string" ? `constant "${operand.name}" ${floats}` : null;
  }

  /** Operands that are values: not indices, shapes and axes. Of kinds without a rule any may be. */
  private valueOperands(node: Node): { operand: Node; slot: number }[] {
    const ruled = hasRule(node.row);
    return node.inputs.flatMap((operand, slot) =>
      operand && (!ruled || roleOf(node.row, slot).role !== "raw") ? [{ operand, slot }] : [],
    );
  }

  /** Gives an operator float constants, and the activation that its integers were. */
  private convert(node: Node): void {
    const operands = this.valueOperands(node);
    const tensors = [...operands.map(({ operand }) => operand), ...yieldedBy(node)];
    if (!isFloatOperator(node) && !tensors.some((each) => this.scaled.has(each))) return;
    for (const { operand, slot } of operands) {
      if (!isConstant(operand) || operand.dtype === "FLOAT32") continue;
      // Where everything is float16, it stays so.
      const others = tensors.some((each) => !isConstant(each) && each.dtype === operand.dtype);
      const floats = hasFloatValues(operand)
        ? this.floatsOf(operand, readAs(node.op, node.dtype, operand.dtype))
        : others
          ? null
          : this.floatsOfHalves(operand);
      if (floats && typeof floats !== "string") setInput(node, slot, floats);
    }
    const was = this.scaled.get(node);
    const activation = was && activationOfIntegers(node, was);
    if (!activation) return;
    setOptions(node, { fusedActivationFunction: ActivationFunctionType[activation] });
    this.activated++;
  }

  /** The float constant that a constant becomes where it is read as `dtype`, or why there is none. */
  private floatsOf(source: ConstantNode, dtype: Dtype): Node | string {
    return this.once(`${source.id} ${dtype}`, () => {
      const values = floatValues(source, dtype, this.space.opened.model, this.index);
      return typeof values === "string" ? values : this.addFloats(source, values);
    });
  }

  private floatsOfHalves(source: ConstantNode): Node | string {
    return this.once(`${source.id} halves`, () => {
      const values = floatsOfHalves(source);
      return values ? this.addFloats(source, values) : "is no float16";
    });
  }

  private addFloats(source: Node, constant: NonNullable<Node["constant"]>): Node {
    const { name, shape, tensor } = source;
    const table = tensor && { ...tensor, quantization: undefined, buffer: 0 };
    return addNode(this.graph, { kind: "constant", name, dtype: "FLOAT32", shape, tensor: table, constant });
  }

  private once(key: string, make: () => Node | string): Node | string {
    const known = this.floats.get(key);
    if (known !== undefined) return known;
    const made = make();
    this.floats.set(key, made);
    return made;
  }

  /** The range that a tensor's file recorded, or else what its integers can stand for; null where none is wanted. */
  private rangeOf({ dtype, quant }: Was): QuantParam | null {
    const quantizer = schemesWith(dtype)[0]?.activation;
    if (!this.keepRanges || !quantizer || quant.scale.length !== 1) return null;
    const { provenance } = quant;
    if (hasRange(quant) && quant.min.length === 1) return quantParam({ min: quant.min, max: quant.max, provenance });
    const [min, max] = rangeOfParameters(quantizer, quant.scale[0]!, Number(quant.zeroPoint[0]!));
    return quantParam({ min: Float32Array.of(min), max: Float32Array.of(max), provenance });
  }

  /** Takes out a QUANTIZE or DEQUANTIZE whose operand is float by now. */
  private bypass(node: Node): void {
    const [before] = node.inputs;
    const floats = isConstant(before) && before.dtype !== "FLOAT32" ? this.floatsOf(before, before.dtype) : before!;
    if (typeof floats === "string" || floats.dtype !== "FLOAT32") return;
    // What was quantized here has the range that it got here.
    if (!hasRange(floats.quant) && hasRange(node.quant) && !isConstant(floats)) floats.quant = node.quant;
    replace(node, floats);
    this.removed++;
  }

  /** Puts a Dequantize behind results of an operator that stays, for everything that is float by now. */
  private dequantizeBehind(node: Node): void {
    for (const result of yieldedBy(node)) {
      if (!this.scaled.has(result)) continue;
      const users = [...result.users].filter((user) => user.kind !== "result" && !this.kept.has(user));
      if (users.length === 0) continue;
      const floats = addDequantize(this.graph, result);
      if (users.some(({ kind }) => kind === "output")) {
        floats.name = result.name;
        result.name = `${result.name}_quantized`;
      }
      for (const user of users)
        user.inputs.forEach((operand, slot) => {
          if (operand === result) setInput(user, slot, floats);
        });
    }
  }

  /** Puts Quantize operators in front of operators that stay, one for all that want the same. */
  private quantizeBefore(borders: readonly Border[]): void {
    const made = new Map<string, Node>();
    for (const { node, slot, operand, was } of borders) {
      const source = node.inputs[slot]!;
      if (source.dtype !== "FLOAT32") continue;
      const key = `${source.id} ${was.dtype} ${was.quant.scale} ${was.quant.zeroPoint}`;
      let quantize = made.get(key);
      if (!quantize) {
        quantize = addQuantize(this.graph, source, was.dtype, was.quant);
        if (operand !== source) quantize.name = operand.name;
        made.set(key, quantize);
      }
      setInput(node, slot, quantize);
    }
  }

  /** Inputs and outputs are float32 and keep their names. */
  private settleEnds(): void {
    const { graph } = this;
    graph.inputs.forEach((input, i) => {
      graph.inputDtypes[i] = input.dtype;
    });
    graph.outputs.forEach((output, i) => {
      const [before] = output.inputs;
      const floats = isConstant(before) && hasFloatValues(before) ? this.floatsOf(before, before.dtype) : before!;
      const source = typeof floats === "string" ? before! : floats;
      setInput(output, 0, source);
      graph.outputDtypes[i] = output.dtype = source.dtype;
      output.quant = source.quant;
      if (source.name === output.name) return;
      const isNamed = graph.inputs.includes(source) || graph.outputs.some(({ name }) => name === source.name);
      if (!isNamed) source.name = output.name;
      else warn(this.space.context, output, "output-renamed", `is "${source.name}" itself now, and called so`);
    });
  }
}

/** QUANTIZE or DEQUANTIZE. */
function isConversion({ kind, op }: Node): boolean {
  return kind === "operator" && (op === "QUANTIZE" || op === "DEQUANTIZE");
}

/** The operator that computes a tensor. */
function operatorOf(node: Node): Node | null {
  return node.kind === "result" ? node.inputs[0]! : node.kind === "operator" ? node : null;
}

/** Yields floats, or acts on a variable only. */
function isFloatOperator(node: Node): boolean {
  const results = yieldedBy(node);
  return results.length === 0 || results.some(({ dtype }) => dtype === "FLOAT32");
}

/** Computed tensors whose integers stand for floats: by their own parameters, or by those of the operand that they follow. */
function scaledTensors(graph: Graph, nodes: readonly Node[]): Map<Node, Was> {
  const found = new Map<Node, Was>();
  const tensors = [...new Set([...graph.inputs, ...nodes])].filter(
    (node) => !["constant", "output"].includes(node.kind) && isActivationDtype(node.dtype) && isTensor(node),
  );
  for (const node of tensors) if (standsForFloats(node)) found.set(node, { dtype: node.dtype, quant: node.quant! });
  for (let before = -1; before < found.size; ) {
    before = found.size;
    for (const node of tensors) {
      const followed = found.has(node) || node.quant?.scale.length ? undefined : operandFollowed(node);
      const was = followed && found.get(followed);
      if (was && was.dtype === node.dtype) found.set(node, was);
    }
  }
  return found;
}

/** Not an operator of several results, each of which is a node. */
function isTensor(node: Node): boolean {
  return node.kind !== "operator" || yieldedBy(node).includes(node);
}

function standsForFloats(node: Node): boolean {
  const { quant } = node;
  if (!quant?.scale.length || quant.scale.length !== quant.zeroPoint.length) return false;
  if (!quant.scale.every((scale) => scale > 0 && Number.isFinite(scale))) return false;
  const row = operatorOf(node)?.row;
  return !row || !hasRule(row) || !["raw", "boolean"].includes(row.out.role);
}

/** The operand whose dtype a result has, and then its parameters too, where it has none. */
function operandFollowed(node: Node): Node | null | undefined {
  const operator = operatorOf(node);
  if (!operator || (node.resultIndex > 0 && operator.row.out.role !== "same")) return null;
  const rule = operator.row.dtype ?? { operand: 0 };
  return rule !== "own" && "operand" in rule ? operator.inputs[rule.operand] : null;
}

/** RELU or RELU6, where an operator has no activation and its integers end where that does; else null. */
function activationOfIntegers(node: Node, { dtype, quant }: Was): "RELU" | "RELU6" | null {
  if (!(node.row.heavy || node.row.arithmetic) || !node.row.takesRelu) return null;
  if (!node.options || fusedActivation(node) !== "NONE" || quant.scale.length !== 1) return null;
  const [least, largest] = zeroPointLimits(dtype) ?? [];
  if (least === undefined || largest === undefined || Number(quant.zeroPoint[0]!) !== least) return null;
  const [scale] = quant.scale;
  return Math.abs((largest - least) * scale! - 6) < scale! / 2 ? "RELU6" : "RELU";
}
