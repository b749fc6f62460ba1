/**
 * How channels of a graph hang together: one walk from operands to results. What an operator does to channels is data (src/rules/channels.ts);
 * whatever has no rule, or is not as its rule wants it, fixes all that it reads and gives.
 */
import { activeNodes, type Graph, isConstant, type Node, postorder, yieldedBy } from "../../graph/graph.ts";
import { fusedActivation, option } from "../../graph/options.ts";
import { isPlainFloat, isStatic } from "../../passes/prepare/edit.ts";
import { ACTIVATION_LIMITS, type ChannelRule, channelRule, type Limits } from "../../rules/channels.ts";
import { operandsWith } from "../../rules/operators.ts";
import type { ConstantScanner } from "../../weights/scan.ts";
import { axisOf, behind, ChannelSets, type ChannelTensor, isLastAxis } from "./channels.ts";

/** An operator with weights; `reads` is absent where factors of its input must not be taken back, `gives` where it may give its result none. */
export interface Weighing {
  readonly node: Node;
  readonly rule: Extract<ChannelRule, { does: "weighs" }>;
  readonly weightsAt: number;
  readonly biasAt: number | undefined;
  readonly reads?: ChannelTensor;
  readonly gives?: ChannelTensor;
  /** What it reads, whether factors are taken back or not; for what rounding does to it. */
  readonly input: ChannelTensor;
}

/** A constant that gets the factors of the tensor beside it. */
export interface Beside {
  readonly node: Node;
  readonly index: number;
  readonly tensor: ChannelTensor;
}

/** A tensor whose values are cut off at limits. */
export interface Limited {
  readonly tensor: ChannelTensor;
  readonly limits: Limits;
}

export interface Walked {
  readonly graph: Graph;
  readonly sets: ChannelSets;
  readonly weighing: readonly Weighing[];
  readonly beside: readonly Beside[];
  readonly limited: readonly Limited[];
}

/** Walks a graph. `scanner` reads small constants: axes, paddings. */
export function walk(graph: Graph, scanner: ConstantScanner): Walked {
  const walker = new Walker(graph, scanner);
  const order = postorder(graph);
  const seen = new Set(order);
  for (const node of order) walker.visit(node);
  // What has an effect without a result: nothing of it may change.
  for (const node of activeNodes(graph)) if (!seen.has(node)) walker.fixAround(node);
  return walker;
}

class Walker implements Walked {
  readonly sets = new ChannelSets();
  readonly weighing: Weighing[] = [];
  readonly beside: Beside[] = [];
  readonly limited: Limited[] = [];

  constructor(
    readonly graph: Graph,
    private readonly scanner: ConstantScanner,
  ) {}

  visit(node: Node): void {
    if (node.kind === "constant") return;
    if (node.kind === "input" || node.kind === "variable") {
      if (isFloat(node)) this.sets.fixTensor(this.sets.of(node));
    } else if (node.kind === "output") this.fixOperands(node);
    else if (node.kind === "operator" && yieldedBy(node)[0] !== node) this.several(node);
    else if (node.kind === "operator" && !this.single(node)) this.fixAround(node);
  }

  fixAround(node: Node): void {
    this.fixOperands(node);
    for (const result of yieldedBy(node)) if (isFloat(result)) this.sets.fixTensor(this.sets.of(result));
  }

  private fixOperands(node: Node): void {
    for (const operand of node.inputs)
      if (operand && isFloat(operand) && !isConstant(operand)) this.sets.fixTensor(this.sets.of(operand));
  }

  /** An operator that is its result. False where no factor may go through. */
  private single(node: Node): boolean {
    const rule = channelRule(node.op);
    const limits = ACTIVATION_LIMITS[fusedActivation(node)];
    if (!rule || !isFloat(node) || !isStatic(node)) return false;
    if (!this.passes(node, rule, limits)) return false;
    const own = rule.does === "scales" ? rule.limits : undefined;
    for (const each of [limits, own])
      if (each && (each.low !== undefined || each.high !== undefined))
        this.limited.push({ tensor: this.sets.of(node), limits: each });
    return true;
  }

