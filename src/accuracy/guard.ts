/**
 * Whether all steps together are worth it. Two folds of the samples say it, each measured with ranges of the others, so that every sample is used
 * once and none by what was chosen for it. Of each sample: by how many dB the error of an output falls, mean over the outputs.
 *
 *     sample       0    1    2    3    4    5    6    7
 *     measured     A    B    A    B    A    B    A    B     A: with ranges of B and of all samples that are not tried, B: with those of A and of these
 */
import { type OutputError, studentOf } from "./accept.ts";

/**
 * So many dB an average output has to win; that samples agree on it is the bound's. Two quantizations that are equally good differ by more: without
 * any steps, halves of sixteen photographs gave 11 to 15 dB for selfie_segmentation. Over four halves and five models with 8 bits, what really gained
 * showed 2 dB or more here, and what showed 1.2 lost one (iris_landmark).
 */
const LEAST_GAIN = 1.5;
/** With so much, and half of it for certain, one fold is enough. */
const CLEAR_GAIN = 4;

/** Beyond this an output wins nothing more: one that is exact must not make up for others. */
const MOST_GAIN = 60;
/** Where no sample loses more, samples need not agree on how much they win: what was cut off of some and not of others wins for these alone. */
const MOST_LOSS = 1;
const SEVERAL = 4;
const TINY = 1e-30;
/**
 * Errors of a sample below this share of an output's mean power (50 dB) count as that: headroom costs 16 bits 6 dB of 80 where nothing is cut off, and
 * wins 40 where something is, and the first must not stand against the second.
 */
const UNSEEN = 1e-5;

/** Records by turns, so that folders in an order (one person after the other) are in both. */
export function foldsOf(records: readonly number[]): ReadonlySet<number>[] {
  return [0, 1].map((turn) => new Set(records.filter((_, i) => i % 2 === turn)));
}

export interface Verdict {
  /** Of each output over all samples, in dB. */
  readonly gains: readonly number[];
  readonly mean: number;
  /** Lower bound of what samples win (Student, 97.5 %). */
  readonly bound: number;
  readonly samples: number;
  readonly isGain: boolean;
  /** No further fold is needed. */
  readonly isClear: boolean;
}

/** What folds say together; of each fold what the outputs are off by without and with all steps. */
export function verdictOf(
  before: readonly (readonly OutputError[])[],
  after: readonly (readonly OutputError[])[],
): Verdict {
  const [b, a] = [sumsOf(before), sumsOf(after)];
  const gains = b.map((sums, output) => gainOf(total(sums), total(a[output]!)));
  const mean = total(gains) / gains.length;
  const samples = b[0]!.length;
  const floors = before[0]!.map((_, output) => (UNSEEN * total(before.map((fold) => fold[output]!.signal))) / samples);
  const each = Array.from(
    { length: samples },
    (_, r) =>
      total(b.map((sums, output) => gainOf(sums[r]! + floors[output]!, a[output]![r]! + floors[output]!))) / b.length,
  );
  const average = total(each) / samples;
  const variance = total(each.map((gain) => (gain - average) ** 2)) / Math.max(1, samples - 1);
  const bound = average - studentOf(samples) * Math.sqrt(variance / samples);
  const isGain = mean >= LEAST_GAIN && (bound > 0 || (samples >= SEVERAL && Math.min(...each) > -MOST_LOSS));
  return { gains, mean, bound, samples, isGain, isClear: mean >= CLEAR_GAIN && bound >= CLEAR_GAIN / 2 };
}

/** Of each output: Σ error² of each sample, fold after fold. */
function sumsOf(folds: readonly (readonly OutputError[])[]): number[][] {
  return folds[0]!.map((_, output) => folds.flatMap((fold) => fold[output]!.sums));
}

function gainOf(before: number, after: number): number {
  if (Number.isNaN(after)) return -MOST_GAIN;
  const gain = 10 * Math.log10((before + TINY) / (after + TINY));
  return Number.isNaN(gain) ? 0 : Math.max(-MOST_GAIN, Math.min(MOST_GAIN, gain));
}

function total(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0);
}
