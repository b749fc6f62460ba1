/** Recording ranges for a model: what the flows of `quantize` and `record` share. */
import { FileError, MinmaxqError } from "../base/errors.ts";
import { firstOf } from "../base/text.ts";
import type { InputSpec, RecordedRange, Reduction } from "../calibration/index.ts";
import type { Shapes } from "../calibration/inputs.ts";
import { expectedInputs, type Fill, type Model } from "../model/index.ts";
import type { Note } from "../passes/context.ts";
import type { Io } from "./io.ts";
import type { RecordedFrom } from "./report.ts";
import { SampleFacts } from "./sample-facts.ts";
import type { Samples } from "./settings.ts";

export interface Recording {
  /** Ranges by subgraph and tensor index: of the first subgraph, and of those that it runs. */
  readonly bySubgraph: ReadonlyMap<number, ReadonlyMap<number, RecordedRange>>;
  readonly from: RecordedFrom;
  /** Shapes of the first sample's inputs, where the model leaves them open. */
  readonly shapes?: Shapes;
  /** Warnings about the samples. */
  readonly notes: readonly Note[];
  /** Positions of inputs with −FLT_MAX in a sample: a range passes it over (reference §7.3), a mask means it. */
  readonly passedOver: readonly number[];
}

/** Runs the model on samples. `fill` computes contents that the model only describes. Throws a MinmaxqError. */
export async function recordSamples(model: Model, samples: Samples, io: Io, fill?: Fill): Promise<Recording> {
  // Loaded here: a run on recorded ranges needs nothing of it.
  const { checkReduction, inputSpecs, isOpen, openDataSet, openSizeText, recordAllRanges, scaledInputs, withShapes } =
    await import("../calibration/index.ts");
  const { reduction, workers, memoryLimit, fastMath, sequence } = samples;
  checkReduction(reduction);
  const specs = withShapes(inputSpecs(model), samples.inputShapes);
  const data = await openDataSet(samples.location, specs, { format: samples.format });
  const facts = new SampleFacts(specs, expectedInputs(model), scaledInputs(model));
  try {
    const bySubgraph = await recordAllRanges(model, facts.watch(data), {
      reduction,
      workers,
      memoryLimit,
      fastMath,
      sequence,
      onProgress: io.progress("recording", "samples"),
      onRanges: io.progress("finding ranges", "tensors"),
      onUnobserved: (names) =>
        io.tell(
          `warning: not recorded, because no sample shows them (a branch that is not taken, a result without elements): ${firstOf(names.map((name) => `"${name}"`))}`,
        ),
      fill,
    });
    const how = reductionText(reduction);
    const random = data.random === true;
    return {
      bySubgraph,
      shapes: data.shapes?.(0),
      from: { source: "samples", how, samples: data.count, random },
      notes: [
        ...facts.notes(random),
        ...(random ? specs.filter(isOpen).map((input) => openSizeNote(input, openSizeText(input))) : []),
      ],
      passedOver: facts.withLowest(),
    };
  } catch (error) {
    // Tensors without a number follow from inputs without one: those are the cause.
    const causes = facts.notFinite();
    if (!(error instanceof MinmaxqError) || causes.length === 0) throw error;
    throw new FileError(samples.location, causes.join("; "), { cause: error });
  } finally {
    data.close();
  }
}

function openSizeNote(input: InputSpec, text: string): Note {
  return { kind: "warning", code: "open-size", tensor: input.name, text };
}

function reductionText(reduction: Reduction): string {
  switch (reduction.kind) {
    case "percentile":
      return `percentile ${reduction.min}–${reduction.max}`;
    case "percentile_all":
      return `percentile ${reduction.min}–${reduction.max} of all values`;
    case "entropy":
      return "least divergence (entropy)";
    case "mse":
      return `least squared error (${reduction.quantizer.dtype.toLowerCase()})`;
    case "moving_average":
      return `moving average (batches of ${reduction.batch}, constant ${reduction.constant})`;
    case "minmax":
      return "minimum and maximum";
  }
}
