/** `--fail-below sqnr=20` and `--fail-above mae=0.1`: limits that outputs are held to. */
import { Problems, UsageError } from "../base/errors.ts";
import type { ComparedOutput } from "./compare.ts";
import type { Metrics } from "./metrics.ts";

export type MetricName = Exclude<keyof Metrics, "zeros" | "notFinite">;

interface MetricRow {
  /** Which direction is bad. */
  readonly fails: "below" | "above";
  readonly unit: string;
  readonly heading: string;
}

/** Every metric, in the order of the table that people see. */
export const METRICS: Readonly<Record<MetricName, MetricRow>> = {
  sqnr: { fails: "below", unit: " dB", heading: "SQNR dB" },
  cosine: { fails: "below", unit: "", heading: "cosine" },
  mae: { fails: "above", unit: "", heading: "MAE" },
  mse: { fails: "above", unit: "", heading: "MSE" },
  mape: { fails: "above", unit: " %", heading: "MAPE %" },
  mpeir: { fails: "above", unit: "", heading: "MPEIR" },
  top1: { fails: "below", unit: "", heading: "top-1" },
  top5: { fails: "below", unit: "", heading: "top-5" },
};

export interface Limit {
  readonly metric: MetricName;
  readonly limit: number;
}

/** "sqnr=20,cosine=0.99" → limits. Throws a UsageError that says what is possible. */
export function limitsFromText(direction: "below" | "above", text: string): Limit[] {
  const names = Object.keys(METRICS).filter((name) => METRICS[name as MetricName].fails === direction);
  return text.split(",").map((each) => {
    const [, name = "", value = ""] = /^\s*([^=]*?)\s*=\s*(.*?)\s*$/.exec(each) ?? [];
    const metric = name.toLowerCase().replace("-", "") as MetricName;
    const limit = Number(value);
    if (!Object.hasOwn(METRICS, metric) || value === "" || Number.isNaN(limit))
      throw new UsageError(`"${each.trim()}" is no METRIC=NUMBER; metrics here are ${names.join(", ")}`);
    const { fails } = METRICS[metric];
    if (fails !== direction)
      throw new UsageError(
        `${metric} is better the ${fails === "above" ? "smaller" : "larger"} it is; use --fail-${fails} ${metric}=${value}`,
      );
    return { metric, limit };
  });
}

/** One line for every output that breaks a limit. A metric that is no number (NaN) breaks every limit. */
export function brokenLimits(outputs: readonly ComparedOutput[], limits: readonly Limit[]): string[] {
  const lines: string[] = [];
  for (const { metric, limit } of limits) {
    const { fails, unit } = METRICS[metric];
    const measured = outputs.filter(({ metrics }) => metrics[metric] !== null);
    if (measured.length === 0)
      lines.push(`${metric} says nothing of any output, so the limit ${limit} cannot be checked`);
    for (const { name, metrics } of measured) {
      const value = metrics[metric]!;
      if (fails === "below" ? value >= limit : value <= limit) continue;
      lines.push(
        `output "${name}": ${metric} ${short(value)}${unit} is ${wrong(value, fails)} the limit ${limit}${unit}`,
      );
    }
  }
  return lines;
}

function wrong(value: number, fails: "below" | "above"): string {
  return Number.isNaN(value) ? "no number; it breaks" : fails;
}

function short(value: number): string {
  return String(Number(value.toPrecision(6)));
}

/** Throws one MinmaxqError for all broken limits. */
export function holdTo(outputs: readonly ComparedOutput[], limits: readonly Limit[]): void {
  const problems = new Problems();
  for (const line of brokenLimits(outputs, limits)) problems.add(line);
  problems.throwIfAny("outputs that break a limit");
}
