/**
 * THE FLOW: what happens to a model, in order, and why in that order. Commands, the drop-in front, a batch's process and the tests call the
 * functions at the end of this file; none of them repeats an order.
 *
 *     quantize    OWN_FLOW        samples or recorded ranges → quantized model, soundly or with an error
 *     reference   REFERENCE_FLOW  a mode of ONE's circle-quantizer, bit for bit
 *     transform   TRANSFORM_FLOW  one change of a model's graphs (fake-quantize, requantize …)
 *     record      RECORD_FLOW     samples → the same model with ranges
 *     convert     CONVERT_FLOW    the same model in the other format
 *     verify      VERIFY_FLOW     what a quantized model is, and what is wrong with it
 *
 * A phase may run a list of steps itself: the preparation (src/passes/prepare/index.ts), and for each graph the pipeline
 * (src/passes/minmax/index.ts). `MINMAXQ_DEBUG=1` shows all of them.
 */
import { runSteps } from "../base/steps.ts";
import type { OpenedModel } from "../model/index.ts";
import type { Workspace } from "../passes/context.ts";
import { NEEDS_KERNEL } from "../rules/schemes.ts";
import {
  BEGIN_MOMENTS,
  correctLayers,
  EQUALIZE,
  gathersMoments,
  IMPROVE_WEIGHTS,
  WIDEN_RANGES,
} from "./accuracy-phases.ts";
import { type Io, SILENT } from "./io.ts";
import {
  checkModel,
  clipMasksOf,
  fakeWeights,
  insertBorders,
  keepFloat,
  keepInfiniteOf,
  keepOutside,
  prepareRun,
  quantizeGraphs,
  recordInto,
  refuseWithoutRanges,
} from "./own-phases.ts";
import {
  beginOutput,
  hintAtTarget,
  noteMissingRanges,
  recordOnly,
  refuseProblems,
  refuseSchemeForTarget,
  verifyResult,
  writeResult,
  writeTables,
} from "./phases.ts";
import type { Report } from "./report.ts";
import { type Phase, Run, runFlow, runPhases } from "./run.ts";
import { OPERATOR_VERSIONS, RUN_IN_LITERT } from "./run-result.ts";
import type { QuantizeSettings, RecordSettings, ReferenceSettings, Settings, TransformSettings } from "./settings.ts";
import {
  CHECK_FILES,
  CHECK_LAYERS,
  hasNoSamples,
  hasNoTarget,
  hasSamples,
  hasTarget,
  IMPORT,
  INFER,
  OPEN,
  OWN_CHECKS,
  REFUSE_FOR_TARGET,
  REWRITE_FOR_TARGET,
  SET_LAYERS,
  SHAPE_OPERANDS,
  START_LITERT,
  START_THREADS,
  WARN,
  ZERO_BIAS,
} from "./shared-phases.ts";
import { chooseSubgraphs, noteCalledSubgraphs } from "./subgraphs.ts";
import {
  checkModelFile,
  recognizeSchemes,
  type VerifyReport,
  type VerifySettings,
  verifyFile,
  verifyReportOf,
} from "./verify-phases.ts";

/** From ranges to parameters: what a trial of other constants goes through, too. */
const MEASURED: readonly Phase<QuantizeSettings>[] = [
  { name: "check ranges", why: "from here on every quantized activation needs one", run: refuseWithoutRanges },
  { name: "clip masks", why: "what lies beyond every useful value must not decide a range", run: clipMasksOf },
  { name: "keep infinite", why: "what no consumer allows to clip; borders come around it", run: keepInfiniteOf },
  WIDEN_RANGES,
  {
    name: "keep outside domains",
    why: "kernels that cannot take every value; borders come around them",
    run: keepOutside,
  },
  { name: "insert borders", why: "their ranges are those of the float operators beside them", run: insertBorders },
  {
    name: "quantize",
    why: "scales, zero points, dtypes: the pipeline of the scheme's family",
    run: quantizeGraphs,
  },
  {
    name: "refuse problems",
    why: "constants that decisions looked at and could not use: all at once",
    run: refuseProblems,
  },
  INFER,
  { ...OPERATOR_VERSIONS, when: ({ options }) => NEEDS_KERNEL[options.scheme.family] },
];

