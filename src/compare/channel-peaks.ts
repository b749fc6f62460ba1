/** The largest size that each channel of some tensors takes on samples; a channel is an index of the last dimension. */
import { MinmaxqError } from "../base/errors.ts";
import type { Progress } from "../base/output.ts";
import type { DataSet } from "../calibration/index.ts";
import { compileLibrary, loadEngine, MEMORY_LIMIT, openInstance } from "../calibration/litert.ts";
import { Stepwise } from "../calibration/stepwise/stepwise.ts";
import { MODEL_LIMIT, type Side, type Tap } from "./side.ts";

/**
 * Runs a float model on all records, one after the other; gives one array for each tap (float32 results of operators), of its last dimension's
 * length. Throws MinmaxqError: a model that cannot be run or does not fit LiteRT's memory, values that are no finite numbers.
 */
export async function channelPeaks(
  side: Side,
  taps: readonly Tap[],
  data: DataSet,
  onProgress?: Progress,
): Promise<Float32Array[]> {
  const peaks = taps.map(({ shape }) => new Float32Array(shape.at(-1) ?? 1));
  if (side.stored > MODEL_LIMIT && !side.stepwise)
    throw new MinmaxqError(
      `has ${side.stored} bytes of constants; channels are looked at in models up to ${MODEL_LIMIT}`,
    );
  const { model, outputNames, settle, stepwise, sources } = await side.show(taps);
  if (!model) return peaks;
  const library = await compileLibrary(false);
  const engine = stepwise
    ? new Stepwise(await openInstance(library, false), { model, sequence: false, room: MEMORY_LIMIT / 4 })
    : await loadEngine(new Uint8Array(model), outputNames, library, false);
  try {
    let record = 0;
    for await (const inputs of data.records()) {
      // Where shapes follow from data, the first record is run twice (src/calibration/recorder.ts).
      if (settle && !stepwise && record === 0) (await engine.hold(inputs)).release();
      const held = await engine.hold(inputs, data.shapes?.(record));
      try {
        for (const [i, { result }] of sources.entries())
          held.look(result!, (bytes) => raise(peaks[i]!, new Float32Array(bytes().slice().buffer), taps[i]!));
      } finally {
        held.release();
      }
      onProgress?.(++record, data.count);
    }
    return peaks;
  } catch (error) {
    throw error instanceof MinmaxqError ? error : new MinmaxqError(side.explain(String((error as Error).message)));
  } finally {
    engine.close();
  }
}

function raise(peaks: Float32Array, values: Float32Array, { name }: Tap): void {
  const channels = peaks.length;
  for (let i = 0, channel = 0; i < values.length; i++) {
    const size = Math.abs(values[i]!);
    if (!(size < Number.POSITIVE_INFINITY))
      throw new MinmaxqError(`tensor "${name}": is ${values[i]} in a sample; mend the samples or the model`);
    if (size > peaks[channel]!) peaks[channel] = size;
    if (++channel === channels) channel = 0;
  }
}
