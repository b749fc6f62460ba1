/** Sequential bias correction (src/accuracy/sequential.ts): a walk through the model that the run would give now. */
import type { OutputError } from "../accuracy/accept.ts";
import { takeFromBias } from "../accuracy/bias.ts";
import { dataOf, FIRST } from "../accuracy/kept-records.ts";
import { type LinearLayer, linearLayersOf } from "../accuracy/layers.ts";
import { correctionOf, type LayerValues, meanResults } from "../accuracy/sequential.ts";
import { canWalk, walk } from "../accuracy/walk.ts";
import type { WalkedLayer } from "../accuracy/walk-state.ts";
import type { Node } from "../graph/graph.ts";
import type { Constant } from "../weights/constant.ts";
import { fillConstants } from "../weights/fill.ts";
import type { ConstantScanner } from "../weights/scan.ts";
import type { Quantized, Trials } from "./accuracy-trials.ts";
import type { Run } from "./run.ts";
import type { QuantizeSettings } from "./settings.ts";

type Own = Run<QuantizeSettings>;

/**
 * Corrects the biases of the subgraph that samples are for. `quantized`: what it would give now; `before`: what layers had when nothing was rounded; `weights`: their weights then.
 * Gives what outputs are off by then, on the held-out ones among the records of the walk; null where nothing was done: samples for several signatures, a model that has to be run operator by operator, no bias that it helps.
 */
export async function correctSequentially(
  run: Own,
  trials: Trials,
  quantized: Quantized,
  before: readonly { readonly layer: LinearLayer; readonly bias: Node | null }[],
  weights: ReadonlyMap<LinearLayer, Constant>,
): Promise<OutputError[] | null> {
  const [fed] = run.fed;
  const kept = run.gathered!.kept!.of(0).filter(({ record }) => record < FIRST);
  if (!fed || run.fed.length > 1) return null;
  const data = dataOf(kept, "samples");
  if (!(await canWalk(quantized.model, fed.subgraph, data))) return null;
  const { context } = run.space;
  const floats = new Map(before.map(({ layer, bias }) => [layer, bias]));
  const corrections: { layer: LinearLayer; correction: Float64Array }[] = [];
  const layers = pairsOf(run, quantized, fed.subgraph).map(
    ({ layer, moments, other, input, bias }): WalkedLayer => ({
      ...{ input, bias, taps: other.taps },
      decide(means) {
        const own = valuesOf(quantized.space.context.scanner, other);
        const float: LayerValues = {
          weights: context.scanner.unchecked(weights.get(layer)!),
          bias: floatsOf(context.scanner, floats.get(layer), layer.outputs),
        };
        const shown = kept.flatMap(({ record, held }, i) => {
          const read = moments.meanOf(0, record);
          return read ? [{ held, read, mean: means[i]! }] : [];
        });
        const wanted = meanResults(
          layer,
          float,
          shown.map(({ read }) => read),
        );
        const found = meanResults(
          other,
          own,
          shown.map(({ mean }) => mean),
        );
        const errors = found.map((values, i) => values.map((value, channel) => value - wanted[i]![channel]!));
        const of = (held: boolean) => errors.filter((_, i) => shown[i]!.held === held);
        const correction = correctionOf(of(false), of(true));
        if (!correction) return null;
        corrections.push({ layer, correction });
        return own.bias.map((value, channel) => value - correction[channel]!);
      },
    }),
  );
  const wanted = trials.positions.map((position) => quantized.model.subgraphs![fed.subgraph]!.outputs![position]!);
  const values = await walk(quantized.model, fed.subgraph, layers, data, {
    wanted,
    fastMath: run.settings.samples!.fastMath,
    memoryLimit: run.settings.samples!.memoryLimit,
    fill: fillConstants,
    onProgress: run.io.progress("correcting biases"),
  });
  for (const { layer, correction } of corrections) takeFromBias(context, layer, correction, "measured");
  if (corrections.length === 0) return null;
  return trials.errorsOf(
    kept.map(({ record }) => record),
    values.map((all) => all.map(floatsIn)),
  );
}

/** Layers of the run with the same ones of the quantized model, by the names of their results. */
function pairsOf({ gathered, space }: Own, { space: other, nodes }: Quantized, subgraph: number) {
  const tensors = new Map(nodes[subgraph]!.map((node, tensor) => [node, tensor]));
  const byName = new Map<string, LinearLayer | null>();
  for (const layer of linearLayersOf(other.graphs[subgraph]!)) {
    const { name } = layer.node;
    byName.set(name, byName.has(name) ? null : layer);
  }
  return gathered!.layers.flatMap(({ layer, moments }) => {
    const found = byName.get(layer.node.name);
    if (space.graphs.indexOf(layer.graph) !== subgraph || !found || found.node.op !== layer.node.op) return [];
    const bias = found.biasAt === undefined ? null : found.node.inputs[found.biasAt];
    const [input, at] = [tensors.get(found.activation), bias && tensors.get(bias)];
    if (input === undefined || at === undefined || at === null) return [];
    return [{ layer, moments, other: found, input, bias: at }];
  });
}

function floatsIn(bytes: Uint8Array): Float32Array {
  return new Float32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 4);
}

function valuesOf(scanner: ConstantScanner, { node, weightsAt, biasAt, outputs }: LinearLayer): LayerValues {
  return {
    weights: scanner.unchecked(node.inputs[weightsAt]!.constant!),
    bias: floatsOf(scanner, biasAt === undefined ? null : node.inputs[biasAt], outputs),
  };
}

function floatsOf(scanner: ConstantScanner, bias: Node | null | undefined, channels: number): Float32Array {
  return bias ? scanner.unchecked(bias.constant!) : new Float32Array(channels);
}
