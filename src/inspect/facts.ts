/**
 * What is in a model file: the facts that `inspect` shows and `--json` prints (docs/inspect.md). Tables are taken as they are read; only what the
 * quantization is comes from graphs.
 */
import { MinmaxqError } from "../base/errors.ts";
import { counted } from "../base/text.ts";
import { type SchemeFacts, schemeFacts, schemesText } from "../driver/verify-phases.ts";
import { associatedFiles, type FileProblem, fileProblems, type TensorFiles } from "../model/associated-files.ts";
import {
  elementCount,
  type Model,
  nameOf,
  type OpenedModel,
  type Operator,
  operatorName,
  readZipDirectory,
  type SubGraph,
  signatureNames,
  type Tensor,
  type TensorMap,
  TensorType,
} from "../model/index.ts";
import { recognize } from "../passes/recognize.ts";
import { workspace } from "../passes/workspace.ts";
import { DEFAULT_SCHEME } from "../rules/schemes.ts";

/** Its shape is versioned: members may be added, but what is there keeps its name and meaning. */
export interface InspectReport {
  readonly reportVersion: 1;
  readonly path: string;
  readonly format: string;
  /** Size of the file. */
  readonly bytes: number;
  readonly description: string;
  readonly quantization: QuantizationFacts;
  readonly parameters: ParameterFacts;
  /** Operators of all subgraphs by kind and dtype, the most frequent first. */
  readonly operators: readonly OperatorCount[];
  readonly subgraphs: readonly SubgraphFacts[];
  /** Names of the signatures. */
  readonly signatures: readonly string[];
  readonly signatureDefs: readonly SignatureFacts[];
  /** Names of the metadata. */
  readonly metadata: readonly string[];
  /** Files of the archive behind the model, bytes unpacked. */
  readonly files: readonly { readonly name: string; readonly bytes: number }[];
  /** Of inputs and outputs that have some: what the metadata say of them. */
  readonly associatedFiles: readonly TensorFiles[];
  /** What is wrong with label files. */
  readonly warnings: readonly FileProblem[];
  /** What this program does not understand of the file. */
  readonly unknown: readonly string[];
}

export interface QuantizationFacts {
  /** In one line, for people. */
  readonly text: string;
  /** Schemes of quantized operators, the most frequent first. */
  readonly schemes: readonly SchemeFacts[];
  readonly quantizedActivations: number;
  readonly floatOperators: number;
  /** Of those the ones with quantized weights. */
  readonly floatOperatorsWithQuantizedWeights: number;
  /** Tensors with a recorded range. */
  readonly ranges: number;
}

export interface ParameterFacts {
  /** Elements of constants that are floats or stand for some; what tensors share counts once. */
  readonly count: number;
  /** Constants and their bytes in the file, shapes and indices included. */
  readonly constants: number;
  readonly bytes: number;
  readonly byDtype: readonly { readonly dtype: string; readonly constants: number; readonly bytes: number }[];
}

export interface OperatorCount {
  readonly op: string;
  /** Of its first result. */
  readonly dtype: string;
  /** dtype of quantized constants of an operator that yields floats. */
  readonly weights?: string;
  readonly count: number;
}

export interface SignatureFacts {
  readonly name: string;
  readonly subgraph: number;
  readonly inputs: readonly { readonly name: string; readonly tensor: number }[];
  readonly outputs: readonly { readonly name: string; readonly tensor: number }[];
}

export interface SubgraphFacts {
  readonly name: string;
  /** Numbers of tensors. */
  readonly inputs: readonly number[];
  readonly outputs: readonly number[];
  /** Names in signatures, by tensor. */
  readonly signatureNames: {
    readonly inputs: Readonly<Record<string, string>>;
    readonly outputs: Readonly<Record<string, string>>;
  };
  readonly tensors: readonly TensorFacts[];
  readonly operators: readonly {
    readonly op: string;
    readonly inputs: readonly number[];
    readonly outputs: readonly number[];
  }[];
}

export interface TensorFacts {
  readonly name: string;
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly constant: boolean;
  /** Of its values in the file. */
  readonly bytes: number;
  readonly min?: readonly number[];
  readonly max?: readonly number[];
  readonly scale?: readonly number[];
  readonly zeroPoint?: readonly number[];
  /** Dimension of the channels, where there are several scales. */
  readonly axis?: number;
}