  private passes(node: Node, rule: ChannelRule, limits: Limits | undefined): boolean {
    if (rule.does === "weighs") return this.weigh(node, rule, limits !== undefined);
    if (!limits) return false;
    switch (rule.does) {
      case "scales":
        return this.scale(node, rule);
      case "joins":
        return this.joinOperands(node);
      case "concatenates":
        return this.concatenate(node);
      case "splits":
        return false;
      default: {
        const x = this.activation(node, 0);
        return x !== null && this.move(node, rule, x);
      }
    }
  }

  private move(node: Node, rule: ChannelRule, x: ChannelTensor): boolean {
    switch (rule.does) {
      case "reduces":
        return this.reduce(node, x);
      case "pads":
        return this.pad(node, x);
      case "cuts":
        return this.cut(node, x, rule.steps === true);
      case "permutes":
        return this.permute(node, x);
      default:
        this.alike(x, this.sets.add(node, x.channels, x.inner));
        return true;
    }
  }

  /** A float tensor that is computed. */
  private activation(node: Node, index: number): ChannelTensor | null {
    const operand = node.inputs[index];
    return operand && !isConstant(operand) && isFloat(operand) ? this.sets.of(operand) : null;
  }

  private activations(node: Node): ChannelTensor[] {
    return node.inputs.flatMap((_, index) => this.activation(node, index) ?? []);
  }

  private alike(a: ChannelTensor, b: ChannelTensor): void {
    this.sets.joinAll(a, 0, b, 0, a.channels);
  }

  private integers(node: Node, index: number): number[] | null {
    const operand = node.inputs[index];
    if (!isConstant(operand)) return null;
    const bytes = this.scanner.bytes(operand.constant);
    if (operand.dtype === "INT32") return [...new Int32Array(bytes.slice().buffer)];
    if (operand.dtype === "INT64") return [...new BigInt64Array(bytes.slice().buffer)].map(Number);
    return null;
  }

  private weigh(node: Node, rule: Extract<ChannelRule, { does: "weighs" }>, mayGive: boolean): boolean {
    const at = (role: "activation" | "weights" | "bias") => operandsWith(node.row, node.row.in.length, role)[0];
    const [activationAt, weightsAt, biasAt] = [at("activation"), at("weights"), at("bias")];
    if (activationAt === undefined || weightsAt === undefined) return false;
    const input = this.activation(node, activationAt);
    const weights = node.inputs[weightsAt];
    const bias = biasAt === undefined ? null : node.inputs[biasAt];
    if (!input || !isPlainFloat(weights) || weights.constant.count === 0 || node.inputs.length > node.row.in.length)
      return false;
    // Weights in another order than their shape says have no channels along an axis.
    if (Number(option(node, "weightsFormat") ?? 0) !== 0) return false;
    const outputs = weights.shape[rule.outputs];
    if (outputs === undefined || outputs !== node.shape.at(-1)) return false;
    if (bias && (!isPlainFloat(bias) || bias.constant.count !== outputs)) return false;
    const gives = this.sets.of(node);
    const reads = takesBack(rule, input, weights) ? input : undefined;
    if (!mayGive) this.sets.fixTensor(gives);
    if (!reads) this.sets.fixTensor(input);
    this.weighing.push({ node, rule, weightsAt, biasAt, input, reads, ...(mayGive && { gives }) });
    return true;
  }

