/** Phases as rows that several flows share: name, when, and why at their place (src/driver/quantize.ts says in which order). */
import { zeroBias } from "./own-phases.ts";
import {
  addShapeOperands,
  checkFiles,
  checkLayersForTarget,
  importGraphs,
  inferDtypesOfAll,
  openInput,
  refuseForTarget,
  rewriteForTarget,
  sayWhatTheCpuRuns,
  setLayersOf,
  startLiteRT,
  startThreads,
  verifyResult,
  warnOfResults,
} from "./phases.ts";
import type { Phase, Run } from "./run.ts";
import type { QuantizeSettings, Settings } from "./settings.ts";

export const hasSamples = ({ settings }: Run<QuantizeSettings>) => settings.samples !== undefined;
export const hasTarget = ({ options }: Run) => options.target !== undefined;
export const hasNoTarget = ({ options }: Run) => options.target === undefined;
export const hasNoSamples = ({ settings }: Run<QuantizeSettings>) => settings.samples === undefined;

/** The beginning of every flow. */
export const OPEN: Phase = { name: "open", files: true, why: "everything starts with the tables", run: openInput };
export const CHECK_FILES: Phase = {
  name: "check files",
  files: true,
  why: "before any work: a result that has no place",
  run: checkFiles,
};
export const START_THREADS: Phase = {
  name: "start threads",
  files: true,
  why: "they load kernels while tables are read",
  run: startThreads,
};
export const START_LITERT: Phase<Settings & Pick<QuantizeSettings, "samples">> = {
  name: "start LiteRT",
  files: true,
  why: "it takes longer to start than a small model to be read and prepared, and does so beside that",
  run: startLiteRT,
};
export const IMPORT: Phase = {
  name: "import",
  span: "prepare",
  why: "passes work on graphs, not on tables",
  run: importGraphs,
};
export const SET_LAYERS: Phase = {
  name: "set layers",
  why: "before any pass: what becomes part of another layer hands its setting on",
  run: (run) => setLayersOf(run),
};
export const ZERO_BIAS: Phase<QuantizeSettings> = {
  name: "zero bias",
  span: "prepare",
  why: "kernels want one, whatever steps are left out",
  run: zeroBias,
};
export const CHECK_LAYERS: Phase = {
  name: "check layers for target",
  when: hasTarget,
  why: "settings that it does not take, before any work",
  run: checkLayersForTarget,
};
export const REWRITE_FOR_TARGET: Phase = {
  name: "rewrite for target",
  when: hasTarget,
  why: "what it has no kernel for at all",
  run: rewriteForTarget,
};
export const REFUSE_FOR_TARGET: Phase = {
  name: "refuse for target",
  when: hasTarget,
  why: "what no rewriting helped: told before samples run",
  run: refuseForTarget,
};
export const INFER: Phase = {
  name: "infer dtypes",
  span: "passes",
  why: "control flow takes dtypes of graphs that come after it, so once more when all are done",
  run: inferDtypesOfAll,
};
export const SHAPE_OPERANDS: Phase = {
  name: "shape operands",
  span: "passes",
  when: ({ dialect }) => dialect === "circle",
  why: "behind all that changes graphs, before what looks at the result",
  run: addShapeOperands,
};
export const WARN: Phase = { name: "warn", span: "passes", why: "needs all scales", run: warnOfResults };

/** Between the last weight and the name of the file: a result that breaks a rule never gets one. */
export const OWN_CHECKS: readonly Phase[] = [
  { name: "verify", span: "passes", why: "bias scales are known only now", run: (run) => verifyResult(run, true) },
  {
    name: "check for target",
    when: hasTarget,
    why: "a result that its target cannot run gets no name",
    run: refuseForTarget,
  },
  { name: "say what the CPU runs", when: hasTarget, why: "no fault, but slower", run: sayWhatTheCpuRuns },
  WARN,
];
