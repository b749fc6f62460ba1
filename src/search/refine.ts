/**
 * Makes a choice better by real runs: gives units back to fewer bits, the least harm first, and swaps a unit that does little for one that
 * would do more. Predictions only say in which order; what counts is measured.
 */
import { type Choice, costOf } from "./front.ts";
import { type Found, isTarget } from "./goal.ts";
import type { Search } from "./search.ts";

/** After so many failures in a row nothing more is tried. */
const FAILURES = 3;
/** Tries at most: each is a run. */
const GIVEN_BACK = 24;
const SWAPS = 10;

/** The best choice that was reached. */
export async function refined(search: Search, start: Found): Promise<Found> {
  const lower = isTarget(search.goal) ? await givenBack(search, start) : start;
  return swapped(search, lower);
}

/** What a unit adds where it has one level instead of another, all outputs together, each by what it may have or has. */
function harm(search: Search, found: Found, unit: number, from: number, to: number): number {
  const levels = search.table.added[unit]!;
  return found.noises.reduce(
    (sum, noise, output) => sum + (levels[to]![output]! - levels[from]![output]!) / Math.max(noise, Number.MIN_VALUE),
    0,
  );
}

interface Move {
  readonly unit: number;
  readonly to: number;
  /** Harm, or gain, for its cost. */
  readonly rate: number;
}

/** Units that can have one level less, the least harm for their cost first. */
function downwards(search: Search, found: Found): Move[] {
  return found.choice
    .flatMap((level, unit): Move[] => {
      if (level === 0) return [];
      const saved = search.table.costs[unit]![level]! - search.table.costs[unit]![level - 1]!;
      if (saved <= 0) return [];
      return [{ unit, to: level - 1, rate: harm(search, found, unit, level, level - 1) / saved }];
    })
    .sort((a, b) => a.rate - b.rate || a.unit - b.unit);
}

/** Units that can have one level more, the most gain for their cost first. */
function upwards(search: Search, found: Found): Move[] {
  return found.choice
    .flatMap((level, unit): Move[] => {
      const costs = search.table.costs[unit]!;
      if (level === costs.length - 1) return [];
      const cost = Math.max(costs[level + 1]! - costs[level]!, 1e-12);
      return [{ unit, to: level + 1, rate: -harm(search, found, unit, level, level + 1) / cost }];
    })
    .sort((a, b) => b.rate - a.rate || a.unit - b.unit);
}

/** A choice to try, by what is changed first. */
interface Try {
  readonly unit: number;
  /** undefined: there is no way to pay for it. */
  readonly choice: Choice | undefined;
}

/** Takes what is better, again and again: at most `most` tries, until some in a row fail. A unit that failed is not the first again. */
async function climbed(
  search: Search,
  start: Found,
  most: number,
  next: (at: Found, refused: ReadonlySet<number>) => Try | undefined,
): Promise<Found> {
  let at = start;
  const refused = new Set<number>();
  for (let tries = 0, failures = 0; tries < most && failures < FAILURES; tries++) {
    const move = next(at, refused);
    if (!move) break;
    const found = move.choice && (await search.try(move.choice));
    if (found && search.meets(found) && search.isBetter(found, at)) {
      at = found;
      failures = 0;
    } else {
      refused.add(move.unit);
      failures++;
    }
  }
  return at;
}

function givenBack(search: Search, start: Found): Promise<Found> {
  return climbed(search, start, GIVEN_BACK, (at, refused) => {
    const move = downwards(search, at).find(({ unit }) => !refused.has(unit));
    return move && { unit: move.unit, choice: at.choice.with(move.unit, move.to) };
  });
}

/** Raises a unit, and lowers as many others as make the result cheaper (a target), or pay for it (a budget). */
function swapped(search: Search, start: Found): Promise<Found> {
  return climbed(search, start, SWAPS, (at, refused) => {
    const raise = upwards(search, at).find(({ unit, rate }) => rate > 0 && !refused.has(unit));
    return raise && { unit: raise.unit, choice: paidFor(search, at, raise) };
  });
}

function paidFor(search: Search, at: Found, raise: Move): Choice | undefined {
  let choice: Choice = at.choice.with(raise.unit, raise.to);
  const enough = (each: Choice) => {
    const cost = costOf(search.table, each);
    return isTarget(search.goal) ? cost < at.cost - 1e-9 : cost <= Math.max(at.cost, budgetOf(search)) + 1e-9;
  };
  for (const { unit, to } of downwards(search, at)) {
    if (enough(choice)) return choice;
    if (unit !== raise.unit) choice = choice.with(unit, to);
  }
  return enough(choice) ? choice : undefined;
}

/** What may be spent; for a size it is measured whether it was too much. */
function budgetOf({ goal, whole }: Search): number {
  return goal.kind === "share" ? goal.value * whole : 0;
}
