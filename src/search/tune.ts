/**
 * Which layers get more bits: from measured noise, with a front of what is worth its cost.
 *
 *     noise table      each unit alone at few bits, all others at many: what it adds at each output
 *     front            all units' steps by what they win for their cost (front.ts): predicted
 *     points           some of the front, run; the cheapest that will do, found by halving
 *     refined          units given back, one after the other, least harm first; swaps. Each try is a run
 *     made             what was found, made as it is written, on the samples of the search and on those that check (promise.ts)
 *     rivals           ONE's bisection, and cuts by depth: the result is never worse than theirs at their cost
 *
 * All up to `made` goes by files that are made quickly (search-flows.ts); what is shown and what the result is taken by are files made in
 * earnest.
 */
import { FileError } from "../base/errors.ts";
import { indented } from "../base/text.ts";
import type { Io } from "../driver/io.ts";
import type { Noises } from "./bench.ts";
import { depthsOf } from "./bisection.ts";
import { OutOfTime } from "./candidates.ts";
import { costsOf } from "./costs.ts";
import { inTurn } from "./diagnose.ts";
import { type Choice, frontFor, frontOf, type Point, predict, type Table } from "./front.ts";
import { allowedBy, byGoal, type Found, type Goal, isTarget, meets, type Proven, worthOf } from "./goal.ts";
import { excessOf, promised, proveBest } from "./promise.ts";
import { Proofs } from "./proof.ts";
import { refined } from "./refine.ts";
import { bisected, splitWithin } from "./rivals.ts";
import { Search, type Task } from "./search.ts";
import type { Limit } from "./unreachable.ts";

export type PointName = "all low" | "all high" | "front" | "front split" | "back split" | "bisection" | "result";

type Named = readonly [PointName, Choice];

/** A choice whose file was made and measured. */
export interface TunePoint extends Proven {
  readonly what: PointName;
  /** Of what more bits for all units cost, 0 to 1. */
  readonly share: number;
  readonly predicted: Noises;
  /** Levels by names of layers, but for those of the first. */
  readonly layers: ReadonlyMap<string, string>;
}

