/** What the phases of `quantize` do (src/driver/quantize.ts says in which order, and why). */
import { FileError } from "../base/errors.ts";
import { runSteps } from "../base/steps.ts";
import { counted, indented } from "../base/text.ts";
import type { Graph } from "../graph/graph.ts";
import { hasRange, quantParam } from "../graph/quantparam.ts";
import type { Context } from "../passes/context.ts";
import { checkRanges } from "../passes/float/check-ranges.ts";
import { chooseFloat, insertFloatBorders } from "../passes/float/keep-float.ts";
import { isWhollyQuantized } from "../passes/float/quantized-already.ts";
import { keepOutsideDomains } from "../passes/litert/domains.ts";
import { quantizeForLitert } from "../passes/litert/index.ts";
import { clipMasks } from "../passes/masks/clip-masks.ts";
import { keepInfinite } from "../passes/masks/keep-infinite.ts";
import { quantizeGraph } from "../passes/minmax/index.ts";
import { canonicalDtypes } from "../passes/minmax/io-dtypes.ts";
import { prepareSteps, runPrepareSteps } from "../passes/prepare/index.ts";
import { recognize } from "../passes/recognize.ts";
import { shareConstants } from "../passes/share-constants.ts";
import { fakeQuantizeWeights } from "../passes/transform/fake-quantize-weights.ts";
import { exportWorkspace } from "../passes/workspace.ts";
import type { Family } from "../rules/schemes.ts";
import { fillConstants } from "../weights/fill.ts";
import { recordSamples } from "./recording.ts";
import type { Run } from "./run.ts";
import type { QuantizeSettings } from "./settings.ts";
import { schemeFacts, schemesText } from "./verify-phases.ts";

type Own = Run<QuantizeSettings>;

/** Runs the preparation on the chosen graphs. What it made of weights that they share is one again. */
export async function prepareRun({ space, graphs, settings, prepared }: Own): Promise<void> {
  const { target } = space.context.options;
  const on = [
    ...(settings.withSteps ?? []),
    ...(target ? [...target.prepare.always, ...target.prepare.quantized] : []),
  ];
  await runSteps(prepareSteps(space, graphs, settings.withoutSteps ?? [], prepared, on), []);
  shareConstants(graphs);
}

/** Gives operators a bias that have none, where kernels want one. */
export function zeroBias({ space, prepared }: Own): void | Promise<void> {
  return runPrepareSteps(space, ["zero-bias"], prepared);
}

/** Marks what stays float. With `strict` that is an error. */
export function keepFloat({ space, graphs, settings }: Own): void {
  for (const graph of graphs) chooseFloat(graph, space.context);
  refuseFloat(settings, space.context);
}

/** With `strict` parts that stay as they are, float or quantized already, are an error. */
function refuseFloat(settings: QuantizeSettings, context: Context): void {
  const kept = context.notes.filter(({ kind }) => kind === "float" || kind === "kept");
  if (!settings.strict || kept.length === 0) return;
  throw new FileError(
    settings.model,
    `${counted(kept.length, "part")} cannot be quantized; without --strict they stay as they are:\n${indented(kept.map(({ text }) => text))}`,
  );
}

/** A model without anything to quantize, and dtypes of inputs and outputs that cannot be: told before samples run, which may take minutes. */
export function checkModel({ graphs, settings, options }: Own): void {
  refuseWithoutFloat(settings.model, graphs);
  const { scheme, inputDtypes, outputDtypes } = options;
  for (const graph of graphs) {
    canonicalDtypes("input", graph.inputs, inputDtypes, scheme);
    canonicalDtypes("output", graph.outputs, outputDtypes, scheme);
  }
}

function refuseWithoutFloat(name: string, graphs: readonly Graph[]): void {
  const nodes = graphs.flatMap((graph) => graph.nodes).filter((node) => node.kind !== "constant");
  const hasFloat = nodes.some((node) => node.dtype === "FLOAT32");
  if (hasFloat && !isWhollyQuantized(graphs)) return;
  const quantized = nodes.find((node) => node.quant?.scale.length && node.dtype !== "FLOAT32");
  throw new FileError(
    name,
    quantized
      ? `is quantized already (${schemesText(schemeFacts(recognize(graphs).schemes)) || quantized.dtype}; "${quantized.name}"); give the float model, or make one of it with 'minmaxq dequantize'`
      : "has no float32 tensors; there is nothing to quantize",
  );
}

