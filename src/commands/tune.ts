/** `minmaxq tune`: mixed precision, which layers get more bits. */

import { rmSync, writeFileSync } from "node:fs";
import { FileError, type MinmaxqError, reasonOf, UsageError } from "../base/errors.ts";
import type { Output } from "../base/output.ts";
import { checkEnding, checkPaths, checkReport } from "../driver/paths.ts";
import { checkTogether } from "../options/lists.ts";
import { SEARCH_OPTIONS, searchSettings } from "../options/search.ts";
import type { OptionValues } from "../options/values.ts";
import { finerScheme, SCHEMES, type Scheme } from "../rules/schemes.ts";
import type { Goal } from "../search/goal.ts";
import { runTune } from "../search/run-tune.ts";
import type { SearchSettings } from "../search/session.ts";
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

async function run([model]: readonly string[], options: OptionValues, output: Output): Promise<void> {
  const goal = goalOf(options);
  checkTogether(options);
  checkEnding(options.output);
  checkPaths([model!, ...options.data!.map(({ location }) => location)], options.output, options.force);
  const state = options.state ?? `${options.output}.tune.json`;
  for (const [flag, path] of [["--save-config", options.saveConfig] as const, ["--state", state] as const])
    if (path !== undefined) checkReport(flag, path, [model!], options.output);
  const settings = searchSettings(model!, options, options.output);
  const levels = levelsOf(settings, options);
  const done = () => {
    if (options.state === undefined) rmSync(state, { force: true });
  };
  const { tuned, layers, report } = await runTune(
    {
      // The first level is the model's own scheme.
      ...settings,
      options: { ...settings.options!, scheme: schemeOfLevel(levels[0]!, settings.options!.scheme) },
    },
    {
      goal,
      cost: options.cost,
      levels: levels.map((name) => ({ name })),
      state,
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
  if (options.saveConfig !== undefined) writeConfig(options.saveConfig, layers);
  if (options.json) {
    const { output: written, seconds } = report;
    return output.print(documentText("tune", { model, output: written, seconds, layers, ...tuneFacts(tuned) }));
  }
  const view = { levels, cost: options.cost, colours: coloursFor(1), width: columnsOf(1) };
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

function schemeOfLevel(name: string, own: Scheme): Scheme {
  return name === own.name ? own : SCHEMES[name as keyof typeof SCHEMES];
}

/** Levels by name, the model's scheme first. Throws a UsageError for those that cannot stand beside each other. */
function levelsOf(
  { options, dialect }: SearchSettings,
  { levels, scheme: asked, dtype }: OptionValues,
): readonly string[] {
  const { scheme } = options!;
  if (!levels) return [scheme.name, finerScheme(scheme.activation.dtype, dialect!)?.name ?? "float32"];
  const [first, ...others] = levels;
  if (first === "float32") throw new UsageError("--levels: begins with float32, which has the most bits; put it last");
  if ((asked ?? dtype) !== undefined && scheme.name !== first)
    throw new UsageError(`--levels: begins with ${first}, and the scheme is ${scheme.name}; begin with that one`);
  const { family } = SCHEMES[first as keyof typeof SCHEMES];
  for (const name of others)
    if (name !== "float32" && SCHEMES[name as keyof typeof SCHEMES].family !== family)
      throw new UsageError(`--levels: ${name} cannot stand beside ${first}, whose kernels are another runtime's`);
  return levels;
}

/** Layers by level, as --config takes them. */
function writeConfig(path: string, layers: ReadonlyMap<string, readonly string[]>): void {
  const config = { layers: [...layers].map(([dtype, names]) => ({ names, dtype })) };
  try {
    writeFileSync(path, `${JSON.stringify(config, null, 2)}\n`);
  } catch (error) {
    throw new FileError(path, `cannot be written (${reasonOf(error)})`, { cause: error });
  }
}
