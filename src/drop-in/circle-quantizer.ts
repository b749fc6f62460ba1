/**
 * The drop-in front of ONE's `circle-quantizer`: its arguments, its order, its treatment of operators without a rule (§5).
 *
 * Options take exactly their number of following words, even such that begin with a dash, and mix with the two positionals.
 */

import { UsageError } from "../base/errors.ts";
import type { Output } from "../commands/command.ts";
import { about } from "../driver/about.ts";
import { begin } from "../driver/early-output.ts";
import { checkPaths } from "../driver/paths.ts";
import {
  inferAll,
  setLayers,
  throwProblems,
  verifyAll,
  warnAll,
  workspace,
  writeWorkspace,
} from "../driver/workspace.ts";
import { openModel } from "../model/index.ts";
import { missingRanges } from "../passes/float/check-ranges.ts";
import { startEarly } from "../weights/threads.ts";
import { MODES, optionsOf } from "./modes.ts";
import { COMMON_WORDS, parseWords, usage, type WordOption } from "./words.ts";

/** The reference's options: how many words each takes. */
export const OPTIONS: Readonly<Record<string, WordOption>> = {
  ...MODES,
  "--TF-style_maxpool": { words: 0, help: "MAX_POOL_2D takes its input's parameters" },
  "--save_min_max": { words: 0, help: "keep recorded ranges in the result" },
  "--input_type": { words: 1, help: "dtypes of the inputs, separated by commas" },
  "--output_type": { words: 1, help: "dtypes of the outputs, separated by commas" },
  "--config": { words: 1, help: "JSON file of layers with a dtype and granularity of their own" },
  "--generate_profile_data": { words: 0, help: "write which operators of the input each operator comes from" },
  ...COMMON_WORDS,
};

const SILENT = { tell: () => {} };

export const HELP = () => usage("circle-quantizer", " INPUT OUTPUT", OPTIONS);

export async function runCircleQuantizer(
  words: readonly string[],
  output: Pick<Output, "tell"> = SILENT,
): Promise<void> {
  const parsed = parseWords(words, OPTIONS, ["INPUT", "OUTPUT"]);
  const modes = Object.keys(MODES).filter((name) => parsed.options.has(name));
  if (modes.length !== 1)
    throw new UsageError(`choose exactly one of ${Object.keys(MODES).join(", ")} (got ${modes.length}); see --help`);
  const [input, path] = parsed.positionals as [string, string];
  const mode = MODES[modes[0]!]!;
  const options = optionsOf(modes[0]!, parsed);
  checkPaths([input], path, true);
  startEarly(input);
  const opened = openModel(input);
  let abandon = async () => {};
  try {
    const space = workspace(opened, options, true);
    if (parsed.options.has("--generate_profile_data")) space.profile = true;
    const config = parsed.options.get("--config")?.[0];
    // zod is loaded only where there is something to check.
    if (config !== undefined) setLayers(space, (await import("../settings/config.ts")).readConfig(config));
    const missing = mode.verified ? space.graphs.flatMap(missingRanges) : [];
    if (mode.verified) abandon = begin(space, space.graphs, path);
    await about(input, () => {
      mode.run(space, parsed);
      space.context.scanner.throwProblems();
      inferAll(space);
    });
    const check = () => {
      const problems = mode.verified ? verifyAll(space, false) : [];
      // The reference takes models without some ranges; where the result is wrong, they are the likely cause.
      const causes = missing.map((line) => `${line}; run 'minmaxq record' first`);
      if (problems.length > 0) throwProblems(input, [...causes, ...problems]);
      warnAll(space);
    };
    await about(input, () => writeWorkspace(space, path, "circle", check), path);
    for (const note of space.context.notes) output.tell(`warning: ${note.text}`);
  } finally {
    await abandon();
    opened.close();
  }
}

export const FRONT = { run: runCircleQuantizer, help: HELP };
