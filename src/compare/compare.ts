/** Comparing two models: which tensors belong together, and what their values say (metrics.ts). */

import { FileError, MinmaxqError, Problems } from "../base/errors.ts";
import { SIZES_CONTRADICTED } from "../calibration/failure.ts";
import type { DataSet, InputSpec } from "../calibration/index.ts";
import { elementCount, inputText, sameShape, shapeText } from "../calibration/inputs.ts";
import { runPairsInParts } from "./in-parts.ts";
import { openFloatsOrIntegers } from "./integer-data.ts";
import { type Loss, lossesOf } from "./losses.ts";
import { type Metrics, Totals, type VisqMetrics } from "./metrics.ts";
import { hasNumbers } from "./numbers.ts";
import { type Pair, type RunOptions, runPairs, type Sides } from "./run.ts";
import { MODEL_LIMIT, type Ran, type Tap } from "./side.ts";

export interface ComparedTensor {
  /** Name in the first model. */
  readonly name: string;
  readonly shape: readonly number[];
  readonly metrics: Metrics;
}

export interface ComparedOutput extends ComparedTensor {
  /** Name in the second model. */
  readonly other: string;
}

export interface ComparedLayer extends ComparedTensor, Loss {
  /** dtype to which the second model rounds the tensor; null when it has no rounding of its own. */
  readonly dtype: string | null;
  readonly visq: VisqMetrics;
}

export interface Comparison {
  readonly records: number;
  /** How the second model was run. */
  readonly ran: Ran;
  readonly outputs: readonly ComparedOutput[];
  /** Empty unless asked for. In the first model's order. */
  readonly layers: readonly ComparedLayer[];
  /** Outputs without elements; where layers were asked for, tensors that have no counterpart, too. With the reason. */
  readonly notCompared: readonly { readonly name: string; readonly reason: string }[];
}

export interface CompareOptions extends RunOptions {
  /** Also every float tensor of the first model against the one of its name in the second, after its rounding. */
  layers?: boolean;
}

/**
 * Runs both sides on the data and compares. Results do not depend on the number of workers. Throws MinmaxqError: models that do not
 * fit together, operators that cannot be run, unreadable data.
 */
export async function compareModels(
  sides: Sides,
  openData: (inputs: readonly InputSpec[]) => Promise<DataSet>,
  options: CompareOptions = {},
): Promise<Comparison> {
  try {
    return await compareSides(sides, openData, options);
  } catch (error) {
    const contradicted = error instanceof MinmaxqError && error.code === SIZES_CONTRADICTED;
    if (!contradicted || sides.every(({ stepwise }) => stepwise)) throw error;
    return compareSides([await sides[0].byOperator(), await sides[1].byOperator()], openData, options);
  }
}

async function compareSides(
  sides: Sides,
  openData: (inputs: readonly InputSpec[]) => Promise<DataSet>,
  options: CompareOptions,
): Promise<Comparison> {
  checkInputs(sides);
  const every = outputPairs(sides);
  const outputs = every.filter(([{ shape }]) => elementCount(shape) > 0);
  const matched = options.layers ? layerPairs(sides) : { pairs: [], notCompared: [] };
  const empty = every.filter((pair) => !outputs.includes(pair)).map(([{ name }]) => name);
  const pairs = [...outputs, ...matched.pairs];
  const declared = sides.map((side) => side.declared);
  const data = await openFloatsOrIntegers(openData, sides[0].inputs, declared);
  try {
    // Sizes that a record tells are no part of a copy that is run as a whole, nor is what variable tensors keep.
    const steps = data.shapes || (options.sequence && sides.some(({ variables }) => variables));
    if (steps && !sides.every(({ stepwise }) => stepwise))
      return await compareSides([await sides[0].byOperator(), await sides[1].byOperator()], openData, options);
    const totals = new Totals(pairs.length);
    const onRecord = (record: unknown) => totals.add(record as Float64Array);
    if (inParts(sides, options)) await runPairsInParts(sides, pairs, data, { ...options, onRecord });
    else await runPairs(sides, pairs, data, { ...options, measure: "sums", ownInputs: false, onRecord });
    const compared = (index: number) => {
      const { name, shape } = pairs[index]![0];
      return { name, shape, metrics: totals.metrics(index) };
    };
    const layers = matched.pairs.map(([, { rounding }], i) => ({
      ...compared(outputs.length + i),
      dtype: rounding?.dtype ?? null,
      visq: totals.visq(outputs.length + i, rounding?.scale ?? null),
    }));
    const losses = lossesOf(sides, layers);
    return {
      records: data.count,
      ran: sides[1].ran,
      outputs: outputs.map(([, other], i) => ({ ...compared(i), other: other.name })),
      layers: layers.map((layer, i) => ({ ...layer, ...losses[i]! })),
      notCompared: [...empty.map((name) => ({ name, reason: "without elements" })), ...matched.notCompared],
    };
  } finally {
    data.close();
  }
}

