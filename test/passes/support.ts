/** Models through passes, and what comes out, as facts that tests compare. */
import { MinmaxqError } from "../../src/base/errors.ts";
import { verifyGraphs } from "../../src/driver/phases.ts";
import { quantizeInMemory, referenceInMemory } from "../../src/driver/quantize.ts";
import type { Dtype, Graph, Node } from "../../src/graph/graph.ts";
import { MemoryBytes, readRange } from "../../src/model/bytes.ts";
import {
  type Model,
  nameOf,
  type OpenedModel,
  operatorTexts,
  readModel,
  serializeModel,
  TensorType,
} from "../../src/model/index.ts";
import type { LayerSetting, QuantizeOptions, Workspace } from "../../src/passes/context.ts";
import { inferDtypes } from "../../src/passes/infer-dtypes.ts";
import { quantizeGraph } from "../../src/passes/minmax/index.ts";
import { exportWorkspace, workspace } from "../../src/passes/workspace.ts";
import { DEFAULT_SCHEME, type Granularity, schemeWith } from "../../src/rules/schemes.ts";
import { layerSettings } from "../../src/settings/layers.ts";
import { fillConstants } from "../../src/weights/fill.ts";
import { type Expected, hex } from "../operators/oracle.ts";

/** A scheme by the dtype of its activations. */
type ByDtype = { readonly dtype: Dtype; readonly granularity: Granularity };

export interface Setup extends Partial<QuantizeOptions> {
  /** Instead of a scheme: ONE's scheme with such activations. */
  dtype?: Dtype;
  layers?: Record<string, LayerSetting | ByDtype>;
  likeReference?: boolean;
}

/** Options of a setup; uint8 per channel where it says nothing. */
export function optionsOf({ layers: _, likeReference: _like, dtype, ...options }: Setup): QuantizeOptions {
  return { ...DEFAULT_SCHEME, ...options, ...(dtype && { scheme: schemeWith("one", dtype)! }) };
}

function settingOf(setting: LayerSetting | ByDtype): LayerSetting {
  if ("scheme" in setting) return setting;
  return { scheme: schemeWith("one", setting.dtype)!, granularity: setting.granularity };
}

/** The model as it is after writing and reading: absent fields and all. */
export async function reopened(model: Model): Promise<OpenedModel> {
  return readModel(new MemoryBytes(await serializeModel(model, { dialect: "circle" })));
}

/** Imported and prepared, nothing more. */
export async function spaceOf(model: Model, setup: Setup = {}): Promise<Workspace> {
  const space = workspace(await reopened(model), optionsOf(setup), setup.likeReference);
  setLayers(space, setup.layers);
  return space;
}

/** Gives layers settings of their own, by name. */
export function setLayers({ graphs, context }: Workspace, layers: Setup["layers"] = {}): void {
  const list = Object.entries(layers).map(([name, setting]) => ({ ...settingOf(setting), names: [name] }));
  for (const [name, setting] of layerSettings(graphs, [list])) context.layers.set(name, setting);
}

/** Problems that the verifier finds in a workspace's graphs. */
export const verifyAll = verifyGraphs;

/** Lets dtypes follow in all graphs. */
export function inferAll({ graphs }: Workspace): void {
  for (const graph of graphs) inferDtypes(graph, graphs);
}

/** The pipeline as the drop-in front runs it. */
export async function dropIn(model: Model, setup: Setup = {}): Promise<Workspace> {
  const change = (space: Workspace) => {
    setLayers(space, setup.layers);
    for (const graph of space.graphs) quantizeGraph(graph, space.context);
  };
  return referenceInMemory(await reopened(model), { options: optionsOf(setup), change, verified: true });
}

/** The flow of `quantize` on recorded ranges: what cannot be quantized stays float. Without the preparation, which has tests of its own. */
export async function quantize(model: Model, setup: Setup = {}): Promise<Workspace> {
  const given = Object.entries(setup.layers ?? {}).map(([name, setting]) => {
    const { scheme, granularity } = settingOf(setting);
    return `${name}=${scheme.name}:${granularity}`;
  });
  const settings = { options: optionsOf(setup), ...(given.length > 0 && { layers: { given } }) };
  // Also models that have nothing to quantize.
  return quantizeInMemory(await reopened(model), { ...settings, withoutSteps: ["all"] }, REFUSALS);
}

