/**
 * A model through the whole pipeline: tables → graphs → passes → tables → file. Commands call these functions.
 */
import { MinmaxqError } from "../base/errors.ts";
import { timed } from "../base/timings.ts";
import { type Exported, exportModel } from "../graph/export.ts";
import type { Graph } from "../graph/graph.ts";
import { importGraph } from "../graph/import.ts";
import { hasProfile, withProfile } from "../graph/profile.ts";
import type { BegunFile, Dialect, Fill, Model, OpenedModel } from "../model/index.ts";
import { writeModel } from "../model/index.ts";
import type { Context, LayerSetting, Note, QuantizeOptions } from "../passes/context.ts";
import { inferDtypes } from "../passes/infer-dtypes.ts";
import { prepare } from "../passes/prepare/float-constants.ts";
import { verify } from "../passes/verify.ts";
import { warnAccuracy } from "../passes/warn-accuracy.ts";
import { type LayerEntry, layerSettings } from "../settings/layers.ts";
import { fillConstants } from "../weights/fill.ts";
import { ConstantScanner } from "../weights/scan.ts";

/** A model whose subgraphs are graphs that passes can work on. */
export interface Workspace {
  readonly opened: OpenedModel;
  readonly graphs: readonly Graph[];
  readonly context: Context;
  /** Profile data is written (§5.1), also when the model read has some: it would be wrong otherwise. */
  profile: boolean;
  /** The output, when it was begun before all is decided (src/driver/early-output.ts). */
  begun?: BegunFile;
}

/** Imports and prepares every subgraph; `likeReference` as the drop-in front does it (src/passes/prepare/float-constants.ts). */
export function workspace(opened: OpenedModel, options: QuantizeOptions, likeReference = false): Workspace {
  return timed("prepare", () => prepared(opened, options, likeReference));
}

function prepared(opened: OpenedModel, options: QuantizeOptions, likeReference: boolean): Workspace {
  const graphs = (opened.model.subgraphs ?? []).map((_, index) => importGraph(opened.model, index));
  if (graphs.length === 0)
    throw new MinmaxqError(`${opened.source.name}: has no subgraph; there is nothing to quantize`);
  for (const graph of graphs) prepare(graph, likeReference);
  const layers = new Map<string, LayerSetting>();
  return {
    opened,
    graphs,
    profile: hasProfile(opened.model),
    context: {
      options,
      layers,
      likeReference,
      graphs,
      scanner: new ConstantScanner(),
      notes: [] as Note[],
      made: new WeakMap(),
    },
  };
}

/** Gives layers a dtype and granularity of their own. Before any pass. */
export function setLayers({ graphs, context }: Workspace, lists: readonly (readonly LayerEntry[])[]): void {
  for (const [name, setting] of layerSettings(graphs, lists)) context.layers.set(name, setting);
}

/** The workspace's graphs as a model; contents that have to be computed are described. */
export function exportWorkspace({ opened, graphs, profile }: Workspace): Exported {
  const exported = exportModel(opened.model, graphs);
  if (!profile) return exported;
  return { ...exported, model: withProfile(opened.model, exported.model, exported.operators[0] ?? []) };
}

/** Lets dtypes follow once all graphs are quantized: control flow takes dtypes of graphs that come after it. */
export function inferAll({ graphs }: Workspace): void {
  for (const graph of graphs) inferDtypes(graph, graphs);
}

/** Notes what is known only once all scales are there. */
export function warnAll({ graphs, context }: Workspace): void {
  for (const graph of graphs) warnAccuracy(graph, context);
}

/** Problems of all graphs; `fill` has to have run, because bias scales are checked. */
export function verifyAll({ graphs, context }: Workspace, allowFloat: boolean): string[] {
  return graphs.flatMap((graph) => verify(graph, context, { allowFloat }));
}

/** Throws one error that lists all problems. */
export function throwProblems(name: string, problems: readonly string[]): void {
  if (problems.length === 0) return;
  const lines = problems.map((line) => `  ${line}`).join("\n");
  throw new MinmaxqError(`${name}: does not verify (${problems.length}):\n${lines}`);
}

/** Writes the workspace's model; `check` runs once all weights are known and before the file gets its name. */
export async function writeWorkspace(
  space: Workspace,
  path: string,
  dialect: Dialect,
  check?: () => void,
  threads?: number,
): Promise<void> {
  const fill: Fill = async (target, placed) => {
    await fillConstants(target, placed, threads);
    timed("passes", () => check?.());
  };
  const { model } = timed("write", () => exportWorkspace(space));
  await writeAs(model, path, dialect, space.opened.external, fill, space.begun);
}

/** Writes a model in a format. */
export async function writeAs(
  model: Model,
  path: string,
  dialect: Dialect,
  external: boolean,
  fill?: Fill,
  begun?: BegunFile,
): Promise<void> {
  await writeModel({ ...model, version: VERSIONS[dialect] }, path, { dialect, fill, external, begun });
}

/** Model.version as the formats' tools write it. */
const VERSIONS: Record<Dialect, number> = { circle: 0, tflite: 3 };
