/** `--config` and `--layer` of commands. */
import type { OptionValues } from "../cli/options.ts";
import { readConfig } from "../config.ts";
import { layerArgument, layerEntries, mergeLayers } from "../layer-arguments.ts";
import { setLayers, type Workspace } from "../quantize.ts";

/** Gives layers the dtypes and granularities that the options name; a name that both set is `--layer`'s. */
export function setLayersFromOptions(space: Workspace, options: OptionValues): void {
  const lists = options.config === undefined ? [] : readConfig(options.config);
  const given = (options.layer ?? []).map((text) => layerArgument(text, options.granularity));
  const merged = mergeLayers(lists, layerEntries(space.graphs, given));
  if (merged.length > 0) setLayers(space, merged);
}
