/**
 * The second model as it is: integers in by its input scales, its own operators and kernels, integers out dequantized. Inner tensors are
 * seen by making them outputs of a copy, as in instrument.ts, but nothing else is changed: no operator is lowered, no weight dequantized.
 */
import { constantsOf, isFloat32, knownShape, nameOfTensor } from "../calibration/graph-facts.ts";
import { elementCount } from "../calibration/inputs.ts";
import { explain, type Instrumented, nameIn } from "../calibration/instrument.ts";
import { needsSteps } from "../calibration/stepwise/needs.ts";
import { sharedBytes } from "../calibration/stepwise/run.ts";
import {
  type Model,
  nameOf,
  type OpenedModel,
  operatorName,
  type SubGraph,
  type Tensor,
  TensorType,
} from "../model/index.ts";
import { withSubgraphs } from "../model/references.ts";
import type { Dtype } from "../model/tensor-types.ts";
import { refusalText } from "../trial/refusal.ts";
import { tryModel } from "../trial/trial.ts";
import { dtypesOfIntegers, type Integers } from "./numbers.ts";
import { byName, type Side, type SidePart, type Tap } from "./side.ts";
import type { Source } from "./worker.ts";

/** Why a model cannot be run as it is: a phrase. */
export interface NotAsIs {
  readonly reason: string;
}

/**
 * The side as it is, made of the side that is run as floats (what it is fed is the same); or why that cannot be. Only where LiteRT itself
 * has run the file (src/trial) is it run so here.
 */
export async function asIs(opened: OpenedModel, fake: Side, part: SidePart = { subgraph: 0 }): Promise<Side | NotAsIs> {
  const side = untriedAsIs(opened, fake, part);
  if ("reason" in side) return side;
  const trial = await tryModel(opened.source.path!);
  return trial.ran ? side : { reason: "reason" in trial ? trial.reason : refusalText(trial.refused) };
}

/** The same without LiteRT's word on it, for those who run it at once. */
export function untriedAsIs(opened: OpenedModel, fake: Side, { subgraph }: SidePart): Side | NotAsIs {
  const { dialect, source } = opened;
  if (dialect !== "tflite") return { reason: "it is a .circle file" };
  if (source.path === undefined) return { reason: "it is no file" };
  const model = startingWith(opened.model, subgraph);
  const graph = model.subgraphs![0]!;
  if (fake.stepwise || needsSteps(model, 0, new Map())) return { reason: "it is run operator by operator" };
  if (openTensors(graph)) return { reason: "it leaves sizes open" };
  return sideOf(model, graph, fake);
}

/** The model with a subgraph as its first one, which is the one that is run. */
function startingWith(model: Model, subgraph: number): Model {
  const order = [...(model.subgraphs ?? []).keys()].sort((a, b) => Number(b === subgraph) - Number(a === subgraph));
  const move = (index: number) => order.indexOf(index);
  const subgraphs = order.map((index) => {
    const graph = model.subgraphs![index]!;
    return { ...graph, operators: graph.operators?.map((operator) => withSubgraphs(operator, move)) };
  });
  return { ...model, subgraphs };
}

function openTensors({ tensors = [] }: SubGraph): boolean {
  return tensors.some(({ shapeSignature }) => shapeSignature?.some((dim, axis) => dim < 0 && axis > 0));
}

function sideOf(model: Model, graph: SubGraph, fake: Side): Side {
  const inputs = Array.from(graph.inputs ?? []);
  const plan = copyOf(model, graph);
  const tap = (tensor: number): Tap => tapOf(graph.tensors![tensor]!, tensor);
  const constants = constantsOf(model, graph);
  const results = (graph.operators ?? []).flatMap(({ outputs }) => Array.from(outputs ?? []));
  const shown = [...new Set([...inputs, ...results])].filter(
    (index) => index >= 0 && !constants.has(index) && isSeen(graph.tensors![index]!),
  );
  return {
    ...fake,
    ran: "as it is",
    outputs: Array.from(graph.outputs ?? [], tap),
    layers: byName(shown.map(tap)),
    unobserved: [],
    plan,
    stored: (model.buffers ?? []).reduce((sum, { data }) => sum + (data?.length ?? 0), 0),
    integerInputs: inputs.map((index) => integersOf(graph.tensors![index]!) ?? null),
    inputIndex: (tensor) => (inputs.includes(tensor) ? inputs.indexOf(tensor) : undefined),
    explain: plan.explain,
    async show(taps) {
      const wanted = [...new Set(taps.map(({ tensor }) => tensor))].filter((tensor) => !inputs.includes(tensor));
      const sources = taps.map(({ tensor, dtype, integers }): Source => {
        const input = inputs.indexOf(tensor);
        return { dtype, integers, ...(input >= 0 ? { input } : { result: wanted.indexOf(tensor) }) };
      });
      const outputNames = wanted.map((tensor) => `t${tensor}`);
      const rest = { outputNames, settle: false, stepwise: false, sources };
      if (wanted.length === 0) return rest;
      const [first, ...called] = plan.model.subgraphs!;
      const copy = { ...plan.model, subgraphs: [{ ...first!, outputs: Int32Array.from(wanted) }, ...called] };
      return { ...rest, model: await sharedBytes(copy, undefined) };
    },
  };
}

/** The model with numbers for names, so that they differ, and known sizes. */
function copyOf(model: Model, graph: SubGraph): Instrumented {
  const tensors = graph.tensors?.map((tensor, index) => ({
    ...tensor,
    name: `t${index}`,
    shape: Int32Array.from(knownShape(tensor)),
    shapeSignature: undefined,
  }));
  const origins = (graph.operators ?? []).map((operator, place) => {
    const result = operator.outputs?.find((index) => index >= 0);
    const name = result === undefined ? "" : nameOfTensor(graph.tensors![result]!, result);
    return { operator: place, text: `${operatorName(model, operator)} "${name}"` };
  });
  const { operatorCodes, buffers, subgraphs = [] } = model;
  return {
    model: { version: 3, operatorCodes, buffers, subgraphs: [{ ...graph, tensors }, ...subgraphs.slice(1)] },
    inputs: [],
    outputs: [],
    outputNames: [],
    origins,
    called: [],
    explain: (reason) =>
      explain(
        reason,
        origins.map(({ text }) => text),
        (index) => nameIn(graph, index),
      ),
  };
}

function isSeen(tensor: Tensor): boolean {
  return elementCount(knownShape(tensor)) > 0 && (isFloat32(tensor) || integersOf(tensor) !== undefined);
}

/** How a tensor's integers become floats; undefined for other tensors. */
function integersOf({ type = TensorType.FLOAT32, quantization }: Tensor): Integers | undefined {
  const dtype = nameOf(TensorType, type) as Dtype;
  if (!dtypesOfIntegers.has(dtype) || quantization?.scale?.length !== 1) return undefined;
  return { dtype, scale: quantization.scale[0]!, zeroPoint: Number(quantization.zeroPoint?.[0] ?? 0n) };
}

function tapOf(tensor: Tensor, index: number): Tap {
  const integers = integersOf(tensor);
  const dtype = nameOf(TensorType, tensor.type ?? TensorType.FLOAT32) as Dtype;
  return {
    name: nameOfTensor(tensor, index),
    dtype: integers ? "FLOAT32" : dtype,
    shape: knownShape(tensor),
    rounding: integers ? { dtype: integers.dtype, scale: integers.scale } : null,
    tensor: index,
    integers,
  };
}