export interface Tuned {
  readonly outputs: readonly string[];
  readonly units: number;
  /** Samples that were searched on, and that checked. */
  readonly samples: readonly [search: number, check: number];
  /** Whether the samples that checked had a say in what was taken. */
  readonly checkDecides: boolean;
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
export async function tune(task: Task, io: Io): Promise<Tuned> {
  const { candidates, model } = task;
  const { units, levels } = candidates.init;
  if (units.length === 0)
    throw new FileError(model, "has no layers that can have a scheme of their own; there is nothing to choose");
  const highest = units.map(() => levels.length - 1);
  const high = { ...(await candidates.prove(highest)), choice: highest, cost: 0 };
  const limits = await limitsAt(task, high);
  await candidates.measure(
    units.map(() => 0),
    true,
  );
  const search = new Search(task, await candidates.measure(highest, true));
  search.table = await noiseTable(task, io);
  const proofs = new Proofs(search);
  const named: Named[] = [];
  let cutShort = false;
  try {
    await searched(search, proofs, named, io);
  } catch (error) {
    if (!(error instanceof OutOfTime)) throw error;
    cutShort = true;
  }
  const result = proofs.best() ?? (cutShort ? await lateResult(search, proofs) : undefined);
  if (!result) {
    const said = cutShort
      ? "--time-limit: over before anything was found that will do"
      : "nothing was found that will do";
    throw new FileError(model, `${said}; give more time, or another goal`, { code: "nothing-found" });
  }
  return { ...report(search, proofs, named, result, limits), limits, cutShort };
}

/** Where time is over before a file was made in earnest: the best of the quick ones, whatever it comes to. */
async function lateResult(search: Search, proofs: Proofs): Promise<Proven | undefined> {
  const best = search.best();
  return best && proofs.of(best.choice, true);
}

/** Steps of the search, for people. */
const STEPS = 4;

async function searched(search: Search, proofs: Proofs, named: Named[], io: Io): Promise<void> {
  const { task, table, whole, highest } = search;
  const { goal, candidates } = task;
  const progress = io.progress("searching");
  const lowest = highest.map(() => 0);
  await search.try(highest);
  await search.try(lowest);
  const front = frontBy(goal, table, whole);
  progress(0, STEPS, "the front");
  const shown = shownOf(front, whole);
  await inTurn(shown, candidates.init.bench.workers, (choice) => search.try(choice));
  progress(1, STEPS, "refining");
  const found = await find(search);
  await splits(search, found?.cost ?? whole);
  await refinedBest(search, found);
  progress(2, STEPS, "making what was found");
  await proofs.begin(highest);
  await proofs.of(lowest);
  named.push(["all low", lowest], ["all high", highest]);
  if (isTarget(goal)) {
    const choices = front.map(({ choice }) => choice);
    await promised(search, proofs, choices, async () => refinedBest(search, await find(search)));
  } else await proveBest(search, proofs);
  progress(3, STEPS, "references");
  await rivals(search, proofs, named);
  const kept = await inTurn(shown, 1, (choice) => proofs.of(choice));
  named.push(...kept.map(({ choice }): Named => ["front", choice]));
  progress(STEPS, STEPS);
}

/** Along the front to where it just does, and from there by tries. */
async function find(search: Search): Promise<Found | undefined> {
  const front = frontBy(search.goal, search.table, search.whole);
  const start = await search.along([...front.map(({ choice }) => choice), search.highest]);
  return start && refined(search, start);
}

/** From the best of all that was tried on, where that is another one. */
async function refinedBest(search: Search, known: Found | undefined): Promise<Found | undefined> {
  const best = search.best();
  return best && best !== known ? refined(search, best) : best;
}

/** What limits outputs that all layers at the last level do not bring to the target. Throws a FileError where none of them gets there. */
async function limitsAt({ goal, model, limits }: Task, { noises, score }: Proven): Promise<readonly Limit[]> {
  if (goal.kind === "metric" && !(score! >= goal.value))
    throw new FileError(model, `with all layers at the last level the score is ${score}, and ${goal.value} is wanted`, {
      code: "not-reachable",
    });
  if (goal.kind !== "sqnr") return [];
  const allowed = allowedBy(goal, noises.length);
  if (noises.every((noise, output) => noise <= allowed[output]!)) return [];
  const found = await limits(noises, allowed);
  if (found.length < noises.length) return found;
  const lines = found.map(({ output, text }) => `output "${output}" ${text}`);
  throw new FileError(model, `no output reaches the target:\n${indented(lines)}`, { code: "not-reachable" });
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

/** The parts before and behind a cut that are within what may be spent. */
function splitsWithin({ task, table, whole }: Search, budget: number): [PointName, Choice][] {
  const { graph, candidates, goal } = task;
  const { units, state } = candidates.init;
  const depths = depthsOf(graph);
  const least = state.get("0".repeat(units.length))?.bytes ?? 0;
  const within = (choice: Choice, cost: number) =>
    isTarget(goal) ? cost <= budget + 1e-9 : meets(goal, { choice, cost, noises: [], bytes: least + cost }, whole);
  return (["front", "back"] as const).map((end) => [
    `${end} split`,
    splitWithin(graph, depths, units, table, end, within),
  ]);
}

/** Tries them: where they are better than what was found, the search goes on from there. */
async function splits(search: Search, budget: number): Promise<void> {
  for (const [, choice] of splitsWithin(search, budget)) await search.try(choice);
}

/** Makes what the result is held against. */
async function rivals(search: Search, proofs: Proofs, named: Named[]): Promise<void> {
  const { graph, candidates, goal } = search.task;
  if (goal.kind === "sqnr") {
    const found: Proven[] = [];
    for (const end of ["front", "back"] as const) {
      const choice = await bisected(graph, candidates, end, excessOf(proofs));
      if (choice) found.push(await proofs.of(choice));
    }
    const one = found.filter((each) => proofs.holds(each)).sort(byGoal(goal))[0];
    if (one) named.push(["bisection", one.choice]);
  }
  for (const [what, choice] of splitsWithin(search, proofs.best()?.cost ?? search.whole)) {
    await proofs.of(choice);
    named.push([what, choice]);
  }
}

function report(
  { task, table, whole }: Search,
  proofs: Proofs,
  named: readonly Named[],
  best: Proven,
  limits: readonly Limit[],
): Omit<Tuned, "limits" | "cutShort"> {
  const { goal, candidates } = task;
  const { units, bench, check } = candidates.init;
  const points = [...named, ["result", best.choice] satisfies Named].map(([what, choice]): TunePoint => {
    const proven = proofs.get(choice)!;
    return {
      ...proven,
      what,
      share: whole > 0 ? proven.cost / whole : 0,
      predicted: predict(table, choice),
      layers: candidates.namesOf(choice),
    };
  });
  const result = points.at(-1)!;
  const { checked } = result;
  const allowed = goal.kind === "sqnr" ? allowedBy(goal, bench.outputs.length) : undefined;
  const isLimited = new Set(limits.map(({ output }) => output));
  return {
    outputs: bench.outputs,
    units: units.length,
    samples: [bench.samples, check.samples],
    checkDecides: isTarget(goal),
    points,
    result,
    missed: allowed
      ? [...checked.keys()].filter((i) => !isLimited.has(bench.outputs[i]!) && !(checked[i]! <= allowed[i]!))
      : null,
  };
}
