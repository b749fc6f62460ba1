/** `--config` and `--layer` of commands. */

import { setLayers, type Workspace } from "../driver/workspace.ts";
import type { OptionValues } from "../options/table.ts";

/** Gives layers the dtypes and granularities that the options name; a name that both set is `--layer`'s. */
export async function setLayersFromOptions(space: Workspace, options: OptionValues): Promise<void> {
  if (options.config === undefined && options.layer === undefined) return;
  // Loaded only where they are needed: zod and picomatch would be a tenth of every start.
  const [{ readConfig }, { layerArgument, layerEntries, mergeLayers }] = await Promise.all([
    import("../settings/config.ts"),
    import("../settings/layer-arguments.ts"),
  ]);
  const lists = options.config === undefined ? [] : readConfig(options.config);
  const given = (options.layer ?? []).map((text) => layerArgument(text, options.granularity));
  const merged = mergeLayers(lists, layerEntries(space.graphs, given));
  if (merged.length > 0) setLayers(space, merged);
}
