/**
 * A worker of searches: it keeps LiteRT, the samples and what the float model makes of them, and is given one model after the other. An
 * entry point of the executable (src/workers.ts starts it, bench.ts talks to it). Models are opened here, so that each worker makes the
 * copy that it runs, too.
 */
import { MinmaxqError, reasonOf } from "../base/errors.ts";
import { compileAsUsual } from "../base/optimizer.ts";
import type { Shapes } from "../calibration/inputs.ts";
import { EngineError, type Held, loadEngine, MEMORY_LIMIT, openInstance } from "../calibration/litert.ts";
import { Stepwise } from "../calibration/stepwise/stepwise.ts";
import { untriedAsIs } from "../compare/as-is.ts";
import { valuesOf } from "../compare/numbers.ts";
import { openSide, type Side, type SidePart, type Tap } from "../compare/side.ts";
import { MemoryBytes } from "../model/bytes.ts";
import { openModel, readModel } from "../model/index.ts";
import { type Band, type Looked, Watch } from "./watch.ts";

/** Told once. */
export interface BenchJob {
  readonly library: WebAssembly.Module;
  readonly fastMath: boolean;
  /** Models that are measured run as they are where LiteRT can: their kernels round activations while they run. Inputs and outputs are float. */
  readonly asIs?: boolean;
  readonly part: SidePart;
  /** Bytes of each record's inputs, in shared memory. */
  readonly records: readonly (readonly Uint8Array[])[];
  readonly shapes?: readonly Shapes[];
}

/** A model: its file, or its bytes. */
export type ModelAt = { readonly path: string } | { readonly bytes: Uint8Array };

/** Values of outputs by record and output. */
export type OutputValues = readonly (readonly (Float32Array | Float64Array)[])[];

export type ToBench =
  | { readonly kind: "job"; readonly job: BenchJob }
  /** What the model makes of the records; `shake`: relative noise on the inputs. */
  | { readonly kind: "values"; readonly model: ModelAt }
  | { readonly kind: "references"; readonly values: OutputValues }
  | { readonly kind: "measure"; readonly model: ModelAt; readonly shake?: number }
  | { readonly kind: "look"; readonly model: ModelAt; readonly bands: readonly Band[] };

export type FromBench =
  | { readonly kind: "ready" }
  | { readonly kind: "values"; readonly values: OutputValues }
  /** Σ(a−b)² and Σa² of each output, over all records. */
  | { readonly kind: "sums"; readonly sums: Float64Array }
  | { readonly kind: "looked"; readonly looked: readonly Looked[] }
  | { readonly kind: "error"; readonly message: string; readonly expected: boolean };

/** Bytes that loaded operators may take where a model is run operator by operator. */
const ROOM = 0.25 * MEMORY_LIMIT;

declare const self: Worker;

compileAsUsual();

let job: BenchJob;
let references: OutputValues = [];

async function handle(message: ToBench): Promise<FromBench> {
  switch (message.kind) {
    case "job":
      job = message.job;
      return { kind: "ready" };
    case "references":
      references = message.values;
      return { kind: "ready" };
    case "values": {
      const values: (Float32Array | Float64Array)[][] = job.records.map(() => []);
      await runModel(
        message.model,
        ({ outputs }) => outputs,
        0,
        (record, output, tap, numbers) => {
          const { length } = numbers;
          const kept =
            tap.dtype === "FLOAT32"
              ? new Float32Array(new SharedArrayBuffer(4 * length))
              : new Float64Array(new SharedArrayBuffer(8 * length));
          for (let i = 0; i < numbers.length; i++) kept[i] = numbers[i]!;
          values[record]![output] = kept;
        },
      );
      return { kind: "values", values };
    }
    case "measure": {
      const sums = new Float64Array(2 * (references[0]?.length ?? 0));
      await runModel(
        message.model,
        ({ outputs }) => outputs,
        message.shake ?? 0,
        (record, output, _, numbers) => {
          const reference = references[record]![output]!;
          let [error, signal] = [0, 0];
          const length = Math.max(reference.length, numbers.length);
          for (let i = 0; i < length; i++) {
            const a = reference[i] ?? 0;
            const d = a - (numbers[i] ?? 0);
            error += d * d;
            signal += a * a;
          }
          sums[2 * output]! += error;
          sums[2 * output + 1]! += signal;
        },
        job.asIs,
      );
      return { kind: "sums", sums };
    }
    case "look": {
      const watches = new Map(message.bands.map((band) => [band.name, new Watch(band)]));
      const seen = ({ layers }: Side) => [...watches.keys()].map((name) => layers.get(name)).filter((tap) => !!tap);
      await runModel(message.model, seen, 0, (_record, _tap, { name, shape }, numbers) =>
        watches.get(name)!.see(numbers, shape),
      );
      return { kind: "looked", looked: [...watches.values()].map((each) => each.result()) };
    }
  }
}