export function inspectReport(path: string, opened: OpenedModel): InspectReport {
  const { model } = opened;
  const subgraphs = model.subgraphs ?? [];
  const associated = associatedFiles(opened);
  return {
    reportVersion: 1,
    path,
    format: opened.dialect,
    bytes: opened.source.size,
    description: model.description ?? "",
    quantization: quantizationFacts(opened),
    parameters: parameterFacts(model),
    operators: countOperators(model),
    subgraphs: subgraphs.map((_, index) => subgraphFacts(model, index)),
    signatures: (model.signatureDefs ?? []).map((signature) => signature.signatureKey ?? ""),
    signatureDefs: (model.signatureDefs ?? []).map(({ signatureKey = "", subgraphIndex = 0, inputs, outputs }) => ({
      name: signatureKey,
      subgraph: subgraphIndex,
      inputs: named(inputs),
      outputs: named(outputs),
    })),
    metadata: (model.metadata ?? []).map((entry) => entry.name ?? ""),
    files: filesOf(opened),
    associatedFiles: associated,
    warnings: fileProblems(opened, associated),
    unknown: opened.unknown,
  };
}

function named(maps: readonly TensorMap[] = []) {
  return maps.map(({ name = "", tensorIndex = 0 }) => ({ name, tensor: tensorIndex }));
}

function filesOf({ archive }: OpenedModel): InspectReport["files"] {
  const directory = archive && readZipDirectory(archive.source);
  if (!directory || typeof directory === "string") return [];
  return directory.entries.map(({ name, size }) => ({ name, bytes: size }));
}

function subgraphFacts(model: Model, index: number): SubgraphFacts {
  const subgraph = model.subgraphs![index]!;
  const { inputs, outputs } = signatureNames(model, index);
  return {
    name: subgraph.name ?? "",
    inputs: [...(subgraph.inputs ?? [])],
    outputs: [...(subgraph.outputs ?? [])],
    signatureNames: { inputs: Object.fromEntries(inputs), outputs: Object.fromEntries(outputs) },
    tensors: (subgraph.tensors ?? []).map((tensor) => tensorFacts(model, tensor)),
    operators: (subgraph.operators ?? []).map((operator) => ({
      op: operatorName(model, operator),
      inputs: [...(operator.inputs ?? [])],
      outputs: [...(operator.outputs ?? [])],
    })),
  };
}

/** A tensor's table as plain data. */
export function tensorFacts(model: Model, tensor: Tensor): TensorFacts {
  const { min, max, scale, zeroPoint, quantizedDimension } = tensor.quantization ?? {};
  const bytes = bytesOf(model, tensor);
  return {
    name: tensor.name ?? "",
    dtype: dtypeOf(tensor),
    shape: [...(tensor.shape ?? [])],
    constant: bytes > 0,
    bytes,
    ...(min?.length && max?.length ? { min: [...min], max: [...max] } : {}),
    ...(scale?.length ? { scale: [...scale], zeroPoint: [...(zeroPoint ?? [])].map(Number) } : {}),
    ...((scale?.length ?? 0) > 1 ? { axis: quantizedDimension ?? 0 } : {}),
  };
}

export function dtypeOf({ type = 0 }: Tensor): string {
  return nameOf(TensorType, type);
}

function bytesOf(model: Model, { buffer = 0 }: Tensor): number {
  return model.buffers?.[buffer]?.data?.length ?? 0;
}

/** Scales in the table, or block by block in a constant of their own. */
function standsForFloats(tensor: Tensor): boolean {
  const { scale, details } = tensor.quantization ?? {};
  return (scale?.length ?? 0) > 0 || (details?.value ?? null) !== null;
}

const isFloat = (dtype: string) => dtype.includes("FLOAT");