  private scale(node: Node, rule: Extract<ChannelRule, { does: "scales" }>): boolean {
    const tensors = this.activations(node);
    const sizes = tensors.map(({ node: { shape } }) => behind(shape, -1));
    // The gate is the smaller one: a squeeze of what it gates.
    const at = rule.gates && tensors.length === 2 && sizes[1]! > sizes[0]! ? 1 : 0;
    if (tensors.length !== 1 && !(rule.gates && tensors.length === 2 && sizes[0] !== sizes[1])) return false;
    if (rule.first && tensors[0]?.node !== node.inputs[0]) return false;
    const x = tensors[at]!;
    const y = rule.windows && !isLastAxis(x) ? null : this.through(node, x);
    if (!y) return false;
    for (const other of tensors) if (other !== x) this.sets.fixTensor(other);
    this.alike(x, y);
    return true;
  }

  /** The result of an operator that leaves channels where they are; null where that cannot be said. */
  private through(node: Node, x: ChannelTensor): ChannelTensor | null {
    if (sameShape(node.shape, x.node.shape)) return this.sets.add(node, x.channels, x.inner);
    return isLastAxis(x) && node.shape.at(-1) === x.channels ? this.sets.of(node) : null;
  }

  private joinOperands(node: Node): boolean {
    const tensors = this.activations(node);
    const whole = tensors.find((each) => sameShape(each.node.shape, node.shape));
    if (!whole) return false;
    const constants = node.inputs.flatMap((operand, index) => (isConstant(operand) ? [{ operand, index }] : []));
    const isFit = (each: ChannelTensor) =>
      sameShape(each.node.shape, node.shape)
        ? each.channels === whole.channels && each.inner === whole.inner
        : isLastAxis(each) && isLastAxis(whole) && (each.channels === whole.channels || each.channels === 1);
    if (!tensors.every(isFit)) return false;
    const mayScale = ({ operand }: { operand: Node }) =>
      isPlainFloat(operand) &&
      isLastAxis(whole) &&
      (operand.constant.count === 1 || operand.shape.at(-1) === whole.channels);
    if (!constants.every(mayScale) || tensors.length + constants.length !== node.inputs.length) return false;
    const y = this.sets.add(node, whole.channels, whole.inner);
    for (const each of tensors)
      for (let c = 0; c < y.channels; c++)
        this.sets.join(each.first + (each.channels === y.channels ? c : 0), y.first + c);
    for (const { index } of constants) this.beside.push({ node, index, tensor: y });
    return true;
  }

  private reduce(node: Node, x: ChannelTensor): boolean {
    const along = axisOf(x);
    const { shape } = x.node;
    const axes = this.integers(node, 1)?.map((axis) => (axis < 0 ? axis + shape.length : axis));
    if (along === undefined || !axes || axes.includes(along)) return false;
    const inner = shape.reduce((size, dim, axis) => (axis > along && !axes.includes(axis) ? size * dim : size), 1);
    this.alike(x, this.sets.add(node, x.channels, inner));
    return true;
  }

  private pad(node: Node, x: ChannelTensor): boolean {
    const along = axisOf(x);
    const paddings = this.integers(node, 1);
    if (along === undefined || !paddings || node.inputs.length !== 2) return false;
    const before = paddings[2 * along]!;
    const y = this.sets.add(node, node.shape[along]!, behind(node.shape, along));
    this.sets.joinAll(x, 0, y, before, x.channels);
    return true;
  }

  private cut(node: Node, x: ChannelTensor, steps: boolean): boolean {
    const along = axisOf(x);
    const begin = this.integers(node, 1);
    if (along === undefined || !begin || node.shape.length !== x.node.shape.length) return false;
    let [from, step] = [begin[along]!, 1];
    if (steps) {
      if (["ellipsisMask", "newAxisMask", "shrinkAxisMask"].some((mask) => Number(option(node, mask) ?? 0) !== 0))
        return false;
      const strides = this.integers(node, 3);
      if (!strides || strides[along] === undefined || strides[along] < 1) return false;
      step = strides[along];
      if ((Number(option(node, "beginMask") ?? 0) >> along) & 1) from = 0;
      if (from < 0) from += x.channels;
    }
    const channels = node.shape[along]!;
    if (from < 0 || channels < 1 || from + (channels - 1) * step >= x.channels) return false;
    const y = this.sets.add(node, channels, behind(node.shape, along));
    for (let c = 0; c < channels; c++) this.sets.join(x.first + from + c * step, y.first + c);
    return true;
  }

