/** The drop-in front of ONE's `fm-equalize` (§8.3): channels of feature maps made more alike, before a float model is quantized. */

import { writeFileSync } from "node:fs";
import { z } from "zod";
import { FileError, Problems, reasonOf } from "../base/errors.ts";
import type { Output } from "../base/output.ts";
import { readJson } from "../base/read-text.ts";
import { counted } from "../base/text.ts";
import { openDataSet } from "../calibration/index.ts";
import { channelPeaks } from "../compare/channel-peaks.ts";
import { openSide, type Tap } from "../compare/side.ts";
import { about } from "../driver/about.ts";
import { checkInput, checkPaths, checkReport } from "../driver/paths.ts";
import { reference } from "../driver/quantize.ts";
import type { Graph } from "../graph/graph.ts";
import { type OpenedModel, openModel } from "../model/index.ts";
import {
  checkPatterns,
  type EqualizePattern,
  equalize,
  equalizePatterns,
  type ProfiledPattern,
} from "../passes/transform/equalize.ts";
import { workspace } from "../passes/workspace.ts";
import { DEFAULT_SCHEME } from "../rules/schemes.ts";
import { COMMON_WORDS, type FrontText, missingWords, parseWords, usage, type WordOption } from "./words.ts";

export const OPTIONS: Readonly<Record<string, WordOption>> = {
  "--input": { words: 1, help: "-i; float model (required)" },
  "--output": { words: 1, help: "-o; where to write the equalized model (required)" },
  "--data": { words: 1, help: "-d; samples; without it 3 records of random data" },
  "--data_format": { words: 1, help: "ours: hdf5, list, filelist, directory, dir, npy, npz; h5 by default" },
  "--fme_patterns": {
    words: 1,
    help: "-f; JSON file to write: what was scaled, as a list of { front, back, type: ScaleOnly, act_scale }, one size a channel",
  },
  "--apply_patterns": {
    words: 1,
    help: "ours: such a file to read, maybe without act_scale; only these are scaled. Without it all that there are",
  },
  "--allow_dup_op": { words: 0, help: "accepted; a front with several users is never scaled" },
  "--fme_detect": { words: 1, help: "accepted; no other program is called" },
  "--dalgona": { words: 1, help: "accepted, as well" },
  "--fme_apply": { words: 1, help: "accepted, as well" },
  ...COMMON_WORDS,
};

const TEXT: FrontText = {
  name: "fm-equalize",
  positionals: "",
  options: OPTIONS,
  python: true,
  short: { "-i": "--input", "-o": "--output", "-d": "--data", "-f": "--fme_patterns" },
  example: "-i model.circle -d samples.h5 -o model.equalized.circle",
};

export const HELP = () => usage(TEXT);

const PATTERNS = z.array(
  z.object({
    front: z.string(),
    back: z.string(),
    type: z.literal("ScaleOnly"),
    act_scale: z.array(z.number()).optional(),
  }),
);

export async function runFmEqualize(words: readonly string[], output: Output): Promise<void> {
  const parsed = parseWords(words, TEXT);
  const text = (name: string) => parsed.options.get(name)?.[0];
  const missing = ["--input", "--output"].filter((name) => !text(name));
  if (missing.length > 0) throw missingWords(missing, TEXT);
  const [model, to] = [text("--input")!, text("--output")!];
  const [data, file, list] = [text("--data"), text("--apply_patterns"), text("--fme_patterns")];
  checkPaths([model, data, file], to, true);
  if (list !== undefined) checkReport("--fme_patterns", list, [model, data, file], to);
  const given = file === undefined ? undefined : readPatterns(file);
  const patterns = await profiled(model, given, { location: data, format: text("--data_format") }, output);
  if (list !== undefined) writePatterns(list, patterns);
  const report = await reference({
    model,
    output: to,
    dialect: "circle",
    force: true,
    verified: false,
    change: ({ graphs, context }) => equalize(graphs[0]!, context, patterns),
  });
  for (const note of report.notes) output.tell(`warning: ${note.text}`);
  if (patterns.length === 0)
    output.tell(`warning: ${model}: has no channels that can be scaled; it is written as it is`);
  output.print(`${to}: channels of ${counted(patterns.length, "tensor")} scaled`);
}

type Given = EqualizePattern & { readonly peaks?: Float32Array };

/** The patterns with sizes of channels; the model is run for those that have none. */
async function profiled(
  path: string,
  given: readonly Given[] | undefined,
  samples: { readonly location?: string; readonly format?: string },
  output: Output,
): Promise<ProfiledPattern[]> {
  const opened = openModel(path);
  try {
    return await about(path, async () => {
      const [graph] = workspace(opened, DEFAULT_SCHEME, true).graphs;
      const patterns: readonly Given[] = given ?? equalizePatterns(graph!);
      checkPatterns(graph!, patterns);
      const found = await peaksOf(opened, graph!, patterns, samples, output);
      return patterns.map(({ front, back, peaks }) => ({ front, back, peaks: peaks ?? found.get(front)! }));
    });
  } finally {
    opened.close();
  }
}

async function peaksOf(
  opened: OpenedModel,
  graph: Graph,
  patterns: readonly Given[],
  { location, format }: { readonly location?: string; readonly format?: string },
  output: Output,
): Promise<Map<string, Float32Array>> {
  const wanted = patterns.filter(({ peaks }) => !peaks).map(({ front }) => front);
  if (wanted.length === 0) return new Map();
  let side = await openSide(opened);
  const open = () =>
    openDataSet(location ?? "random", side.inputs, { format: location === undefined ? undefined : (format ?? "h5") });
  const data = await open();
  try {
    // Sizes that a record tells are no part of a copy that is run as a whole.
    if (data.shapes && !side.stepwise) side = await side.byOperator();
    const problems = new Problems();
    const taps = wanted.flatMap((name): Tap[] => {
      const tap = side.layers.get(name);
      if (!tap)
        problems.add(`"${name}": ${graph.name} has several tensors of this name, or none that can be looked at`);
      return tap ? [tap] : [];
    });
    problems.throwIfAny("tensors whose channels cannot be looked at");
    const peaks = await channelPeaks(side, taps, data, output.progress("recording", "samples"));
    return new Map(wanted.map((name, i) => [name, peaks[i]!]));
  } finally {
    data.close();
  }
}

function writePatterns(path: string, patterns: readonly ProfiledPattern[]): void {
  const list = patterns.map(({ front, back, peaks }) => ({ front, back, type: "ScaleOnly", act_scale: [...peaks] }));
  try {
    writeFileSync(path, `${JSON.stringify(list)}\n`);
  } catch (error) {
    throw new FileError(path, `cannot be written (${reasonOf(error)}); give another path`, { cause: error });
  }
}

/** Throws one FileError for everything that is wrong with the file. */
function readPatterns(path: string): Given[] {
  checkInput(path);
  const parsed = PATTERNS.safeParse(readJson(path, { most: 1024 }));
  if (!parsed.success) {
    const problems = new Problems(path);
    for (const { path: place, message } of parsed.error.issues)
      problems.add(`${path}: ${place.map(String).join(".") || "the file"}: ${message}`);
    problems.throwIfAny(`${path}: is no valid file of patterns`);
  }
  return parsed.data!.map(({ front, back, act_scale }) => ({
    front,
    back,
    ...(act_scale && { peaks: Float32Array.from(act_scale) }),
  }));
}

export const FRONT = { text: TEXT, run: runFmEqualize, help: HELP };
