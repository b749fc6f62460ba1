/** What every pass gets beside the graph. */
import type { Dtype, Graph, Node } from "../graph/graph.ts";
import { type Granularity, type QuantizedDtype, SCHEMES, type Scheme } from "../rules/schemes.ts";
import type { Constant } from "../weights/constant.ts";
import type { ConstantScanner } from "../weights/scan.ts";

/** dtype and granularity of one layer, over the model's defaults. */
export interface LayerSetting {
  readonly dtype: QuantizedDtype;
  readonly granularity: Granularity;
}

export interface QuantizeOptions {
  readonly dtype: QuantizedDtype;
  readonly granularity: Granularity;
  /** Requested dtypes of graph inputs and outputs: none (the model's dtype), one for all, or one each. */
  readonly inputDtypes?: readonly Dtype[];
  readonly outputDtypes?: readonly Dtype[];
  readonly tfStyleMaxpool?: boolean;
  readonly saveMinMax?: boolean;
}

/** Something a person should know about the result. */
export interface Note {
  /** `float`: stays float; `warning`: works, but look at it. */
  readonly kind: "float" | "warning";
  readonly text: string;
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

/** What `make` gives for a constant and a key; made once. */
export function shared<T>(context: Context, of: Constant, key: string, make: () => T): T {
  const known = context.made.get(of) ?? new Map<string, unknown>();
  context.made.set(of, known);
  if (!known.has(key)) known.set(key, make());
  return known.get(key) as T;
}

/** A pass changes the graph; `true` = it changed something (asked for only where a pass is repeated). */
export type Pass = (graph: Graph, context: Context) => boolean | void;

/** Scheme of a node: its layer's, or the model's. */
export function schemeOf(context: Context, node: Node): Scheme {
  return SCHEMES[context.layers.get(node.name)?.dtype ?? context.options.dtype];
}

/** Granularity of a node's weights: its layer's, or the model's. */
export function granularityOf(context: Context, node: Node): Granularity {
  return context.layers.get(node.name)?.granularity ?? context.options.granularity;
}

export function warn(context: Context, text: string): void {
  context.notes.push({ kind: "warning", text });
}
