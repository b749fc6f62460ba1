/**
 * The drop-in front of ONE's `circle-quantizer`: its arguments, its order, its treatment of operators without a rule (§5).
 *
 * Options take exactly their number of following words, even such that begin with a dash, and mix with the two positionals.
 */

import type { Output } from "../commands/command.ts";
import { checkPaths } from "../commands/paths.ts";
import { readConfig } from "../config.ts";
import { UsageError } from "../errors.ts";
import type { Dtype } from "../graph/graph.ts";
import { openModel } from "../model/index.ts";
import type { QuantizeOptions } from "../passes/context.ts";
import { fakeQuantizeWeights } from "../passes/fake-quantize-weights.ts";
import { inferDtypes } from "../passes/infer-dtypes.ts";
import { quantizeGraph } from "../pipeline.ts";
import { inferAll, setLayers, throwProblems, verifyAll, workspace, writeWorkspace } from "../quantize.ts";
import {
  choice,
  dtypeList,
  GRANULARITIES,
  type Parsed,
  parseWords,
  QUANTIZED_DTYPES,
  usage,
  type WordOption,
} from "./words.ts";

/** The reference's options: how many words each takes, and which are modes (exactly one must be chosen). */
export const OPTIONS: Readonly<Record<string, WordOption>> = {
  "--quantize_dequantize_weights": {
    words: 3,
    mode: true,
    help: "IN_DTYPE OUT_DTYPE GRANULARITY: fake-quantize weights",
  },
  "--quantize_with_minmax": {
    words: 3,
    mode: true,
    help: "IN_DTYPE OUT_DTYPE GRANULARITY: quantize with recorded ranges",
  },
  "--TF-style_maxpool": { words: 0, help: "MAX_POOL_2D takes its input's parameters" },
  "--save_min_max": { words: 0, help: "keep recorded ranges in the result" },
  "--input_type": { words: 1, help: "dtypes of the inputs, separated by commas" },
  "--output_type": { words: 1, help: "dtypes of the outputs, separated by commas" },
  "--config": { words: 1, help: "JSON file of layers with a dtype and granularity of their own" },
  "--generate_profile_data": { words: 0, help: "accepted; minmaxq writes no profile data" },
  "--verbose": { words: 0, help: "print stack traces of errors" },
};

const SILENT = { tell: () => {} };

export const HELP = () => usage("circle-quantizer", " INPUT OUTPUT", OPTIONS);

export async function runCircleQuantizer(
  words: readonly string[],
  output: Pick<Output, "tell"> = SILENT,
): Promise<void> {
  const parsed = parseWords(words, OPTIONS, ["INPUT", "OUTPUT"]);
  const modes = Object.keys(OPTIONS).filter((name) => OPTIONS[name]!.mode && parsed.options.has(name));
  if (modes.length !== 1) {
    const all = Object.keys(OPTIONS).filter((name) => OPTIONS[name]!.mode);
    throw new UsageError(`choose exactly one of ${all.join(", ")} (got ${modes.length}); see --help`);
  }
  const [input, path] = parsed.positionals as [string, string];
  const options = quantizeOptions(parsed, modes[0]!);
  checkPaths([input], path, true);
  const opened = openModel(input);
  try {
    const space = workspace(opened, options, true);
    const config = parsed.options.get("--config")?.[0];
    if (config !== undefined) setLayers(space, readConfig(config));
    for (const graph of space.graphs) {
      if (modes[0] === "--quantize_with_minmax") {
        quantizeGraph(graph, space.context);
      } else {
        fakeQuantizeWeights(graph, space.context);
        inferDtypes(graph, space.graphs);
      }
    }
    space.context.scanner.throwProblems();
    inferAll(space);
    const check =
      modes[0] === "--quantize_with_minmax" ? () => throwProblems(input, verifyAll(space, false)) : undefined;
    await writeWorkspace(space, path, "circle", check);
    for (const note of space.context.notes) output.tell(`warning: ${note.text}`);
  } finally {
    opened.close();
  }
}

function quantizeOptions(parsed: Parsed, mode: string): QuantizeOptions {
  const [inputDtype, outputDtype, granularity] = parsed.options.get(mode)!;
  choice(mode, inputDtype!, { float32: "FLOAT32" });
  const dtype = choice(mode, outputDtype!, QUANTIZED_DTYPES);
  const chosen = choice(mode, granularity!, GRANULARITIES);
  const list = (name: string): Dtype[] | undefined => {
    const value = parsed.options.get(name)?.[0];
    return value === undefined ? undefined : dtypeList(name, value);
  };
  if (chosen === "layer" && dtype !== "UINT8")
    throw new UsageError(
      `${mode}: layer-wise quantization supports uint8 only; use granularity channel for ${outputDtype}`,
    );
  return {
    dtype,
    granularity: chosen,
    inputDtypes: list("--input_type"),
    outputDtypes: list("--output_type"),
    tfStyleMaxpool: parsed.options.has("--TF-style_maxpool"),
    saveMinMax: parsed.options.has("--save_min_max"),
  };
}
