/**
 * THE FIGURES: one row each, in the order in which they are measured and shown.
 *
 * Speed is a ratio of neighbours in time wherever it can be one, so that it says something on any machine and on one
 * that is busy with other things. A ratio is judged by the median of its pairs' ratios, a time by its median, memory by its peak.
 */
import { existsSync, writeFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { basename, join, resolve } from "node:path";
import { MODELS } from "../accuracy/cells.ts";
import { KERNELS, KernelBench, MIB } from "./kernels.ts";
import { type Models, Skipped } from "./models.ts";
import { type Pair, peakMemory, phaseSeconds, repeat, run, sidesOf, type Turn, takeTurns } from "./processes.ts";
import type { Measured, Terms } from "./results.ts";
import { median } from "./statistics.ts";

/** What figures are measured with. */
export interface Bench {
  readonly executable: string;
  readonly models: Models;
  /** Bytes of the model that speed is measured with. */
  readonly large: number;
  /** --quick: fewer repeats. */
  readonly quick: boolean;
  readonly progress: (done: number, total: number) => void;
}

export interface Figure extends Terms {
  readonly group: "memory" | "speed" | "kernels" | "recording" | "accuracy";
  /** Only with --all, or when it is named. */
  readonly extra?: boolean;
  /** Of many parts: print the worst, and those that miss the target or got worse. */
  readonly brief?: boolean;
  measure(bench: Bench): Promise<Measured[]>;
}

const MB = 1e6;
const GB = 1e9;

export const FIGURES: readonly Figure[] = [
  memory("memory-100MB", "peak memory, 100 MB model", 100 * MB),
  memory("memory-1GB", "peak memory, 1 GB model", GB),
  { ...memory("memory-6GB", "peak memory, 6 GB model", 6 * GB), extra: true },
  againstCopy("uint8-channel", "quantize uint8/channel ÷ cp", 0.6, quantize()),
  againstCopy("int16-channel", "quantize int16/channel ÷ cp", 0.9, quantize("--dtype", "int16")),
  againstCopy("uint8-layer", "quantize uint8/layer ÷ cp", 0.9, quantize("--granularity", "layer")),
  againstCopy("drop-in", "circle-quantizer uint8/channel ÷ cp", undefined, (input, output) => [
    ...["circle-quantizer", "--quantize_with_minmax", "float32", "uint8", "channel"],
    ...[input, output],
  ]),
  againstUint8("dynamic-int8", "--scheme dynamic-int8 ÷ uint8/channel", "dynamic-int8", 1.1),
  againstUint8("weights-int4", "--scheme weights-int4 ÷ uint8/channel", "weights-int4", 1.1),
  againstUint8("int8", "--scheme int8 ÷ uint8/channel", "int8"),
  {
    ...ratio("two-workers", "weight stream, one worker ÷ two", "more", 1.6),
    // Weights only: `quantize` lets the second thread begin before the phase that is measured.
    measure: async (bench) => {
      const pairs = await workers(bench, (input, output) => ["quantize-weights", input, "-o", output, "--timings"]);
      return [{ sides: sidesOf(ONE, TWO, pairs, ({ stderr }) => phaseSeconds(stderr, "stream")) }];
    },
  },
  {
    ...ratio("two-workers-process", "whole quantize, one worker ÷ two", "more"),
    measure: async (bench) => [{ sides: sidesOf(ONE, TWO, await workers(bench, quantize())) }],
  },
  {
    ...time("start", "start: --version", 40),
    measure: async ({ executable, quick, progress }) => [
      { samples: await repeat([executable, "--version"], { rounds: quick ? 10 : 40, progress }) },
    ],
  },
  {
    ...time("empty-process", "for comparison: /bin/true"),
    measure: async ({ quick, progress }) => {
      if (!existsSync("/bin/true")) throw new Skipped("there is no /bin/true");
      return [{ samples: await repeat(["/bin/true"], { rounds: quick ? 10 : 40, progress }) }];
    },
  },
  {
    ...time("small-model", "quantize a 1 MB model, whole process", 120),
    measure: async ({ executable, models, quick, progress }) => {
      const { output } = models;
      const command = [executable, ...quantize()(await models.model(MB), output)];
      return [{ samples: await repeat(command, { rounds: quick ? 8 : 30, output, progress }) }];
    },
  },
  {
    ...time("small-samples", "quantize a small model with 16 samples", 300),
    measure: async ({ executable, models, quick, progress }) => {
      const results: Measured[] = [];
      for (const path of [await models.tflite(400e3), await models.tflite(3 * MB), ...realModels()]) {
        const output = join(models.folder, "small.tflite");
        const command = [executable, "quantize", path, "--data", SAMPLES, "-o", output];
        const samples = await repeat(command, { rounds: quick ? 5 : 15, output, progress });
        results.push({ part: basename(path), samples });
      }
      return results;
    },
  },
  {
    ...time("batch-40", "batch of 40 models of 0.2 to 6 MB, 16 samples each", 15_000),
    measure: async ({ executable, models, quick, progress }) => {
      const list = await batchOf40(models);
      const command = [executable, "batch", list, "--out", models.folder, "--redo"];
      const samples: number[] = [];
      for (let left = quick ? 1 : 3; left > 0; left--) {
        samples.push((await run(command)).seconds * 1000);
        progress(samples.length, samples.length + left - 1);
      }
      return [{ samples }];
    },
  },
  kernels("kernels-64MiB", "kernel ÷ copy, 64 MiB", 64 * MIB, 0.6),
  // The target is about memory: within the cache a copy is faster than memory could ever be.
  kernels("kernels-1MiB", "kernel ÷ copy, 1 MiB", MIB),
  {
    group: "recording",
    id: "recording",
    what: "record ÷ bare inference",
    unit: "ratio",
    better: "less",
    target: 1.15,
    measure: recording,
  },
  accuracy("good", 1.3),
  accuracy("best", 8),
];

/** Whether a word on the command line means this figure: its name or its group's. */
export function means(word: string, { id, group }: Figure): boolean {
  return word === id || word === group;
}

const SAMPLES = "random:16";

/** Models of ../shared, where they are. */
function realModels(): string[] {
  return REAL_MODELS.map((name) => join(import.meta.dir, "../../../shared/models", `${name}.tflite`)).filter((path) =>
    existsSync(path),
  );
}

const REAL_MODELS = ["face_detection_short_range", "selfie_segmentation", "hand_landmark_lite", "iris_landmark"];

/** A job list of 40 models: the real ones in turn with generated ones of 0.4 to 6 MB, or these alone. */
async function batchOf40(models: Models): Promise<string> {
  const real = realModels();
  const jobs: object[] = [];
  for (let i = 0; i < 40; i++) {
    const model =
      i % 2 === 0 && real.length > 0 ? real[(i / 2) % real.length]! : await models.tflite(4e5 + i * 143_000);
    // Names count from the list.
    jobs.push({ model: resolve(model), data: SAMPLES, output: resolve(models.folder, `batch-${i}.tflite`) });
  }
  const list = join(models.folder, "jobs.json");
  writeFileSync(list, JSON.stringify({ jobs }));
  return list;
}

function ratio(id: string, what: string, better: "less" | "more", target?: number) {
  return { group: "speed", id, what, unit: "ratio", better, target } as const;
}

function time(id: string, what: string, target?: number) {
  return { group: "speed", id, what, unit: "ms", better: "less", target } as const;
}

type Words = (input: string, output: string) => string[];

function quantize(...options: string[]): Words {
  return (input, output) => ["quantize", input, "-o", output, ...options];
}

/** Bytes a second that no copy reaches: files then share their blocks. */
const MEMORY_SPEED = 40 * GB;

const rounds = ({ quick }: Bench) => (quick ? 3 : 11);

function againstCopy(id: string, what: string, target: number | undefined, words: Words): Figure {
  return {
    ...ratio(id, what, "less", target),
    measure: async (bench) => {
      const { output } = bench.models;
      const input = await bench.models.model(bench.large);
      const top: Turn = { name: "minmaxq", command: [bench.executable, ...words(input, output)] };
      const bottom: Turn = { name: "cp", command: ["cp", input, output] };
      const pairs = await takeTurns(top, bottom, { rounds: rounds(bench), input, output, progress: bench.progress });
      const sides = sidesOf(top, bottom, pairs);
      if (bench.large / median(sides.bottom) > MEMORY_SPEED) throw new Skipped("cp copies nothing on this file system");
      return [{ sides }];
    },
  };
}

/** A scheme of LiteRT's beside ONE's on the same model; without the run in LiteRT, which is no part of the stream. */
function againstUint8(id: string, what: string, scheme: string, target?: number): Figure {
  return {
    ...ratio(id, what, "less", target),
    measure: async (bench) => {
      const { output, folder } = bench.models;
      const input = await bench.models.model(bench.large);
      const own = join(folder, "output.tflite");
      const words = ["quantize", input, "--scheme", scheme, "--no-run", "-o", own];
      const top: Turn = { name: scheme, command: [bench.executable, ...words], output: own };
      const bottom: Turn = { name: "uint8/channel", command: [bench.executable, ...quantize()(input, output)] };
      const pairs = await takeTurns(top, bottom, { rounds: rounds(bench), input, output, progress: bench.progress });
      return [{ sides: sidesOf(top, bottom, pairs) }];
    },
  };
}

function memory(id: string, what: string, size: number): Figure {
  return {
    ...{ group: "memory", id, what, unit: "MB", better: "less", target: 200, judged: "max" },
    measure: async ({ executable, models, quick, progress }) => {
      const input = await models.model(size);
      const samples: number[] = [];
      for (let left = quick ? 1 : 3; left > 0; left--) {
        samples.push((await peakMemory([executable, ...quantize()(input, models.output)], models.folder)) / MB);
        models.removeOutput();
        progress(samples.length, samples.length + left - 1);
      }
      // Nothing else needs a model that large.
      if (size > GB) models.forget(size);
      return [{ samples }];
    },
  };
}

const ONE = { name: "one worker", env: { MINMAXQ_THREADS: "1" } };
const TWO = { name: "two workers", env: { MINMAXQ_THREADS: "2" } };

/** Whole processes with one worker and with two. */
async function workers(bench: Bench, words: Words): Promise<Pair[]> {
  if (availableParallelism() < 2) throw new Skipped("this machine has one core");
  const { output } = bench.models;
  const input = await bench.models.model(bench.large);
  const command = [bench.executable, ...words(input, output)];
  const turns = { rounds: rounds(bench), input, output, progress: bench.progress };
  return takeTurns({ ...ONE, command }, { ...TWO, command }, turns);
}

function kernels(id: string, what: string, bytes: number, target?: number): Figure {
  return {
    ...{ group: "kernels", id, what, unit: "ratio", better: "more", target, brief: true },
    measure: async ({ quick, progress }) => {
      const bench = new KernelBench(bytes);
      const results: Measured[] = [];
      for (const [done, kernel] of KERNELS.entries()) {
        progress(done, KERNELS.length);
        results.push(bench.measure(kernel, quick ? 5 : 15));
        await Bun.sleep(0);
      }
      progress(KERNELS.length, KERNELS.length);
      return results;
    },
  };
}

/** Models of ../shared that --accuracy is measured on, and the pictures. */
const SHARED = join(import.meta.dir, "../../../shared");

/** A level of --accuracy beside plain recording: whole processes, on sixteen pictures. */
function accuracy(level: "good" | "best", target: number): Figure {
  return {
    ...{ group: "accuracy", id: `accuracy-${level}`, what: `--accuracy ${level} ÷ plain recording` },
    ...{ unit: "ratio", better: "less", target },
    measure: async ({ executable, models, quick, progress }) => {
      const pictures = join(SHARED, "images");
      if (!existsSync(pictures)) throw new Skipped("../shared/images is not there");
      const output = join(models.folder, "output.tflite");
      const results: Measured[] = [];
      for (const { file, options } of MODELS) {
        const input = join(SHARED, "models", file);
        const command = [
          executable,
          "quantize",
          input,
          "--data",
          pictures,
          ...options,
          "--scheme",
          "int8",
          "-o",
          output,
        ];
        const top: Turn = { name: level, command: [...command, "--accuracy", level] };
        const bottom: Turn = { name: "plain", command };
        const pairs = await takeTurns(top, bottom, { rounds: quick ? 1 : 3, input, output, progress });
        results.push({ part: file, sides: sidesOf(top, bottom, pairs) });
      }
      return results;
    },
  };
}

interface RecordingFigures {
  readonly model: string;
  readonly ratio: number;
  /** Ratio of the medians, where `ratio` is that of the fastest repeats. */
  readonly medianRatio?: number;
}

/** A script of its own, which knows how to run a model without observers. */
async function recording(): Promise<Measured[]> {
  const path = join(import.meta.dir, "../bench-recording.ts");
  if (!existsSync(path)) throw new Skipped("scripts/bench-recording.ts is not there");
  const script: { measureRecording(): Promise<RecordingFigures[]> } = await import(path);
  const figures = await script.measureRecording();
  return figures.map(({ model, ratio, medianRatio = ratio }) => ({ part: model, samples: [medianRatio] }));
}
