/**
 * The instrumented model (instrument.ts) in slices: runs of consecutive operators, each a small TFL3 model of its own.
 *
 *     x ─▶ CONV_2D ─▶ a ─▶ MAX_POOL_2D ─▶ b ─▶ ADD ─▶ y          one model, outputs a, b, y
 *                     └──────────────────────▶
 *     [CONV_2D] x → a     [MAX_POOL_2D] a → b     [ADD] a, b → y   three slices
 *
 * Why: what a slice gives is looked at while it still is in the cache, and freed after its last use, so that the results of the
 * whole model are never in memory together. Slices that are loaded together make up a part (parts.ts).
 *
 * Results do not depend on where is cut. Every float32 result of an operator is an output anyway, so LiteRT can fuse nothing across
 * it; cuts are made only between operators of the original model (what lowering makes of one stays together), and only where all
 * that passes is such a result, an input, or has a fixed size. Operators that follow from constants alone (DEQUANTIZE of weights)
 * go with every slice that uses them: weights stay weights to XNNPACK.
 */
import {
  byteLength,
  type Model,
  type Operator,
  type OperatorCode,
  type SubGraph,
  subgraphCalls,
  type Tensor,
  TensorType,
} from "../model/index.ts";
import { withDetailTensors } from "../model/references.ts";
import { type KindFacts, kindFacts } from "../rules/kind-facts.ts";
import { codeOf, isFloat32, knownShape } from "./graph-facts.ts";
import { elementCount } from "./inputs.ts";
import type { Instrumented } from "./instrument.ts";

/** Tensors are called by their number in the instrumented model's first subgraph. */
export interface Slice {
  /** Ready to be written as TFL3; its tensors are named "t" and their number. */
  readonly model: Model;
  readonly inputs: readonly number[];
  readonly outputs: readonly number[];
  /** The numbers of the slice's own tensors. */
  readonly tensors: readonly number[];
  /** Which operators these are, in words; one entry an operator of the slice. */
  readonly origins: readonly string[];
  /** Bytes of its constants as they are stored. */
  readonly stored: number;
  /** Bytes that LiteRT makes of them when it loads the slice: unpacked weights, and XNNPACK's own order of them. */
  readonly unpacked: number;
}

/**
 * A slice ends when its results have so many bytes: what is looked at afterwards should be in a core's own cache still (512 KiB to 2 MiB
 * today). Smaller slices are no faster: each is an invocation of its own.
 */
const RESULT_BYTES = 256 << 10;
/** And when there are so many: the more outputs a model has, the longer LiteRT takes for each. */
const RESULT_COUNT = 8;
/** And when its constants have, so that parts can be cut close to a limit. */
const STORED_BYTES = 1 << 20;

/** Types that LiteRT takes as inputs and gives as outputs. */
const PASSABLE: ReadonlySet<TensorType> = new Set([
  TensorType.FLOAT32,
  TensorType.INT32,
  TensorType.INT64,
  TensorType.BOOL,
  TensorType.INT8,
  TensorType.UINT8,
  TensorType.INT16,
]);

/** Cuts the model; with `whole` into one slice. A slice ends with each of the tensors `endWith`, too. */
export function sliceModel(plan: Instrumented, whole = false, endWith: ReadonlySet<number> = NOTHING): Slice[] {
  const facts = new Facts(plan);
  const slices: Slice[] = [];
  let from = 0;
  let [count, results, stored] = [0, 0, 0];
  for (const [i, operator] of facts.operators.entries()) {
    count += facts.results(operator).length;
    results += sum(facts.results(operator), (index) => facts.bytes(index));
    stored += sum(operator.inputs ?? [], (index) => facts.storedBytes(index));
    const last = i === facts.operators.length - 1;
    const ends = facts.results(operator).some((index) => endWith.has(index));
    const enough = !whole && (ends || count >= RESULT_COUNT || results >= RESULT_BYTES || stored >= STORED_BYTES);
    if (!last && !(enough && facts.cuts[i] && facts.dependsOnInput(from, i + 1))) continue;
    const slice = facts.slice(from, i + 1);
    // What is neither observed nor read need not be run.
    if (slice.outputs.length > 0) slices.push(slice);
    from = i + 1;
    [count, results, stored] = [0, 0, 0];
  }
  return slices;
}

const NOTHING: ReadonlySet<number> = new Set();

