/**
 * A quantized model as a float model whose roundings can be had one by one: any of its activations rounded or not, the constants of any
 * operator rounded or not. So what each of them costs is measured alone.
 *
 *     x ─▶ Q ─▶ DQ ─▶ [conv, weights rounded] ─▶ Q ─▶ DQ ─▶ y      all
 *     x ───────────▶ [conv, weights float  ] ─▶ Q ─▶ DQ ─▶ y      the rounding of conv's result alone
 *
 * The model is made float once; a variant is that model's tables without some pairs of Quantize and Dequantize, and with other buffers.
 */
import { isConstant } from "../graph/graph.ts";
import { MemoryBytes } from "../model/bytes.ts";
import {
  BuiltinOperator,
  type Model,
  nameOf,
  type OpenedModel,
  type Operator,
  openModel,
  readModel,
  type SubGraph,
  serializeModel,
  type Tensor,
  TensorType,
} from "../model/index.ts";
import type { Dtype } from "../model/tensor-types.ts";
import { inferDtypes } from "../passes/infer-dtypes.ts";
import { fakeQuantizeModel } from "../passes/transform/fake-quantize-model.ts";
import { exportWorkspace, workspace } from "../passes/workspace.ts";
import { DEFAULT_SCHEME } from "../rules/schemes.ts";
import { fillConstants } from "../weights/fill.ts";

/** Where a rounding stands. A tensor that is both counts as an output. */
export type Place = "input" | "output" | "inner";

/** The rounding of one activation. */
export interface Rounding {
  readonly kind: "activation";
  /** Name of the tensor. */
  readonly name: string;
  /** Kind of the operator that yields it; null for inputs. */
  readonly operator: string | null;
  readonly place: Place;
  readonly dtype: Dtype;
  readonly scale: number;
  /** What the integers can stand for. */
  readonly min: number;
  readonly max: number;
}

/** The rounding of one operator's constants: weights, bias, constant operands. */
export interface Constants {
  readonly kind: "constants";
  /** Name of the operator's result. */
  readonly name: string;
  readonly operator: string;
  /** Axis lengths: whether each of them has one scale, or one each channel. */
  readonly perChannel: boolean;
}

export type Switch = Rounding | Constants;

interface Pair extends Rounding {
  /** Tensors: what is rounded, and its rounded values. */
  readonly from: number;
  readonly to: number;
  readonly dropped: readonly Operator[];
}

interface Held extends Constants {
  /** Tensors of constants that are this operator's own, or shared with others. */
  readonly tensors: readonly number[];
}

export interface Switches {
  readonly roundings: readonly Rounding[];
  readonly constants: readonly Constants[];
  /** Constants that the float model has no counterpart of (fused otherwise): they stay rounded in every variant. */
  readonly unmatched: readonly string[];
  /** A float model with just these roundings, as .circle bytes. */
  variant(on: (each: Switch) => boolean): Promise<Uint8Array>;
}

/**
 * Makes the switches of a quantized model; `floatModel` has its constants before they were rounded, by the names of their tensors. Throws a
 * MinmaxqError.
 */
export async function openSwitches(quantized: string, floatModel: string, subgraph: number): Promise<Switches> {
  const [opened, source] = [openModel(quantized), openModel(floatModel)];
  try {
    const integers = await rounded(opened, subgraph);
    const floats = await floatConstants(source, subgraph);
    return new Tables(integers.model, subgraph, integers.names, integers.perChannel, floats);
  } finally {
    opened.close();
    source.close();
  }
}

/** The fake-quantized model as tables whose contents are in memory, and what its tensors are called in the quantized one. */
async function rounded(opened: OpenedModel, subgraph: number) {
  const space = workspace(opened, DEFAULT_SCHEME);
  const before = space.graphs[subgraph]!;
  const perChannel = new Set(
    before.nodes.filter((node) => isConstant(node) && (node.quant?.scale.length ?? 0) > 1).map(({ name }) => name),
  );
  const roundings = space.graphs.map((graph) => fakeQuantizeModel(graph, true))[subgraph]!;
  for (const graph of space.graphs) inferDtypes(graph, space.graphs);
  const { model, nodes } = exportWorkspace(space);
  const bytes = await serializeModel({ ...model, version: 0 }, { dialect: "circle", fill: fillConstants });
  const names = nodes[subgraph]!.map((node) => (node ? (roundings.get(node)?.of.name ?? node.name) : ""));
  return { model: readModel(new MemoryBytes(bytes)).model, names, perChannel };
}

/** Float constants by name, in memory. */
async function floatConstants(opened: OpenedModel, subgraph: number): Promise<Map<string, Stored>> {
  const space = workspace(opened, DEFAULT_SCHEME);
  const { model } = exportWorkspace(space);
  const bytes = await serializeModel({ ...model, version: 0 }, { dialect: "circle", fill: fillConstants });
  const read = readModel(new MemoryBytes(bytes)).model;
  const found = new Map<string, Stored>();
  for (const tensor of read.subgraphs![subgraph]!.tensors ?? []) {
    const buffer = read.buffers?.[tensor.buffer ?? 0];
    if (buffer?.data?.length && isFloat(tensor)) found.set(tensor.name ?? "", { tensor, buffer });
  }
  return found;
}

interface Stored {
  readonly tensor: Tensor;
  readonly buffer: NonNullable<Model["buffers"]>[number];
}

function isFloat({ type = TensorType.FLOAT32 }: Tensor): boolean {
  return type === TensorType.FLOAT32;
}

