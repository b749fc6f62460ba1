/**
 * Many models of one kind on the same samples: how far each model's outputs are from the float model's. LiteRT, the samples and what the
 * float model makes of them stay in Workers; each is given one model after the other. Results do not depend on the number of workers.
 *
 * A model that LiteRT does not take whole, or that the memory is too small for, is run in parts (compare/in-parts.ts), one at a time.
 */
import { MinmaxqError } from "../base/errors.ts";
import { type InputSpec, openDataSet } from "../calibration/index.ts";
import type { Shapes } from "../calibration/inputs.ts";
import { compileLibrary } from "../calibration/litert.ts";
import { freeMemory, WORKER_BYTES } from "../calibration/pool.ts";
import { compareModels } from "../compare/compare.ts";
import { MODEL_LIMIT, openSide, type SidePart } from "../compare/side.ts";
import type { Io } from "../driver/io.ts";
import { type OpenSamples, openAll } from "../driver/recording.ts";
import type { Samples } from "../driver/settings.ts";
import type { Fed } from "../driver/signatures.ts";
import { MemoryBytes } from "../model/bytes.ts";
import { openModel, readModel } from "../model/index.ts";
import { startWorker } from "../workers.ts";
import type { Band, Looked } from "./watch.ts";
import type { BenchJob, FromBench, ModelAt, OutputValues, ToBench } from "./worker.ts";

/** How far an output is from the float model's, over all samples: power of the error as a share of the output's own. 0 = equal. */
export type Noise = number;

/** Noise of each output. */
export type Noises = readonly Noise[];

/** dB; the larger the better, Infinity for equal outputs. */
export function sqnrOf(noise: Noise): number {
  return noise === 0 ? Number.POSITIVE_INFINITY : -10 * Math.log10(noise);
}

/** The noise that an SQNR of so many dB allows. */
export function noiseOf(sqnr: number): Noise {
  return 10 ** (-sqnr / 10);
}

export interface Bench {
  /** Names of the outputs. */
  readonly outputs: readonly string[];
  readonly shapes: readonly (readonly number[])[];
  readonly samples: number;
  /** Bytes of the inputs of the records, where they are kept. */
  readonly records: readonly (readonly Uint8Array[])[];
  /** Noise of each output of a model. `shake`: relative noise on the inputs. */
  measure(model: ModelAt, shake?: number): Promise<Noises>;
  /** Tensors of a float model against ranges. */
  look(model: ModelAt, bands: readonly Band[]): Promise<readonly Looked[]>;
  /** What a model makes of the samples; the float model's own values where none is given. */
  values(model?: ModelAt): Promise<OutputValues>;
  /** How many models are measured at a time. */
  readonly workers: number;
  close(): void;
}

export interface BenchSettings {
  /** Path of the float model. */
  readonly float: string;
  readonly part: SidePart;
  readonly fed: Fed;
  readonly samples: Samples;
  /** Measured models run as they are where LiteRT can. */
  readonly asIs?: boolean;
}

/** Opens the samples, runs the float model on them and starts the workers. Throws a MinmaxqError. */
export async function openBench({ float, part, fed, samples, asIs }: BenchSettings, io: Io): Promise<Bench> {
  const opened = openModel(float);
  const open: OpenSamples[] = [];
  try {
    const side = await openSide(opened, false, false, part);
    await openAll(opened.model, samples, [fed], open, io);
    const { data } = open[0]!;
    const records: Uint8Array[][] = [];
    const bytes = side.inputs.length > 0 ? await keptBytes(data.records(), records) : 0;
    const outputBytes = 8 * records.length * side.outputs.reduce((sum, { shape }) => sum + product(shape), 0);
    const shapes = data.shapes && records.map((_, record) => data.shapes!(record));
    const each = WORKER_BYTES + 4 * side.stored;
    const room = (samples.memoryLimit ?? freeMemory()) - bytes - outputBytes;
    const outputs = side.outputs.map(({ name, shape }) => ({ name, shape }));
    if (side.stored > MODEL_LIMIT || (samples.memoryLimit !== undefined && room < each + process.memoryUsage.rss()))
      return inParts(float, part, samples, outputs, records, shapes);
    const most = Math.floor(room / each);
    const count = Math.max(1, Math.min(samples.workers ?? navigator.hardwareConcurrency, most));
    return await Crew.start(float, outputs, count, {
      library: await compileLibrary(samples.fastMath ?? false),
      fastMath: samples.fastMath ?? false,
      ...(asIs && { asIs }),
      part,
      records,
      ...(shapes && { shapes }),
    });
  } finally {
    for (const { data } of open) data.close();
    opened.close();
  }
}

interface Output {
  readonly name: string;
  readonly shape: readonly number[];
}

function product(shape: readonly number[]): number {
  return shape.reduce((all, each) => all * each, 1);
}

/** Puts records into shared memory; gives their bytes. */
async function keptBytes(from: AsyncIterable<Uint8Array[]>, into: Uint8Array[][]): Promise<number> {
  let bytes = 0;
  for await (const record of from)
    into.push(
      record.map((values) => {
        const kept = new Uint8Array(new SharedArrayBuffer(values.byteLength));
        kept.set(values);
        bytes += values.byteLength;
        return kept;
      }),
    );
  return bytes;
}

/** The workers. Each is asked one thing at a time; who is free takes the next question. */
class Crew implements Bench {
  readonly outputs: readonly string[];
  readonly shapes: readonly (readonly number[])[];
  readonly samples: number;
  private readonly free: Hand[];
  private readonly waiting: ((hand: Hand) => void)[] = [];
  private reference: OutputValues = [];

