/**
 * `minmaxq quantize`: the main job. With samples: fake-quantize weights → record → quantize, in memory; without: recorded
 * ranges of the file.
 */
import { statSync } from "node:fs";
import { MinmaxqError, UsageError } from "../base/errors.ts";
import { about } from "../driver/about.ts";
import { begin } from "../driver/early-output.ts";
import { checkPaths, checkReport, dialectOf } from "../driver/paths.ts";
import {
  exportWorkspace,
  inferAll,
  throwProblems,
  verifyAll,
  type Workspace,
  warnAll,
  workspace,
  writeWorkspace,
} from "../driver/workspace.ts";
import type { Graph } from "../graph/graph.ts";
import { hasRange, quantParam } from "../graph/quantparam.ts";
import { calledSubgraphs } from "../graph/subgraphs.ts";
import { openModel } from "../model/index.ts";
import type { OptionValues } from "../options/table.ts";
import { checkRanges } from "../passes/float/check-ranges.ts";
import { chooseFloat, insertFloatBorders } from "../passes/float/keep-float.ts";
import { quantizeGraph } from "../passes/minmax/index.ts";
import { canonicalDtypes } from "../passes/minmax/io-dtypes.ts";
import { prepareGraphs } from "../passes/prepare/index.ts";
import { fakeQuantizeWeights } from "../passes/transform/fake-quantize-weights.ts";
import { counted, sizeText } from "../terminal/output.ts";
import { fillConstants } from "../weights/fill.ts";
import { startEarly } from "../weights/threads.ts";
import type { Command, Output } from "./command.ts";
import { writeExplanation } from "./explain.ts";
import { setLayersFromOptions } from "./layers.ts";
import { RECORDING_OPTIONS, record } from "./recording.ts";
import { summary } from "./summary.ts";

export const quantize: Command = {
  name: "quantize",
  summary: "quantize a float model after training",
  positionals: ["model"],
  options: [
    "output",
    ...RECORDING_OPTIONS,
    "dtype",
    "granularity",
    "config",
    "layer",
    "inputDtype",
    "outputDtype",
    "tfStyleMaxpool",
    "saveMinMax",
    "prepare",
    "strict",
    "explain",
    "profileData",
    "force",
  ],
  examples: [
    "minmaxq quantize model.tflite --data samples.npz -o model.q8.circle",
    "minmaxq quantize recorded.circle --dtype int16 -o model.q16.circle",
    "minmaxq quantize model.tflite --data samples.npz --layer 'conv1*=int16' -o model.mixed.circle",
    "minmaxq quantize model.tflite --data samples/ --input-dtype float32 --output-dtype float32 -o model.q8.circle",
  ],
  run,
};

/** Refuses options that cannot stand together, before anything is read. */
export function checkTogether(options: OptionValues): void {
  if (options.granularity === "layer" && options.dtype === "INT16")
    throw new UsageError("--granularity layer: works with uint8 only, as in ONE; use --granularity channel for int16");
}

async function run([input]: readonly string[], options: OptionValues, output: Output): Promise<void> {
  const started = performance.now();
  checkTogether(options);
  const inputs = [input!, options.data, options.config];
  checkPaths(inputs, options.output, options.force);
  if (options.explain !== undefined) checkReport("--explain", options.explain, inputs, options.output);
  if (options.data === undefined) startEarly(input!);
  const opened = openModel(input!);
  let abandon = async () => {};
  try {
    for (const line of opened.unknown) output.tell(`warning: ${line}`);
    const space = workspace(opened, {
      ...options,
      inputDtypes: options.inputDtype,
      outputDtypes: options.outputDtype,
    });
    if (options.profileData) space.profile = true;
    const graphs = graphsToQuantize(space, options);
    await about(input!, () => setLayersFromOptions(space, options), options.config);
    if (options.data === undefined) abandon = begin(space, graphs, options.output);
    const off = Array.isArray(options.prepare) ? options.prepare : [];
    const prepared = await about(input!, () => prepareGraphs(space, graphs, off));
    for (const graph of graphs) chooseFloat(graph, space.context);
    refuseIfStrict(space, options);
    refuseWithoutFloat(input!, graphs);
    await about(input!, () => {
      for (const graph of graphs) checkDtypes(graph, options);
    });
    const how =
      options.data === undefined
        ? null
        : await about(input!, () => recordInto(space, graphs, options, output), options.data);
    refuseWithoutRanges(input!, graphs);
    await about(input!, () => {
      for (const graph of graphs) insertFloatBorders(graph, space.context);
      for (const graph of graphs) checkRanges(graph);
      for (const graph of graphs) quantizeGraph(graph, space.context);
      space.context.scanner.throwProblems();
      inferAll(space);
    });
    const dialect = dialectOf(options.output);
    const quantized = { ...space, graphs };
    const check = () => {
      throwProblems(`${input}: the quantized model`, verifyAll(quantized, true));
      warnAll(quantized);
    };
    await about(input!, () => writeWorkspace(space, options.output, dialect, check), options.output);
    const sizes = `${sizeText(opened.source.size)} → ${sizeText(statSync(options.output).size)}`;
    const seconds = (performance.now() - started) / 1000;
    if (options.explain !== undefined) await writeExplanation(options.explain, graphs);
    for (const line of summary(space, graphs, { path: options.output, sizes, prepared, how, seconds }))
      output.print(line);
  } finally {
    await abandon();
    opened.close();
  }
}

