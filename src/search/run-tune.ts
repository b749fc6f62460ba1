/** A whole search: from a model and samples to the tuned model's file. */

import pkg from "../../package.json" with { type: "json" };
import { FileError } from "../base/errors.ts";
import { hashFile } from "../base/hash-file.ts";
import type { Io } from "../driver/io.ts";
import { resolvedLayers } from "../driver/phases.ts";
import type { Report } from "../driver/report.ts";
import { activeNodes, type Graph } from "../graph/graph.ts";
import { openModel } from "../model/index.ts";
import type { LayerSetting } from "../passes/context.ts";
import { workspace } from "../passes/workspace.ts";
import type { Bench } from "./bench.ts";
import { Candidates, OutOfTime } from "./candidates.ts";
import type { CostKind } from "./costs.ts";
import type { Goal } from "./goal.ts";
import type { Level } from "./levels.ts";
import { Program } from "./program.ts";
import type { Task } from "./search.ts";
import { type SearchSettings, Session } from "./session.ts";
import { State } from "./state.ts";
import { type Tuned, tune } from "./tune.ts";
import { unitsOf, weightUnitsOf } from "./units.ts";
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

export interface TuneResult {
  readonly tuned: Tuned;
  /** What the user set of layers, by name; the search left them alone. */
  readonly own: ReadonlyMap<string, LayerSetting>;
  readonly report: Report;
}

/** Searches and writes the model. Throws a MinmaxqError. */
export async function runTune(
  settings: SearchSettings,
  { goal, cost, levels, state: statePath, metric, seconds }: TuneSettings,
  io: Io,
): Promise<TuneResult> {
  const deadline = seconds === undefined ? undefined : Date.now() + 1000 * seconds;
  const session = await Session.open(settings, io);
  const closing: { close(): void }[] = [];
  const closed = <T extends { close(): void }>(one: T): T => {
    closing.push(one);
    return one;
  };
  try {
    const bench = closed(await session.bench("search"));
    const check = closed(await session.bench("check"));
    const programOn = (some: Bench) => metric !== undefined && closed(new Program(metric, some, settings.output));
    const opened = closed(openModel(session.prepared));
    const graph = workspace(opened, settings.options!).graphs[session.part.subgraph]!;
    const { own, names } = await named(settings, session.part.subgraph);
    const all = settings.weights ? weightUnitsOf(graph, settings.weights) : unitsOf(graph);
    // Settings go by names of the model as it was given.
    const units = all
      .filter((unit) => !unit.names.some((name) => own.has(name)))
      .map((unit) => ({ ...unit, names: unit.names.filter((name) => names.has(name)) }))
      .filter((unit) => unit.names.length > 0);
    const state = new State(statePath, await keyOf(session, [bench, check], levels, metric));
    if (state.found > 0) io.tell(`${statePath}: goes on with ${state.found} measurements of before`);
    const [program, checkProgram] = [programOn(bench), programOn(check)];
    const candidates = new Candidates({
      ...{ session, bench, check, units, levels, state },
      ...(program && { program }),
      ...(checkProgram && { checkProgram }),
      ...(deadline !== undefined && { deadline }),
    });
    const { model } = settings;
    const limits: Task["limits"] = (high, allowed) => limitsOf(graph, candidates, high, allowed);
    const tuned = await tune({ model, graph, candidates, goal, cost, limits }, io);
    const { choice } = tuned.result;
    const report = await session.write(candidates.layersOf(choice), io);
    return { tuned, own, report };
  } catch (error) {
    if (!(error instanceof OutOfTime)) throw error;
    throw new FileError(settings.model, "--time-limit: over before anything was found that will do; give more time", {
      code: "out-of-time",
      cause: error,
    });
  } finally {
    for (const each of closing.reverse()) each.close();
    session.close();
  }
}

/** What the user set of a model's layers, and all names that settings can go by. */
async function named(settings: SearchSettings, subgraph: number) {
  const opened = openModel(settings.model);
  try {
    const options = settings.options!;
    const { graphs } = workspace(opened, options);
    const own = settings.layers
      ? await resolvedLayers(graphs, settings.layers, options)
      : new Map<string, LayerSetting>();
    return { own, names: namesIn(graphs[subgraph]!) };
  } finally {
    opened.close();
  }
}

function namesIn(graph: Graph): Set<string> {
  return new Set(
    activeNodes(graph).flatMap(({ kind, name }) => (kind === "operator" || kind === "result" ? [name] : [])),
  );
}

/** All that measurements depend on: the prepared model with its ranges, the float model, the samples, the settings. */
async function keyOf(
  session: Session,
  benches: readonly Bench[],
  levels: readonly Level[],
  metric: string | undefined,
): Promise<string> {
  const { settings, prepared, part } = session;
  const { options, layers, dialect, split, withSteps, withoutSteps, samples, accuracy, weights } = settings;
  const hash = new Bun.CryptoHasher("sha256");
  for (const path of [prepared, settings.model, ...(layers?.config ? [layers.config] : [])])
    hash.update(await hashFile(path));
  for (const { records } of benches)
    for (const record of records) for (const bytes of record) hash.update(bytes.slice());
  const { target, ...rest } = options!;
  const told = {
    rest,
    target: target?.name,
    accuracy,
    weights,
    levels: levels.map(({ name }) => name),
    metric,
    given: layers?.given,
    dialect,
    split,
    part,
    withSteps,
    withoutSteps,
  };
  hash.update(JSON.stringify([pkg.version, told, samples.fastMath ?? false]));
  return hash.digest("hex");
}