export const OWN_FLOW: readonly Phase<QuantizeSettings>[] = [
  CHECK_FILES,
  { ...START_THREADS, when: hasNoSamples },
  { ...START_LITERT, when: hasSamples },
  OPEN,
  IMPORT,
  { name: "choose subgraphs", why: "samples and ranges are of certain subgraphs only", run: chooseSubgraphs },
  SET_LAYERS,
  CHECK_LAYERS,
  {
    name: "begin output",
    files: true,
    span: "prepare",
    when: hasNoSamples,
    why: "filters of a large model are known already: a thread streams them while the phases below decide about the rest",
    run: beginOutput,
  },
  {
    name: "prepare",
    span: "prepare",
    why: "constants folded and activations fused before anything is measured or chosen",
    run: prepareRun,
  },
  REFUSE_FOR_TARGET,
  {
    name: "note called subgraphs",
    why: "behind the preparation, which may put what they hold in their callers' place",
    run: noteCalledSubgraphs,
  },
  { ...ZERO_BIAS, when: ({ options }) => NEEDS_KERNEL[options.scheme.family] },
  { name: "keep float", why: "what cannot be quantized soundly is left out of all that follows", run: keepFloat },
  {
    name: "refuse scheme for target",
    when: hasTarget,
    why: "kernels that it does not have, by operators; before samples run",
    run: refuseSchemeForTarget,
  },
  { name: "check model", why: "before samples run, which may take minutes", run: checkModel },
  EQUALIZE,
  BEGIN_MOMENTS,
  {
    name: "fake-quantize weights",
    span: "passes",
    when: (run) => hasSamples(run) && !gathersMoments(run),
    why: "so that ranges are recorded with the error that quantized weights have",
    run: fakeWeights,
  },
  { name: "record", span: "record", when: hasSamples, why: "ranges of activations come from samples", run: recordInto },
  correctLayers(MEASURED),
  ...MEASURED,
  SHAPE_OPERANDS,
  {
    name: "hint at target",
    when: hasNoTarget,
    why: "a person may not know of it; no scales are needed, so threads stream weights meanwhile",
    run: hintAtTarget,
  },
  {
    name: "write",
    files: true,
    why: "weights are encoded on their way into the file",
    run: (run) => writeResult(run, OWN_CHECKS, [RUN_IN_LITERT]),
  },
];

export const REFERENCE_FLOW: readonly Phase<ReferenceSettings>[] = [
  CHECK_FILES,
  START_THREADS,
  OPEN,
  IMPORT,
  SET_LAYERS,
  {
    name: "note missing ranges",
    when: ({ settings }) => settings.verified,
    why: "ONE takes such models; where the result is wrong, they are the likely cause",
    run: noteMissingRanges,
  },
  {
    name: "begin output",
    files: true,
    span: "prepare",
    when: ({ settings }) => settings.verified,
    why: "as in the own flow",
    run: beginOutput,
  },
  { name: "change", why: "the mode that was chosen", run: ({ settings, space }) => settings.change(space) },
  { name: "refuse problems", why: "as in the own flow", run: refuseProblems },
  INFER,
  SHAPE_OPERANDS,
  {
    name: "write",
    files: true,
    why: "weights are encoded on their way into the file",
    run: (run) =>
      writeResult(run, [
        {
          name: "verify",
          span: "passes",
          when: () => run.settings.verified,
          why: "bias scales are known only now",
          run: (each) => verifyResult(each, false),
        },
        WARN,
      ]),
  },
];

export const TRANSFORM_FLOW: readonly Phase<TransformSettings>[] = [
  CHECK_FILES,
  OPEN,
  IMPORT,
  SET_LAYERS,
  REWRITE_FOR_TARGET,
  IMPROVE_WEIGHTS,
  {
    name: "change",
    why: "what the command is for",
    run: async (run) => {
      run.facts.done = await run.settings.change(run.space);
    },
  },
  REFUSE_FOR_TARGET,
  { name: "refuse problems", why: "as in the own flow", run: refuseProblems },
  INFER,
  SHAPE_OPERANDS,
  {
    name: "write",
    files: true,
    why: "weights are encoded on their way into the file",
    run: (run) => writeResult(run, []),
  },
];