/** Subgraphs that control flow runs stay float; of others only those with ranges (or the first, which samples are for). */
function graphsToQuantize(space: Workspace, options: OptionValues): Graph[] {
  const called = calledSubgraphs(space.opened.model);
  return space.graphs.filter((graph, index) => {
    const recorded = graph.nodes.some((node) => hasRange(node.quant));
    const wanted = options.data !== undefined ? index === 0 : recorded || index === 0;
    if (wanted && !called.has(index)) return true;
    const without = recorded ? "the samples are for the first subgraph" : "it has no recorded ranges";
    const reason = called.has(index) ? "control flow runs it" : without;
    space.context.notes.push({
      kind: "float",
      text: `subgraph ${index}${graph.name && ` "${graph.name}"`}: ${reason}`,
    });
    return false;
  });
}

/** Wrong --input-dtype and --output-dtype are told before the samples run, which may take minutes. */
function checkDtypes(graph: Graph, { dtype, inputDtype, outputDtype }: OptionValues): void {
  canonicalDtypes("input", graph.inputs, inputDtype, dtype);
  canonicalDtypes("output", graph.outputs, outputDtype, dtype);
}

function refuseIfStrict({ opened, context }: Workspace, { strict }: OptionValues): void {
  const kept = context.notes.filter((note) => note.kind === "float");
  if (!strict || kept.length === 0) return;
  const lines = kept.map((note) => `  ${note.text}`).join("\n");
  throw new MinmaxqError(
    `${opened.source.name}: ${counted(kept.length, "part")} cannot be quantized; without --strict they stay float:\n${lines}`,
  );
}

function refuseWithoutFloat(name: string, graphs: readonly Graph[]): void {
  const nodes = graphs.flatMap((graph) => graph.nodes).filter((node) => node.kind !== "constant");
  if (nodes.some((node) => node.dtype === "FLOAT32")) return;
  const quantized = nodes.find((node) => node.quant?.scale.length);
  throw new MinmaxqError(
    quantized
      ? `${name}: is quantized already ("${quantized.name}" is ${quantized.dtype}); give the float model`
      : `${name}: has no float32 tensors; there is nothing to quantize`,
  );
}

/** Nothing recorded at all is said once, not for every tensor. */
function refuseWithoutRanges(name: string, graphs: readonly Graph[]): void {
  const nodes = graphs.flatMap((graph) => graph.nodes);
  if (nodes.some((node) => hasRange(node.quant) && node.kind !== "constant")) return;
  throw new MinmaxqError(
    `${name}: has no recorded ranges; give sample inputs with --data (random[:N] for a try), or run 'minmaxq record' first`,
  );
}

/** Fake-quantizes weights, runs the model on the samples and sets the ranges of subgraph 0. */
async function recordInto(
  space: Workspace,
  [graph]: readonly Graph[],
  options: OptionValues,
  output: Output,
): Promise<string> {
  if (!graph) throw new MinmaxqError(`${space.opened.source.name}: its first subgraph cannot be recorded`);
  fakeQuantizeWeights(graph, space.context);
  space.context.scanner.throwProblems();
  const { model, nodes } = exportWorkspace(space);
  const { ranges, how } = await record(model, options, output, fillConstants);
  for (const [tensor, { min, max }] of ranges) {
    const node = nodes[0]?.[tensor];
    if (!node || node.kind === "constant") continue;
    node.quant = quantParam({
      min: Float32Array.of(min),
      max: Float32Array.of(max),
      provenance: { from: "recorded", how },
    });
  }
  for (const node of graph.outputs) if (!node.float) node.quant = node.inputs[0]?.quant ?? null;
  return how;
}
