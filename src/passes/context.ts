/** What every pass gets beside the graph. */
import { type Dtype, describe, type FloatReason, type Graph, type Node, resultsOf } from "../graph/graph.ts";
import type { BegunFile, OpenedModel } from "../model/index.ts";
import { isQuantized } from "../rules/dtypes.ts";
import {
  type ActivationQuantizer,
  activationOf,
  type Granularity,
  type Scheme,
  type WeightScheme,
} from "../rules/schemes.ts";
import { type Target, targetRow } from "../rules/targets.ts";
import type { Constant } from "../weights/constant.ts";
import type { PendingContents } from "../weights/pending.ts";
import type { ConstantScanner } from "../weights/scan.ts";

/** Scheme and granularity of one layer, over the model's defaults. */
export interface LayerSetting {
  readonly scheme: Scheme;
  readonly granularity: Granularity;
  /** It stays float; the scheme is the model's. */
  readonly float?: true;
  /** Its weights alone are quantized, as everywhere in the model, by this scheme; `scheme` says nothing then. */
  readonly weights?: WeightScheme;
}

export interface QuantizeOptions {
  readonly scheme: Scheme;
  readonly granularity: Granularity;
  /** Requested dtypes of graph inputs and outputs: none (that of the scheme), one for all, or one each. */
  readonly inputDtypes?: readonly Dtype[];
  readonly outputDtypes?: readonly Dtype[];
  readonly tfStyleMaxpool?: boolean;
  readonly saveMinMax?: boolean;
  /** What masks and pads say instead of values beyond it, chosen by a person; without one each finds its own. */
  readonly maskValue?: number;
  /** The runtime that the result is for; without one the result is ONE's. */
  readonly target?: Target;
}

/** Something a person should know about the result. */
export interface Note {
  /** `float`: stays float; `kept`: is quantized already and stays as it is; `warning`: works, but look at it; `note`: nothing to do, but good to know. */
  readonly kind: "float" | "kept" | "warning" | "note";
  /** Stable, for programs: one code per kind of note. */
  readonly code: string;
  /** One line: which thing, what is the matter, what to do. */
  readonly text: string;
  /** Name of the tensor (or operator's result) it is about. */
  readonly tensor?: string;
  /** Index of its subgraph. */
  readonly subgraph?: number;
  /** The numbers in the text, by name. */
  readonly numbers?: Readonly<Record<string, number>>;
}

export interface Context {
  readonly options: QuantizeOptions;
  /** Settings by node name; clones and outputs inherit them by their name (§2.3). */
  readonly layers: Map<string, LayerSetting>;
  /** The drop-in front: where the reference's way differs from what `quantize` does, its way. */
  readonly likeReference: boolean;
  /** All subgraphs of the model. */
  readonly graphs: readonly Graph[];
  /** Reads constants where a decision depends on their values. */
  readonly scanner: ConstantScanner;
  readonly notes: Note[];
  /** What was made of constants already, so that users of one constant who want the same share the result (`shared`). */
  readonly made: WeakMap<Constant, Map<string, unknown>>;
}

/** A model whose subgraphs are graphs that passes can work on. */
export interface Workspace {
  readonly opened: OpenedModel;
  readonly graphs: readonly Graph[];
  readonly context: Context;
  /** Subgraphs whose operators were put in the place of all that ran them: they are not written, unless something else names them. */
  readonly inlined: Set<number>;
  /** What constants become in the output. */
  readonly contents: PendingContents;
  /** Profile data is written (§5.1), also when the model read has some: it would be wrong otherwise. */
  profile: boolean;
  /** Operator versions were set for LiteRT (src/passes/litert/operator-versions.ts): a .tflite says the least runtime that knows them. */
  versioned?: boolean;
  /** The output, when it was begun before all is decided (src/driver/early-output.ts). */
  begun?: BegunFile;
}

/** What `make` gives for a constant and a key; made once. */
export function shared<T>(context: Context, of: Constant, key: string, make: () => T): T {
  const known = context.made.get(of) ?? new Map<string, unknown>();
  context.made.set(of, known);
  if (!known.has(key)) known.set(key, make());
  return known.get(key) as T;
}

/** Scheme of a node: its layer's, or the model's. */
export function schemeOf(context: Context, node: Node): Scheme {
  return context.layers.get(node.name)?.scheme ?? context.options.scheme;
}

/**
 * The quantizer that activations of a tensor's dtype have: in the model's scheme, or else in its family; undefined for other dtypes.
 */
export function quantizerOf(
  { options }: Context,
  { dtype }: { readonly dtype: Dtype },
): ActivationQuantizer | undefined {
  const { activation, family } = options.scheme;
  return activation.dtype === dtype ? activation : activationOf(family, dtype);
}

/** A tensor that is quantized: its type counts (§1.1), or is one of activations in the model's family of schemes. */
export function isQuantizedIn(context: Context, node: Node): boolean {
  return isQuantized(node) || (node.quant !== null && quantizerOf(context, node) !== undefined);
}

/** Granularity of a node's weights: the only one that the target takes, its layer's, or the model's. */
export function granularityOf(context: Context, node: Node): Granularity {
  const { target } = context.options;
  if (target && targetRow(target, node.op).weights === "per tensor") return "layer";
  return context.layers.get(node.name)?.granularity ?? context.options.granularity;
}

/** Notes that a warning is due. `node` is what it is about; `text` is said behind its name. */
export function warn(
  context: Context,
  node: Node,
  code: string,
  text: string,
  numbers: Readonly<Record<string, number>> = {},
): void {
  note(context, node, { kind: "warning", code, text: `${describe(node)}: ${text}`, numbers });
}

/** Notes what was done that a person may want to know; arguments as of `warn`. */
export function remark(
  context: Context,
  node: Node,
  code: string,
  text: string,
  numbers: Readonly<Record<string, number>>,
): void {
  note(context, node, { kind: "note", code, text: `${describe(node)}: ${text}`, numbers });
}

/** Code of the reason of operators that the file has quantized. */
export const QUANTIZED_ALREADY: FloatReason["code"] = "quantized-already";

/** Notes that an operator or output stays as it is: float, or quantized already. */
export function noteFloat(context: Context, node: Node, { code, text }: FloatReason): void {
  note(context, node, {
    kind: code === QUANTIZED_ALREADY ? "kept" : "float",
    code,
    text: `${describe(node)}: ${text}`,
  });
}

/** Marks that an operator stays as it is, its results with it, and notes it. */
export function leave(context: Context, node: Node, reason: FloatReason): void {
  node.float = reason;
  for (const result of resultsOf(node)) result.float = reason;
  noteFloat(context, node, reason);
}

function note(context: Context, node: Node, what: Omit<Note, "tensor" | "subgraph">): void {
  const subgraph = context.graphs.findIndex((graph) => graph.nodes[node.id] === node);
  context.notes.push({ ...what, tensor: node.name, ...(subgraph >= 0 ? { subgraph } : {}) });
}
