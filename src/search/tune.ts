/**
 * Which layers get more bits: from measured noise, with a front of what is worth its cost.
 *
 *     noise table      each unit alone at few bits, all others at many: what it adds at each output
 *     front            all units' steps by what they win for their cost (front.ts): predicted
 *     points           some of the front, run; the cheapest that will do, found by halving
 *     refined          units given back, one after the other, least harm first; swaps. Each try is a run
 *     rivals           ONE's bisection, and cuts by depth: the result is never worse than theirs at their cost
 *     check            the result on samples that neither set ranges nor were searched on
 */
import { FileError } from "../base/errors.ts";
import { indented } from "../base/text.ts";
import type { Io } from "../driver/io.ts";
import type { Noises } from "./bench.ts";
import { depthsOf } from "./bisection.ts";
import { OutOfTime } from "./candidates.ts";
import { costsOf } from "./costs.ts";
import { inTurn } from "./diagnose.ts";
import { type Choice, costOf, frontFor, frontOf, type Point, predict, type Table } from "./front.ts";
import { allowedBy, byGoal, type Found, type Goal, isTarget, meets, worthOf } from "./goal.ts";
import { refined } from "./refine.ts";
import { bisected, splitWithin } from "./rivals.ts";
import { Search, type Task } from "./search.ts";
import type { Limit } from "./unreachable.ts";

export type PointName = "all low" | "all high" | "front" | "front split" | "back split" | "bisection" | "result";

type Named = readonly [PointName, Choice];

/** A choice that was measured. */
export interface TunePoint extends Found {
  readonly what: PointName;
  /** Of what more bits for all units cost, 0 to 1. */
  readonly share: number;
  readonly predicted: Noises;
  /** On samples that nothing was chosen by; of references and the result. */
  readonly checked?: Noises;
}

export interface Tuned {
  readonly outputs: readonly string[];
  readonly units: number;
  /** Samples that were searched on, and that checked. */
  readonly samples: readonly [search: number, check: number];
  readonly points: readonly TunePoint[];
  readonly result: TunePoint;
  /** Places of outputs that miss the target on the samples that checked; null for budgets and scores. */
  readonly missed: readonly number[] | null;
  /** Outputs that the target cannot be reached of; they are within 1 dB of what is reached at most. */
  readonly limits: readonly Limit[];
  /** Time was over before all was tried. */
  readonly cutShort: boolean;
}

/** Shares of the front that are shown. */
const SHOWN = [0.05, 0.1, 0.2, 0.3, 0.5];

/** Searches. The same task gives the same result, on any number of workers. Throws a MinmaxqError. */
export async function tune(asked: Task, io: Io): Promise<Tuned> {
  const { candidates, model } = asked;
  const { units, levels, bench } = candidates.init;
  if (units.length === 0)
    throw new FileError(model, "has no layers that can have a scheme of their own; there is nothing to choose");
  const top = levels.length - 1;
  const lowest = units.map(() => 0);
  const highest = units.map(() => top);
  const { task, limits } = await reachable(asked, highest);
  const { goal } = task;
  const search = new Search(task);
  await candidates.measure(lowest, true);
  const table = await noiseTable(task, io);
  search.table = table;
  const whole = costOf(table, highest);
  await search.try(highest);
  await search.try(lowest);
  const named: Named[] = [
    ["all low", lowest],
    ["all high", highest],
  ];
  const front = frontBy(goal, table, whole);
  const progress = io.progress("searching");
  let cutShort = false;
  try {
    progress(0, 4, "the front");
    const shown = shownOf(front, whole);
    await inTurn(shown, bench.workers, (choice) => search.try(choice));
    named.push(...shown.map((choice): Named => ["front", choice]));
    const start = await search.along([...front.map(({ choice }) => choice), highest]);
    progress(1, 4, "refining");
    if (start) await refined(search, start);
    progress(2, 4, "references");
    await rivals(task, search, named);
    progress(3, 4, "refining the best");
    const best = search.best();
    if (best && best !== start) await refined(search, best);
    progress(4, 4);
  } catch (error) {
    if (!(error instanceof OutOfTime)) throw error;
    cutShort = true;
  }
  const best = search.best();
  if (!best) {
    const said = cutShort
      ? "--time-limit: over before anything was found that will do"
      : "nothing was found that will do";
    throw new FileError(model, `${said}; give more time, or another goal`, { code: "nothing-found" });
  }
  return { ...(await report(task, search, named, best)), limits, cutShort };
}

/** What an output that cannot be reached may lose against all layers at the last level. */
const NEAR = 10 ** 0.1;

/**
 * The task with outputs that nothing reaches left within 1 dB of what is reached at most, and what limits them. Throws a FileError where
 * none is reached.
 */
async function reachable(task: Task, highest: Choice): Promise<{ task: Task; limits: readonly Limit[] }> {
  const { goal, model, candidates } = task;
  const high = await candidates.measure(highest, true);
  if (!isTarget(goal) || meets(goal, { ...high, choice: highest, cost: 0 }, 0)) return { task, limits: [] };
  if (goal.kind === "metric")
    throw new FileError(
      model,
      `with all layers at the last level the score is ${high.score}, and ${goal.value} is wanted`,
      {
        code: "not-reachable",
      },
    );
  const wanted = allowedBy(goal, high.noises.length);
  const limits = await task.limits(high.noises, wanted);
  if (limits.length === high.noises.length) {
    const lines = limits.map(({ output, text }) => `output "${output}" ${text}`);
    throw new FileError(model, `no output reaches the target:\n${indented(lines)}`, { code: "not-reachable" });
  }
  const allowed = wanted.map((noise, output) =>
    Math.max(noise, high.noises[output]! * (high.noises[output]! > noise ? NEAR : 1)),
  );
  return { task: { ...task, goal: { ...goal, allowed } }, limits };
}