function parameterFacts(model: Model): ParameterFacts {
  const seen = new Set<number>();
  const byDtype = new Map<string, { dtype: string; constants: number; bytes: number }>();
  let [count, constants, bytes] = [0, 0, 0];
  for (const tensor of (model.subgraphs ?? []).flatMap(({ tensors = [] }) => tensors)) {
    const own = bytesOf(model, tensor);
    if (own === 0 || seen.has(tensor.buffer!)) continue;
    seen.add(tensor.buffer!);
    const dtype = dtypeOf(tensor);
    const row = byDtype.get(dtype) ?? { dtype, constants: 0, bytes: 0 };
    byDtype.set(dtype, row);
    row.constants++;
    row.bytes += own;
    constants++;
    bytes += own;
    if (isFloat(dtype) || standsForFloats(tensor)) count += elementCount(tensor.shape ?? []) || 0;
  }
  return { count, constants, bytes, byDtype: [...byDtype.values()].sort((a, b) => b.bytes - a.bytes) };
}

function countOperators(model: Model): OperatorCount[] {
  const counts = new Map<string, OperatorCount>();
  for (const graph of model.subgraphs ?? []) {
    for (const operator of graph.operators ?? []) {
      const found = kindOf(model, graph, operator);
      const key = `${found.op} ${found.dtype} ${found.weights}`;
      counts.set(key, { ...found, count: (counts.get(key)?.count ?? 0) + 1 });
    }
  }
  return [...counts.values()].sort((a, b) => b.count - a.count);
}

function kindOf(model: Model, { tensors = [] }: SubGraph, operator: Operator): Omit<OperatorCount, "count"> {
  const tensorAt = (index: number | undefined) => (index === undefined || index < 0 ? undefined : tensors[index]);
  const result = tensorAt(operator.outputs?.find((index) => index >= 0));
  const dtype = result ? dtypeOf(result) : "–";
  const weights = Array.from(operator.inputs ?? [], tensorAt).find(
    (each) => each && bytesOf(model, each) > 0 && standsForFloats(each) && !isFloat(dtypeOf(each)),
  );
  return { op: operatorName(model, operator), dtype, ...(weights && isFloat(dtype) && { weights: dtypeOf(weights) }) };
}

function quantizationFacts(opened: OpenedModel): QuantizationFacts {
  const tensors = (opened.model.subgraphs ?? []).flatMap(({ tensors = [] }) => tensors);
  const ranges = tensors.filter(({ quantization: q }) => q?.min?.length && q.max?.length).length;
  const none = { schemes: [], quantizedActivations: 0, floatOperators: 0, floatOperatorsWithQuantizedWeights: 0 };
  try {
    const { schemes, activations, float, floatWithWeights } = recognize(workspace(opened, DEFAULT_SCHEME).graphs);
    const facts = {
      schemes: schemeFacts(schemes),
      quantizedActivations: activations,
      floatOperators: float + floatWithWeights,
      floatOperatorsWithQuantizedWeights: floatWithWeights,
      ranges,
    };
    return { text: quantizationText(facts, opened.model), ...facts };
  } catch (error) {
    // What passes cannot work on can be looked at all the same.
    if (!(error instanceof MinmaxqError)) throw error;
    return { text: `cannot be told: ${error.message}`, ...none, ranges };
  }
}

function quantizationText(facts: Omit<QuantizationFacts, "text">, model: Model): string {
  const { schemes, quantizedActivations, floatOperators, floatOperatorsWithQuantizedWeights: hybrid, ranges } = facts;
  const weights = countOperators(model).flatMap(({ weights }) => weights ?? []);
  const parts: string[] = [];
  if (schemes.length > 0) parts.push(schemesText(schemes));
  else if (quantizedActivations > 0)
    parts.push(`${counted(quantizedActivations, "quantized activation")} of no scheme known here`);
  if (hybrid > 0)
    parts.push(
      `weights alone (${[...new Set(weights)].join(", ")}) of ${counted(hybrid, "operator")} that compute in float`,
    );
  else if (weights.length > 0) parts.push(`weights alone (${[...new Set(weights)].join(", ")})`);
  const rest = floatOperators - hybrid;
  if (parts.length > 0) return parts.join("; ") + (rest > 0 ? `; ${counted(rest, "operator")} in float` : "");
  const recorded = ranges > 0 ? `; ranges of ${counted(ranges, "tensor")} are recorded` : "";
  const halves = parameterFacts(model).byDtype.some(({ dtype }) => dtype === "FLOAT16");
  return `none${halves ? "; weights are stored as FLOAT16" : ""}${recorded}`;
}
