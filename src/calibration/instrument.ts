/**
 * The copy of a model that LiteRT runs to show its inner values: a TFL3 model in which every float32 result of an operator is a graph
 * output. What changes against the model:
 *
 * - only the chosen subgraph and those it calls are kept, the chosen one first;
 * - dims are what `Tensor.shape` says (an unknown dim is 1 there); shape signatures and signature defs are dropped;
 * - tensors are called t0, t1 … because real names repeat or are missing; messages use the real ones;
 * - Circle-only operators become TFLite operators (lowering.ts), recurrent ones are unrolled (recurrent/) from the zero state, or stay for
 *   the interpreter, which keeps states.
 *
 * What is observed (reference §7.3): float32 graph inputs, from the data themselves, and every float32 result of every operator, graph
 * output or not, used or not, also in subgraphs that control flow runs. Not observed: constants, also those that DEQUANTIZE or DENSIFY
 * unpack; other types.
 */
import { isDeferred, rangeOf, readRange } from "../model/bytes.ts";
import {
  BuiltinOperator,
  type BuiltinOptions,
  type Model,
  nameOf,
  type Operator,
  type OperatorCode,
  operatorName,
  reachableSubgraphs,
  type SubGraph,
  type Tensor,
  TensorType,
} from "../model/index.ts";
import { withSubgraphs } from "../model/references.ts";
import { signatureNames } from "../model/signatures.ts";
import type { Dtype } from "../model/tensor-types.ts";
import { readAs } from "../rules/hybrid.ts";
import { kindFacts } from "../rules/kind-facts.ts";
import { adapt, refusal } from "./adapt.ts";
import type { Known } from "./evaluate.ts";
import { finiteResults } from "./finite.ts";
import { codeOf, constantsOf, isFloat32, knownShape, nameOfTensor, subgraphOf, tensorOf } from "./graph-facts.ts";
import type { InputSpec } from "./inputs.ts";
import { elementCount } from "./inputs.ts";
import { MEMORY_TEXT } from "./litert.ts";
import { CIRCLE_OPERATORS, type LoweringTarget, typeText } from "./lowering.ts";
import { throwAll } from "./problems.ts";
import type { States } from "./recurrent/floats.ts";
import { STATEFUL_OPERATORS } from "./recurrent/recurrent.ts";

/** A tensor whose range is recorded. */
export interface Observed {
  /** Its index in the original subgraph. */
  readonly tensor: number;
  readonly name: string;
  readonly elements: number;
  /** ±inf counts as ±FLT_MAX (finite.ts). */
  readonly finite: boolean;
}

export interface Instrumented {
  /** The copy, to be written as TFL3. */
  readonly model: Model;
  /** Positions (in the model's list of inputs) of the float32 inputs, and their tensors. */
  readonly inputs: readonly (Observed & { readonly position: number })[];
  /** The copy's outputs, in its order. */
  readonly outputs: readonly Observed[];
  /** Names of the outputs in the copy ("t7"). */
  readonly outputNames: readonly string[];
  /** Where the operators of the copy's first subgraph come from, one entry an operator. */
  readonly origins: readonly Origin[];
  /** Subgraphs that operators of the first one run, in the copy's order; they are seen only where a model is run operator by operator. */
  readonly called: readonly CalledSubgraph[];
  /** Puts names back into LiteRT's messages: "Node number 3 (CONV_2D)" → `CONV_2D "conv1"`. */
  explain(reason: string): string;
}

export interface CalledSubgraph {
  /** Its number in the model. */
  readonly subgraph: number;
  readonly results: readonly Observed[];
  readonly origins: readonly Origin[];
}

/** The operator of the model that an operator of the copy stands for, alone or with its neighbours. */
export interface Origin {
  /** Its place among the model's operators. */
  readonly operator: number;
  /** In words: `CONV_2D "conv1"`. */
  readonly text: string;
}

/** What a subgraph (0 by default) wants to be fed; its inputs have the names of `signature`, where it is given, else of the first. Throws MinmaxqError when an input is empty or there is no such subgraph. */
export function inputSpecs(model: Model, subgraph = 0, signature?: string): InputSpec[] {
  const graph = subgraphOf(model, subgraph);
  const { inputs: inputNames } = signatureNames(model, subgraph, signature);
  const specs = Array.from(graph.inputs ?? [], (index) => {
    const tensor = tensorOf(graph, index);
    const name = nameOfTensor(tensor, index);
    const signatureName = inputNames.get(index);
    const more = signatureName === undefined || signatureName === name ? {} : { signatureName };
    return { name, ...more, dtype: typeText(tensor), shape: knownShape(tensor), ...openShape(tensor) };
  });
  throwAll(
    specs
      .filter((spec) => elementCount(spec.shape) === 0)
      .map((spec) => `model input "${spec.name}" has no elements: [${spec.shape.join(", ")}]`),
    "inputs that cannot be fed",
  );
  return specs;
}

