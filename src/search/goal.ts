/** What a search is for, and which of two results is better. */
import { type Noises, noiseOf, sqnrOf } from "./bench.ts";
import { holds } from "./front.ts";
import type { Measured } from "./state.ts";

/**
 * - `sqnr`: each output at least so many dB, at the least cost
 * - `metric`: the user's score at least so much, at the least cost
 * - `share`: the best result that costs at most so much of what all at the last level costs, 0 to 1
 * - `size`: the best result of at most so many bytes
 */
export interface Goal {
  readonly kind: "sqnr" | "metric" | "share" | "size";
  readonly value: number;
  /** Of `sqnr`: noise that each output may have, where it is not what the value says. */
  readonly allowed?: Noises;
}

/** Whether it is a target that is to be met cheaply; else a budget that is to be used well. */
export function isTarget({ kind }: Goal): boolean {
  return kind === "sqnr" || kind === "metric";
}

/** Noise that each output may have. */
export function allowedBy({ value, allowed }: Goal, outputs: number): Noises {
  return allowed ?? Array.from({ length: outputs }, () => noiseOf(value));
}

/** What an output that cannot be reached may lose against all layers at the last level. */
const NEAR = 10 ** 0.1;

/** `wanted`, but where nothing reaches it: within 1 dB of what is reached at most. */
export function withinReach(wanted: Noises, most: Noises): Noises {
  return wanted.map((noise, output) => Math.max(noise, most[output]! * (most[output]! > noise ? NEAR : 1)));
}

/** A choice that was measured, with its cost. */
export interface Found extends Measured {
  readonly choice: readonly number[];
  readonly cost: number;
}

/** One of which the file was made as the result is, and measured on the samples that check, too. */
export interface Proven extends Found {
  readonly checked: Noises;
}

/** Whether a result is what the goal wants. `whole`: cost of all at the last level. */
export function meets(goal: Goal, { noises, score, cost, bytes }: Found, whole: number): boolean {
  const { kind, value } = goal;
  switch (kind) {
    case "sqnr":
      return holds(noises, allowedBy(goal, noises.length));
    case "metric":
      return score !== undefined && score >= value;
    case "share":
      return cost <= value * whole + 1e-9;
    case "size":
      return bytes <= value;
  }
}

/** No output counts as better than this: what is left is noise of floats. */
const BEST = 100;

/** How good a result is, whatever it costs: the user's score, else the mean SQNR of the outputs in dB. */
export function worthOf({ noises, score }: Measured): number {
  if (score !== undefined) return score;
  return noises.reduce((sum, noise) => sum + Math.min(BEST, sqnrOf(noise)), 0) / noises.length;
}

/** Sorts the better first, of results that meet the goal. */
export function byGoal(goal: Goal): (a: Found, b: Found) => number {
  const byCost = (a: Found, b: Found) => a.cost - b.cost;
  const byWorth = (a: Found, b: Found) => worthOf(b) - worthOf(a);
  const orders = isTarget(goal) ? [byCost, byWorth] : [byWorth, byCost];
  return (a, b) =>
    orders.map((order) => order(a, b)).find((difference) => difference !== 0) ??
    (a.choice.join("") < b.choice.join("") ? -1 : 1);
}
