/**
 * THE REPORT: what a run did, as data. The driver fills it while it works; the summary, `--explain`, `--json` and a batch's line are
 * views of it (src/views), and none of them looks at a graph.
 *
 * Its shape is versioned: members may be added, but what is there keeps its name and meaning.
 */
import type { StepTime } from "../base/steps.ts";
import { changeText, type ValueChange } from "../graph/changes.ts";
import {
  activeNodes,
  type Dtype,
  type FloatReason,
  type Graph,
  isConstant,
  type Node,
  withOwnRange,
  yieldedBy,
} from "../graph/graph.ts";
import { type Provenance, provenanceText, type QuantParam } from "../graph/quantparam.ts";
import { type Dialect, nameOf, TensorType } from "../model/index.ts";
import { type Note, QUANTIZED_ALREADY } from "../passes/context.ts";
import type { Prepared } from "../passes/prepare/index.ts";

export interface Report {
  readonly reportVersion: 1;
  readonly model: FileReport;
  readonly output: FileReport;
  /** Name of the scheme, and the granularity of weights; absent where nothing was quantized by one. */
  readonly scheme?: string;
  readonly granularity?: string;
  /** The runtime that the result is for, where one was named; else what ONE's would make of it, where that is not all right. */
  readonly target?: string;
  readonly targetHint?: string;
  /** What was done, where one phrase says it (transforms). */
  readonly done?: string;
  /** The result was held to the rules of its operators. */
  readonly verified: boolean;
  /** Whether the runtime inside of minmaxq ran the result once; absent where it is not for that runtime, or was not asked to. */
  readonly run?: RunReport;
  /** Where ranges come from; absent where none were used. */
  readonly ranges?: RecordedFrom | { readonly source: "file" };
  /** Number of ranges written by `record`. */
  readonly rangesWritten?: number;
  /** What was done before quantization, step by step. */
  readonly prepared: readonly Prepared[];
  readonly notes: readonly Note[];
  /** Quantized tensors of the result. */
  readonly counts: { readonly activations: number; readonly constants: number };
  /** Operators of the result by the dtype of what they yield (`{ int8: 62, float32: 2 }`, the most first), without QUANTIZE and DEQUANTIZE. */
  readonly layers: Readonly<Record<string, number>>;
  /** Most bytes that the process had resident. */
  readonly peakMemory: number;
  /** Wall time of the whole run, and of each step in order. */
  readonly seconds: number;
  readonly steps: readonly StepTime[];
  /** Every tensor of the result. Computed when it is asked for: most views need none of it. */
  readonly subgraphs: readonly SubgraphReport[];
}

export interface RunReport {
  readonly runtime: string;
  readonly ran: boolean;
  /** Why it was not run, or not to its end. */
  readonly reason?: string;
}

export interface FileReport {
  readonly path: string;
  readonly format: Dialect;
  readonly bytes: number;
}

export interface RecordedFrom {
  readonly source: "samples";
  /** For people: "percentile 1–99". */
  readonly how: string;
  readonly samples: number;
  /** Samples were made up, so their ranges mean nothing. */
  readonly random: boolean;
  /** Where samples were for several signatures: how many each had. `samples` is their sum, and `random` says of any. */
  readonly bySignature?: readonly SignatureSamples[];
}

export interface SignatureSamples {
  readonly signature?: string;
  readonly subgraph: number;
  readonly samples: number;
  readonly random: boolean;
}

export interface SubgraphReport {
  readonly index: number;
  readonly name: string;
  /** False for subgraphs that were left as they are. */
  readonly quantized: boolean;
  readonly tensors: readonly TensorReport[];
}

export interface TensorReport {
  readonly name: string;
  /** Operator that yields it; absent for inputs and constants. */
  readonly operator?: string;
  readonly kind: "input" | "constant" | "variable" | "activation";
  readonly shape: readonly number[];
  readonly dtype: Dtype;
  /** dtype in the model as read; absent for tensors that were made. */
  readonly dtypeBefore?: Dtype;
  /** The range that was recorded or found, also where the file keeps none. One value, or one per channel. */
  readonly range?: { readonly min: readonly number[]; readonly max: readonly number[] };
  readonly scale?: readonly number[];
  readonly zeroPoint?: readonly number[];
  /** Dimension of the channels, where there are several scales. */
  readonly axis?: number;
  /** Where its parameters come from: the first that it was given, then what replaced them. */
  readonly chain: readonly ChainLink[];
  /** What was done to a constant's values, in this order. */
  readonly changes?: readonly (ValueChange & { readonly because: string })[];
  /** Why it is not quantized. */
  readonly float?: FloatReason;
  /** It was quantized in the model as read, and is as it was. */
  readonly kept?: FloatReason;
  /** What the preparation did to it. */
  readonly prepared?: readonly { readonly step: string; readonly op: string; readonly into?: string }[];
}