export const RECORD_FLOW: readonly Phase<RecordSettings>[] = [
  CHECK_FILES,
  START_LITERT,
  OPEN,
  { name: "record", span: "record", why: "runs the tables as they are: nothing is imported", run: recordOnly },
  { name: "write", files: true, span: "write", why: "the same tables with ranges", run: writeTables },
];

export const CONVERT_FLOW: readonly Phase[] = [
  CHECK_FILES,
  OPEN,
  { ...IMPORT, when: hasTarget, why: "what a target needs is done on graphs; float16 constants become float32" },
  REWRITE_FOR_TARGET,
  REFUSE_FOR_TARGET,
  { ...SHAPE_OPERANDS, when: (run) => hasTarget(run) && run.dialect === "circle" },
  {
    name: "write graphs",
    files: true,
    when: hasTarget,
    why: "they are no longer what was read",
    run: (run) => writeResult(run, []),
  },
  {
    name: "write",
    files: true,
    when: hasNoTarget,
    span: "write",
    why: "the format's dialect is chosen while tables are encoded",
    run: writeTables,
  },
];

export const VERIFY_FLOW: readonly Phase<VerifySettings & Settings>[] = [
  { name: "check files", files: true, why: "before any work: a file that is not there", run: checkModelFile },
  OPEN,
  IMPORT,
  {
    name: "recognize",
    span: "passes",
    why: "a file says nothing of its settings; its dtypes and parameters do",
    run: recognizeSchemes,
  },
  { name: "verify", span: "passes", why: "each operator by the scheme that it has", run: verifyFile },
];

/** Quantizes a model and writes it. Throws a MinmaxqError; then nothing is left behind. */
export function quantize(settings: QuantizeSettings, io: Io = SILENT): Promise<Report> {
  return runFlow(OWN_FLOW, new Run(settings, io));
}

/** Does what a mode of ONE's circle-quantizer does. */
export function reference(settings: ReferenceSettings, io: Io = SILENT): Promise<Report> {
  return runFlow(REFERENCE_FLOW, new Run(settings, io, true));
}

/** Changes the graphs of a model and writes it. */
export function transform(settings: TransformSettings, io: Io = SILENT): Promise<Report> {
  return runFlow(TRANSFORM_FLOW, new Run(settings, io));
}

/** Runs a float model on samples and writes it with ranges. */
export function record(settings: RecordSettings, io: Io = SILENT): Promise<Report> {
  return runFlow(RECORD_FLOW, new Run(settings, io));
}

/** Writes a model in the other format. */
export function convert(settings: Settings, io: Io = SILENT): Promise<Report> {
  return runFlow(CONVERT_FLOW, new Run(settings, io));
}

/** Holds a quantized model to the rules of its operators. Throws a MinmaxqError where nothing in it is quantized; problems are in the report. */
export function verify(settings: VerifySettings, io: Io = SILENT): Promise<VerifyReport> {
  const run = new Run<VerifySettings & Settings>({ ...settings, output: "" }, io);
  return runPhases(VERIFY_FLOW, run, () => verifyReportOf(run));
}

/** `quantize` of a model that is open already, up to the file: the graphs as they would be written, `without` some phases. For tests. */
export async function quantizeInMemory(
  opened: OpenedModel,
  settings: InMemory<QuantizeSettings>,
  without: readonly string[] = [],
): Promise<Workspace> {
  const flow = OWN_FLOW.filter(({ name }) => !without.includes(name));
  return inMemory(flow, opened, new Run({ ...settings, ...NO_FILES }, SILENT));
}

/** `reference` likewise. */
export async function referenceInMemory(
  opened: OpenedModel,
  settings: InMemory<ReferenceSettings>,
): Promise<Workspace> {
  return inMemory(REFERENCE_FLOW, opened, new Run({ ...settings, ...NO_FILES }, SILENT, true));
}

type InMemory<S extends Settings> = Omit<S, "model" | "output">;
const NO_FILES = { model: "the model", output: "" };

async function inMemory<S extends Settings>(flow: readonly Phase<S>[], opened: OpenedModel, run: Run<S>) {
  run.opened = opened;
  await runSteps(
    flow.filter(({ files }) => !files),
    [run],
  );
  return { ...run.space, graphs: run.graphs };
}
