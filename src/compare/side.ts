/**
 * One of the two models that are compared, made ready to run: a quantized model as its fake-quantized float model (§5.6 for every
 * operator), a float model as it is. Constants stay descriptions until the copy that LiteRT runs is written to memory.
 */

import { constantsKnown, dependsOnData } from "../calibration/fold.ts";
import { isFloat32, subgraphOf } from "../calibration/graph-facts.ts";
import { elementCount, type InputSpec } from "../calibration/inputs.ts";
import { type Instrumented, inputSpecs, instrument } from "../calibration/instrument.ts";
import { checkVariables, needsSteps } from "../calibration/stepwise/needs.ts";
import { explainStep, sharedBytes } from "../calibration/stepwise/run.ts";
import { addNode, type Dtype, type Graph, isConstant, type Node, setInput } from "../graph/graph.ts";
import { rangeOf } from "../model/bytes.ts";
import type { Model, OpenedModel } from "../model/index.ts";
import { inferDtypes } from "../passes/infer-dtypes.ts";
import { fakeQuantizeModel, type Rounding } from "../passes/transform/fake-quantize-model.ts";
import { exportWorkspace, workspace } from "../passes/workspace.ts";
import { DEFAULT_SCHEME } from "../rules/schemes.ts";
import { DEFAULT_TARGETS } from "../rules/targets.ts";
import { stored } from "../weights/constant.ts";
import { fillConstants } from "../weights/fill.ts";
import type { DeclaredInput } from "./integer-data.ts";
import { integerIoOf, restoreIntegerIo } from "./integer-io.ts";
import type { Integers } from "./numbers.ts";
import type { Source } from "./worker.ts";

/** A tensor whose values can be had. */
export interface Tap {
  /** Name in the model as it was given. */
  readonly name: string;
  readonly dtype: Dtype;
  readonly shape: readonly number[];
  /** The model's own rounding of this tensor; null when it has none. */
  readonly rounding: { readonly dtype: Dtype; readonly scale: number } | null;
  /** Tensor of the copy. */
  readonly tensor: number;
  /** Where it is integers in the copy, how they are read as floats. */
  readonly integers?: Integers;
}

/** How a side is run: with its own integer kernels, or as the float model that rounds as it does. */
export type Ran = "as it is" | "fake-quantized";

export interface Side {
  /** What messages call it. */
  readonly name: string;
  readonly inputs: readonly InputSpec[];
  readonly ran: Ran;
  /** How the floats of each input become what the copy wants; null for those that it takes as they are. Absent: all. */
  readonly integerInputs?: readonly (Integers | null)[];
  /** Its inputs before it was made a float model. */
  readonly declared: readonly DeclaredInput[];
  readonly outputs: readonly Tap[];
  /** Float tensors by their name in the model, rounded if the model rounds them; null for names that occur twice. */
  readonly layers: ReadonlyMap<string, Tap | null>;
  /** Float32 tensors inside control flow, which cannot be looked at. */
  readonly unobserved: readonly string[];
  /** The copy that is run. */
  readonly plan: Instrumented;
  /** Bytes of the copy's constants. */
  readonly stored: number;
  /** The model is run operator by operator (src/calibration/stepwise). */
  readonly stepwise: boolean;
  /** It has variable tensors, which keep what they have from record to record only where it is run operator by operator. */
  readonly variables: boolean;
  /** The same side, run operator by operator whatever it is. */
  byOperator(): Promise<Side>;
  /** Where a layer's values come from: its operator, and the nearest tensors before it that are in `among`. */
  originOf(name: string, among: { has(name: string): boolean }): Origin;
  /** Which of the inputs a tensor is; undefined for anything else. */
  inputIndex(tensor: number): number | undefined;
  /** Chooses what is to be seen of a run and writes the copy that shows it. */
  show(taps: readonly Tap[]): Promise<Shown>;
  /** Puts the model's names back into LiteRT's messages; `step`: the operator, where the model is run operator by operator. */
  explain(reason: string, step?: number): string;
}

/** What yields a layer. */
export interface Origin {
  /** Its kind; null for inputs and names that the model does not have. */
  readonly operator: string | null;
  readonly operands: readonly string[];
}

