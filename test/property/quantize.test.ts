/**
 * Random models through the whole flow, other ones in every run: quantize → verify → read → compare. A failure names the seed of its model;
 * `MINMAXQ_SEED=<seed> bun test test/property` runs that one again and shows it.
 */
import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { MinmaxqError } from "../../src/base/errors.ts";
import { openDataSet } from "../../src/calibration/index.ts";
import { verify } from "../../src/commands/verify.ts";
import { compareModels } from "../../src/compare/compare.ts";
import { openSide } from "../../src/compare/side.ts";
import { quantize } from "../../src/driver/quantize.ts";
import type { QuantizeSettings } from "../../src/driver/settings.ts";
import type { Dtype } from "../../src/graph/graph.ts";
import { openModel, operatorTexts, subgraphText, writeModel } from "../../src/model/index.ts";
import { type Granularity, SCHEMES, type Scheme } from "../../src/rules/schemes.ts";
import { Random, randomModel } from "./graphs.ts";

const folder = mkdtempSync(join(tmpdir(), "minmaxq-property-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Milliseconds in which new models are begun; MINMAXQ_PROPERTY_SECONDS is for a longer search. */
const TIME = Number(process.env.MINMAXQ_PROPERTY_SECONDS ?? 12) * 1000;
/** Every so many models one has weights that threads share. */
const LARGE = 8;

/** Schemes that `quantize` offers, by family: those of two cannot stand in one model. */
const FAMILIES: readonly (readonly Scheme[])[] = (["one", "litert"] as const).map((family) =>
  Object.values<Scheme>(SCHEMES).filter((scheme) => scheme.family === family),
);

interface Case {
  readonly settings: QuantizeSettings;
  /** Signal to noise that the result must have, dB. */
  readonly bound: number;
}

/** Settings of a random kind for a model of these results. */
function settingsFor(random: Random, model: string, names: readonly string[], seed: number): Case {
  const rows = random.of(FAMILIES);
  const setting = (): { scheme: Scheme; granularity: Granularity } => {
    const scheme = random.of(rows);
    return { scheme, granularity: random.of(scheme.granularities) };
  };
  const { scheme, granularity } = setting();
  const mixed = random.chance(0.5) ? names.filter(() => random.chance(0.25)) : [];
  const layers = mixed.map((name) => ({ name, ...setting() }));
  const dtypes = (): readonly Dtype[] | undefined =>
    random.chance(0.3) ? [random.of<Dtype>(["FLOAT32", ...rows.map(({ activation }) => activation.dtype)])] : undefined;
  const options = {
    ...{ scheme, granularity, inputDtypes: dtypes(), outputDtypes: dtypes() },
    ...{ tfStyleMaxpool: random.chance(0.2), saveMinMax: random.chance(0.2) },
  };
  const dtypesUsed = [options.inputDtypes, options.outputDtypes].flatMap((list) => list ?? []);
  const least = Math.min(
    ...[scheme, ...layers.map((layer) => layer.scheme)].map(({ activation }) => activation.bits),
    ...rows.filter(({ activation }) => dtypesUsed.includes(activation.dtype)).map(({ activation }) => activation.bits),
    // Weights of 16 bits are ONE's per channel alone.
    ...(scheme.weights[granularity].bits < 16 ||
    layers.some((layer) => layer.scheme.weights[layer.granularity].bits < 16)
      ? [8]
      : []),
  );
  return {
    settings: {
      model,
      output: join(folder, `out.${random.of(["circle", "tflite"])}`),
      // LiteRT has no kernels for ONE's schemes; its own have to run.
      withoutRun: scheme.family === "one",
      options,
      ...(layers.length > 0 && {
        layers: { given: layers.map((layer) => `${layer.name}=${layer.scheme.name}:${layer.granularity}`) },
      }),
      ...(random.chance(0.3) && {
        withoutSteps: random.of([["all"], ["fold-constants"], ["fuse-activation"], ["zero-bias"]]),
      }),
      samples: { sources: [{ location: `random:3:${seed}` }], reduction: { kind: "minmax" }, workers: 1 },
    },
    bound: least === 8 ? 8 : 45,
  };
}

/** One model, all properties. Gives the refusal where it was not quantized: one of ours, in one line or a list. */
async function holds(seed: number): Promise<string | null> {
  const random = new Random(seed);
  const { model, layers } = randomModel(random, seed % LARGE === 0);
  const input = join(folder, "in.tflite");
  await writeModel(model, input, { dialect: "tflite" });
  const { settings, bound } = settingsFor(random, input, layers, seed);
  const files = await quantizedBy([1, 3], settings);
  if (typeof files === "string") {
    const [first, ...list] = files.split("\n");
    expect(first).not.toBe("");
    if (list.length > 0) expect(first).toEndWith(":");
    expect(list.filter((line) => !line.startsWith("  "))).toEqual([]);
    return files;
  }
  const [one, three] = files;
  expect(one!.equals(three!)).toBe(true);
  if (process.env.MINMAXQ_SEED) console.log(shown(settings));
  // The command reads the file and knows nothing of the settings; it throws for what breaks a rule.
  await verifyQuietly(settings.output);
  for (const sqnr of await signalToNoise(input, settings.output, seed)) expect(sqnr).toBeGreaterThan(bound);
  return null;
}

/** The output's bytes for each number of threads, or the refusal. */
async function quantizedBy(threads: readonly number[], settings: QuantizeSettings): Promise<Buffer[] | string> {
  const before = process.env.MINMAXQ_THREADS;
  const files: Buffer[] = [];
  try {
    for (const count of threads) {
      process.env.MINMAXQ_THREADS = String(count);
      expect((await quantize(settings)).verified).toBe(true);
      files.push(readFileSync(settings.output));
    }
    return files;
  } catch (error) {
    if (error instanceof MinmaxqError) return error.message;
    throw error;
  } finally {
    if (before === undefined) delete process.env.MINMAXQ_THREADS;
    else process.env.MINMAXQ_THREADS = before;
  }
}

/** Settings and result, for a person who runs one seed again. */
function shown(settings: QuantizeSettings): string {
  const opened = openModel(settings.output);
  try {
    return [JSON.stringify(settings), ...subgraphText(opened.model, 0)].join("\n");
  } finally {
    opened.close();
  }
}

async function verifyQuietly(path: string): Promise<void> {
  const output = { print: () => {}, tell: () => {}, progress: () => () => {} };
  await verify.run([path], {} as never, output as never);
}

/**
 * Mean square below which an output says nothing: inputs go to ±5, so a step of 8 bits is 0.04, and what is left where values cancel out or are
 * clipped may be smaller than that (the mean of x − xᵀ, a RELU6 that is nearly always 0).
 */
const NOTHING = 0.04 ** 2;

/** dB of each output, over new samples; absent where the float output is 0 or there is no difference at all. */
async function signalToNoise(first: string, second: string, seed: number): Promise<number[]> {
  const opened = [first, second].map((path) => openModel(path));
  try {
    const sides = [await openSide(opened[0]!), await openSide(opened[1]!)] as const;
    const open = (inputs: Parameters<typeof openDataSet>[1]) => openDataSet(`random:3:${seed}`, inputs);
    const { outputs } = await compareModels(sides, open, { workers: 1 });
    expect(outputs.map(({ metrics }) => metrics.notFinite)).toEqual(outputs.map(() => 0));
    return outputs.flatMap(({ metrics: { sqnr, mse } }) => {
      if (typeof sqnr !== "number" || !Number.isFinite(sqnr)) return [];
      return mse * 10 ** (sqnr / 10) < NOTHING ? [] : [sqnr];
    });
  } finally {
    for (const each of opened) each.close();
  }
}

test(
  "random models quantize, verify, read back and are near the float model; threads do not show",
  async () => {
    const given = process.env.MINMAXQ_SEED;
    const first = given === undefined ? Math.floor(Math.random() * 2 ** 31) : Number(given);
    const until = performance.now() + TIME;
    let count = 0;
    const refusals: string[] = [];
    do {
      const seed = first + count++;
      try {
        const refusal = await holds(seed);
        if (refusal !== null) refusals.push(`MINMAXQ_SEED=${seed}: ${refusal}`);
      } catch (error) {
        const text = operatorTexts(randomModel(new Random(seed), seed % LARGE === 0).model).join("\n  ");
        throw new Error(`MINMAXQ_SEED=${seed} bun test test/property:\n  ${text}`, { cause: error });
      }
    } while (given === undefined && performance.now() < until);
    console.log(`${count} random models from seed ${first} on`);
    // Nothing in these models is beyond the rules.
    expect(refusals).toEqual([]);
  },
  TIME + 120_000,
);
