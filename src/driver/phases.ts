/** Phases that several flows share (src/driver/quantize.ts says in which order, and why). */
import { FileError, Problems } from "../base/errors.ts";
import { runSteps } from "../base/steps.ts";
import { indented } from "../base/text.ts";
import type { Graph } from "../graph/graph.ts";
import { withoutShapeOperands, withShapeOperands } from "../graph/shape-operands.ts";
import { type Dialect, type Model, openModel } from "../model/index.ts";
import { METADATA } from "../model/metadata.ts";
import type { Context, LayerSetting, QuantizeOptions, Workspace } from "../passes/context.ts";
import { missingRanges } from "../passes/float/check-ranges.ts";
import { inferDtypes } from "../passes/infer-dtypes.ts";
import { runPrepareSteps } from "../passes/prepare/index.ts";
import { reshapeShape } from "../passes/prepare/reshape-shape.ts";
import { onTheCpu, targetHint, targetProblems } from "../passes/target/check.ts";
import { checkTargetLayers, checkTargetScheme } from "../passes/target/settings.ts";
import { verify } from "../passes/verify.ts";
import { noteWarnings } from "../passes/warnings.ts";
import { workspace } from "../passes/workspace.ts";
import { FAMILIES, schemesOf, type WeightScheme, weightSchemesOf } from "../rules/schemes.ts";
import { DEFAULT_TARGETS } from "../rules/targets.ts";
import { begin } from "./early-output.ts";
import { checkEnding, checkPaths, checkReport } from "./paths.ts";
import { recordSamples } from "./recording.ts";
import type { Phase, Run } from "./run.ts";
import type { LayerSources, QuantizeSettings, RecordSettings, Settings } from "./settings.ts";
import { fedBy } from "./signatures.ts";
import { notRecorded, refuseForeignState } from "./subgraphs.ts";
import { writeAs, writeWorkspace } from "./write.ts";

/** Refuses results and reports that have no place, or would replace what is read. */
export function checkFiles({ settings }: Run): void {
  const { samples } = settings as Partial<QuantizeSettings>;
  const inputs = [settings.model, ...(samples?.sources ?? []).map(({ location }) => location), settings.layers?.config];
  checkEnding(settings.output, settings.dialect);
  checkPaths(inputs, settings.output, settings.force);
  for (const [option, path] of Object.entries(settings.reports ?? {}))
    checkReport(option, path, inputs, settings.output);
}

/** Has threads load the kernels. */
export function startThreads(run: Run): void {
  run.stream.startEarly(run.settings.model);
  run.atEnd(() => run.stream.close());
}

/** Has LiteRT start; where memory is limited that waits until it is known how much there is. */
export async function startLiteRT({ settings }: Run<Settings & Pick<QuantizeSettings, "samples">>): Promise<void> {
  if (settings.samples?.memoryLimit !== undefined) return;
  const { startEngine } = await import("../calibration/engines.ts");
  startEngine(settings.samples?.fastMath ?? false);
}

/** Opens the model; what its file has that the schema does not know is told. */
export function openInput(run: Run): void {
  const opened = openModel(run.settings.model);
  run.opened = opened;
  run.atEnd(() => opened.close());
  if (!run.likeReference) for (const line of opened.unknown) run.io.tell(`warning: ${line}`);
}

/** Makes graphs of all subgraphs; float16 and sparse constants are seen as float32. */
export function importGraphs(run: Run): void {
  run.space = workspace(run.opened, run.options, run.likeReference);
  run.graphs = run.space.graphs;
  if (run.settings.profile) run.space.profile = true;
}

/** Gives layers the settings that a file and arguments name; a name that both set is the arguments'. `alone`: the model's scheme of weights alone. */
export async function setLayersOf(run: Run, alone?: WeightScheme): Promise<void> {
  const { space, settings, options, likeReference } = run;
  if (!settings.layers) return;
  const resolved = await resolvedLayers(space.graphs, settings.layers, options, likeReference);
  for (const [name, setting] of resolved) space.context.layers.set(name, setting);
  if (alone) refuseOtherKinds(space.context, alone);
  else refuseOtherFamilies(space.context);
}

/** Settings of layers by name, from a file and arguments. Throws a MinmaxqError for what does not fit the graphs. */
export async function resolvedLayers(
  graphs: readonly Graph[],
  { config, given }: LayerSources,
  options: QuantizeOptions,
  likeReference = false,
): Promise<Map<string, LayerSetting>> {
  // Loaded only where they are needed: zod and picomatch would be a tenth of every start.
  const [{ readConfig }, { layerArgument, layerEntries, mergeLayers }, { layerSettings }] = await Promise.all([
    import("../settings/config.ts"),
    import("../settings/layer-arguments.ts"),
    import("../settings/layers.ts"),
  ]);
  const lists = config === undefined ? [] : readConfig(config, options, likeReference);
  const parsed = (given ?? []).map((text) => layerArgument(text, options));
  const merged = given === undefined ? lists : mergeLayers(lists, layerEntries(graphs, parsed));
  return merged.length === 0 ? new Map() : layerSettings(graphs, merged);
}

