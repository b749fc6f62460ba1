/** What becomes of an operator's weights in a scheme of weights alone: decided from the operator table, nothing is changed here. */
import { type Dtype, type FloatReason, isConstant, type Node, yieldedBy } from "../../graph/graph.ts";
import { option } from "../../graph/options.ts";
import type { QuantParam } from "../../graph/quantparam.ts";
import type { DynamicRule, WeightsRule } from "../../rules/operator-row.ts";
import { operandsWith } from "../../rules/operators.ts";
import { type Quantizer, quantizerKey, type WeightScheme } from "../../rules/schemes.ts";
import { type Constant, channelsAlong, halved, inBlocks, wholeTensor } from "../../weights/constant.ts";
import { type Context, type LayerSetting, shared } from "../context.ts";
import { encodedWeights, floatConstant } from "../minmax/own-values.ts";
import { canSplit } from "./split-activation.ts";

/** What `quantizeWeightsAlone` is told. */
export interface WeightsAlone {
  readonly scheme: WeightScheme;
  /** Elements of a block with a scale of its own, where the scheme has blocks. */
  readonly block?: number;
  /** Settings of layers: some have another scheme. */
  readonly layers?: ReadonlyMap<string, LayerSetting>;
  /** Constants that stay float, because they do not fit the scheme's dtype (`valuesTooLarge` of an attempt before). */
  readonly tooLarge?: Kept;
}

/** Constants by subgraph and id (`placeOf`). */
export type Kept = ReadonlySet<string>;

/** The same for a constant whenever the same file is imported and prepared: "0 17". */
export function placeOf(subgraph: number, { id }: Node): string {
  return `${subgraph} ${id}`;
}

/** An operand that is taken; `key` is equal where two want the same of one constant. */
interface PlannedOperand {
  readonly index: number;
  readonly operand: Node & { constant: Constant };
  readonly axis: number;
  readonly key: string;
}

/** What becomes of the weights of an operator. */
export interface WeightsPlan {
  readonly operands: readonly PlannedOperand[];
  /** Absent: float16. */
  readonly quantizer?: Quantizer;
  readonly perTensor: boolean;
  readonly blocks?: { readonly size: number; readonly plain?: true };
  /** The operator reads the constant itself, without a Dequantize. */
  readonly direct: boolean;
  /** Its option to round activations asymmetrically is set. */
  readonly asymmetric: boolean;
  /** What is otherwise than asked for. */
  readonly remarks: readonly string[];
}

/** Elements from which a float constant that is no weight is worth a Dequantize: the old converter's limit. */
const LARGE = 1024;

/** The plan for an operator; why it stays float, where it has weights and that is worth a word; null where there is nothing to do. */
export function planOf(node: Node, model: WeightsAlone): WeightsPlan | { readonly float: FloatReason } | null {
  if (node.kind !== "operator" || node.float) return null;
  const settings = { ...model, scheme: model.layers?.get(node.name)?.weights ?? model.scheme };
  const { weights, dynamic } = node.row.families?.litert ?? {};
  const isDynamic = settings.scheme.kind === "dynamic";
  if (isDynamic) return weights && dynamic ? dynamicPlan(node, weights, dynamic, settings) : null;
  if (settings.scheme.quantizers.length === 0) return halfPlan(node, weights);
  return weights ? weightsPlan(node, weights, dynamic, settings) : null;
}

/** The operator's own kernel takes all weights as integers, or none. */
function dynamicPlan(node: Node, rule: WeightsRule, dynamic: DynamicRule, settings: WeightsAlone) {
  const present = rule.operands.filter((index) => node.inputs[index]);
  const floats = present.filter((index) => node.inputs[index]!.dtype === "FLOAT32");
  if (floats.length === 0 || !yieldedBy(node).every(({ dtype }) => dtype === "FLOAT32")) return null;
  const computed = floats.find((index) => !isConstant(node.inputs[index]));
  if (computed !== undefined) {
    // Of two activations that are multiplied neither is weights.
    if (node.row.in[computed]?.role === "activation") return null;
    return stays(
      "dynamic-weights",
      `"${node.inputs[computed]!.name}" is computed, and only constants can be quantized before`,
    );
  }
  if (floats.length < present.length || Number(option(node, "weightsFormat") ?? 0) !== 0)
    return stays("other-dtype", "some of its weights are quantized already, or in a layout of their own");
  return choose(node, present, rule, dynamic, settings, true);
}