/** The declared shape where a dimension is open. */
function openShape({ shape = new Int32Array(), shapeSignature }: Tensor): { signature?: number[] } {
  const declared = Array.from(shapeSignature?.length === shape.length ? shapeSignature : shape);
  return declared.some((dim) => dim < 0) ? { signature: declared } : {};
}

/**
 * Makes the copy. `byOperator`: it is for the interpreter, which takes recurrent operators apart itself. Throws MinmaxqError with every
 * operator that cannot be run.
 */
export function instrument(model: Model, subgraph = 0, known: Known = new Map(), byOperator = false): Instrumented {
  const graph = subgraphOf(model, subgraph);
  const kept = reachableSubgraphs(model, subgraph);
  const codes: OperatorCode[] = [];
  const buffers = [...(model.buffers ?? [])];
  const problems: string[] = [];
  const copies = kept.map((index) => {
    const values = index === subgraph ? known : new Map();
    const copy = copySubgraph(model, subgraphOf(model, index), { codes, buffers, problems, known: values, byOperator });
    const move = (index: number) => kept.indexOf(index);
    const operators = copy.graph.operators?.map((operator) => withSubgraphs(operator, move));
    return { ...copy, graph: { ...copy.graph, operators } };
  });
  throwAll(problems, "operators that LiteRT cannot run");

  const main = copies[0]!;
  const results = observedResults(model, graph);
  main.graph.outputs = Int32Array.from(results, ({ tensor }) => tensor);
  const inputs = Array.from(graph.inputs ?? [], (tensor, position) => ({
    ...observed(graph, tensor),
    position,
  })).filter(({ tensor, elements }) => isFloat32(tensorOf(graph, tensor)) && elements > 0);
  return {
    model: { version: 3, operatorCodes: codes, subgraphs: copies.map((copy) => copy.graph), buffers },
    inputs,
    outputs: results,
    outputNames: results.map(({ tensor }) => `t${tensor}`),
    origins: main.origins,
    called: copies.slice(1).map(({ origins }, i) => {
      const number = kept[i + 1]!;
      return { subgraph: number, origins, results: observedResults(model, subgraphOf(model, number)) };
    }),
    explain: (reason) =>
      explain(
        reason,
        main.origins.map(({ text }) => text),
        (index) => nameIn(graph, index),
      ),
  };
}

/** Operator results to observe, each once, in order of execution. */
function observedResults(model: Model, graph: SubGraph): Observed[] {
  const constants = constantsOf(model, graph);
  const inputs = new Set(graph.inputs ?? []);
  const finite = finiteResults(model, graph);
  const results = new Map<number, Observed>();
  for (const operator of graph.operators ?? []) {
    const code = codeOf(model, operator);
    const constant = kindFacts(code).unpacks && constants.has(operator.inputs?.[0] ?? -1);
    for (const index of operator.outputs ?? []) {
      if (index < 0) continue;
      if (constant) constants.add(index);
      else if (isFloat32(tensorOf(graph, index)) && !inputs.has(index)) {
        const result = observed(graph, index, finite.has(index));
        if (result.elements > 0) results.set(index, result);
      }
    }
  }
  return [...results.values()];
}

interface Shared {
  readonly codes: OperatorCode[];
  readonly buffers: NonNullable<Model["buffers"]>;
  readonly problems: string[];
  readonly known: Known;
  readonly byOperator: boolean;
}