/** Where weights alone are quantized a layer can stay float, or have another scheme of the same kernels. */
function refuseOtherKinds({ layers }: Context, { name: alone, kind }: WeightScheme): void {
  const problems = new Problems();
  for (const [name, { float, weights }] of layers)
    if (!float && weights?.kind !== kind)
      problems.add(
        `layer settings: "${name}": beside weights of ${alone}, which alone are quantized, a layer can be ${weightSchemesOf(kind)} or float32`,
      );
  problems.throwIfAny("layer settings that cannot stand beside the model's scheme");
}

/** A layer's scheme follows the rules of the model's: tensors of the two cannot stand side by side. */
function refuseOtherFamilies({ layers, options: { scheme } }: Context): void {
  const problems = new Problems();
  for (const [name, { scheme: own, weights }] of layers)
    if (weights)
      problems.add(
        `layer settings: "${name}" is ${weights.name}, which is for models whose weights alone are quantized (--scheme ${weights.name}); choose ${schemesOf(scheme.family)} or float32`,
      );
    else if (own.family !== scheme.family)
      problems.add(
        `layer settings: "${name}" is ${own.name} (${FAMILIES[own.family]}'s), which cannot stand beside ${scheme.name} (${FAMILIES[scheme.family]}'s); choose ${schemesOf(scheme.family)} or float32`,
      );
  problems.throwIfAny("layer settings that cannot stand beside the model's scheme");
}

/** Lets a thread begin with filters of a large model. */
export function beginOutput(run: Run): void {
  run.atEnd(begin(run.space, run.graphs, run.settings.output, run.stream));
}

/** Remembers which activations have no range. */
export function noteMissingRanges(run: Run): void {
  run.missing = run.graphs.flatMap(missingRanges);
}

/** Throws for all constants that decisions had to look at and that cannot be used. */
export function refuseProblems({ space }: Run): void {
  space.context.scanner.throwProblems();
}

/** Lets dtypes follow in all graphs, also in those that were left as they are. */
export function inferDtypesOfAll({ space }: Run): void {
  for (const graph of space.graphs) inferDtypes(graph, space.graphs);
}

/** Holds the result to the rules of its operators; `allowFloat`: operators without any quantized tensor may stay so. */
export function verifyResult(run: Run, allowFloat: boolean): void {
  const { settings, missing } = run;
  const problems = verifyGraphs({ ...run.space, graphs: run.graphs }, allowFloat);
  const causes = problems.length > 0 ? missing.map((line) => `${line}; run 'minmaxq record' first`) : [];
  throwProblems(settings.model, [...causes, ...problems], allowFloat ? "the quantized model: " : "");
  run.verified = true;
}

/** Problems of all graphs; weights must have been filled, because bias scales are checked. */
export function verifyGraphs({ graphs, context }: Workspace, allowFloat: boolean): string[] {
  return graphs.flatMap((graph) => verify(graph, context, { allowFloat }));
}

/** Layer settings that the target does not take. */
export function checkLayersForTarget({ space }: Run): void {
  checkTargetLayers(space.context);
}

/** Rewrites what the target has no kernel for, of whatever dtype. */
export function rewriteForTarget({ space, options, prepared }: Run): Promise<void> {
  return runPrepareSteps(space, options.target!.prepare.always, prepared);
}

/** Throws one error for all that the target would refuse or compute wrongly, as the graphs are now. */
export function refuseForTarget({ space, settings, verified }: Run): void {
  const { options } = space.context;
  if (!options.target) return;
  const problems = targetProblems(
    space.context,
    options.target,
    verified ? undefined : options.scheme.activation.dtype,
  );
  if (problems.length === 0) return;
  const what = verified ? "the quantized model: " : "";
  const text = `${what}${options.target.runtime} cannot run it (${problems.length}):\n${indented(problems)}`;
  throw new FileError(settings.model, text, { code: "not-for-target" });
}

/** Throws where the target has no kernels for the scheme, by the operators that would have it. */
export function refuseSchemeForTarget({ space, graphs }: Run): void {
  checkTargetScheme(space.context, graphs);
}

/** What the target's compiler leaves to the CPU. */
export function sayWhatTheCpuRuns(run: Run): void {
  const { target } = run.options;
  const said = target?.host && onTheCpu(run.space.context, target);
  if (said) run.facts.targetHint = said;
}

