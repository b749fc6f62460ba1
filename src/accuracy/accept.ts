/** Whether a step helped: what models compute on samples that set neither ranges nor weights, held to what the float model does. */

/** A step has to win so much on average, in dB, and no output may lose more than that. */
const LEAST_GAIN = 0.05;
const MOST_LOSS = 0.5;
/** So many of the samples have to win, on average over the outputs: of few samples one may decide all. */
const WINNERS = 0.75;
/** A loss counts where it is larger than so many standard errors: an output of one value says little of a step on a few samples. */
const CERTAIN = 2;
/** Beyond this there is no error to speak of. */
const PERFECT = 120;

const TINY = 1e-30;

/** Of each output, by its records. */
export type Outputs = readonly (readonly Float32Array[])[];

/** What an output is off by, over all records. */
export interface OutputError {
  /** 10·log10(Σ y² / Σ (y − ŷ)²), in dB, from −120 to 120. */
  readonly sqnr: number;
  /** (y − ŷ)² of each value. */
  readonly squares: Float64Array;
  /** Their sums by record. */
  readonly sums: readonly number[];
}

/** Of each output. */
export function errorsOf(reference: Outputs, found: Outputs): OutputError[] {
  return reference.map((records, output) => {
    const byRecord = records.map((values, r) => values.map((value, i) => (value - found[output]![r]![i]!) ** 2));
    const squares = Float64Array.from(byRecord.flatMap((each) => [...each]));
    const sums = byRecord.map((each) => each.reduce((a, b) => a + b, 0));
    let signal = 0;
    for (const values of records) for (const value of values) signal += value ** 2;
    const noise = squares.reduce((a, b) => a + b, 0);
    const sqnr = noise > 0 ? 10 * Math.log10(signal / noise) : Number.isNaN(noise) ? -PERFECT : PERFECT;
    return { sqnr: Math.max(-PERFECT, Math.min(PERFECT, sqnr)), squares, sums };
  });
}

/** How many dB each output wins. */
export function gainsOf(before: readonly OutputError[], after: readonly OutputError[]): number[] {
  return after.map(({ sqnr }, i) => sqnr - before[i]!.sqnr);
}

/** Whether `after` is better than `before`: on average and for most samples, and without a loss for any output that is more than chance. */
export function isBetter(before: readonly OutputError[], after: readonly OutputError[]): boolean {
  if (before.length === 0) return false;
  const gains = gainsOf(before, after);
  const mean = gains.reduce((a, b) => a + b, 0) / gains.length;
  const samples = before[0]!.sums.length;
  const winners = Array.from({ length: samples }, (_, r) =>
    after.reduce((sum, { sums }, i) => sum + Math.log((before[i]!.sums[r]! + TINY) / (sums[r]! + TINY)), 0),
  ).filter((gain) => gain > 0);
  if (winners.length < WINNERS * samples) return false;
  return mean > LEAST_GAIN && gains.every((gain, i) => gain >= -MOST_LOSS || !isCertain(before[i]!, after[i]!));
}

/** Whether errors have grown by more than chance: the sum of differences against its standard error. */
function isCertain({ squares: before }: OutputError, { squares: after }: OutputError): boolean {
  const n = after.length;
  if (n < 2) return false;
  let sum = 0;
  for (let i = 0; i < n; i++) sum += after[i]! - before[i]!;
  let variance = 0;
  for (let i = 0; i < n; i++) variance += (after[i]! - before[i]! - sum / n) ** 2 / (n - 1);
  return sum > CERTAIN * Math.sqrt(n * variance);
}