/** A copy of a subgraph that LiteRT accepts; `origins[i]` says which operator the copy's i-th operator comes from. */
function copySubgraph(model: Model, graph: SubGraph, shared: Shared): { graph: SubGraph; origins: Origin[] } {
  const tensors = (graph.tensors ?? []).map((tensor, index) => ({
    ...tensor,
    name: `t${index}`,
    shape: Int32Array.from(knownShape(tensor)),
    shapeSignature: undefined,
    // LiteRT loads no variable tensors; operators that use theirs are unrolled (recurrent/) or refused (adapt.ts).
    isVariable: shared.byOperator ? tensor.isVariable : undefined,
    // Ranges recorded before are of no use to LiteRT, which refuses some of them.
    quantization: isFloat32(tensor) ? undefined : tensor.quantization,
  }));
  const constants = constantsOf(model, graph);
  retype(model, graph, constants, tensors);
  const operators: Operator[] = [];
  const origins: Origin[] = [];
  const states = new CopiedStates(graph);
  for (const [place, operator] of (graph.operators ?? []).entries()) {
    if (isReplaced(operator, graph, shared.known)) {
      for (const index of operator.outputs ?? []) {
        if (index >= 0) tensors[index]!.buffer = shared.buffers.push({ data: rangeOf(shared.known.get(index)!) }) - 1;
      }
      continue;
    }
    const code = model.operatorCodes?.[operator.opcodeIndex ?? 0] ?? {};
    const origin = originOf(model, graph, operator);
    const emit = (copy: Operator, copyCode: OperatorCode) => {
      operators.push({ ...copy, opcodeIndex: opcodeIndex(shared.codes, copyCode) });
      origins.push({ operator: place, text: origin });
    };
    const kind = code.builtinCode ?? BuiltinOperator.ADD;
    const lower = CIRCLE_OPERATORS.get(kind);
    const unroll = keepsState(operator, graph) ? STATEFUL_OPERATORS.get(kind) : undefined;
    const to = target(tensors, shared.buffers, emit);
    // What the interpreter will take apart is taken apart here only to see that it can be.
    const tried = shared.byOperator ? target([...tensors], [...shared.buffers], () => {}) : to;
    const reason = unroll?.(operator, tried, states.of(operator)) ?? lower?.(operator, to);
    const problem = reason ?? (lower || unroll ? undefined : refusal(operator, graph));
    if (problem !== undefined) shared.problems.push(`${origin} cannot be run: ${problem}`);
    if (unroll && shared.byOperator) emit({ ...operator }, code);
    else if (!lower && !unroll) emit({ ...adapt(operator, kind, constants, to) }, code);
  }
  return {
    graph: { tensors, operators, inputs: graph.inputs, outputs: graph.outputs, name: graph.name },
    origins,
  };
}

/** Whether an operator has a state in variable tensors. */
export function keepsState(operator: Operator, { tensors = [] }: SubGraph): boolean {
  return operator.inputs?.some((index) => tensors[index]?.isVariable) ?? false;
}

/** Variable tensors of a copy that begins with them at zero: operators that share one find what was left there. */
class CopiedStates {
  private readonly left = new Map<number, number>();
  private readonly readers = new Map<number, number>();

  constructor(private readonly graph: SubGraph) {
    for (const { inputs = [] } of graph.operators ?? [])
      for (const index of inputs) this.readers.set(index, (this.readers.get(index) ?? 0) + 1);
  }

  of({ inputs = new Int32Array() }: Operator): States {
    const isVariable = (index: number) => this.graph.tensors?.[index]?.isVariable ?? false;
    return {
      before: (place) => {
        const index = inputs[place] ?? -1;
        return index < 0 || isVariable(index) ? this.left.get(index) : index;
      },
      after: (place, value) => {
        const index = inputs[place] ?? -1;
        if (isVariable(index) && this.readers.get(index)! > 1) this.left.set(index, value());
      },
    };
  }
}

/** Weights that LiteRT reads as another type (rules/hybrid.ts) are of that type in the copy, whatever is done with them there. */
function retype(model: Model, graph: SubGraph, constants: ReadonlySet<number>, tensors: Tensor[]): void {
  const dtype = (index: number) => nameOf(TensorType, tensorOf(graph, index).type ?? TensorType.FLOAT32) as Dtype;
  for (const operator of graph.operators ?? []) {
    const result = operator.outputs?.find((index) => index >= 0);
    if (result === undefined) continue;
    const op = nameOf(BuiltinOperator, codeOf(model, operator));
    for (const index of operator.inputs ?? []) {
      if (!constants.has(index)) continue;
      const read = readAs(op, dtype(result), dtype(index));
      if (read === dtype(index)) continue;
      const { quantization } = tensors[index]!;
      const zeroPoint = quantization?.zeroPoint?.map(() => 0n);
      tensors[index] = { ...tensors[index]!, type: TensorType[read], quantization: { ...quantization, zeroPoint } };
    }
  }
}

/** Whether constants stand for an operator: all its results are known and none is observed. */
function isReplaced(operator: Operator, graph: SubGraph, known: Known): boolean {
  const results = Array.from(operator.outputs ?? []).filter((index) => index >= 0);
  return results.length > 0 && results.every((index) => known.has(index) && !isFloat32(tensorOf(graph, index)));
}