/** What a worker needs to run a side. */
export interface Shown {
  /** Absent when all that is looked at are inputs. */
  readonly model?: SharedArrayBuffer;
  readonly outputNames: readonly string[];
  readonly settle: boolean;
  /** The model is run operator by operator (src/calibration/stepwise). */
  readonly stepwise: boolean;
  /** Where each tap's values come from, in the order of `prepare`'s list. */
  readonly sources: readonly Source[];
}

/** Which part of a model is run. */
export interface SidePart {
  readonly subgraph: number;
  /** The signature whose names its inputs have; without it the first one's. */
  readonly signature?: string;
}

/**
 * Makes a part of a model ready, its first subgraph by default. `integers`: quantized inputs are fed and quantized outputs read as integers (circle-eval-diff); otherwise as floats.
 * `always`: the model is run operator by operator whatever it is. Throws MinmaxqError with every operator that cannot be run.
 */
export async function openSide(
  opened: OpenedModel,
  integers = false,
  always = false,
  part: SidePart = { subgraph: 0 },
): Promise<Side> {
  const space = workspace(opened, DEFAULT_SCHEME);
  const { subgraph, signature } = part;
  const before = space.graphs.map(integerIoOf)[subgraph];
  const roundings = space.graphs.map((graph) => fakeQuantizeModel(graph, true, DEFAULT_TARGETS[opened.dialect].target))[
    subgraph
  ];
  for (const graph of space.graphs) inferDtypes(graph, space.graphs);
  const main = space.graphs[subgraph];
  if (integers) restoreIntegerIo(main!, before!, roundings!);
  copyConstantOutputs(main!);
  const { model, nodes } = exportWorkspace(space);
  const graph = subgraphOf(model, subgraph);
  const outputs = Array.from(graph.outputs ?? []);
  checkVariables(model, subgraph);
  const known = new Map(await constantsKnown(model, graph));
  const stepwise = always || needsSteps(model, subgraph, known);
  // An operator whose result is an output has to run, or there is no output.
  for (const index of outputs) known.delete(index);
  const plan = instrument(model, subgraph, stepwise ? undefined : known, stepwise);
  const settle = dependsOnData(model, graph, known);
  const inputs = Array.from(graph.inputs ?? []);
  const specs = inputSpecs(model, subgraph, signature);
  const declared = specs.map((spec, i): DeclaredInput => {
    const { dtype, quant } = before!.inputs[i]!;
    return dtype === spec.dtype ? { ...spec, quant: null } : { ...spec, dtype, quant };
  });
  const tap = (tensor: number): Tap => tapOf(nodes[subgraph]![tensor]!, tensor, roundings!);
  // Between a tensor and its rounding are no layers of the model.
  const between = new Set([...roundings!.values()].flatMap(({ before }) => before ?? []));
  const seen = [...plan.inputs, ...plan.outputs].filter(({ tensor }) => !between.has(nodes[subgraph]![tensor]!));
  const layers = byName(seen.map(({ tensor }) => tap(tensor)));
  return {
    name: opened.source.name,
    inputs: specs,
    ran: hasIntegers(opened.model) ? "fake-quantized" : "as it is",
    declared,
    outputs: outputs.map((tensor, i) => ({ ...tap(tensor), name: main!.outputs[i]!.name })),
    layers,
    originOf(name, among) {
      const node = nodes[0]![layers.get(name)?.tensor ?? -1];
      return node ? originOf(node, (each) => roundings!.get(each)?.of.name ?? each.name, among) : NO_ORIGIN;
    },
    unobserved: plan.called.flatMap(({ results }) => results.map(({ name }) => name)),
    plan,
    stored: (plan.model.buffers ?? []).reduce((sum, { data }) => sum + (data?.length ?? 0), 0),
    stepwise,
    variables: graph.tensors?.some(({ isVariable }) => isVariable) ?? false,
    byOperator: () => openSide(opened, integers, true, part),
    inputIndex: (tensor) => (inputs.includes(tensor) ? inputs.indexOf(tensor) : undefined),
    explain: (reason, step) => (stepwise ? explainStep(plan, step, reason) : plan.explain(reason)),
    async show(taps) {
      const wanted = [...new Set(taps.map(({ tensor }) => tensor))].filter((tensor) => !inputs.includes(tensor));
      const sources = taps.map(({ tensor, dtype }): Source => {
        const input = inputs.indexOf(tensor);
        return { dtype, ...(input >= 0 ? { input } : { result: wanted.indexOf(tensor) }) };
      });
      const outputNames = wanted.map((tensor) => `t${tensor}`);
      if (wanted.length === 0) return { outputNames, settle, stepwise, sources };
      const [first, ...called] = plan.model.subgraphs!;
      const shown = { ...first!, outputs: Int32Array.from(wanted) };
      const copy = await sharedBytes({ ...plan.model, subgraphs: [shown, ...called] }, fillConstants);
      return { model: copy, outputNames, settle, stepwise, sources };
    },
  };
}

