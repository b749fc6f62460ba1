/** Options of `quantize` → the flow that they mean: what the command and a job of a batch share. */
import type { Forecast } from "../driver/forecast.ts";
import type { Io } from "../driver/io.ts";
import { quantize } from "../driver/quantize.ts";
import type { Report } from "../driver/report.ts";
import type { WeightScheme } from "../rules/schemes.ts";
import { weightSchemeOf } from "./scheme.ts";
import { quantizeSettings } from "./settings.ts";
import type { OptionValues } from "./values.ts";

/** What `quantizeBy` would come to, without samples and without writing. Throws the MinmaxqError that it would throw before it writes. */
export async function forecastBy(model: string, options: OptionValues, io: Io): Promise<Forecast> {
  const { forecast } = await import("../driver/forecast.ts");
  const scheme = weightSchemeOf(options);
  return forecast(quantizeSettings(model, options), io, scheme && weightsOf(scheme, options));
}

function weightsOf(scheme: WeightScheme, { block }: OptionValues) {
  return { scheme, ...(block && { block }) };
}

/** Quantizes a model as the options say, activations and weights or weights alone. Throws a MinmaxqError; then nothing is left behind. */
export async function quantizeBy(model: string, options: OptionValues, io: Io): Promise<Report> {
  const settings = quantizeSettings(model, options);
  const scheme = weightSchemeOf(options);
  if (!scheme) return quantize(settings, io);
  // Loaded only where it is needed: most of a small run is code that runs for the first time.
  const { quantizeWeightsAlone } = await import("../driver/weights-alone.ts");
  return quantizeWeightsAlone({ ...settings, weights: weightsOf(scheme, options) }, io);
}
