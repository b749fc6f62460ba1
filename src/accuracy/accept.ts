/** Whether a step helped: what models compute on samples that set neither ranges nor weights, held to what the float model does. */

/** A step has to win so much on average, in dB, and no output may lose more than that. */
const LEAST_GAIN = 0.05;
const MOST_LOSS = 0.5;
/** So many of the samples have to win, on average over the outputs: of few samples one may decide all. */
const WINNERS = 0.75;
/**
 * A loss counts where the samples agree on it: t of their differences, by the number of samples from 2 on (Student, 97.5 %). Two samples that
 * differ say nothing, and an output of one value is mostly that.
 */
const CERTAIN = [12.71, 4.3, 3.18, 2.78, 2.57, 2.45, 2.36, 2.31, 2.26];

/** Beyond this there is no error to speak of. */
const PERFECT = 120;

const TINY = 1e-30;

/** Of each output, by its records. */
export type Outputs = readonly (readonly Float32Array[])[];

/** What an output is off by, over all records. */
export interface OutputError {
  /** 10·log10(Σ y² / Σ (y − ŷ)²), in dB, from −120 to 120. */
  readonly sqnr: number;
  /** Σ (y − ŷ)² of each record. */
  readonly sums: readonly number[];
  /** Σ y² over all records. */
  readonly signal: number;
}

/** Of each output. */
export function errorsOf(reference: Outputs, found: Outputs): OutputError[] {
  return reference.map((records, output) => {
    const sums = records.map((values, r) => squaredDistance(values, found[output]![r]!));
    const signal = records.reduce((sum, values) => sum + squaredDistance(values), 0);
    const noise = sums.reduce((a, b) => a + b, 0);
    const sqnr = noise > 0 ? 10 * Math.log10(signal / noise) : Number.isNaN(noise) ? -PERFECT : PERFECT;
    return { sqnr: Math.max(-PERFECT, Math.min(PERFECT, sqnr)), sums, signal };
  });
}

/** Σ (a − b)², or Σ a². Plain loops: outputs may be pictures, and this is done for each trial. */
export function squaredDistance(a: Float32Array, b?: Float32Array): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) {
    const difference = b ? a[i]! - b[i]! : a[i]!;
    sum += difference * difference;
  }
  return sum;
}

/** How many dB each output wins. */
export function gainsOf(before: readonly OutputError[], after: readonly OutputError[]): number[] {
  return after.map(({ sqnr }, i) => sqnr - before[i]!.sqnr);
}

/** What outputs win, for notes: "+3.1 dB on average, −0.2 dB at least". */
export function saidOf(gains: readonly number[]): { mean: number; least: number; text: string } {
  const mean = gains.reduce((a, b) => a + b, 0) / gains.length;
  const least = Math.min(...gains);
  const signed = (gain: number) => `${gain < 0 ? "−" : "+"}${Math.abs(gain).toFixed(1)} dB`;
  return { mean, least, text: signed(mean) + (gains.length > 1 ? ` on average, ${signed(least)} at least` : "") };
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

/** Whether errors have grown by more than chance: the mean of the records' differences against its standard error. */
function isCertain({ sums: before }: OutputError, { sums: after }: OutputError): boolean {
  const n = after.length;
  if (n < 2) return false;
  const differences = after.map((sum, r) => sum - before[r]!);
  const mean = differences.reduce((a, b) => a + b, 0) / n;
  const variance = differences.reduce((sum, each) => sum + (each - mean) ** 2, 0) / (n - 1);
  return mean > studentOf(n) * Math.sqrt(variance / n);
}

/** By how many standard errors a mean of so many samples is certain; of one it never is. */
export function studentOf(samples: number): number {
  return samples < 2 ? Number.POSITIVE_INFINITY : (CERTAIN[samples - 2] ?? CERTAIN.at(-1)!);
}