function elements({ shape = [] }: { readonly shape?: ArrayLike<number> }): number {
  return Array.from(shape).reduce((all, each) => all * each, 1);
}

/** What fake-quantization puts behind the name of a constant. */
const ROUNDED_SUFFIX = "_DQ";

class Tables implements Switches {
  readonly roundings: readonly Pair[];
  readonly constants: readonly Held[];
  readonly unmatched: readonly string[];
  private readonly graph: SubGraph;
  /** Float buffers by tensor. */
  private readonly floats = new Map<number, Stored["buffer"]>();

  constructor(
    private readonly model: Model,
    private readonly subgraph: number,
    private readonly names: readonly string[],
    private readonly perChannel: ReadonlySet<string>,
    floats: ReadonlyMap<string, Stored>,
  ) {
    this.graph = model.subgraphs![subgraph]!;
    this.roundings = this.findPairs();
    const unmatched: string[] = [];
    for (const [index, tensor] of (this.graph.tensors ?? []).entries()) {
      const name = this.names[index] ?? "";
      const { data } = model.buffers?.[tensor.buffer ?? 0] ?? {};
      if (!data?.length || !isFloat(tensor) || !name.endsWith(ROUNDED_SUFFIX)) continue;
      const own = name.slice(0, -ROUNDED_SUFFIX.length);
      const float = floats.get(own) ?? floats.get(own.replace(/_\d+$/, ""));
      if (float && elements(float.tensor) === elements(tensor)) this.floats.set(index, float.buffer);
      else unmatched.push(own);
    }
    this.unmatched = unmatched;
    this.constants = this.findConstants();
  }

  private kind({ opcodeIndex = 0 }: Operator): string {
    return nameOf(BuiltinOperator, this.model.operatorCodes![opcodeIndex]!.builtinCode ?? 0);
  }

  private findPairs(): Pair[] {
    const { operators = [], inputs = [], outputs = [], tensors = [] } = this.graph;
    const givers = new Map<number, Operator>();
    for (const operator of operators) for (const index of operator.outputs ?? []) givers.set(index, operator);
    const [ins, outs] = [new Set(inputs), new Set(outputs)];
    const found: Pair[] = [];
    for (const operator of operators) {
      if (this.kind(operator) !== "DEQUANTIZE") continue;
      const quantized = operator.inputs![0]!;
      const quantize = givers.get(quantized);
      if (!quantize || this.kind(quantize) !== "QUANTIZE") continue;
      const [from, to] = [quantize.inputs![0]!, operator.outputs![0]!];
      if (!isFloat(tensors[from]!)) continue;
      const giver = givers.get(from);
      const { type = 0, quantization } = tensors[quantized]!;
      const scale = quantization?.scale?.[0] ?? Number.NaN;
      const zero = Number(quantization?.zeroPoint?.[0] ?? 0n);
      const dtype = nameOf(TensorType, type) as Dtype;
      const [low, high] = INTEGERS[dtype] ?? [0, 0];
      found.push({
        kind: "activation",
        name: this.names[to] ?? "",
        operator: giver ? this.kind(giver) : null,
        place: outs.has(to) ? "output" : ins.has(from) ? "input" : "inner",
        dtype,
        scale,
        min: scale * (low - zero),
        max: scale * (high - zero),
        from,
        to,
        dropped: [quantize, operator],
      });
    }
    return found;
  }

  /** Constants by the first operator that reads them. */
  private findConstants(): Held[] {
    const left = new Set(this.floats.keys());
    const found: Held[] = [];
    for (const operator of this.graph.operators ?? []) {
      const tensors = Array.from(operator.inputs ?? []).filter((index) => left.delete(index));
      if (tensors.length === 0) continue;
      const own = (index: number) => (this.names[index] ?? "").slice(0, -ROUNDED_SUFFIX.length);
      found.push({
        kind: "constants",
        name: this.names[operator.outputs![0]!] ?? "",
        operator: this.kind(operator),
        perChannel: tensors.some((index) => this.perChannel.has(own(index))),
        tensors,
      });
    }
    return found;
  }

  async variant(on: (each: Switch) => boolean): Promise<Uint8Array> {
    const off = this.roundings.filter((pair) => !on(pair));
    const instead = new Map(off.map(({ from, to }) => [to, from]));
    const dropped = new Set(off.flatMap((pair) => pair.dropped));
    // A model's own Quantize may read what another pair rounded.
    const real = (index: number): number => (instead.has(index) ? real(instead.get(index)!) : index);
    const tensors = [...(this.graph.tensors ?? [])];
    const buffers = [...(this.model.buffers ?? [])];
    for (const each of this.constants)
      if (!on(each))
        for (const index of each.tensors)
          tensors[index] = { ...tensors[index]!, buffer: buffers.push(this.floats.get(index)!) - 1 };
    const operators = (this.graph.operators ?? [])
      .filter((operator) => !dropped.has(operator))
      .map((operator) => ({ ...operator, inputs: Int32Array.from(operator.inputs ?? [], real) }));
    const graph = { ...this.graph, tensors, operators, outputs: Int32Array.from(this.graph.outputs ?? [], real) };
    const subgraphs = this.model.subgraphs!.map((each, i) => (i === this.subgraph ? graph : each));
    return serializeModel({ ...this.model, subgraphs, buffers }, { dialect: "circle" });
  }
}

/** Least and largest integer of what activations are rounded to. */
const INTEGERS: Partial<Record<Dtype, readonly [number, number]>> = {
  UINT8: [0, 255],
  INT8: [-128, 127],
  INT16: [-32768, 32767],
};
