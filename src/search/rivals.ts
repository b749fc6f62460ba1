/** What a found choice has to be at least as good as: ONE's bisection, and all that is before or behind a cut. */
import type { Graph } from "../graph/graph.ts";
import type { Noises } from "./bench.ts";
import { bisect, type Depths, type HighEnd, HighIsWorse, type HighPart, highSide } from "./bisection.ts";
import type { Candidates } from "./candidates.ts";
import { type Choice, costOf, type Table } from "./front.ts";
import type { Unit } from "./units.ts";

/** A set of operators of high precision as a choice: units of which any is in it. */
export function choiceOf(units: readonly Unit[], high: HighPart, top: number): Choice {
  if (typeof high === "string") return units.map(() => (high === "all" ? top : 0));
  const names = new Set(high);
  return units.map((unit) => (unit.names.some((name) => names.has(name)) ? top : 0));
}

/** ONE's bisection for noises that are allowed, from one end; undefined where it finds nothing. */
export async function bisected(
  graph: Graph,
  candidates: Candidates,
  end: HighEnd,
  allowed: Noises,
): Promise<Choice | undefined> {
  const { units, levels } = candidates.init;
  const top = levels.length - 1;
  try {
    const { high } = await bisect({
      graph,
      async error(part) {
        const { noises } = await candidates.measure(choiceOf(units, part, top));
        return Math.max(...noises.map((noise, output) => noise / allowed[output]!));
      },
      // Its errors have to be below the target, ours may be equal to it.
      target: { error: 1 + Number.EPSILON },
      highEnd: () => end,
    });
    return choiceOf(units, high, top);
  } catch (error) {
    if (error instanceof HighIsWorse) return undefined;
    throw error;
  }
}

/** The largest part before or behind a cut whose cost is within a budget. */
export function splitWithin(
  graph: Graph,
  depths: Depths,
  units: readonly Unit[],
  table: Table,
  end: HighEnd,
  within: (choice: Choice, cost: number) => boolean,
): Choice {
  const top = table.costs[0] ? table.costs[0].length - 1 : 0;
  let best: Choice = units.map(() => 0);
  const cuts = Array.from({ length: depths.most + 1 }, (_, i) => (end === "front" ? i : depths.most - i));
  for (const cut of cuts) {
    const choice = choiceOf(units, highSide(graph, depths, cut, end), top);
    if (!within(choice, costOf(table, choice))) break;
    best = choice;
  }
  return best;
}
