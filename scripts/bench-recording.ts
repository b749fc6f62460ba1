/**
 * What recording costs over bare inference.
 *
 *     bun run scripts/bench-recording.ts [MODEL…]
 *
 * Bare inference is the same model on the same samples with as many Workers, each a LiteRT instance that gives only the model's real
 * outputs, and nothing reads them. Recording is what `minmaxq record` does once its Workers have loaded the model. Both are timed from
 * the first sample handed out to the last answer, in turns, so that whatever else the machine does hits both. Without arguments:
 * the models of ../shared/models and a generated network of 50 MB, or the demo's model and that network.
 *
 * A third kind of run says what of the cost is LiteRT's: the slices of recording with all their outputs, which nothing reads.
 */
import { existsSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { basename, join } from "node:path";
import type { Link } from "../src/calibration/chain.ts";
import type { DataSet } from "../src/calibration/dataset.ts";
import { constantsKnown, dependsOnData } from "../src/calibration/fold.ts";
import { subgraphOf } from "../src/calibration/graph-facts.ts";
import { inputSpecs, openDataSet } from "../src/calibration/index.ts";
import { type Instrumented, instrument } from "../src/calibration/instrument.ts";
import { compileLibrary } from "../src/calibration/litert.ts";
import { runRecords } from "../src/calibration/pool.ts";
import type { Job, ObservedTensor } from "../src/calibration/recorder.ts";
import { type Slice, sliceModel } from "../src/calibration/slices.ts";
import { type Model, openModel, serializeInto } from "../src/model/index.ts";
import { generateModel } from "./generate-model.ts";

export interface RecordingFigures {
  readonly model: string;
  /** Seconds a sample: the fastest repeat. */
  readonly bareSeconds: number;
  readonly recordSeconds: number;
  /** As recording, but what LiteRT shows is not scanned. */
  readonly shownSeconds: number;
  /** recordSeconds / bareSeconds. */
  readonly ratio: number;
  /** Ratio of the medians of the repeats. */
  readonly medianRatio: number;
  readonly workers: number;
}

const ROOT = join(import.meta.dir, "..");
const SHARED = join(ROOT, "../shared/models");
const DEMO = join(ROOT, "node_modules/@mediapipe/face_detection/face_detection_short_range.tflite");
const REPEATS = 5;
/** Seconds that a repeat of either kind should take. */
const SECONDS = 1;
/**
 * Samples to warm up for each that is timed. Every repeat has new Workers, whose JavaScript engines compile LiteRT's glue while it is
 * used; recording goes through that glue once a tensor, bare inference hardly ever. A data set of some hundred samples is past that.
 */
const WARM = 0.5;
const GENERATED = 50e6;

/** Measures the models of `paths`; by default those of the head comment. */
export async function measureRecording(paths?: readonly string[]): Promise<RecordingFigures[]> {
  const folder = mkdtempSync(join(tmpdir(), "minmaxq-bench-"));
  try {
    const shared = existsSync(SHARED) ? readdirSync(SHARED).filter((name) => name.endsWith(".tflite")) : [];
    const generated = join(folder, "generated-50MB.tflite");
    if (!paths) await generateModel(GENERATED, generated);
    const real = shared.length > 0 ? shared.sort().map((name) => join(SHARED, name)) : [DEMO];
    const figures: RecordingFigures[] = [];
    for (const path of paths ?? [...real, generated]) figures.push(await measure(path));
    return figures;
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** One kind of run: how the model is cut, and what is looked at. */
interface Kind {
  readonly slices: readonly Slice[];
  readonly observed: readonly ObservedTensor[];
}

async function measure(path: string): Promise<RecordingFigures> {
  const opened = openModel(path);
  try {
    const { model } = opened;
    const graph = subgraphOf(model, 0);
    const known = await constantsKnown(model, graph);
    const plan = instrument(model, 0, known);
    const settle = dependsOnData(model, graph, known);
    const all: ObservedTensor[] = [...plan.inputs, ...plan.outputs];
    const bare: Kind = { slices: sliceModel(barePlan(plan, model), true), observed: [] };
    const record: Kind = { slices: sliceModel(plan), observed: all };
    const shown: Kind = { ...record, observed: [] };
    const workers = availableParallelism();
    const trial = await seconds(model, bare, 4 * workers, workers, settle);
    const samples = workers * Math.max(2, Math.ceil((SECONDS * 4) / trial));
    const times = { bare: [] as number[], record: [] as number[], shown: [] as number[] };
    for (let repeat = 0; repeat < REPEATS; repeat++) {
      times.bare.push((await seconds(model, bare, samples, workers, settle)) / samples);
      times.record.push((await seconds(model, record, samples, workers, settle)) / samples);
      times.shown.push((await seconds(model, shown, samples, workers, settle)) / samples);
    }
    const [bareSeconds, recordSeconds] = [Math.min(...times.bare), Math.min(...times.record)];
    const medianRatio = median(times.record) / median(times.bare);
    return {
      model: basename(path),
      bareSeconds,
      recordSeconds,
      shownSeconds: Math.min(...times.shown),
      ratio: recordSeconds / bareSeconds,
      medianRatio,
      workers,
    };
  } finally {
    opened.close();
  }
}

/** The instrumented copy with the model's own outputs; operators that nothing is seen of still run when those need them. */
function barePlan(plan: Instrumented, model: Model): Instrumented {
  const outputs = new Set(subgraphOf(model, 0).outputs ?? []);
  return { ...plan, inputs: [], outputs: plan.outputs.filter(({ tensor }) => outputs.has(tensor)) };
}

/** Seconds from the first sample to the last answer, Workers started and warm. */
async function seconds(model: Model, kind: Kind, samples: number, workers: number, settle: boolean): Promise<number> {
  const links: Link[] = kind.slices.map(({ inputs, outputs }) => ({ inputs, outputs }));
  const inputs = Array.from(subgraphOf(model, 0).inputs ?? []);
  const job: Job = {
    chain: { links, inputs, reads: [], writes: [] },
    library: await compileLibrary(false),
    fastMath: false,
    observer: "minmax",
    observed: kind.observed,
    settle,
  };
  const warm = Math.max(2 * workers, Math.ceil(WARM * samples));
  const data = await repeated(model, warm + samples);
  let [done, started, ended] = [0, 0, 0];
  await runRecords(
    job,
    data,
    {
      workers,
      models: () => serialized(kind.slices),
      onProgress: () => {
        done++;
        if (done === warm) started = performance.now();
        if (done === warm + samples) ended = performance.now();
      },
      onResult: () => {},
    },
    ({ reason }) => reason,
  );
  return (ended - started) / 1000;
}

/** One made-up sample again and again, so that making samples is not what is measured. */
async function repeated(model: Model, count: number): Promise<DataSet> {
  const one = await openDataSet("random:1", inputSpecs(model));
  let sample: Uint8Array[] = [];
  for await (const record of one.records()) sample = record;
  one.close();
  return {
    description: "one sample",
    count,
    async *records() {
      for (let i = 0; i < count; i++) yield sample.map((bytes) => bytes.slice());
    },
    close() {},
  };
}

async function* serialized(slices: readonly Slice[]) {
  for (const { model } of slices) {
    let bytes = new SharedArrayBuffer(0);
    await serializeInto(model, { dialect: "tflite" }, (size) => {
      bytes = new SharedArrayBuffer(size);
      const target = new Uint8Array(bytes);
      return { write: (part, offset) => target.set(part, offset) };
    });
    yield { bytes, length: bytes.byteLength };
  }
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[sorted.length >> 1]!;
}

if (import.meta.main) {
  const paths = process.argv.slice(2);
  const figures = await measureRecording(paths.length > 0 ? paths : undefined);
  console.log(`milliseconds a sample, ${figures[0]?.workers} workers, fastest of ${REPEATS} repeats in turns`);
  for (const { model, bareSeconds, shownSeconds, recordSeconds, ratio, medianRatio } of figures) {
    const milliseconds = (seconds: number) => (1000 * seconds).toFixed(2).padStart(8);
    const over = (of: number) => `${(100 * (of - 1)).toFixed(0)} %`.padStart(6);
    console.log(
      `${model.padEnd(40)} bare ${milliseconds(bareSeconds)}  record ${milliseconds(recordSeconds)}  over ${over(ratio)}`,
      `(medians ${medianRatio.toFixed(2)}×; not scanned ${over(shownSeconds / bareSeconds)})`,
    );
  }
  process.exit(0);
}
