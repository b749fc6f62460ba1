/**
 * Which groups keep their factors: those with which outputs are closer on samples that are held out. All are tried together first, then halves,
 * so that few runs say it of many groups.
 */

/** SQNR of each output, in dB. */
export type Score = readonly number[];

/**
 * A step is kept where the mean over outputs rises by so many dB, and none falls by more. Even channels all end near the range's end, so that
 * other inputs are cut off in many channels instead of few, of which trials see little: what gains less than that is no gain.
 */
const RISE = 1;
const FALL = 0.5;
/** Beyond this nothing is heard; infinite where outputs are equal. */
const MOST = 120;

export function helps(before: Score, after: Score): boolean {
  const at = (score: Score) => score.map((each) => Math.min(each, MOST));
  const [a, b] = [at(before), at(after)];
  const mean = (score: Score) => score.reduce((sum, each) => sum + each, 0) / score.length;
  return mean(b) - mean(a) > RISE && b.every((each, i) => a[i]! - each <= FALL);
}

export interface Accepted {
  readonly groups: ReadonlySet<number>;
  readonly before: Score;
  readonly after: Score;
  /** How many trials were run. */
  readonly trials: number;
}

/**
 * Finds the groups to keep. `trial` says what the outputs are with some groups; it is asked at most `most` times, twice at once where it can be:
 * nothing and everything, then what is kept with one half the other way round, and with the other half.
 */
export async function acceptGroups(
  all: readonly number[],
  trial: (groups: ReadonlySet<number>) => Promise<Score>,
  most: number,
): Promise<Accepted> {
  let trials = 0;
  const tried = (sets: readonly ReadonlySet<number>[]): Promise<Score[]> => {
    trials += sets.length;
    return Promise.all(sets.map(trial));
  };
  const none: ReadonlySet<number> = new Set();
  if (all.length === 0 || most < 2) {
    const [before] = await tried([none]);
    return { groups: none, before: before!, after: before!, trials };
  }
  const [before, whole] = await tried([none, new Set(all)]);
  let [kept, after] = helps(before!, whole!) ? [new Set(all), whole!] : [none, before!];
  /** Sets of groups whose halves are still to be tried, the larger ones first. */
  const open: (readonly number[])[] = [all];
  for (let some = open.shift(); some && trials + 2 <= most; some = open.shift()) {
    if (some.length < 2) continue;
    const middle = Math.ceil(some.length / 2);
    // What helped may hold some that hurt, and the reverse.
    const halves = [some.slice(0, middle), some.slice(middle)];
    const sets = halves.map((half) => toggled(kept, half));
    for (const [at, score] of (await tried(sets)).entries())
      if (helps(after, score)) [kept, after] = [sets[at]!, score];
    open.push(...halves);
  }
  return { groups: kept, before: before!, after, trials };
}

/** The groups without those of `some`, where it has them all; else with them. */
function toggled(groups: ReadonlySet<number>, some: readonly number[]): ReadonlySet<number> {
  const isKept = some.every((group) => groups.has(group));
  return isKept ? new Set([...groups].filter((group) => !some.includes(group))) : new Set([...groups, ...some]);
}