function target(
  tensors: Tensor[],
  buffers: Shared["buffers"],
  emit: (operator: Operator, code: OperatorCode) => void,
): LoweringTarget {
  const add = (tensor: Tensor): number => tensors.push({ ...tensor, name: `t${tensors.length}` }) - 1;
  return {
    tensor: (index) => tensors[index]!,
    integers(index) {
      const { type, buffer } = tensors[index]!;
      const data = buffers[buffer ?? 0]?.data;
      if (type !== TensorType.INT32 || !data || isDeferred(data) || data.length === 0) return undefined;
      return new Int32Array(readRange(data).buffer);
    },
    add: (shape) => add({ shape: Int32Array.from(shape), type: TensorType.FLOAT32, buffer: 0 }),
    constant(values, shape) {
      const bytes = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
      const buffer = buffers.push({ data: rangeOf(bytes) }) - 1;
      const type = values instanceof Float32Array ? TensorType.FLOAT32 : TensorType.INT32;
      return add({ shape: Int32Array.from(shape), type, buffer });
    },
    emit(builtinCode, inputs, outputs, builtinOptions?: BuiltinOptions) {
      const operator = { inputs: Int32Array.from(inputs), outputs: Int32Array.from(outputs), builtinOptions };
      emit(operator, { builtinCode, version: 1 });
    },
  };
}

function opcodeIndex(codes: OperatorCode[], code: OperatorCode): number {
  const same = (other: OperatorCode) =>
    other.builtinCode === code.builtinCode && other.version === code.version && other.customCode === code.customCode;
  const index = codes.findIndex(same);
  return index >= 0 ? index : codes.push(code) - 1;
}

/**
 * LiteRT names operators by number and kind; people know them by their results. `origins` has one entry an operator of the
 * graph that LiteRT was given, `nameOf` names its tensors. An operator LiteRT does not have at all is named with
 * what to do about it.
 */
export function explain(reason: string, origins: readonly string[], nameOf: (index: number) => string): string {
  const dynamic = /custom allocation for output tensor .*?\(index (\d+)\)/.exec(reason)?.[1];
  if (dynamic !== undefined) {
    return `tensor "${nameOf(Number(dynamic))}": its shape follows from the data, and LiteRT cannot show such tensors; export the model with fixed shapes to record its ranges`;
  }
  if (reason.includes("failed to create XNNPACK runtime"))
    return `${origins.length === 1 ? origins[0] : "the model"} does not fit when it runs: ${MEMORY_TEXT} (${reason}); record it elsewhere (ONE's record-minmax) and quantize it without --data`;
  const refused = /failed to delegate \w+ node #(\d+)/.exec(reason)?.[1];
  if (refused !== undefined)
    return `${origins[Number(refused)] ?? "an operator"} cannot be prepared (${reason}); if it has 512 MiB of weights or more: LiteRT's WASM build takes no such tensor, so record the model elsewhere (ONE's record-minmax) and quantize it without --data`;
  const named = reason.replace(/[Nn]ode number (\d+) \([^)]*\)/g, (text, number) => origins[Number(number)] ?? text);
  const custom = /(?:unresolved custom op: )'?(.+?)'?\.?(?:;|$)/.exec(named)?.[1];
  const flex = /Select TensorFlow op|Flex delegate|Flex ops?\b/.test(named);
  if (custom === undefined && !flex) return placed(named, origins);
  const users = origins.filter((origin) => origin.startsWith(flex ? "CUSTOM:Flex" : `CUSTOM:${custom} `));
  return `${users.join(", ") || custom || "a Flex operator"}: LiteRT does not know this custom operator, so the model cannot be run to record ranges; record it where the operator exists, or replace it when the model is exported`;
}

/** LiteRT's reason behind the operators that it is about. */
function placed(reason: string, origins: readonly string[]): string {
  if (origins.length === 0) return reason;
  const named = origins.find((origin) => reason.includes(origin)) ?? (origins.length === 1 ? origins[0] : undefined);
  const where = named ?? `${origins[0]!} or one of the operators up to ${origins.at(-1)!}`;
  const said = reason
    .replace(/^the model cannot be \w+: /, "")
    .replace(/ERROR: \[[^\]]*\]|third_party\/\S+:\d+ /g, "")
    .replace(/[\s└;]+$/, "");
  return `${where} cannot be run: ${said || "LiteRT gives no reason"}; look whether LiteRT itself runs the model, and export it anew if it does not`;
}

/** What messages call a tensor of the model; tensors that only the copy has are called as there. */
export function nameIn(graph: SubGraph, index: number): string {
  return index < (graph.tensors?.length ?? 0) ? nameOfTensor(tensorOf(graph, index), index) : `t${index}`;
}

function originOf(model: Model, graph: SubGraph, operator: Operator): string {
  const result = operator.outputs?.find((index) => index >= 0);
  return `${operatorName(model, operator)} "${result === undefined ? "" : nameOfTensor(tensorOf(graph, result), result)}"`;
}

function observed(graph: SubGraph, index: number, finite = false): Observed {
  const tensor = tensorOf(graph, index);
  return { tensor: index, name: nameOfTensor(tensor, index), elements: elementCount(knownShape(tensor)), finite };
}