/** Rounds the weights of the chosen subgraphs to quantized values, still float. */
export function fakeWeights({ space, graphs }: Own): void {
  for (const graph of graphs) fakeQuantizeWeights(graph, space.context);
  space.context.scanner.throwProblems();
}

/** Runs the chosen subgraphs on their samples and sets their ranges. */
export async function recordInto(run: Own): Promise<void> {
  const { space, graphs, settings, io, fed } = run;
  const { model, nodes } = exportWorkspace(space);
  const gathered = run.undone ? undefined : run.gathered;
  const recording = await recordSamples(model, settings.samples!, fed, io, fillConstants, {
    ...(gathered && {
      moments: (samples) => gathered.request(nodes, (graph) => space.graphs.indexOf(graph), samples),
      ...(gathered.kept && {
        watch: (number, data) => gathered.kept!.watch(number, data),
        onExtremes: ({ subgraph, tensor, mins, maxs }) => {
          const node = nodes[subgraph]?.[tensor];
          if (node) gathered.extremes.set(node, { mins: [...mins], maxs: [...maxs] });
        },
      }),
    }),
  });
  run.facts.ranges = recording.from;
  run.shapes = recording.shapes;
  if (!run.undone) space.context.notes.push(...recording.notes);
  for (const graph of graphs) {
    const subgraph = space.graphs.indexOf(graph);
    const how = recording.howOf.get(subgraph)!;
    for (const [tensor, { min, max }] of recording.bySubgraph.get(subgraph)!) {
      const node = nodes[subgraph]?.[tensor];
      if (!node || node.kind === "constant") continue;
      node.quant = quantParam({
        min: Float32Array.of(min),
        max: Float32Array.of(max),
        provenance: { from: "recorded", how },
      });
    }
    for (const node of graph.outputs) if (!node.float) node.quant = node.inputs[0]?.quant ?? null;
  }
  for (const { subgraph, position } of recording.passedOver)
    run.passedOver.add(space.graphs[subgraph]!.inputs[position]!);
}

/** Nothing recorded at all is said once, not for every tensor. */
export function refuseWithoutRanges(run: Own): void {
  const nodes = run.graphs.flatMap((graph) => graph.nodes);
  run.facts.ranges ??= { source: "file" };
  if (nodes.some((node) => hasRange(node.quant) && node.kind !== "constant")) return;
  throw new FileError(
    run.settings.model,
    "has no recorded ranges; give sample inputs with --data SAMPLES (random:16 for a try), or ranges with 'minmaxq record' first, or --scheme dynamic-int8 -o OUTPUT.tflite, which needs neither",
  );
}

/** Clips masks and pads to what their consumers can tell apart. */
export function clipMasksOf({ space, graphs, passedOver }: Own): void {
  for (const graph of graphs) clipMasks(graph, space.context, passedOver);
}

/** Marks what is infinite all the same. With `strict` that is an error. */
export function keepInfiniteOf({ space, graphs, settings }: Own): void {
  for (const graph of graphs) keepInfinite(graph, space.context);
  refuseFloat(settings, space.context);
}

/** Marks what has values that the family's kernels cannot take. With `strict` that is an error. */
export function keepOutside({ space, graphs, settings }: Own): void {
  for (const graph of graphs) keepOutsideDomains(graph, space.context);
  refuseFloat(settings, space.context);
}

/** Each family's way from ranges to scales, zero points and dtypes. */
const PIPELINES: Readonly<Record<Family, (graph: Graph, context: Context) => void>> = {
  one: quantizeGraph,
  litert: quantizeForLitert,
};

/** Quantizes the chosen graphs. */
export function quantizeGraphs({ space, graphs, options }: Own): void {
  for (const graph of graphs) PIPELINES[options.scheme.family](graph, space.context);
}

/** Puts Dequantize and Quantize at the borders of what stays float; then every activation that is left needs a range. */
export function insertBorders({ space, graphs }: Own): void {
  for (const graph of graphs) insertFloatBorders(graph, space.context);
  for (const graph of graphs) checkRanges(graph);
}
