/** Rounds the weights of many layers by least squares, on Workers, and puts the integers with their scales into the graphs. */
import { collectNear, residentMemory } from "../base/memory.ts";
import type { Progress } from "../base/output.ts";
import type { DataSet } from "../calibration/index.ts";
import type { KeptBytes } from "../calibration/kept-bytes.ts";
import { runRecords, WORKER_BYTES } from "../calibration/pool.ts";
import type { ValueChange } from "../graph/changes.ts";
import { ownConstant } from "../graph/edit.ts";
import { quantParam } from "../graph/quantparam.ts";
import type { ByteRange } from "../model/bytes.ts";
import type { Context } from "../passes/context.ts";
import { fakeQuantized } from "../passes/transform/fake-quantize-weights.ts";
import type { Quantizer } from "../rules/schemes.ts";
import { blockwise, type ChannelLayout, stored } from "../weights/constant.ts";
import { MOST_COLUMNS } from "./covariances.ts";
import { type GatheredLayer, MOST_BYTES } from "./gathered.ts";
import { columnsOf, type LinearLayer, weightsOf } from "./layers.ts";
import type { Rounded, RoundTask } from "./rounding.ts";
import type { RoundJob } from "./worker.ts";

/** How a layer's weights become integers. */
export interface LayerQuantizer {
  readonly quantizer: Quantizer;
  readonly layout: ChannelLayout;
  readonly axis: number;
  /** Values of a row that share a scale; absent where all do. */
  readonly block?: number;
}

export interface RoundOptions {
  /** Scales below those of the largest values are tried, too. */
  readonly shrink: boolean;
  readonly workers?: number;
  /** Bytes that the process may have: then there are as many Workers as fit. */
  readonly memoryLimit?: number;
  readonly onProgress?: Progress;
  /** Where rounded weights are kept. */
  readonly kept: KeptBytes;
}

/** Bits from which the way of rounding does not matter any more. */
const FINE = 16;

/**
 * Rounds weights; each layer gets its own constant, float32 on the grid of its scales, which the passes take as they take fake-quantized
 * ones. `quantizerOf` says how; null: that layer is left alone. Bytes do not depend on the number of Workers. Throws a MinmaxqError.
 */
export async function roundLayers(
  context: Context,
  gathered: readonly GatheredLayer[],
  quantizerOf: (layer: LinearLayer) => LayerQuantizer | null,
  { shrink, workers, memoryLimit, onProgress, kept }: RoundOptions,
): Promise<void> {
  const prepared = gathered.flatMap(({ layer, moments }) => {
    const how = moments.vectorCount > 0 || shrink ? quantizerOf(layer) : null;
    if (!how || how.quantizer.bits >= FINE) return [];
    const weights = weightsOf(layer);
    // Scales of blocks are those of their values, so that without samples there is no choice.
    if (how.block !== undefined && moments.vectorCount === 0) return [];
    const { quant } = fakeQuantized(context, weights, how.layout, how.quantizer);
    return [{ layer, moments, how, values: weights.constant, scale: quant.scale, zeroPoint: quant.zeroPoint }];
  });
  context.scanner.throwProblems();
  if (prepared.length === 0) return;
  const tasks = prepared.map(
    ({ layer, moments, how: { quantizer, block }, scale, zeroPoint }): RoundJob["tasks"][number] => {
      const { outputs, length, groups, kind, node } = layer;
      const columns = Array.from({ length: groups }, (_, group) => columnsOf(layer, group));
      const common = { name: node.name, outputs, length, columns, vectorLength: moments.length };
      if (block !== undefined) return { ...common, block, high: quantizer.high };
      return {
        ...{ ...common, groups, shrink },
        byRows: kind.weights === "rows",
        low: quantizer.low,
        high: quantizer.high,
        scale: Float32Array.from(scale),
        zeroPoint: Float64Array.from(zeroPoint, Number),
      };
    },
  );
  const layers: DataSet = {
    description: "layers",
    count: prepared.length,
    async *records() {
      for (const { moments, values } of prepared) {
        collectNear(memoryLimit);
        // They are given away: vectors were put together for this, weights may be those of the file.
        const lists = [moments.vectors(), new Float32Array(context.scanner.unchecked(values))];
        yield lists.map((list) => new Uint8Array(list.buffer));
      }
    },
    close() {},
  };
  const job: RoundJob = { tasks, memoryLimit };
  const workerBytes = Math.max(...tasks.map(memoryOf));
  const results: KeptRounded[] = new Array(prepared.length);
  await runRecords(
    job,
    layers,
    {
      worker: "accuracy",
      onResult(index, result) {
        const { integers, ...rounded } = result as Rounded;
        const bytes = new Uint8Array(integers.buffer as ArrayBuffer);
        results[index] = { ...rounded, range: kept.range(bytes), count: integers.length };
      },
      workers: memoryLimit === undefined ? workers : workersWithin(memoryLimit, workerBytes, workers),
      onProgress,
      workerBytes,
    },
    ({ reason, record }) =>
      `"${record === undefined ? "" : tasks[record]!.name}": its weights cannot be rounded (${reason})`,
  );
  // In the order of the layers, whichever was done first.
  for (const [index, result] of results.entries()) keep(prepared[index]!, result);
}

/** As many Workers as fit beside what the process has, without what it no longer needs. */
function workersWithin(limit: number, workerBytes: number, most = navigator.hardwareConcurrency): number {
  Bun.gc(true);
  const fit = Math.floor((limit - residentMemory()) / (WORKER_BYTES + workerBytes));
  return Math.max(1, Math.min(most, fit));
}

/** Bytes that a Worker takes for a layer, about: its vectors twice, its covariance several times, chunks of rows. */
function memoryOf({ length, outputs }: Pick<RoundTask, "length" | "outputs">): number {
  const size = Math.min(length, MOST_COLUMNS);
  return 2 * MOST_BYTES + 6 * 8 * size ** 2 + 8 * length * outputs + 30e6;
}

interface Prepared {
  readonly layer: LinearLayer;
  readonly how: LayerQuantizer;
  readonly zeroPoint: BigInt64Array;
}

/** What came of a layer; its integers are kept. */
type KeptRounded = Omit<Rounded, "integers"> & { readonly range: ByteRange; readonly count: number };

/** The constant that a layer has from now on: integers and what they stand for. */
function keep(
  { layer, how: { quantizer, layout, axis, block }, zeroPoint }: Prepared,
  { range, count, scale, before, after, shrunk, least }: KeptRounded,
): void {
  const { low, high } = quantizer;
  const own = ownConstant(layer.graph, layer.node, layer.weightsAt);
  const changes: ValueChange[] = [{ by: "rounding", before, after }];
  if (shrunk > 0) changes.unshift({ by: "smaller scales", channels: shrunk, of: scale.length, least });
  own.changes = [...own.changes, ...changes];
  if (block !== undefined) {
    own.constant = blockwise(stored(range, count), scale, block);
    return;
  }
  own.constant = {
    kind: "dequantized",
    of: stored(range, count),
    dtype: low < 0 ? "INT8" : "UINT8",
    ...{ layout, scale, zeroPoint, count },
    length: count * 4,
  };
  const end = (limit: number) => scale.map((each, i) => each * (limit - Number(zeroPoint[i])));
  own.quant = quantParam({
    ...{ scale, zeroPoint, axis },
    min: end(low),
    max: end(high),
    provenance: { from: "own values" },
  });
}
