/**
 * The metrics of circle-eval-diff with its own arithmetic (§8.1): every accumulator is float32, MAE, MSE and MAPE have one for each
 * element, and records come one after the other. a = first model, b = second, E = elements, N = records:
 *
 *     MAE     Σₑ( Σₙ|a − b| ) / E / N           MSE the same with (a − b)²
 *     MAPE    Σₑ( Σₙ|(a − b) / a| ) / E / N · 100; nothing keeps a from being 0: inf, or NaN where b is 0, too
 *     MPEIR   Σₙ( max|a − b| / (max a − min a) ) / N; an interval of 0 is taken as 1
 *     top-k   Σₙ( |top k of a ∩ top k of b| / k ) / N
 */
import { topMatch } from "./top.ts";

const f32 = Math.fround;

/** The metrics, in the order in which they are printed. */
export const EVAL_METRICS = ["mae", "mape", "mpeir", "top1", "top5", "mse"] as const;
export type EvalMetric = (typeof EVAL_METRICS)[number];
/** One output; null: too few elements for top-k. */
export type EvalResult = Record<EvalMetric, number | null>;

/** One pair of outputs. */
export class EvalDiff {
  private readonly absolute: Float32Array;
  private readonly squared: Float32Array;
  private readonly relative: Float32Array;
  private mpeir = 0;
  private top1 = 0;
  private top5 = 0;
  private records = 0;

  constructor(private readonly elements: number) {
    this.absolute = new Float32Array(elements);
    this.squared = new Float32Array(elements);
    this.relative = new Float32Array(elements);
  }

  add(a: ArrayLike<number>, b: ArrayLike<number>): void {
    let peak = 0;
    let [min, max] = [a[0]!, a[0]!];
    for (let i = 0; i < this.elements; i++) {
      const x = a[i]!;
      const difference = f32(x - b[i]!);
      const error = Math.abs(difference);
      this.absolute[i]! += error;
      this.squared[i]! += f32(difference * difference);
      this.relative[i]! += Math.abs(f32(difference / x));
      if (error > peak) peak = error;
      if (x < min) min = x;
      if (x > max) max = x;
    }
    const interval = f32(max - min);
    this.mpeir = f32(this.mpeir + f32(peak / (interval === 0 ? 1 : interval)));
    if (this.elements >= 1) this.top1 = f32(this.top1 + f32(topMatch(a, b, 1)));
    if (this.elements >= 5) this.top5 = f32(this.top5 + f32(topMatch(a, b, 5)));
    this.records++;
  }

  result(): EvalResult {
    const mean = (sums: Float32Array) => f32(f32(sumOf(sums) / this.elements) / this.records);
    return {
      mae: mean(this.absolute),
      mape: f32(mean(this.relative) * 100),
      mpeir: f32(this.mpeir / this.records),
      top1: this.elements >= 1 ? f32(this.top1 / this.records) : null,
      top5: this.elements >= 5 ? f32(this.top5 / this.records) : null,
      mse: mean(this.squared),
    };
  }
}

function sumOf(values: Float32Array): number {
  let sum = 0;
  for (const value of values) sum = f32(sum + value);
  return sum;
}
