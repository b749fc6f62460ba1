/**
 * Which choices are worth their cost: the front of (cost, noise), from the noise that each unit adds by itself. Noises of single units add
 * up roughly (measured on three models: mostly within 3 dB, 6.5 dB too pessimistic for one output of iris_landmark), so a choice's noise is
 * predicted by a sum, and whatever counts is measured.
 *
 * Each unit has options, from few bits to many. Those on the lower convex hull of its (cost, weighted noise) are taken one after the other;
 * all units' steps, sorted by what they win for their cost, are the whole front (a Lagrange sweep): O(units · log units).
 */
import type { Noise, Noises } from "./bench.ts";

/** Level of each unit, by its place among the levels. */
export type Choice = readonly number[];

export interface Table {
  /** Noise of each output where all units have the last level. */
  readonly least: Noises;
  /** By unit, level and output: noise that is added where only this unit has the level; 0 at the last. */
  readonly added: readonly (readonly Noises[])[];
  /** By unit and level; rises with the level. */
  readonly costs: readonly (readonly number[])[];
}

export interface Point {
  readonly choice: Choice;
  readonly cost: number;
  /** Predicted noise of each output. */
  readonly predicted: Noises;
}

/** Noise of each output that a choice is predicted to have. */
export function predict({ least, added }: Table, choice: Choice): Noise[] {
  return least.map((own, output) => choice.reduce((sum, level, unit) => sum + added[unit]![level]![output]!, own));
}

export function costOf({ costs }: Table, choice: Choice): number {
  return choice.reduce((sum, level, unit) => sum + costs[unit]![level]!, 0);
}

interface Step {
  readonly unit: number;
  readonly to: number;
  /** What it wins for its cost. */
  readonly slope: number;
}

/** All points of the front, from the cheapest to the most costly, for weights of the outputs. */
export function frontOf(table: Table, weights: readonly number[]): Point[] {
  const steps = table.added.flatMap((levels, unit) => {
    const values = levels.map((noises) => noises.reduce((sum, noise, output) => sum + noise * weights[output]!, 0));
    return hullSteps(unit, table.costs[unit]!, values);
  });
  // Equal steps in the order of the graph: the front depends on nothing else.
  steps.sort((a, b) => (b.slope === a.slope ? a.unit - b.unit : b.slope - a.slope));
  const choice = table.added.map(() => 0);
  const noises = predict(table, choice);
  let cost = costOf(table, choice);
  const points: Point[] = [{ choice: [...choice], cost, predicted: [...noises] }];
  for (const { unit, to } of steps) {
    const from = choice[unit]!;
    choice[unit] = to;
    cost += table.costs[unit]![to]! - table.costs[unit]![from]!;
    for (const output of noises.keys())
      noises[output]! += table.added[unit]![to]![output]! - table.added[unit]![from]![output]!;
    points.push({ choice: [...choice], cost, predicted: noises.map((noise, o) => Math.max(noise, table.least[o]!)) });
  }
  return points;
}

/** Steps along the lower convex hull of (cost, value); slopes fall from step to step. */
function hullSteps(unit: number, costs: readonly number[], values: readonly number[]): Step[] {
  const hull = [0];
  for (let level = 1; level < costs.length; level++) {
    if (values[level]! >= values[hull.at(-1)!]!) continue;
    const slope = (a: number, b: number) => (values[a]! - values[b]!) / Math.max(costs[b]! - costs[a]!, 1e-12);
    while (hull.length > 1 && slope(hull.at(-1)!, level) >= slope(hull.at(-2)!, hull.at(-1)!)) hull.pop();
    hull.push(level);
  }
  return hull.slice(1).map((to, i) => ({
    unit,
    to,
    slope: (values[hull[i]!]! - values[to]!) / Math.max(costs[to]! - costs[hull[i]!]!, 1e-12),
  }));
}

/** Rounds in which outputs that are left behind get more weight. */
const ROUNDS = 6;
const GROWTH = 1.3;

/**
 * The front on which the cheapest predicted point holds all `allowed` noises: outputs that the last point before it misses get more
 * weight, round by round, so that none is forgotten.
 */
export function frontFor(table: Table, allowed: Noises): Point[] {
  let weights = allowed.map((noise) => 1 / Math.max(noise, Number.MIN_VALUE));
  let best: { points: Point[]; cost: number } | undefined;
  for (let round = 0; round < ROUNDS; round++) {
    const points = frontOf(table, weights);
    const at = points.findIndex(({ predicted }) => holds(predicted, allowed));
    const cost = at < 0 ? Number.POSITIVE_INFINITY : points[at]!.cost;
    if (!best || cost < best.cost) best = { points, cost };
    const before = points[at < 0 ? points.length - 1 : Math.max(0, at - 1)]!;
    weights = weights.map((weight, output) => {
      const over = before.predicted[output]! / allowed[output]!;
      return over > 1 ? weight * GROWTH ** (1 + Math.log2(over)) : weight;
    });
  }
  return best!.points;
}

/** Whether no output has more noise than is allowed. */
export function holds(noises: Noises, allowed: Noises): boolean {
  return noises.every((noise, output) => noise <= allowed[output]!);
}
