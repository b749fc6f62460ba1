/** `minmaxq tune`: mixed precision, which layers get more bits. */

import { rmSync, writeFileSync } from "node:fs";
import { FileError, type MinmaxqError, reasonOf, UsageError } from "../base/errors.ts";
import type { Output } from "../base/output.ts";
import { checkEnding, checkPaths, checkReport } from "../driver/paths.ts";
import type { Dialect } from "../model/index.ts";
import { checkTogether, METHOD_OPTIONS } from "../options/lists.ts";
import { schemeNameOf } from "../options/scheme.ts";
import { SEARCH_OPTIONS, searchSettings } from "../options/search.ts";
import type { OptionValues } from "../options/values.ts";
import type { Goal } from "../search/goal.ts";
import { finerLevel, type Level, levelNamed } from "../search/levels.ts";
import { runTune, type TuneResult } from "../search/run-tune.ts";
import { coloursFor, columnsOf } from "../terminal/streams.ts";
import { documentText } from "../views/json.ts";
import { summary } from "../views/summary.ts";
import { tuneFacts, tuneLines } from "../views/tune.ts";
import type { Command } from "./command.ts";

export const tune: Command = {
  name: "tune",
  summary: "quantize with more bits for the layers that need them, found by measuring",
  positionals: ["model"],
  options: [
    "output",
    ...SEARCH_OPTIONS,
    "block",
    ...METHOD_OPTIONS,
    "equalize",
    "until",
    "atMost",
    "targetSize",
    "cost",
    "levels",
    "metric",
    "saveConfig",
    "state",
    "timeLimit",
    "withoutRun",
    "json",
    "force",
  ],
  demands: ["data"],
  examples: [
    "minmaxq tune model.tflite --data samples.npz --until sqnr=20 -o model.circle",
    "minmaxq tune model.tflite --data samples.npz --at-most 20% -o model.int8.tflite",
    "minmaxq tune model.tflite --data samples.npz --target-size 3.5MB -o model.circle",
    "minmaxq tune model.tflite --data samples/ --until sqnr=25 --levels int8,int16x8,float32 -o tuned.tflite --save-config layers.json",
    "minmaxq tune model.tflite --data samples.npz --until sqnr=30 --scheme weights-int4 --cost bytes -o small.tflite",
  ],
  notes: [
    "Rows of the table:",
    ["all low, all high", "every layer at the first level, and at the last"],
    ["front", "points of what is worth its cost, predicted by adding up single layers"],
    ["front split, back split", "all layers before or behind a cut of the model, at the result's cost"],
    ["bisection", "what ONE's bisection over depth finds for the same target"],
    ["result", "the cheapest that was measured and does what was asked, or the best within what was allowed"],
  ],
  run,
};

/** Codes of errors after which measurements are of no use. */
const FINAL = ["not-reachable", "nothing-found", "metric-failed"];

/** What is done for accuracy where nothing is said. */
const USUAL_ACCURACY = "good";

async function run([model]: readonly string[], given: OptionValues, output: Output): Promise<void> {
  const goal = goalOf(given);
  // The first level is the model's own scheme.
  const first = given.scheme ?? given.dtype ?? given.levels?.[0];
  const options = {
    ...given,
    ...(first !== undefined && first !== FLOAT && { scheme: first as OptionValues["scheme"] }),
    accuracy: given.accuracy ?? USUAL_ACCURACY,
  };
  checkTogether(options, "measured");
  checkEnding(options.output);
  checkPaths([model!, ...options.data!.map(({ location }) => location)], options.output, options.force);
  const state = options.state ?? `${options.output}.tune.json`;
  for (const [flag, path] of [["--save-config", options.saveConfig] as const, ["--state", state] as const])
    if (path !== undefined) checkReport(flag, path, [model!], options.output);
  const settings = searchSettings(model!, options, options.output);
  const levels = levelsOf(levelNamed(schemeNameOf(options)), given.levels, settings.dialect!);
  const done = () => {
    if (options.state === undefined) rmSync(state, { force: true });
  };
  const result = await runTune(
    settings,
    {
      ...{ goal, cost: options.cost, levels, state },
      ...(options.metric !== undefined && { metric: options.metric }),
      ...(options.timeLimit !== undefined && { seconds: options.timeLimit }),
    },
    output,
  ).catch((error) => {
    // Going on would come to the same.
    if (FINAL.includes((error as Partial<MinmaxqError>).code ?? "")) done();
    throw error;
  });
  done();
  if (options.saveConfig !== undefined) writeConfig(options.saveConfig, result);
  const { tuned, report } = result;
  if (options.json) {
    const { output: written, seconds } = report;
    return output.print(
      documentText("tune", {
        ...{ model, output: written, seconds, accuracy: options.accuracy },
        layers: Object.fromEntries(tuned.result.layers),
        ...tuneFacts(tuned),
      }),
    );
  }
  const names = levels.map(({ name }) => name);
  const view = { levels: names, cost: options.cost, colours: coloursFor(1), width: columnsOf(1) };
  for (const line of [...tuneLines(tuned, view), ...summary(report)]) output.print(line);
}

/** Throws a UsageError unless exactly one goal is given, with what it needs. */
function goalOf({ until, atMost, targetSize, metric }: OptionValues): Goal {
  const goals: Goal[] = [
    ...(until ? [until] : []),
    ...(atMost !== undefined ? [{ kind: "share", value: atMost } as const] : []),
    ...(targetSize !== undefined ? [{ kind: "size", value: targetSize } as const] : []),
  ];
  if (goals.length !== 1)
    throw new UsageError(
      "give one of --until sqnr=20, --at-most 20% and --target-size 3.5MB: it says what is searched for",
    );
  if (until?.kind === "metric" && metric === undefined)
    throw new UsageError("--until metric=…: needs --metric with the program that prints the score");
  if (until?.kind === "sqnr" && metric !== undefined)
    throw new UsageError("--metric: does nothing with --until sqnr=…; give --until metric=…, or leave it out");
  return goals[0]!;
}

const FLOAT = "float32";

/** Levels, the model's own first. Throws a UsageError for those that cannot stand beside each other. */
function levelsOf(own: Level, names: readonly string[] | undefined, dialect: Dialect): readonly Level[] {
  if (!names) return [own, finerLevel(own, dialect)];
  const levels = names.map(levelNamed);
  const [first, ...others] = levels as [Level, ...Level[]];
  if (first.name === FLOAT) throw new UsageError("--levels: begins with float32, which has the most bits; put it last");
  if (first.name !== own.name)
    throw new UsageError(`--levels: begins with ${first.name}, and the scheme is ${own.name}; begin with that one`);
  for (const { name, group } of others)
    if (group !== undefined && group !== first.group)
      throw new UsageError(`--levels: ${name} cannot stand beside ${first.name}, whose kernels are others`);
  return levels;
}

/** Layers as --config takes them: those that were chosen, and those that the user had set. */
function writeConfig(path: string, { tuned, own }: TuneResult): void {
  const chosen = Map.groupBy(tuned.result.layers, ([, level]) => level);
  const config = {
    layers: [
      ...[...chosen].map(([dtype, layers]) => ({ names: layers.map(([name]) => name), dtype })),
      ...[...own].map(([name, { scheme, weights, float, granularity }]) => ({
        name,
        dtype: float ? FLOAT : (weights ?? scheme).name,
        ...(!float && !weights && { granularity }),
      })),
    ],
  };
  try {
    writeFileSync(path, `${JSON.stringify(config, null, 2)}\n`);
  } catch (error) {
    throw new FileError(path, `cannot be written (${reasonOf(error)})`, { cause: error });
  }
}
