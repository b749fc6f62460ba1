/**
 * From what a search found in quick files to a file that does what was asked.
 *
 * A target has to hold in the file that is written, on the samples of the search and on those that check. Quick files lack what needs the
 * samples again (bias correction, rounding …), and other samples are other samples; so what is asked of quick files follows from the last file that
 * was made in earnest, and the search goes on with that:
 *
 *     wanted 20 dB      found: quick 20.2 dB, in earnest 20.5 dB and 19.1 dB      next: quick 21.1 dB, and a little
 *
 * until a file holds and less is not worth a try, or ROUNDS are over; where a choice comes back, halfway between the last aims that did and did not.
 * The cheapest file that holds counts.
 */
import type { Choice } from "./front.ts";
import { allowedBy, type Found, type Goal, type Proven } from "./goal.ts";
import type { Proofs } from "./proof.ts";
import type { Search } from "./search.ts";

/** Files that are made in earnest, at most. */
const ROUNDS = 8;
/** Noise this near to what is allowed (half a dB) is near enough. */
const CLOSE = 10 ** -0.05;
/** After a miss a little less noise than would just do. */
const LESS = 0.95;
/** Noise of a quick file may be so many times what is wanted in the end, at most. */
const MOST_LOOSE = 10;

/**
 * `find`: searches in quick files for `search.goal`; `front`: choices from cheap to costly, for where quick files do not tell. What was made
 * in earnest is in `proofs`.
 */
export async function promised(
  search: Search,
  proofs: Proofs,
  front: readonly Choice[],
  find: () => Promise<Found | undefined>,
): Promise<void> {
  await narrowed(search, proofs, find);
  // Quick files say that there is nothing better than what missed: the front, by halving.
  if (proofs.best()?.cost !== search.whole) return;
  const choices = front.filter((choice) => !proofs.has(choice));
  let [from, to] = [0, choices.length - 1];
  while (from <= to) {
    const at = Math.floor((from + to) / 2);
    if (proofs.holds(await proofs.of(choices[at]!))) to = at - 1;
    else from = at + 1;
  }
}

async function narrowed(search: Search, proofs: Proofs, find: () => Promise<Found | undefined>): Promise<void> {
  const { goal } = search.task;
  /** The last aims that led to files that hold, and that do not. */
  const last: { held?: Goal; missed?: Goal } = {};
  try {
    for (let round = 0; round < ROUNDS; round++) {
      const found = await find();
      if (!found) return;
      const known = proofs.has(found.choice);
      const proven = await proofs.of(found.choice);
      const holds = proofs.holds(proven);
      if (holds && isClose(goal, proofs, proven)) return;
      last[holds ? "held" : "missed"] = search.goal;
      const { held, missed } = last;
      // A choice that comes back says nothing new.
      if (known && !(held && missed)) return;
      search.goal = search.within(known ? between(held!, missed!) : nextAim(goal, proofs, found, proven));
    }
  } finally {
    search.goal = search.within(goal);
  }
}

/** Halfway in dB, or of scores. */
function between(a: Goal, b: Goal): Goal {
  const allowed = a.allowed?.map((noise, output) => Math.sqrt(noise * b.allowed![output]!));
  return { ...a, value: (a.value + b.value) / 2, ...(allowed && { allowed }) };
}

function isClose(goal: Goal, proofs: Proofs, proven: Proven): boolean {
  return goal.kind === "metric" || proven.cost === 0 || proofs.nearest(proven) >= CLOSE;
}

/** What quick files should just reach, from what became of one. */
function nextAim(goal: Goal, proofs: Proofs, found: Found, proven: Proven): Goal {
  if (goal.kind === "metric") return { ...goal, value: found.score! + proofs.shortfall(proven) };
  const wanted = allowedBy(goal, found.noises.length);
  const allowed = proofs.excesses(proven).map((excess, output) => {
    const quick = found.noises[output]!;
    if (excess === 0 || quick === 0) return wanted[output]!;
    const just = (quick / excess) * (excess > 1 ? LESS : 1);
    return Math.min(just, MOST_LOOSE * wanted[output]!);
  });
  return { ...goal, allowed };
}

/** So many of the best within a budget are made in earnest. */
const BEST = 4;
/** And so many are tried, where files that were made quickly fit and those in earnest do not. */
const MOST = 12;

/** Makes the best that was found within a budget in earnest. */
export async function proveBest(search: Search, proofs: Proofs): Promise<void> {
  let held = 0;
  for (const { choice } of search.ranked().slice(0, MOST)) {
    if (proofs.holds(await proofs.of(choice))) held++;
    if (held === BEST) return;
  }
}

/** What ONE's bisection goes by: the worst output of a file that was made in earnest. */
export function excessOf(proofs: Proofs): (choice: Choice) => Promise<number> {
  return async (choice) => Math.max(...proofs.excesses(await proofs.of(choice)));
}