/** LiteRT shows results of operators: a constant that is an output is copied by one. */
function copyConstantOutputs(graph: Graph): void {
  for (const output of graph.outputs) {
    const from = output.inputs[0]!;
    if (from.kind !== "constant" || elementCount(from.shape) === 0) continue;
    const { name, dtype, shape } = from;
    const dims = Int32Array.from(shape);
    const constant = stored(rangeOf(new Uint8Array(dims.buffer)), dims.length);
    const wanted = addNode(graph, {
      kind: "constant",
      name: `${name}_shape`,
      dtype: "INT32",
      shape: [dims.length],
      constant,
    });
    const copy = addNode(graph, {
      kind: "operator",
      op: "RESHAPE",
      options: { type: "ReshapeOptions", value: { newShape: dims } },
      name,
      dtype,
      shape,
      inputs: [from, wanted],
    });
    setInput(output, 0, copy);
  }
}

/** A node under its name in the model as given: a Dequantize of a rounding is the tensor that was rounded. */
function tapOf(node: Node, tensor: number, roundings: ReadonlyMap<Node, Rounding>): Tap {
  const { dtype, shape } = node;
  const found = roundings.get(node);
  if (!found) return { name: node.name, dtype, shape, rounding: null, tensor };
  const { of, quantize } = found;
  const rounding = { dtype: quantize.dtype, scale: quantize.quant?.scale[0] ?? Number.NaN };
  return { name: of.name, dtype, shape, rounding, tensor };
}

const NO_ORIGIN: Origin = { operator: null, operands: [] };

/** Operators whose result has the name of its operand are the tensor's own roundings. */
function originOf(node: Node, nameOf: (node: Node) => string, among: { has(name: string): boolean }): Origin {
  const own = nameOf(node);
  const operands = new Set<string>();
  const seen = new Set<Node>();
  let operator: string | null = null;
  const walk = (at: Node, isOwn: boolean): void => {
    const source = at.kind === "result" ? at.inputs[0]! : at;
    if (seen.has(source)) return;
    seen.add(source);
    if (isOwn) operator = source.op || null;
    if (source.kind !== "operator") return;
    for (const operand of source.inputs) {
      if (!operand || isConstant(operand)) continue;
      const name = nameOf(operand);
      if (name !== own && among.has(name)) operands.add(name);
      else walk(operand, name === own);
    }
  };
  walk(node, true);
  return { operator, operands: [...operands] };
}

/** Whether anything of a model has integers with scales; otherwise it is the same either way. */
export function hasIntegers({ subgraphs = [] }: Model): boolean {
  return subgraphs.some(({ tensors = [] }) =>
    tensors.some((tensor) => !isFloat32(tensor) && (tensor.quantization?.scale?.length ?? 0) > 0),
  );
}

/** Taps by name. */
export function byName(taps: readonly Tap[]): Map<string, Tap | null> {
  const rounded = new Set(taps.filter(({ rounding }) => rounding).map(({ name }) => name));
  const found = new Map<string, Tap | null>();
  for (const tap of taps) {
    // What a tensor was before its rounding.
    if (!tap.rounding && rounded.has(tap.name)) continue;
    found.set(tap.name, found.has(tap.name) ? null : tap);
  }
  return found;
}

/** Largest model that one instance holds together with another one: its memory ends at 2 GiB and must hold the weights twice, of both models. */
export const MODEL_LIMIT = 0.45e9;
