/** Recorded ranges against the reference's (shared/goldens/record and record-circle; see its README.md). */
import { expect, test } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import {
  inputSpecs,
  openDataSet,
  type RecordReduction,
  recordSamples,
  reduce,
  type Samples,
} from "../../src/calibration/index.ts";
import { openModel } from "../../src/model/index.ts";
import { shared } from "./support.ts";

type Pair = [number, number];

/**
 * Whether ranges agree as far as two float implementations can: 1e-4 of the range's width, or four units in the last place of its larger
 * end where the range is narrower than that (a sum of −9.98 ± 0.003 cannot be closer).
 */
function agree(got: { min: number; max: number }, wanted: Pair, width = wanted[1] - wanted[0]): boolean {
  const ulp = Math.max(Math.abs(wanted[0]), Math.abs(wanted[1])) * 2 ** -23;
  const allowed = Math.max(1e-4 * width, 4 * ulp);
  return Math.abs(got.min - wanted[0]) <= allowed && Math.abs(got.max - wanted[1]) <= allowed;
}

async function samplesOf(model: string, dataPath: string): Promise<Samples[]> {
  const opened = openModel(model);
  const data = await openDataSet(dataPath, inputSpecs(opened.model));
  try {
    return await recordSamples(opened.model, data, { workers: data.count > 7 ? 2 : 1 });
  } finally {
    data.close();
    opened.close();
  }
}

interface RealCase {
  data: string;
  tensors: Record<string, { min: number[]; max: number[]; percentile: Pair; moving_average: Pair }>;
}

const PERCENTILE: RecordReduction = { kind: "percentile", min: 1, max: 99 };
const AVERAGE: RecordReduction = { kind: "moving_average", batch: 4, constant: 0.1 };

const real = shared("goldens/record");
for (const name of real ? readdirSync(real).sort() : []) {
  test(`real model ${name}`, async () => {
    const golden: RealCase = JSON.parse(readFileSync(join(real!, name), "utf8"));
    const model = shared(`models/${name.replace(".json", ".tflite")}`)!;
    const samples = await samplesOf(model, shared(golden.data)!);
    expect(samples.map((sample) => sample.name).sort()).toEqual(Object.keys(golden.tensors).sort());
    const wrong: string[] = [];
    for (const { name, mins, maxs } of samples) {
      const { min, max, percentile, moving_average } = golden.tensors[name]!;
      const width = Math.max(...max) - Math.min(...min);
      for (const record of mins.keys()) {
        const got = { min: mins[record]!, max: maxs[record]! };
        if (!agree(got, [min[record]!, max[record]!], width)) wrong.push(`${name} record ${record}`);
      }
      if (!agree(reduce(mins, maxs, PERCENTILE), percentile, width)) wrong.push(`${name} percentile`);
      if (!agree(reduce(mins, maxs, AVERAGE), moving_average, width)) wrong.push(`${name} moving average`);
      // On the golden's own samples the reductions are exact.
      const own = [Float32Array.from(min), Float32Array.from(max)] as const;
      expect(Object.values(reduce(...own, PERCENTILE))).toEqual(percentile);
      expect(Object.values(reduce(...own, AVERAGE))).toEqual(moving_average);
    }
    expect(wrong).toEqual([]);
  }, 60_000);
}

interface CircleCase {
  modes: Record<string, string[]>;
  expected: Record<string, Record<string, Pair>>;
}

/** The reference's arguments as a reduction. */
function reductionOf(args: string[]): RecordReduction {
  const value = (name: string, otherwise: number) => {
    const at = args.indexOf(name);
    return at < 0 ? otherwise : Number(args[at + 1]);
  };
  if (args.includes("moving_average")) {
    return {
      kind: "moving_average",
      batch: value("--moving_avg_batch", 16),
      constant: value("--moving_avg_const", 0.1),
    };
  }
  return { kind: "percentile", min: value("--min_percentile", 1), max: value("--max_percentile", 99) };
}

const circle = shared("goldens/record-circle");
test.if(circle !== undefined)(
  "circle models",
  async () => {
    const failed: string[] = [];
    const names = readdirSync(circle!);
    const check = async (name: string) => {
      const golden: CircleCase = JSON.parse(readFileSync(join(circle!, name, "expected.json"), "utf8"));
      try {
        const samples = await samplesOf(join(circle!, name, "input.circle"), join(circle!, name, "data.h5"));
        for (const [mode, args] of Object.entries(golden.modes)) {
          const wanted = golden.expected[mode]!;
          for (const sample of samples) {
            const pair = wanted[sample.name];
            const got = reduce(sample.mins, sample.maxs, reductionOf(args));
            if (!pair) failed.push(`${name}: ${mode}: ${sample.name} is no recorded tensor of the reference`);
            else if (!agree(got, pair)) failed.push(`${name}: ${mode}: ${sample.name} ${JSON.stringify([got, pair])}`);
          }
          // The reference's list also has constants that came with a range.
          const opened = openModel(join(circle!, name, "input.circle"));
          const before = opened.model
            .subgraphs![0]!.tensors!.filter((tensor) => tensor.quantization?.min)
            .map((t) => t.name);
          opened.close();
          for (const tensor of Object.keys(wanted)) {
            if (before.includes(tensor) || samples.some((sample) => sample.name === tensor)) continue;
            failed.push(`${name}: ${mode}: ${tensor} was not recorded`);
          }
        }
      } catch (error) {
        failed.push(`${name}: ${(error as Error).message}`);
      }
    };
    // Most of the time goes into starting workers, so two at a time.
    await Promise.all(
      [0, 1].map(async (half) => {
        for (const [i, name] of names.entries()) if (i % 2 === half) await check(name);
      }),
    );
    const cases = new Set(failed.map((line) => line.split(":")[0]!));
    console.log(`record-circle: ${names.length - cases.size} of ${names.length} cases agree`);
    expect(failed).toEqual([]);
  },
  300_000,
);