const REFUSALS = ["check model", "check ranges"];

/** A tensor of a written model. */
export interface Fact {
  dtype: string;
  /** f32 bits. */
  scale: string[];
  zeroPoint: number[];
  axis: number;
  min: string[];
  max: string[];
  values: (number | bigint)[] | null;
  sparse: boolean;
}

export interface Written {
  model: Model;
  tensors: Map<string, Fact>;
  /** "ADD(x, c) -> y", in file order. */
  operators: string[];
  inputs: string[];
  outputs: string[];
}

/** The workspace's model, written and read again. Weights are computed meanwhile. */
export async function written(space: Workspace, index = 0): Promise<Written> {
  const bytes = await serializeModel(exportWorkspace(space).model, { dialect: "circle", fill: fillConstants });
  return factsOf(readModel(new MemoryBytes(bytes)).model, index);
}

export function factsOf(model: Model, index = 0): Written {
  const graph = model.subgraphs![index]!;
  const tensors = graph.tensors ?? [];
  const name = (at: number) => (at < 0 ? "-" : tensors[at]!.name!);
  const facts = new Map<string, Fact>();
  for (const tensor of tensors) {
    const dtype = nameOf(TensorType, tensor.type ?? 0)!;
    const { scale = [], zeroPoint = [], min = [], max = [], quantizedDimension = 0 } = tensor.quantization ?? {};
    const data = model.buffers?.[tensor.buffer ?? 0]?.data;
    const bytes = data && "source" in data && data.length > 0 ? readRange(data) : null;
    facts.set(tensor.name!, {
      dtype,
      scale: [...scale].map(hex),
      zeroPoint: [...zeroPoint].map(Number),
      axis: quantizedDimension,
      min: [...min].map(hex),
      max: [...max].map(hex),
      values: bytes && elements(dtype, bytes),
      sparse: tensor.sparsity !== undefined,
    });
  }
  const operators = operatorTexts(model, index);
  const names = (indexes: Int32Array | undefined) => [...(indexes ?? [])].map(name);
  return { model, tensors: facts, operators, inputs: names(graph.inputs), outputs: names(graph.outputs) };
}

function elements(dtype: string, { buffer }: Uint8Array): (number | bigint)[] {
  const arrays: Record<string, new (buffer: ArrayBuffer) => Iterable<number | bigint>> = {
    FLOAT32: Float32Array,
    UINT8: Uint8Array,
    INT8: Int8Array,
    INT16: Int16Array,
    INT32: Int32Array,
    INT64: BigInt64Array,
    FLOAT16: Uint16Array,
  };
  return [...new (arrays[dtype] ?? Uint8Array)(buffer as ArrayBuffer)];
}

/** The node that is a tensor (not the output that exposes it); what took another's place wins. */
export function nodeOf(graph: Graph, name: string): Node {
  const found = graph.nodes.filter((node) => node.name === name && node.kind !== "output");
  const node = found.filter(({ users }) => users.size > 0).at(-1) ?? found.at(-1);
  if (!node) throw new Error(`no node "${name}"`);
  return node;
}

/** dtype, bits of the scales and zero points of a node. */
export function parametersOf({ dtype, quant }: Node): Omit<Expected, "values"> {
  return {
    dtype,
    scale: [...(quant?.scale ?? [])].map(hex),
    zeroPoint: [...(quant?.zeroPoint ?? [])].map(Number),
    axis: quant?.axis ?? 0,
  };
}

/** Operands by name. */
export const operandsOf = (node: Node): (string | null)[] => node.inputs.map((operand) => operand?.name ?? null);

/** Message of the MinmaxqError that `action` ends with; another error is passed on. */
export async function refusal(action: () => unknown): Promise<string> {
  try {
    await action();
  } catch (error) {
    if (error instanceof MinmaxqError) return error.message;
    throw error;
  }
  throw new Error("nothing was refused");
}