/** Whether the models are run one after the other. What has to be run operator by operator loads and closes operators as memory asks for. */
function inParts(sides: Sides, { memoryLimit, cut }: CompareOptions): boolean {
  if (sides.some(({ stepwise }) => stepwise)) return false;
  return cut === "always" || memoryLimit !== undefined || sides.some(({ stored }) => stored > MODEL_LIMIT);
}

/** Both models are fed the same records. */
function checkInputs([a, b]: Sides): void {
  const text = ({ inputs }: { inputs: readonly InputSpec[] }) => inputs.map(inputText).join(", ") || "no inputs";
  const same = a.inputs.every((input, i) => {
    const other = b.inputs[i];
    return other !== undefined && input.dtype === other.dtype && sameShape(input.shape, other.shape);
  });
  if (!same || a.inputs.length !== b.inputs.length)
    throw new MinmaxqError(
      `the models cannot be fed the same data: ${a.name} has ${text(a)}, and ${b.name} has ${text(b)}; give two forms of one model`,
    );
}

/** Outputs by their order. Throws one MinmaxqError for all that do not fit. */
export function outputPairs([a, b]: Sides, sameDtypes = false): Pair[] {
  const counted = ({ outputs }: { outputs: readonly Tap[] }) =>
    `${outputs.length} (${outputs.map(({ name }) => `"${name}"`).join(", ")})`;
  if (a.outputs.length !== b.outputs.length)
    throw new MinmaxqError(
      `the models have different numbers of outputs: ${a.name} ${counted(a)}, ${b.name} ${counted(b)}`,
    );
  if (a.outputs.length === 0) throw new FileError(a.name, "has no outputs; there is nothing to compare");
  const problems = new Problems();
  const pairs = a.outputs.map((first, i): Pair => {
    const second = b.outputs[i]!;
    const differs = !sameShape(first.shape, second.shape) || (sameDtypes && first.dtype !== second.dtype);
    if (differs) problems.add(`output ${i} differs: ${tapText(first)} in ${a.name}, ${tapText(second)} in ${b.name}`);
    for (const [tap, { name }] of [
      [first, a],
      [second, b],
    ] as const) {
      if (!hasNumbers(tap.dtype)) problems.add(`${name}: output ${tapText(tap)} is no tensor of numbers`);
    }
    return [first, second];
  });
  problems.throwIfAny("the models' outputs cannot be compared");
  return pairs;
}

function tapText({ name, dtype, shape }: Tap): string {
  return `"${name}" (${dtype} ${shapeText(shape)})`;
}

/** Float tensors by their names. */
function layerPairs([a, b]: Sides): { pairs: Pair[]; notCompared: { name: string; reason: string }[] } {
  const pairs: Pair[] = [];
  const notCompared: { name: string; reason: string }[] = [];
  for (const [name, tap] of a.layers) {
    const other = b.layers.get(name);
    const reason =
      tap === null ? twice(a.name) : other === null ? twice(b.name) : other ? undefined : `only in ${a.name}`;
    if (reason) notCompared.push({ name, reason });
    else if (!sameShape(tap!.shape, other!.shape))
      notCompared.push({ name, reason: `shapes differ: ${shapeText(tap!.shape)} and ${shapeText(other!.shape)}` });
    else pairs.push([tap!, other!]);
  }
  for (const name of b.layers.keys()) {
    if (!a.layers.has(name)) notCompared.push({ name, reason: `only in ${b.name}` });
  }
  for (const { name, unobserved } of [a, b]) {
    for (const tensor of unobserved) notCompared.push({ name: tensor, reason: `inside control flow of ${name}` });
  }
  return { pairs, notCompared };
}

const twice = (model: string) => `the name occurs twice in ${model}`;