export interface ChainLink {
  readonly provenance: Provenance;
  /** The provenance as a phrase. */
  readonly because: string;
  readonly dtype: Dtype;
  /** First scale and zero point; absent while a tensor has only a range. */
  readonly scale?: number;
  readonly zeroPoint?: number;
}

/** Counts of quantized tensors of graphs. */
export function countQuantized(graphs: readonly Graph[]): Report["counts"] {
  let activations = 0;
  let constants = 0;
  for (const node of graphs.flatMap(activeNodes)) {
    if (!node.quant?.scale.length || node.kind === "output" || node.dtype === "FLOAT32") continue;
    if (isConstant(node)) constants++;
    else activations++;
  }
  return { activations, constants };
}

/** Counts of operators by the dtype of their first result. */
export function countLayers(graphs: readonly Graph[]): Report["layers"] {
  const counts = new Map<string, number>();
  for (const node of graphs.flatMap(activeNodes)) {
    const yielded = node.kind === "operator" && !BORDERS.includes(node.op) ? yieldedBy(node)[0] : undefined;
    if (!yielded) continue;
    const dtype = yielded.dtype.toLowerCase();
    counts.set(dtype, (counts.get(dtype) ?? 0) + 1);
  }
  return Object.fromEntries([...counts].sort((a, b) => b[1] - a[1]));
}

/** They change how numbers are written, and are no layers. */
const BORDERS: readonly string[] = ["QUANTIZE", "DEQUANTIZE"];

/** Reports on every tensor of `graphs`; those not in `quantized` were left as they are. */
export function reportSubgraphs(
  graphs: readonly Graph[],
  quantized: readonly Graph[],
  prepared: readonly Prepared[],
): SubgraphReport[] {
  return graphs.map((graph, index) => {
    const edits = editsByTensor(prepared, index);
    return {
      index,
      name: graph.name,
      quantized: quantized.includes(graph),
      tensors: activeNodes(graph)
        .filter((node) => node.kind !== "output" && isTensor(node))
        .map((node) => reportTensor(node, edits.get(node.name))),
    };
  });
}

/** An operator with separate results is no tensor itself. */
function isTensor(node: Node): boolean {
  return ![...node.users].some((user) => user.kind === "result");
}

function editsByTensor(prepared: readonly Prepared[], subgraph: number) {
  const found = new Map<string, { step: string; op: string; into?: string }[]>();
  for (const { step, edits } of prepared) {
    for (const { op, into, tensor, subgraph: at } of edits) {
      if (at !== subgraph) continue;
      found.set(tensor, [...(found.get(tensor) ?? []), { step, op, ...(into && { into }) }]);
    }
  }
  return found;
}

function reportTensor(node: Node, prepared: TensorReport["prepared"]): TensorReport {
  const { quant } = node;
  const range = rangeOf(node);
  const scales = quant && quant.scale.length > 0 ? quant : null;
  return {
    name: node.name,
    ...(node.op && { operator: node.op }),
    kind: node.kind === "operator" || node.kind === "result" ? "activation" : (node.kind as TensorReport["kind"]),
    shape: node.shape,
    dtype: node.dtype,
    ...(node.tensor && { dtypeBefore: nameOf(TensorType, node.tensor.type ?? 0) as Dtype }),
    ...(range && { range }),
    ...(scales && { scale: [...scales.scale], zeroPoint: [...scales.zeroPoint].map(Number) }),
    ...(scales && scales.scale.length > 1 && { axis: scales.axis }),
    chain: chainOf(node),
    ...(node.changes.length > 0 && {
      changes: node.changes.map((change) => ({ ...change, because: changeText(change) })),
    }),
    ...(node.float && node.float.code !== "nothing-to-do" && { [isKept(node) ? "kept" : "float"]: node.float }),
    ...(prepared && { prepared }),
  };
}

function isKept({ float }: Node): boolean {
  return float?.code === QUANTIZED_ALREADY;
}

/** The range of its own: the pipeline drops ranges, the Report does not. */
function rangeOf(node: Node): TensorReport["range"] {
  const last = withOwnRange(node);
  return last ? { min: [...last.min], max: [...last.max] } : undefined;
}

function chainOf({ quant, former, dtype }: Node): ChainLink[] {
  const links: ChainLink[] = [];
  for (const each of [...former, ...(quant ? [{ quant, dtype }] : [])]) {
    const link = linkOf(each.quant, each.dtype);
    // Dropping a range, or giving a dtype, is no new reason.
    if (links.at(-1)?.because === link.because) links.pop();
    links.push(link);
  }
  return links;
}

function linkOf({ provenance, scale, zeroPoint }: QuantParam, dtype: Dtype): ChainLink {
  return {
    provenance,
    because: provenanceText(provenance),
    dtype,
    ...(scale.length > 0 && { scale: scale[0]!, zeroPoint: Number(zeroPoint[0] ?? 0n) }),
  };
}
