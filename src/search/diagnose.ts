/**
 * Where the loss of a quantized model comes from: what its weights cost alone, its activations, its inputs and outputs; what each rounding
 * adds at each output, one at a time; and what of that has a known cause (causes.ts). All of it is measured, on samples that did not set
 * the ranges.
 */
import type { Io } from "../driver/io.ts";
import type { Dialect } from "../model/index.ts";
import type { Dtype } from "../model/tensor-types.ts";
import { RULES_OF, rowOf } from "../rules/operators.ts";
import { finerScheme, type Scheme } from "../rules/schemes.ts";
import type { Bench, Noise, Noises } from "./bench.ts";
import { type Cause, type Contribution, causesOf, type Facts, ranked, SHAKE } from "./causes.ts";
import type { Rounding, Switch, Switches } from "./switches.ts";

export interface OutputLoss extends Facts {
  /** What the sum of all single roundings says; near `all` where noises add up. */
  readonly predicted: Noise;
}

export interface Diagnosis {
  /** How many samples judged. */
  readonly samples: number;
  readonly outputs: readonly OutputLoss[];
  readonly causes: readonly Cause[];
  /** Constants that are rounded in every variant, because the float model has no counterpart of them. */
  readonly unmatched: readonly string[];
}

/** What is diagnosed. */
export interface Patient {
  readonly bench: Bench;
  readonly switches: Switches;
  /** The float model that `switches` has its constants of: its inner tensors are looked at. */
  readonly float: string;
  readonly scheme: Scheme;
  readonly granularity: string;
  readonly dialect: Dialect;
}

const isActivation = (each: Switch): each is Rounding => each.kind === "activation";

/** The parts that are measured alone. */
const PARTS = {
  all: () => true,
  weights: (each: Switch) => each.kind === "constants",
  inner: (each: Switch) => isActivation(each) && each.place === "inner",
  inputs: (each: Switch) => isActivation(each) && each.place === "input",
  outputs: (each: Switch) => isActivation(each) && each.place === "output",
} as const;
type Part = keyof typeof PARTS;

/** Measures everything. Results do not depend on the number of workers. Throws a MinmaxqError. */
export async function diagnose(patient: Patient, io: Io): Promise<Diagnosis> {
  const { bench, switches, float } = patient;
  const all: readonly Switch[] = [...switches.roundings, ...switches.constants];
  const total = all.length + Object.keys(PARTS).length + 2;
  const progress = io.progress("measuring", "tensors");
  let done = 0;
  const step = <T>(result: T): T => {
    progress(++done, total);
    return result;
  };
  const measure = async (on: (each: Switch) => boolean) =>
    step(await bench.measure({ bytes: await switches.variant(on) }));
  const bands = switches.roundings.map(({ name, min, max, scale }) => ({ name, min, max, step: scale }));
  const [parts, shaken, looked, single] = await Promise.all([
    Promise.all(Object.entries(PARTS).map(async ([part, on]) => [part as Part, await measure(on)] as const)),
    bench.measure({ path: float }, SHAKE).then(step),
    bench.look({ path: float }, bands).then(step),
    inTurn(all, bench.workers, (each) => measure((other) => other === each)),
  ]);
  const split = new Map<Part, Noises>(parts);
  const seen = new Map(looked.map((each) => [each.name, each]));
  const finer = finerScheme(patient.scheme.activation.dtype, patient.dialect);
  const outputs = bench.outputs.map((name, output): OutputLoss => {
    const contributions = all.map((each, i): Omit<Contribution, "share" | "cumulated"> => {
      const noise = single[i]![output]!;
      const { kind, name, operator } = each;
      if (!isActivation(each)) return { kind, name, operator, place: "constants", noise };
      const { clipped, clipping, evenness } = seen.get(name) ?? {};
      return { kind, name, operator, place: each.place, noise, clipped, clipping, evenness };
    });
    const { sum, contributions: sorted } = ranked(contributions);
    const part = (which: Part) => split.get(which)![output]!;
    return {
      name,
      all: part("all"),
      weights: part("weights"),
      inner: part("inner"),
      inputs: part("inputs"),
      outputs: part("outputs"),
      shaken: shaken[output]!,
      predicted: sum,
      contributions: sorted,
      own: ownOf(patient, name),
      granularity: patient.granularity,
      finer: finer?.name,
      finerWeights: finer && bitsOfWeights(finer) > bitsOfWeights(patient.scheme) ? finer.name : "float32",
    };
  });
  const { samples } = bench;
  return { samples, outputs, causes: outputs.flatMap(causesOf), unmatched: switches.unmatched };
}

function bitsOfWeights({ weights, granularities }: Scheme): number {
  return weights[granularities[0]!].bits;
}

/** The output's own rounding. */
function ownOf({ switches, scheme, dialect }: Patient, name: string): Facts["own"] {
  const own = switches.roundings.find((each) => each.place === "output" && each.name === name);
  if (!own) return undefined;
  const { operator, scale, dtype } = own;
  // LiteRT's flow puts the model's dtype between a 16-bit layer and an output; a float layer has none.
  const finer = scheme.family === "one" ? finerScheme(scheme.activation.dtype, dialect) : undefined;
  const remedy = `--layer '${name}=${finer?.name ?? "float32"}' --output-dtype ${finer?.activation.dtype.toLowerCase() ?? "float32"}`;
  return { operator, scale, dtype, remedy, fixed: operator !== null && hasFixedResult(operator, dtype, scheme) };
}

/** Whether an operator's result always has the same parameters. */
function hasFixedResult(operator: string, dtype: Dtype, scheme: Scheme): boolean {
  const { out, families } = rowOf(operator, RULES_OF[scheme.family]);
  return (out.role === "special" && out.kind !== "integer") || families?.litert?.fixed?.[dtype] !== undefined;
}

/** As many at a time as there are workers and one more, so that each has its next model made while it runs one; results in order. */
export async function inTurn<T, R>(all: readonly T[], workers: number, work: (each: T) => Promise<R>): Promise<R[]> {
  const results: R[] = new Array(all.length);
  let next = 0;
  const lane = async () => {
    while (next < all.length) {
      const at = next++;
      results[at] = await work(all[at]!);
    }
  };
  await Promise.all(Array.from({ length: workers + 1 }, lane));
  return results;
}