/** What is to be known of the model to cut it. */
class Facts {
  /** Those that depend on an input, in order of execution. */
  readonly operators: readonly Operator[];
  /** Whether may be cut behind each of these. */
  readonly cuts: readonly boolean[];
  private readonly graph: SubGraph;
  private readonly origins = new Map<Operator, Instrumented["origins"][number]>();
  /** Operators that follow from constants alone, by their results. */
  private readonly makers = new Map<number, Operator>();
  private readonly shown: ReadonlySet<number>;
  /** By tensor: the place of the operator that gives it; of the last one that reads it. */
  private readonly given = new Map<number, number>();
  private readonly written: ReadonlySet<number>;
  /** What rows are taken of; XNNPACK makes no copy of it. */
  private readonly tables: ReadonlySet<number>;
  private readonly read = new Map<number, number>();

  constructor(private readonly plan: Instrumented) {
    this.graph = plan.model.subgraphs![0]!;
    this.shown = new Set(plan.outputs.map(({ tensor }) => tensor));
    const all = this.graph.operators ?? [];
    this.written = new Set([...(this.graph.inputs ?? []), ...all.flatMap((operator) => this.results(operator))]);
    const takes = all.filter((operator) => this.facts(operator).takesRows);
    this.tables = new Set(takes.flatMap((operator) => Array.from(operator.inputs ?? [])));
    all.forEach((operator, i) => {
      this.origins.set(operator, plan.origins[i]!);
    });
    this.operators = all.filter((operator) => !this.isMaker(operator));
    for (const [i, operator] of this.operators.entries()) {
      for (const index of this.results(operator)) this.given.set(index, i);
      for (const index of this.operands(operator)) this.read.set(index, i);
    }
    this.cuts = this.possibleCuts();
  }

  results(operator: Operator): number[] {
    return Array.from(operator.outputs ?? []).filter((index) => index >= 0);
  }

  /** Bytes of an activation. */
  bytes(index: number): number {
    const tensor = this.graph.tensors![index]!;
    return byteLength(tensor.type ?? TensorType.FLOAT32, knownShape(tensor)) ?? 0;
  }

  /** Bytes of a constant as it is stored, also behind operators that unpack it; 0 for anything else. */
  storedBytes(index: number): number {
    const maker = this.makers.get(index);
    if (maker) return sum(maker.inputs ?? [], (operand) => this.storedBytes(operand));
    return index < 0 ? 0 : (this.content(index)?.length ?? 0);
  }

  /** Whether these operators read anything that comes from outside; LiteRT runs no models without inputs. */
  dependsOnInput(from: number, to: number): boolean {
    return this.operators
      .slice(from, to)
      .some((operator) => this.operands(operator).some((index) => !within(this.given.get(index), from, to)));
  }

  /** The slice of the operators from `from` to before `to`, with those that unpack its constants. */
  slice(from: number, to: number): Slice {
    const own = this.operators.slice(from, to);
    const operators = [...this.makersOf(own), ...own];
    const places = new Map<number, number>();
    const tensors: Tensor[] = [];
    const buffers: NonNullable<Model["buffers"]> = [{}];
    let stored = 0;
    let unpacked = 0;
    const place = (index: number): number => {
      if (index < 0) return index;
      const known = places.get(index);
      if (known !== undefined) return known;
      const tensor = this.graph.tensors![index]!;
      const content = this.content(index);
      if (content) stored += content.length;
      // Quantized and half-precision weights become float32 first, then XNNPACK's.
      const bytes = 4 * elementCount(knownShape(tensor));
      if (content && isFloat32(tensor) && !this.tables.has(index)) unpacked += bytes;
      if (this.makers.has(index)) unpacked += 2 * bytes;
      const buffer = content ? buffers.push(this.plan.model.buffers![tensor.buffer!]!) - 1 : 0;
      const at = tensors.push({ ...tensor, buffer, name: `t${index}` }) - 1;
      places.set(index, at);
      if (tensor.quantization)
        tensors[at] = { ...tensors[at], quantization: withDetailTensors(tensor.quantization, place) };
      return at;
    };
    const codes: OperatorCode[] = [];
    const copies = operators.map((operator) => ({
      ...operator,
      opcodeIndex: codes.push(this.plan.model.operatorCodes![operator.opcodeIndex ?? 0]!) - 1,
      inputs: Int32Array.from(operator.inputs ?? [], place),
      outputs: Int32Array.from(operator.outputs ?? [], place),
    }));
    const inside = (index: number) => within(this.given.get(index), from, to);
    const inputs = [...new Set(own.flatMap((operator) => this.operands(operator)))].filter((index) => !inside(index));
    const outputs = [...new Set(own.flatMap((operator) => this.results(operator)))].filter(
      (index) => this.shown.has(index) || (this.read.get(index) ?? -1) >= to,
    );
    const subgraph: SubGraph = {
      tensors,
      operators: copies,
      inputs: Int32Array.from(inputs, place),
      outputs: Int32Array.from(outputs, place),
    };
    const calls = operators.some((operator) => subgraphCalls(operator).length > 0);
    const called = (calls ? this.plan.model.subgraphs!.slice(1) : []).map((each) =>
      movedSubgraph(each, this.plan.model, codes, buffers),
    );
    // A weight of control flow counts as those of the slice do.
    if (called.length > 0) {
      stored = sum(buffers, ({ data }) => data?.length ?? 0);
      unpacked = 2 * stored;
    }
    return {
      model: { version: 3, operatorCodes: codes, subgraphs: [subgraph, ...called], buffers },
      inputs,
      outputs,
      tensors: [...places.keys()],
      origins: operators.map((operator) => this.origins.get(operator)!.text),
      stored,
      unpacked,
    };
  }