/** Each constant gets a Dequantize; where the kernel itself gives the values of the integers, it reads them. */
function weightsPlan(node: Node, rule: WeightsRule, dynamic: DynamicRule | undefined, settings: WeightsAlone) {
  const taken = rule.operands.filter((index) => isTable(node.inputs[index], rule.least ?? 0));
  if (taken.length === 0) return null;
  const [quantizer] = settings.scheme.quantizers;
  const isDirect =
    dynamic?.exact === true && taken.every((i) => limitOf(dynamic, quantizer!, node.inputs[i]!) === null);
  if (isDirect) return choose(node, taken, rule, dynamic, settings, true);
  return planned(node, taken, rule, { quantizer, perTensor: false, direct: false, asymmetric: false, remarks: [] });
}

/**
 * float16: weights, and all else that is large and could be computed, whatever the operator: such a value is off by 2^-11 of itself,
 * and the size of its neighbours does not matter. Other constants may have to be known to kernels before they run.
 */
function halfPlan(node: Node, rule: WeightsRule | undefined) {
  const ofRule = (rule?.operands ?? []).filter((index) => isTable(node.inputs[index], rule!.least ?? 0));
  const others = operandsWith(node.row, node.inputs.length, "activation").filter(
    (index) => !ofRule.includes(index) && isLarge(node.inputs[index]),
  );
  const taken = [...ofRule, ...others];
  if (taken.length === 0) return null;
  return planned(node, taken, rule, { perTensor: true, direct: false, asymmetric: false, remarks: [] });
}

function isTable(operand: Node | null | undefined, least: number): boolean {
  return (
    isConstant(operand) && operand.dtype === "FLOAT32" && operand.shape.length > 1 && operand.constant.count >= least
  );
}

function isLarge(operand: Node | null | undefined): boolean {
  return isConstant(operand) && operand.dtype === "FLOAT32" && operand.constant.count >= LARGE;
}

/** The first dtype that the kernel takes; then blocks, where they are asked for and it has them. */
function choose(
  node: Node,
  operands: readonly number[],
  rule: WeightsRule,
  dynamic: DynamicRule,
  { scheme, block }: WeightsAlone,
  direct: boolean,
) {
  const remarks: string[] = [];
  const [wanted] = scheme.quantizers;
  const refusals = (quantizer: Quantizer) =>
    operands.flatMap((index) => limitOf(dynamic, quantizer, node.inputs[index]!) ?? []);
  const quantizer = scheme.quantizers.find((each) => refusals(each).length === 0);
  if (!quantizer) return stays("weights-do-not-fit", refusals(wanted!)[0]!);
  const nameOf = ({ dtype }: Quantizer) => dtype.toLowerCase();
  if (quantizer !== wanted)
    remarks.push(`weights become ${nameOf(quantizer)}, not ${nameOf(wanted!)}: ${refusals(wanted!)[0]}`);
  const asked = scheme.inBlocks && quantizer === wanted ? block : undefined;
  const noBlocks = asked === undefined ? null : noBlocksIn(node, operands, dynamic, asked);
  if (noBlocks) remarks.push(`one scale for each channel, not for blocks of ${asked}: ${noBlocks}`);
  const blocks =
    asked === undefined || noBlocks
      ? undefined
      : { size: asked, ...(dynamic.blocks!.plain && { plain: true as const }) };
  const perTensor = dynamic.perTensor === true;
  const asymmetric = dynamic.asymmetric === true;
  return planned(node, operands, rule, { quantizer, perTensor, blocks, direct, asymmetric, remarks });
}

/** Why kernels do not take a constant in a dtype, or null. */
function limitOf(dynamic: DynamicRule, { dtype }: Quantizer, { name, shape }: Node): string | null {
  const limits = dynamic.dtypes[dtype];
  if (!limits) return `there is no kernel for ${dtype.toLowerCase()} weights`;
  const columns = shape.at(-1) ?? 1;
  const { columns: multiple = 1 } = limits;
  if (columns % multiple !== 0) return `"${name}" has rows of ${columns}, no multiple of ${multiple}`;
  return null;
}