/** Measures what each unit adds where it alone has a lower level. */
async function noiseTable({ candidates, cost, goal, model }: Task, io: Io): Promise<Table> {
  const { units, levels, bench } = candidates.init;
  const top = levels.length - 1;
  const highest = units.map(() => top);
  const high = await candidates.measure(highest);
  const runs = units.flatMap((_, unit) => levels.slice(0, top).map((_, level) => ({ unit, level })));
  const progress = io.progress("measuring", "operators");
  let done = 0;
  const measured = await inTurn(runs, bench.workers, async ({ unit, level }) => {
    const result = await candidates.measure(highest.with(unit, level)).catch((error) => {
      if (!(error instanceof OutOfTime)) throw error;
      throw new FileError(
        model,
        `--time-limit: over after ${done} of ${runs.length} measurements, which are kept; the same command goes on from there`,
        { code: "out-of-time" },
      );
    });
    progress(++done, runs.length);
    return result;
  });
  const at = (unit: number, level: number) => (level === top ? high : measured[unit * top + level]!);
  const added = units.map((_, unit) =>
    levels.map((_, level) => at(unit, level).noises.map((noise, output) => Math.max(0, noise - high.noises[output]!))),
  );
  const kind = goal.kind === "size" ? "bytes" : cost;
  return { least: high.noises, added, costs: costsOf(kind, units, levels, (unit, level) => at(unit, level).bytes) };
}

/** Rounds in which a budget's outputs are weighed anew. */
const ROUNDS = 4;

function frontBy(goal: Goal, table: Table, whole: number): Point[] {
  const outputs = table.least.length;
  if (goal.kind === "sqnr") return frontFor(table, allowedBy(goal, outputs));
  // The mean of decibels rises most where noise falls by the same share: weights are one over the noise at hand.
  const low = predict(
    table,
    table.added.map(() => 0),
  );
  let weights = low.map((noise) => 1 / Math.max(noise, Number.MIN_VALUE));
  let best: { points: Point[]; worth: number } | undefined;
  for (let round = 0; round < ROUNDS; round++) {
    const points = frontOf(table, weights);
    const within = goal.kind === "share" ? points.findLastIndex(({ cost }) => cost <= goal.value * whole) : -1;
    const point = points[within < 0 ? Math.floor(points.length / 3) : within]!;
    const worth = worthOf({ bytes: 0, noises: point.predicted });
    if (!best || worth > best.worth) best = { points, worth };
    weights = point.predicted.map((noise) => 1 / Math.max(noise, Number.MIN_VALUE));
  }
  return best!.points;
}

/** Choices of the front at shares that people ask for. */
function shownOf(front: readonly Point[], whole: number): Choice[] {
  const places = SHOWN.map((share) => front.findLastIndex(({ cost }) => cost <= share * whole + 1e-9));
  return [...new Set(places)].filter((at) => at > 0).map((at) => front[at]!.choice);
}

/** Measures what the result is held against. */
async function rivals(task: Task, search: Search, named: Named[]): Promise<void> {
  const { graph, candidates, goal } = task;
  const depths = depthsOf(graph);
  const best = search.best();
  const { table, whole } = search;
  if (goal.kind === "sqnr") {
    const allowed = allowedBy(goal, table.least.length);
    const found: Found[] = [];
    for (const end of ["front", "back"] as const) {
      const choice = await bisected(graph, candidates, end, allowed);
      if (choice) found.push(await search.try(choice));
    }
    const one = found.filter((each) => search.meets(each)).sort(byGoal(goal))[0];
    if (one) named.push(["bisection", one.choice]);
  }
  const budget = best?.cost ?? whole;
  for (const end of ["front", "back"] as const) {
    const within = (choice: Choice, cost: number) =>
      isTarget(goal)
        ? cost <= budget + 1e-9
        : meets(goal, { choice, cost, noises: [], bytes: bytesAt(search, cost) }, whole);
    const choice = splitWithin(graph, depths, candidates.init.units, table, end, within);
    await search.try(choice);
    named.push([`${end} split`, choice]);
  }
}

/** Size that a cost in bytes comes to. */
function bytesAt(search: Search, cost: number): number {
  const { candidates } = search.task;
  const low = candidates.init.state.get("0".repeat(candidates.init.units.length));
  return (low?.bytes ?? 0) + cost;
}

async function report(
  task: Task,
  search: Search,
  named: readonly Named[],
  best: Found,
): Promise<Omit<Tuned, "limits" | "cutShort">> {
  const { candidates, check, goal } = task;
  const { units, bench } = candidates.init;
  const { table, whole } = search;
  const points: TunePoint[] = [];
  for (const [what, choice] of [...named, ["result", best.choice] satisfies Named]) {
    // Measured already: this only looks it up, also when time is over.
    const found = await search.try(choice).catch(timeIsOver);
    if (!found) continue;
    const checked = what === "front" ? undefined : await candidates.noisesOn(check, choice).catch(timeIsOver);
    const share = whole > 0 ? found.cost / whole : 0;
    points.push({ ...found, what, share, predicted: predict(table, choice), ...(checked && { checked }) });
  }
  const result = points.at(-1)!;
  const allowed = goal.kind === "sqnr" ? allowedBy(goal, bench.outputs.length) : undefined;
  const { checked } = result;
  const missed = allowed && checked ? [...checked.keys()].filter((i) => !(checked[i]! <= allowed[i]!)) : null;
  return {
    outputs: bench.outputs,
    units: units.length,
    samples: [bench.samples, check.samples],
    points,
    result,
    missed,
  };
}

function timeIsOver(error: unknown): undefined {
  if (!(error instanceof OutOfTime)) throw error;
}
