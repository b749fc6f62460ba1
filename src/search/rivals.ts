/** What a found choice has to be at least as good as: ONE's bisection, and all that is before or behind a cut. */
import type { Graph } from "../graph/graph.ts";
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

/**
 * ONE's bisection from one end; undefined where it finds nothing. `excess`: the worst output's noise of a choice as a share of what it may
 * have; above 1 it does not do.
 */
export async function bisected(
  graph: Graph,
  { init: { units, levels } }: Candidates,
  end: HighEnd,
  excess: (choice: Choice) => Promise<number>,
): Promise<Choice | undefined> {
  const top = levels.length - 1;
  try {
    const { high } = await bisect({
      graph,
      error: (part) => excess(choiceOf(units, part, top)),
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
