/** A whole search: from a model and samples to the tuned model's file. */

import pkg from "../../package.json" with { type: "json" };
import { FileError } from "../base/errors.ts";
import { hashFile } from "../base/hash-file.ts";
import type { Io } from "../driver/io.ts";
import type { Report } from "../driver/report.ts";
import { openModel } from "../model/index.ts";
import { workspace } from "../passes/workspace.ts";
import type { Bench } from "./bench.ts";
import { Candidates, type Level, OutOfTime } from "./candidates.ts";
import type { CostKind } from "./costs.ts";
import type { Goal } from "./goal.ts";
import { Program } from "./program.ts";
import type { Task } from "./search.ts";
import { type SearchSettings, Session } from "./session.ts";
import { State } from "./state.ts";
import { type Tuned, tune } from "./tune.ts";
import { unitsOf } from "./units.ts";
import { limitsOf } from "./unreachable.ts";

export interface TuneSettings {
  readonly goal: Goal;
  readonly cost: CostKind;
  /** From few bits to many; the first is the model's scheme. */
  readonly levels: readonly Level[];
  /** Path of the state file. */
  readonly state: string;
  readonly metric?: string;
  /** Time for the search. */
  readonly seconds?: number;
}

/**
 * 16-bit activations get so many times their recorded range: one bit of sixteen against clipping on samples unlike those that set it
 * (measured best between 1.1 and 2; 5 to 43 dB on pictures that were not in the samples).
 */
const HEADROOM = 2;

/** Searches and writes the model; gives what was found, layers by level, and the Report. Throws a MinmaxqError. */
export async function runTune(
  settings: SearchSettings,
  { goal, cost, levels, state: statePath, metric, seconds }: TuneSettings,
  io: Io,
): Promise<{ tuned: Tuned; layers: Map<string, string[]>; report: Report }> {
  const deadline = seconds === undefined ? undefined : Date.now() + 1000 * seconds;
  const session = await Session.open(settings, io);
  const benches: Bench[] = [];
  let program: Program | undefined;
  try {
    const bench = await session.bench("search");
    benches.push(bench);
    const check = await session.bench("check");
    benches.push(check);
    const opened = openModel(session.prepared);
    try {
      const graph = workspace(opened, settings.options!).graphs[session.part.subgraph]!;
      const units = unitsOf(graph);
      const state = new State(statePath, await keyOf(session, bench, levels, metric));
      if (state.found > 0) io.tell(`${statePath}: goes on with ${state.found} measurements of before`);
      if (metric !== undefined) program = new Program(metric, bench, settings.output);
      const init = { session, bench, units, levels, headroom: HEADROOM, state };
      const candidates = new Candidates({
        ...init,
        ...(program && { program }),
        ...(deadline !== undefined && { deadline }),
      });
      const { model } = settings;
      const limits: Task["limits"] = (high, allowed) => limitsOf(graph, candidates, high, allowed);
      const tuned = await tune({ model, graph, candidates, check, goal, cost, limits }, io);
      const { choice } = tuned.result;
      const report = await session.write(candidates.layersOf(choice), HEADROOM, io);
      const layers = new Map<string, string[]>();
      for (const [unit, level] of choice.entries())
        if (level > 0)
          layers.set(levels[level]!.name, [...(layers.get(levels[level]!.name) ?? []), ...units[unit]!.names]);
      return { tuned, layers, report };
    } finally {
      opened.close();
    }
  } catch (error) {
    if (!(error instanceof OutOfTime)) throw error;
    throw new FileError(settings.model, "--time-limit: over before anything was found that will do; give more time", {
      code: "out-of-time",
      cause: error,
    });
  } finally {
    program?.close();
    for (const each of benches) each.close();
    session.close();
  }
}

/** All that measurements depend on: the prepared model with its ranges, the float model, the samples, the settings. */
async function keyOf(
  session: Session,
  bench: Bench,
  levels: readonly Level[],
  metric: string | undefined,
): Promise<string> {
  const { settings, prepared, part } = session;
  const { options, layers, dialect, split, withSteps, withoutSteps, samples } = settings;
  const hash = new Bun.CryptoHasher("sha256");
  for (const path of [prepared, settings.model, ...(layers?.config ? [layers.config] : [])])
    hash.update(await hashFile(path));
  for (const record of bench.records) for (const bytes of record) hash.update(bytes.slice());
  const { target, ...rest } = options!;
  const told = {
    rest,
    target: target?.name,
    levels,
    metric,
    given: layers?.given,
    dialect,
    split,
    part,
    withSteps,
    withoutSteps,
  };
  hash.update(JSON.stringify([pkg.version, HEADROOM, told, samples.fastMath ?? false]));
  return hash.digest("hex");
}