/** Why weights get no blocks, or null. */
function noBlocksIn(node: Node, operands: readonly number[], { blocks }: DynamicRule, size: number): string | null {
  if (!blocks) return "there is no kernel for them";
  for (const index of operands) {
    const { name, shape } = node.inputs[index]!;
    if (shape.length !== 2) return `"${name}" is no matrix`;
    if (shape[1]! % size !== 0) return `"${name}" has rows of ${shape[1]}`;
    if (shape[0]! < blocks.rows) return `"${name}" has fewer than ${blocks.rows} rows`;
  }
  return blocks.plain && !canSplit(node) ? "its activation function would be lost" : null;
}

function stays(code: FloatReason["code"], text: string): { float: FloatReason } {
  return { float: { code, text } };
}

function planned(
  node: Node,
  operands: readonly number[],
  rule: WeightsRule | undefined,
  plan: Omit<WeightsPlan, "operands">,
): WeightsPlan {
  const { quantizer, perTensor, blocks } = plan;
  const all = operands.map((index) => {
    const operand = node.inputs[index] as PlannedOperand["operand"];
    const axis = perTensor || !rule ? 0 : axisOf(rule, node, operand);
    const layout = blocks ? `blocks of ${blocks.size}` : perTensor ? "tensor" : `axis ${axis}`;
    return { index, operand, axis, key: quantizer ? `alone ${quantizerKey(quantizer)} ${layout}` : "alone float16" };
  });
  return { ...plan, operands: all };
}

function axisOf({ axis }: WeightsRule, node: Node, { shape }: Node): number {
  const at = typeof axis === "number" ? axis : option(node, axis.option) === true ? axis.otherwise : axis.usually;
  return at < 0 ? shape.length + at : Math.min(at, shape.length - 1);
}

/** What a constant becomes. */
export interface Encoded {
  readonly constant: Constant;
  readonly quant: QuantParam | null;
  readonly dtype: Dtype;
  /** The scales of its blocks. */
  readonly scales?: Constant;
}

/** The description of an operand, one for all who want the same of the same bytes. `same`: of `sameValues`. */
export function encodedAs(
  context: Context,
  same: (constant: Constant) => Constant,
  operand: Node,
  { operands, quantizer, perTensor, blocks }: WeightsPlan,
): Encoded {
  const { axis, key } = operands.find((each) => each.operand === operand)!;
  const values = same(floatConstant(operand));
  const { shape } = operand;
  return shared(context, values, `${key} [${shape}]`, (): Encoded => {
    if (!quantizer) return { constant: halved(values), quant: null, dtype: "FLOAT16" };
    const { dtype } = quantizer;
    if (blocks) {
      const { integers, scales } = inBlocks(values, blocks.size, quantizer);
      return { constant: integers, quant: null, dtype, scales };
    }
    const layout = perTensor ? wholeTensor(values.count) : channelsAlong(shape, axis);
    return { ...encodedWeights(operand, values, quantizer, layout, axis), dtype };
  });
}

/** Constants of several tensors and subgraphs may be the same bytes of the file: then the first one's description counts. */
export function sameValues({ graphs }: Context): (constant: Constant) => Constant {
  const first = new Map<string, Constant>();
  const known = new Map<Constant, Constant>();
  for (const graph of graphs)
    for (const { constant } of graph.nodes) {
      const key = constant && keyOf(constant);
      if (!key) continue;
      if (!first.has(key)) first.set(key, constant);
      known.set(constant, first.get(key)!);
    }
  return (constant) => known.get(constant) ?? constant;
}

/** Where the bytes of a constant are and how they are seen; undefined for what is made of more. */
function keyOf(constant: Constant): string | undefined {
  if (constant.kind === "half") {
    const of = keyOf(constant.of);
    return of && `half ${of}`;
  }
  if (constant.kind !== "stored" || constant.content.source.path === undefined) return undefined;
  const { source, offset, length } = constant.content;
  return length > 0 ? `${source.path} ${offset} ${length}` : undefined;
}