  private constructor(
    private readonly hands: readonly Hand[],
    taps: readonly Output[],
    readonly records: BenchJob["records"],
  ) {
    this.outputs = taps.map(({ name }) => name);
    this.shapes = taps.map(({ shape }) => shape);
    this.free = [...hands];
    this.samples = records.length;
  }

  static async start(float: string, outputs: readonly Output[], count: number, job: BenchJob): Promise<Crew> {
    const crew = new Crew(
      Array.from({ length: count }, () => new Hand()),
      outputs,
      job.records,
    );
    try {
      await Promise.all(crew.hands.map((hand) => hand.ask({ kind: "job", job })));
      const answer = await crew.hands[0]!.ask({ kind: "values", model: { path: float } });
      crew.reference = (answer as Extract<FromBench, { kind: "values" }>).values;
      await Promise.all(crew.hands.map((hand) => hand.ask({ kind: "references", values: crew.reference })));
      return crew;
    } catch (error) {
      crew.close();
      throw error;
    }
  }

  get workers(): number {
    return this.hands.length;
  }

  async measure(model: ModelAt, shake?: number): Promise<Noises> {
    const { sums } = (await this.ask({ kind: "measure", model, shake })) as Extract<FromBench, { kind: "sums" }>;
    return this.outputs.map((_, i) => ratio(sums[2 * i]!, sums[2 * i + 1]!));
  }

  async look(model: ModelAt, bands: readonly Band[]): Promise<readonly Looked[]> {
    return ((await this.ask({ kind: "look", model, bands })) as Extract<FromBench, { kind: "looked" }>).looked;
  }

  async values(model?: ModelAt): Promise<OutputValues> {
    if (!model) return this.reference;
    return ((await this.ask({ kind: "values", model })) as Extract<FromBench, { kind: "values" }>).values;
  }

  close(): void {
    for (const hand of this.hands) hand.stop();
  }

  private async ask(message: ToBench): Promise<FromBench> {
    const hand = this.free.pop() ?? (await new Promise<Hand>((take) => this.waiting.push(take)));
    try {
      return await hand.ask(message);
    } finally {
      const next = this.waiting.shift();
      if (next) next(hand);
      else this.free.push(hand);
    }
  }
}

/** Error power over signal power; what is no number is as bad as can be. */
function ratio(error: number, signal: number): Noise {
  if (error === 0) return 0;
  return Number.isNaN(error) ? Number.POSITIVE_INFINITY : error / signal;
}

/** One worker, asked one thing at a time. */
class Hand {
  private readonly worker = startWorker("search");
  private open: { resolve(answer: FromBench): void; reject(error: Error): void } | undefined;
  private stopped = false;

  constructor() {
    this.worker.onmessage = (event: MessageEvent<FromBench>) => {
      const answer = event.data;
      if (answer.kind !== "error") this.settle((open) => open.resolve(answer));
      else
        this.settle((open) =>
          open.reject(answer.expected ? new MinmaxqError(answer.message) : new Error(answer.message)),
        );
    };
    this.worker.onerror = (event: ErrorEvent) => {
      event.preventDefault?.();
      this.settle((open) => open.reject(new MinmaxqError(`the worker crashed: ${event.message || "no reason given"}`)));
    };
    this.worker.addEventListener("close", () => {
      if (this.stopped) return;
      const text = "the worker ended by itself (out of memory?); try --num-threads 1";
      this.settle((open) => open.reject(new MinmaxqError(text)));
    });
  }

  ask(message: ToBench): Promise<FromBench> {
    return new Promise((resolve, reject) => {
      this.open = { resolve, reject };
      this.worker.postMessage(message);
    });
  }

  stop(): void {
    this.stopped = true;
    this.worker.terminate();
  }

  private settle(how: (open: NonNullable<Hand["open"]>) => void): void {
    const { open } = this;
    this.open = undefined;
    if (open) how(open);
  }
}

/** The same by comparing in parts: slower, in bounded memory. What is inside of models is not looked at. */
function inParts(
  float: string,
  part: SidePart,
  samples: Samples,
  outputs: readonly Output[],
  records: readonly (readonly Uint8Array[])[],
  shapes: readonly Shapes[] | undefined,
): Bench {
  const openData = async (inputs: readonly InputSpec[]) => ({
    // The records as they are kept; sizes were checked when they were read.
    ...(await openDataSet("random:1", inputs)),
    description: "the samples",
    count: records.length,
    ...(shapes && { shapes: (record: number) => shapes[record]! }),
    async *records() {
      for (const record of records) yield record.map((bytes) => bytes.slice());
    },
    close() {},
  });
  return {
    outputs: outputs.map(({ name }) => name),
    shapes: outputs.map(({ shape }) => shape),
    samples: records.length,
    records,
    workers: 1,
    async measure(model) {
      const first = openModel(float);
      const second = "path" in model ? openModel(model.path) : readModel(new MemoryBytes(model.bytes));
      try {
        const sides = [await openSide(first, false, false, part), await openSide(second, false, false, part)] as const;
        const { memoryLimit, workers, fastMath } = samples;
        const compared = await compareModels(sides, openData, { memoryLimit, workers, fastMath });
        return compared.outputs.map(({ metrics: { sqnr } }) =>
          Number.isNaN(sqnr) ? Number.POSITIVE_INFINITY : noiseOf(sqnr),
        );
      } finally {
        first.close();
        second.close();
      }
    },
    async look() {
      return [];
    },
    values() {
      throw new MinmaxqError("the memory is too small to keep outputs for --metric; give a larger --memory-limit");
    },
    close() {},
  };
}