  private facts(operator: Operator): KindFacts {
    return kindFacts(codeOf(this.plan.model, operator));
  }

  private content(index: number) {
    const { buffer } = this.graph.tensors![index]!;
    const data = buffer ? this.plan.model.buffers![buffer]?.data : undefined;
    return data?.length ? data : undefined;
  }

  /** What an operator reads that some other operator gives or that is an input. */
  private operands(operator: Operator): number[] {
    return Array.from(operator.inputs ?? []).filter(
      (index) => index >= 0 && !this.makers.has(index) && !this.isConstant(index),
    );
  }

  private isConstant(index: number): boolean {
    if (this.written.has(index)) return false;
    return this.content(index) !== undefined || elementCount(knownShape(this.graph.tensors![index]!)) === 0;
  }

  private isMaker(operator: Operator): boolean {
    const operands = Array.from(operator.inputs ?? []).filter((index) => index >= 0);
    const constant = operands.length > 0 && operands.every((index) => this.isConstant(index) || this.makers.has(index));
    const results = this.results(operator);
    const { lasts, chance, size } = this.facts(operator);
    if (!constant || results.some((index) => this.shown.has(index)) || lasts || chance || size === "values")
      return false;
    for (const index of results) this.makers.set(index, operator);
    return true;
  }

  /** Operators that these operators' constants follow from, in order of execution. */
  private makersOf(operators: readonly Operator[]): Operator[] {
    const found = new Set<Operator>();
    const visit = (operator: Operator): void => {
      for (const index of operator.inputs ?? []) {
        const maker = this.makers.get(index);
        if (maker === undefined || found.has(maker)) continue;
        visit(maker);
        found.add(maker);
      }
    };
    operators.forEach(visit);
    return [...found];
  }

  private possibleCuts(): boolean[] {
    const { operators } = this;
    const cuts: boolean[] = new Array(operators.length).fill(true);
    const whole = operators.map((operator) => this.facts(operator)).some(({ lasts, chance }) => lasts || chance);
    if (whole) return cuts.fill(false);
    const origin = (i: number) => this.origins.get(operators[i]!)?.operator;
    for (let i = 0; i + 1 < operators.length; i++) if (origin(i) === origin(i + 1)) cuts[i] = false;
    for (const [index, first] of this.given) {
      if (this.mayPass(index, operators[first]!)) continue;
      const last = this.read.get(index) ?? first;
      for (let i = first; i < last; i++) cuts[i] = false;
    }
    return cuts;
  }

  private mayPass(index: number, giver: Operator): boolean {
    if (this.shown.has(index)) return true;
    const tensor = this.graph.tensors![index]!;
    const type = tensor.type ?? TensorType.FLOAT32;
    if (!PASSABLE.has(type) || elementCount(knownShape(tensor)) === 0) return false;
    const { size } = this.facts(giver);
    if (size === "values") return false;
    // A later operand that is no constant may be a shape, and the result's size follow from data.
    return size === "operands" || this.operands({ inputs: giver.inputs?.slice(1) }).length === 0;
  }
}

/** A subgraph that control flow runs, with its constants and operator codes among a slice's. */
export function movedSubgraph(
  graph: SubGraph,
  model: Model,
  codes: OperatorCode[],
  buffers: NonNullable<Model["buffers"]>,
): SubGraph {
  const tensors = graph.tensors?.map((tensor) => {
    const content = tensor.buffer ? model.buffers![tensor.buffer] : undefined;
    return { ...tensor, buffer: content?.data ? buffers.push(content) - 1 : 0 };
  });
  const operators = graph.operators?.map((operator) => ({
    ...operator,
    opcodeIndex: codes.push(model.operatorCodes![operator.opcodeIndex ?? 0]!) - 1,
  }));
  return { ...graph, tensors, operators };
}

function within(value: number | undefined, from: number, to: number): boolean {
  return value !== undefined && value >= from && value < to;
}

function sum<T>(list: Iterable<T>, value: (each: T) => number): number {
  let total = 0;
  for (const each of list) total += value(each);
  return total;
}
