/** `minmaxq set-parameters`: scales and zero points given by a person (reference §5.6, force and copy). */

import { UsageError } from "../base/errors.ts";
import { counted } from "../base/text.ts";
import { copyParameters, forceParameters } from "../passes/transform/set-parameters.ts";
import { transformCommand } from "./transform.ts";

export const setParameters = transformCommand({
  name: "set-parameters",
  summary: "set tensors' scale and zero point, or copy them from other tensors",
  options: ["set", "copy"],
  examples: [
    "minmaxq set-parameters model.circle --set 'conv1=0.05,128' -o fixed.circle",
    "minmaxq set-parameters model.circle --copy 'concat=conv1' -o fixed.circle",
  ],
  change({ graphs }, { set = [], copy = [] }) {
    if (set.length + copy.length === 0) throw new UsageError("give at least one --set or --copy; see --help");
    forceParameters(graphs, set);
    copyParameters(graphs, copy);
    return `${counted(set.length, "tensor")} set, ${counted(copy.length, "tensor")} copied`;
  },
});
