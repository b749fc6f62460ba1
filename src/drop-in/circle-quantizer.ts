/**
 * The drop-in front of ONE's `circle-quantizer`: its arguments, its order, its treatment of operators without a rule (§5).
 *
 * Options take exactly their number of following words, even such that begin with a dash, and mix with the two positionals.
 */

import { UsageError } from "../base/errors.ts";
import type { Output } from "../base/output.ts";
import { reference } from "../driver/quantize.ts";
import { MODES, optionsOf } from "./modes.ts";
import { COMMON_WORDS, type FrontText, parseWords, usage, type WordOption } from "./words.ts";

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

const TEXT: FrontText = {
  name: "circle-quantizer",
  positionals: " INPUT OUTPUT",
  options: OPTIONS,
  short: { "-V": "--verbose" },
  example: "--quantize_with_minmax float32 uint8 channel recorded.circle out.circle",
};

export const HELP = () => usage(TEXT);

export async function runCircleQuantizer(
  words: readonly string[],
  output: Pick<Output, "tell"> = SILENT,
): Promise<void> {
  const parsed = parseWords(words, TEXT);
  const modes = Object.keys(MODES).filter((name) => parsed.options.has(name));
  if (modes.length !== 1)
    throw new UsageError(`choose exactly one of ${Object.keys(MODES).join(", ")} (got ${modes.length}); see --help`);
  const [input, path] = parsed.positionals as [string, string];
  const mode = MODES[modes[0]!]!;
  const config = parsed.options.get("--config")?.[0];
  const report = await reference({
    model: input,
    output: path,
    dialect: "circle",
    force: true,
    options: optionsOf(modes[0]!, parsed),
    ...(config !== undefined && { layers: { config } }),
    profile: parsed.options.has("--generate_profile_data"),
    change: (space) => mode.run(space, parsed),
    verified: mode.verified === true,
  });
  for (const note of report.notes) output.tell(`warning: ${note.text}`);
}

export const FRONT = { text: TEXT, run: runCircleQuantizer, help: HELP };
