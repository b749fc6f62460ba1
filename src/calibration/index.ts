/** Calibration: sample data, running the float model, observers, reductions. */
export { type DataSet, type DataSetOptions, openDataSet, refuseUseless } from "./dataset.ts";
export { type HeldBack, withRole } from "./held-out.ts";
export { type GivenShape, type InputSpec, isOpen, openSizeText, withShapes, withShapesOf } from "./inputs.ts";
export { inputSpecs } from "./instrument.ts";
export { knownInputs } from "./known-inputs.ts";
export type { MediaContext } from "./media.ts";
export type { MediaSettings } from "./media-plan.ts";
export {
  type RecordedRange,
  type RecordOptions,
  recordAllRanges,
  recordRanges,
  recordRuns,
  recordSamples,
  type Samples,
  type SubgraphRun,
} from "./record.ts";
export {
  checkReduction,
  movingAverage,
  percentile,
  type Range,
  type RecordReduction,
  type Reduction,
  reduce,
  reduceValues,
  type ValueReduction,
} from "./reduce.ts";
export { scaledInputs } from "./scaled-inputs.ts";