  private permute(node: Node, x: ChannelTensor): boolean {
    const along = axisOf(x);
    const to = this.integers(node, 1)?.indexOf(along ?? -1) ?? -1;
    if (to < 0) return false;
    this.alike(x, this.sets.add(node, x.channels, behind(node.shape, to)));
    return true;
  }

  private concatenate(node: Node): boolean {
    const tensors = this.activations(node);
    const [first] = tensors;
    const along = first && axisOf(first);
    if (!first || along === undefined || tensors.length !== node.inputs.length) return false;
    if (!tensors.every((each) => axisOf(each) === along && each.node.shape.length === node.shape.length)) return false;
    const axis = Number(option(node, "axis") ?? 0);
    const joined = (axis < 0 ? axis + node.shape.length : axis) === along;
    const y = this.sets.add(node, node.shape[along]!, behind(node.shape, along));
    let to = 0;
    for (const each of tensors) {
      this.sets.joinAll(each, 0, y, to, each.channels);
      if (joined) to += each.channels;
    }
    return true;
  }

  /** An operator with results of their own. */
  private several(node: Node): void {
    const rule = channelRule(node.op);
    if (rule?.does !== "splits" || !this.split(node, rule)) this.fixAround(node);
  }

  private split(node: Node, rule: Extract<ChannelRule, { does: "splits" }>): boolean {
    const x = this.activation(node, rule.operand);
    const along = x && axisOf(x);
    const axis = this.integers(node, rule.axis)?.[0];
    const results = yieldedBy(node);
    if (!x || along === undefined || along === null || axis === undefined || !results.every(isFloat)) return false;
    const joined = (axis < 0 ? axis + x.node.shape.length : axis) === along;
    const known = rule.sizes === undefined ? undefined : this.integers(node, rule.sizes);
    if (known === null) return false;
    const rest = x.channels - (known ?? []).reduce((sum, size) => sum + Math.max(0, size), 0);
    const sizes = known?.map((size) => (size < 0 ? rest : size));
    for (const result of results) {
      const channels = result.shape[along]!;
      const place = result.resultIndex;
      const before = sizes ? sizes.slice(0, place).reduce((a, b) => a + b, 0) : place * channels;
      const y = this.sets.add(result, channels, behind(result.shape, along));
      this.sets.joinAll(x, joined ? before : 0, y, 0, channels);
    }
    return true;
  }
}

function isFloat({ dtype }: Node): boolean {
  return dtype === "FLOAT32";
}

function sameShape(a: readonly number[], b: readonly number[]): boolean {
  return a.length === b.length && a.every((dim, i) => dim === b[i]);
}

/** Whether the weights can take factors of the input back. */
function takesBack(rule: Extract<ChannelRule, { does: "weighs" }>, input: ChannelTensor, weights: Node): boolean {
  const { shape } = weights;
  if (rule.flattens) {
    const period = input.channels * input.inner;
    return shape.length === 2 && shape[rule.inputs as number]! % period === 0;
  }
  if (!isLastAxis(input)) return false;
  // A convolution in groups reads other channels in each of them.
  if (rule.inputs !== "own") return shape[rule.inputs] === input.channels;
  return shape[0] === 1 && shape[rule.outputs]! % input.channels === 0;
}

/** The input channel (counted from 0) that an element `k` along the weights' input axis reads. */
export function channelRead({ rule, input, node }: Weighing, k: number): number {
  if (rule.inputs === "own") return Math.floor(k / (node.shape.at(-1)! / input.channels));
  return rule.flattens ? Math.floor(k / input.inner) % input.channels : k;
}