/** Where no target is obeyed: what the runtime that files of this format are for would make of the result. */
export function hintAtTarget(run: Run): void {
  const hint = targetHint(run.space.context, DEFAULT_TARGETS[run.dialect].target);
  if (hint) run.facts.targetHint = hint;
}

/** Notes what is known only once all scales are there. */
export async function warnOfResults({ graphs, space }: Run): Promise<void> {
  for (const graph of graphs) noteWarnings(graph, space.context);
  const { context, opened } = space;
  if (!context.likeReference && opened.model.metadata?.some(({ name }) => name === METADATA)) await warnOfFiles(space);
}

/** Label files that contradict their outputs, or that were lost. */
async function warnOfFiles({ context, opened }: Workspace): Promise<void> {
  const { associatedFiles, fileProblems } = await import("../model/associated-files.ts");
  for (const { code, subgraph, tensor, text, numbers } of fileProblems(opened, associatedFiles(opened))) {
    const name = opened.model.subgraphs![subgraph]!.tensors![tensor]!.name ?? "";
    context.notes.push({ kind: "warning", code, subgraph, tensor: name, text: `"${name}": ${text}`, numbers });
  }
}

/** Shapes that options hold become operands, too: Circle's runtime reads them there, and the reference writes them so. */
export function addShapeOperands({ space }: Run): void {
  for (const graph of space.graphs) reshapeShape(graph);
}

/**
 * Writes the graphs; `checks` run when all weights are known, `whole` when all is written to `run.temporary`; both before the file gets
 * its name.
 */
export async function writeResult(run: Run, checks: readonly Phase[], whole: readonly Phase[] = []): Promise<void> {
  await writeWorkspace(
    run.space,
    run.settings.output,
    run.dialect,
    () => runSteps(checks, [run]),
    run.stream,
    (path) => {
      run.temporary = path;
      return runSteps(whole, [run]);
    },
  );
}

/** Runs the model on samples and puts the ranges into its tables. */
export async function recordOnly(run: Run<RecordSettings>): Promise<void> {
  const { opened, settings, io } = run;
  run.fed = fedBy(opened.model, settings.samples.sources);
  for (const fed of run.fed) refuseForeignState(opened.model, fed);
  run.found.push(...notRecorded(opened.model, run.fed));
  const { bySubgraph, from, notes } = await recordSamples(opened.model, settings.samples, run.fed, io);
  run.found.push(...notes);
  for (const { text } of notes) io.tell(`warning: ${text}`);
  const ranges = [...bySubgraph.values()].flatMap((own) => [...own.values()]);
  if (ranges.length === 0)
    throw new FileError(
      settings.model,
      "has no float32 activations; there is nothing to record (give the float model)",
    );
  for (const { name, min, max } of ranges)
    if (!Number.isFinite(min) || !Number.isFinite(max))
      io.tell(`warning: "${name}" was ${min} to ${max}, which cannot be quantized; mend the samples or the model`);
  run.facts.ranges = from;
  run.facts.rangesWritten = ranges.length;
  run.tables = withRanges(opened.model, bySubgraph);
}

/** The model with ranges on tensors, by subgraph and tensor; their old parameters are replaced (§7.4). */
export function withRanges(
  model: Model,
  bySubgraph: ReadonlyMap<number, ReadonlyMap<number, { min: number; max: number }>>,
): Model {
  const subgraphs = model.subgraphs?.map((subgraph, index) => {
    const ranges = bySubgraph.get(index);
    if (!ranges) return subgraph;
    const tensors = subgraph.tensors?.map((tensor, i) => {
      const range = ranges.get(i);
      if (!range) return tensor;
      return {
        ...tensor,
        quantization: {
          min: Float32Array.of(range.min),
          max: Float32Array.of(range.max),
          quantizedDimension: 0,
        },
      };
    });
    return { ...subgraph, tensors };
  });
  return { ...model, subgraphs };
}

/** Writes the tables as they are, or as a phase before has left them. */
export async function writeTables({ opened, tables, settings, dialect }: Run): Promise<void> {
  const model = tables ?? opened.model;
  await writeAs(withShapesFor(dialect, opened.dialect, model), settings.output, dialect, opened);
}

/** The model with the shape operands that Circle has and TFLite need not have. */
function withShapesFor(dialect: Dialect, before: Dialect, model: Model): Model {
  if (dialect === "circle") return withShapeOperands(model);
  return before === "circle" ? withoutShapeOperands(model) : model;
}

/** Throws one error about the file that lists all problems; `what` of it has them is a phrase that ends in a colon. */
export function throwProblems(name: string, problems: readonly string[], what = ""): void {
  if (problems.length === 0) return;
  throw new FileError(name, `${what}does not verify (${problems.length}):\n${indented(problems)}`, {
    code: "not-verified",
  });
}
