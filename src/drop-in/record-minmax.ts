/** The drop-in front of ONE's `record-minmax`: its arguments (§7.1), our recording. */

import { InvalidArgumentError } from "commander";
import { UsageError } from "../base/errors.ts";
import type { Output } from "../base/output.ts";
import { record } from "../driver/quantize.ts";
import { recordSettings } from "../options/settings.ts";
import { OPTIONS as TABLE } from "../options/table.ts";
import type { OptionValues } from "../options/values.ts";
import { recordedLine } from "../views/summary.ts";
import {
  COMMON_WORDS,
  type FrontText,
  missingWords,
  type Parsed,
  parseWords,
  usage,
  type WordOption,
} from "./words.ts";

export const OPTIONS: Readonly<Record<string, WordOption>> = {
  "--input_model": { words: 1, help: "float model (required)" },
  "--output_model": { words: 1, help: "where to write the recorded model (required)" },
  "--input_data": { words: 1, help: "samples; without it 3 records of random data" },
  "--input_data_format": { words: 1, help: "h5 (default), hdf5, list, filelist, directory, dir; ours: npy, npz" },
  "--mode": { words: 1, help: "percentile (default) or moving_average; ours: minmax, percentile_all, entropy, mse" },
  "--min_percentile": { words: 1, help: "1.0 by default (0.01 with percentile_all)" },
  "--max_percentile": { words: 1, help: "99.0 by default (99.99 with percentile_all)" },
  "--moving_avg_batch": { words: 1, help: "16 by default" },
  "--moving_avg_const": { words: 1, help: "0.1 by default" },
  "--num_threads": { words: 1, help: "workers; results do not depend on it" },
  "--generate_profile_data": { words: 0, help: "accepted; recording changes no operators" },
  ...COMMON_WORDS,
};

const TEXT: FrontText = {
  name: "record-minmax",
  positionals: "",
  options: OPTIONS,
  short: { "-V": "--verbose" },
  example: "--input_model model.circle --input_data samples.h5 --output_model recorded.circle",
};

export const HELP = () => usage(TEXT);

export async function runRecordMinmax(words: readonly string[], output: Output): Promise<void> {
  const parsed = parseWords(words, TEXT);
  const text = (name: string) => parsed.options.get(name)?.[0];
  const input = text("--input_model");
  const path = text("--output_model");
  const missing = ["--input_model", "--output_model"].filter((name) => !text(name));
  if (missing.length > 0 || !input || !path) throw missingWords(missing, TEXT);
  const data = text("--input_data");
  const options = {
    ...defaults(),
    output: path,
    force: true,
    data: [{ location: data ?? "random" }],
    dataFormat: [{ format: data === undefined ? "random" : (text("--input_data_format") ?? "h5") }],
    ...reductionOf(parsed),
  } as OptionValues;
  const settings = recordSettings(input, options);
  // The reference reads raw files, whatever they are called.
  const samples = { ...settings.samples, media: undefined };
  output.print(recordedLine(await record({ ...settings, samples }, output)));
}

function defaults(): Partial<OptionValues> {
  const { mode, movingAvgBatch, movingAvgConst } = TABLE;
  return {
    mode: mode.default,
    dtype: "uint8",
    movingAvgBatch: movingAvgBatch.default,
    movingAvgConst: movingAvgConst.default,
  };
}

/** The reference's options are rows of our own table under other names. */
function reductionOf(parsed: Parsed): Partial<OptionValues> {
  const same = {
    "--mode": "mode",
    "--min_percentile": "minPercentile",
    "--max_percentile": "maxPercentile",
    "--moving_avg_batch": "movingAvgBatch",
    "--moving_avg_const": "movingAvgConst",
    "--num_threads": "numThreads",
  } as const;
  const values: Record<string, unknown> = {};
  for (const [word, name] of Object.entries(same)) {
    const text = parsed.options.get(word)?.[0];
    if (text === undefined) continue;
    try {
      values[name] = TABLE[name].parse(text);
    } catch (error) {
      if (error instanceof InvalidArgumentError)
        throw new UsageError(`${word}: "${text}" is not possible. ${error.message}`);
      throw error;
    }
  }
  return values;
}

export const FRONT = { text: TEXT, run: runRecordMinmax, help: HELP };
