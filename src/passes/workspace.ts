/** Both ends of what passes work on: tables → graphs, and graphs → tables. */
import { FileError } from "../base/errors.ts";
import { timed } from "../base/timings.ts";
import { type Exported, exportModel } from "../graph/export.ts";
import { importGraph } from "../graph/import.ts";
import { hasProfile, withProfile } from "../graph/profile.ts";
import type { OpenedModel } from "../model/index.ts";
import { RULES_OF } from "../rules/operators.ts";
import { PendingContents } from "../weights/pending.ts";
import { ConstantScanner } from "../weights/scan.ts";
import type { LayerSetting, Note, QuantizeOptions, Workspace } from "./context.ts";
import { expandConstants } from "./prepare/float-constants.ts";

/** Imports every subgraph; `likeReference` as the drop-in front does it (src/passes/prepare/float-constants.ts). */
export function workspace(opened: OpenedModel, options: QuantizeOptions, likeReference = false): Workspace {
  return timed("prepare", () => imported(opened, options, likeReference));
}

function imported(opened: OpenedModel, options: QuantizeOptions, likeReference: boolean): Workspace {
  const graphs = (opened.model.subgraphs ?? []).map((_, index) =>
    importGraph(opened.model, index, likeReference ? "one" : RULES_OF[options.scheme.family]),
  );
  if (graphs.length === 0) throw new FileError(opened.source.name, "has no subgraph; there is nothing to quantize");
  for (const graph of graphs) expandConstants(graph, likeReference);
  const layers = new Map<string, LayerSetting>();
  return {
    opened,
    graphs,
    contents: new PendingContents(),
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

/** The workspace's graphs as a model; contents that have to be computed are described. */
export function exportWorkspace({ opened, graphs, contents, profile }: Workspace): Exported {
  const exported = exportModel(opened.model, graphs, contents);
  if (!profile) return exported;
  return { ...exported, model: withProfile(opened.model, exported.model, exported.operators[0] ?? []) };
}