type See = (record: number, tap: number, which: Tap, numbers: ArrayLike<number>) => void;

/** Runs a model on all records; `see` is shown the chosen tensors. Operator by operator where LiteRT cannot run it otherwise. */
async function runModel(
  at: ModelAt,
  choose: (side: Side) => readonly Tap[],
  shake: number,
  see: See,
  asIs = false,
): Promise<void> {
  const opened = "path" in at ? openModel(at.path) : readModel(new MemoryBytes(at.bytes));
  try {
    const fake = await openSide(opened, false, job.shapes !== undefined, job.part);
    const own = asIs ? untriedAsIs(opened, fake, job.part) : fake;
    const side = "reason" in own ? fake : own;
    try {
      await runSide(side, choose(side), shake, see);
    } catch (error) {
      if (!(error instanceof EngineError)) throw error;
      throw new MinmaxqError(`${side.name}: ${side.explain(reasonOf(error))}`);
    }
  } finally {
    opened.close();
  }
}

async function runSide(side: Side, taps: readonly Tap[], shake: number, see: See): Promise<void> {
  const { model, outputNames, settle, stepwise, sources } = await side.show(taps);
  const { library, fastMath, records, shapes } = job;
  const engine = !model
    ? null
    : stepwise
      ? new Stepwise(await openInstance(library, fastMath), { model, sequence: false, room: ROOM })
      : await loadEngine(new Uint8Array(model), outputNames, library, fastMath);
  try {
    for (const [record, given] of records.entries()) {
      const inputs = shake > 0 ? given.map((bytes, i) => shaken(bytes, side.inputs[i]!.dtype, shake)) : given;
      // Where shapes follow from data the first run gives rubbish (src/calibration/worker.ts).
      if (record === 0 && settle && !stepwise) (await engine?.hold(inputs))?.release();
      const held: Held | null = engine && (await engine.hold(inputs, shapes?.[record]));
      try {
        for (const [i, { dtype, integers, input, result }] of sources.entries())
          if (input !== undefined) see(record, i, taps[i]!, valuesOf(inputs[input]!, dtype, integers));
          else held!.look(result!, (bytes) => see(record, i, taps[i]!, valuesOf(bytes(), dtype, integers)));
      } finally {
        held?.release();
      }
    }
  } finally {
    engine?.close();
  }
}

/** Floats with noise of a share of their own size, the same for the same place in every run; anything else as it is. */
function shaken(bytes: Uint8Array, dtype: string, share: number): Uint8Array {
  if (dtype !== "FLOAT32") return bytes;
  const values = new Float32Array(bytes.slice().buffer);
  let state = 0x9e3779b9;
  for (let i = 0; i < values.length; i++) {
    // xorshift32: any bits will do that do not follow the values.
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    values[i] = values[i]! * (1 + share * (state & 1 ? 1 : -1));
  }
  return new Uint8Array(values.buffer);
}

let queue: Promise<void> = Promise.resolve();
self.onmessage = (event: MessageEvent<ToBench>) => {
  const message = event.data;
  queue = queue.then(async () => {
    let answer: FromBench;
    try {
      answer = await handle(message);
    } catch (error) {
      answer = { kind: "error", message: reasonOf(error), expected: error instanceof MinmaxqError };
    }
    self.postMessage(answer);
  });
};
