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

/** Finds the groups to keep. `trial` says what the outputs are with some groups; it is asked at most `most` times. */
export async function acceptGroups(
  all: readonly number[],
  trial: (groups: ReadonlySet<number>) => Promise<Score>,
  most: number,
): Promise<Accepted> {
  let trials = 0;
  const tried = async (groups: ReadonlySet<number>) => {
    trials++;
    return trial(groups);
  };
  const before = await tried(new Set());
  let [kept, after]: [ReadonlySet<number>, Score] = [new Set(), before];
  /** Sets of groups that are still to be tried, the larger ones first. */
  const open: (readonly number[])[] = all.length > 0 ? [all] : [];
  for (let some = open.shift(); some && trials < most; some = open.shift()) {
    const isKept = some.every((group) => kept.has(group));
    const next = isKept ? new Set([...kept].filter((group) => !some!.includes(group))) : new Set([...kept, ...some]);
    const score = await tried(next);
    if (helps(after, score)) [kept, after] = [next, score];
    const half = Math.ceil(some.length / 2);
    // What helped may hold some that hurt, and the reverse.
    if (some.length > 1) open.push(some.slice(0, half), some.slice(half));
  }
  return { groups: kept, before, after, trials };
}
