/** Causes of loss on models that are made to have them, and the parts against models that have those parts only. */
import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { join } from "node:path";
import { CAUSES, type Cause, type CauseCode } from "../../src/search/causes.ts";
import { write } from "../cli/models.ts";
import { cleanUpAfterwards, folder, refused, succeeded } from "../cli/support.ts";
import { cancelling, samples, smallLogistic, uneven, unevenWeights } from "./models.ts";

cleanUpAfterwards();
setDefaultTimeout(120_000);

interface Facts {
  samples: number;
  outputs: {
    name: string;
    sqnr: Record<string, number | null>;
    roundings: {
      kind: string;
      name: string;
      share: number;
      cumulated: number;
      sqnr: number | null;
      clipped?: number;
    }[];
  }[];
  causes: (Omit<Cause, "remedies"> & { try: string[] })[];
}

async function diagnosed(
  model: Parameters<typeof write>[0],
  of: Parameters<typeof samples>[2],
  ...more: string[]
): Promise<Facts> {
  const cwd = folder();
  await write(model, join(cwd, "m.circle"));
  samples(cwd, 16, of);
  const args = ["diagnose", "m.circle", "--data", "samples.npy", "--mode", "minmax", "--json", "--quiet", ...more];
  return JSON.parse((await succeeded(args, { cwd })).out);
}

const plain = (values: Float32Array) => values;
const codes = ({ causes }: Facts): CauseCode[] => causes.map(({ code }) => code);

describe("causes", () => {
  test("uneven channels: one tensor, that one", async () => {
    const facts = await diagnosed(uneven(), plain);
    expect(codes(facts)).toContain("activations");
    expect(codes(facts)).toContain("uneven-channels");
    expect(codes(facts)).toContain("one-tensor");
    expect(codes(facts)).not.toContain("weights");
    expect(facts.outputs[0]!.roundings[0]).toMatchObject({ kind: "activation", name: "up" });
    expect(facts.causes.find(({ code }) => code === "one-tensor")!.try).toEqual(["--layer 'up=int16'"]);
  });

  test("weights with one scale for rows of different sizes", async () => {
    const facts = await diagnosed(unevenWeights(), (values) => values.with(0, 0), "--granularity", "layer");
    expect(codes(facts)).toContain("weights-per-tensor");
    expect(codes(facts)).not.toContain("activations");
  });

  test("a LOGISTIC whose values are below its steps", async () => {
    const facts = await diagnosed(smallLogistic(), plain, "--scheme", "int8");
    const cause = facts.causes.find(({ code }) => code === "fixed-steps")!;
    expect(cause.text).toContain("LOGISTIC output has steps of 1/256");
    expect(cause.try).toEqual(["--layer 'p=float32' --output-dtype float32"]);
    // Steps of 1/256 make 0 of 1/3000: the error is the signal, 0 dB.
    expect(facts.outputs[0]!.sqnr.outputs).toBeCloseTo(0, 1);
  });

  test("samples that leave the ranges that others set", async () => {
    // The odd ones are held back, and are four times as large.
    const facts = await diagnosed(uneven(), (values, i) => values.map((value) => (i % 2 === 1 ? 4 * value : value)));
    expect(codes(facts)).toContain("clipping");
    // The first channel, which makes the ranges, goes from end to end in every other sample of both parts.
    const ends = (values: Float32Array, i: number) => values.map((value) => 0.9 * value).with(0, i % 4 < 2 ? 1 : -1);
    const fitting = await diagnosed(uneven(), ends);
    expect(codes(fitting)).not.toContain("clipping");
    const input = facts.outputs[0]!.roundings.find(({ name, kind }) => name === "x" && kind === "activation")!;
    // Of values spread evenly over −4…4, three quarters are outside −1…1, whatever the samples are to a few percent.
    expect(input.clipped).toBeGreaterThan(0.65);
    expect(input.clipped).toBeLessThan(0.85);
  });

  test("a float model that answers to the smallest changes", async () => {
    // In 16 bits the quantizer itself is better than that.
    const facts = await diagnosed(
      cancelling(),
      (values) => values.map((value) => 100 + 0.02 * value),
      ...["--dtype", "int16"],
    );
    expect(codes(facts)).toContain("sensitive");
    expect(codes(await diagnosed(uneven(), plain))).not.toContain("sensitive");
  });

  test("inputs, where they alone are rounded coarsely", async () => {
    // 105 in 255 steps, and 10 of 105 are left.
    const facts = await diagnosed(cancelling(), (values) => values.map((value) => 100 + 5 * value));
    expect(codes(facts)).toContain("inputs");
  });

  test("codes are stable and each has a row", () => {
    expect(CAUSES.map(({ code }) => code)).toEqual([
      "sensitive",
      "fixed-steps",
      "outputs",
      "inputs",
      "weights-per-tensor",
      "weights",
      "clipping",
      "activations",
      "uneven-channels",
      "one-tensor",
      "few-tensors",
      "spread",
    ]);
  });
});

describe("measurements", () => {
  test("all roundings together are the quantized model, and none is the float one", async () => {
    const cwd = folder();
    await write(uneven(), join(cwd, "m.circle"));
    samples(cwd, 16, plain);
    const where = { cwd };
    const data = ["--data", "samples.npy", "--split", "0.5"];
    await succeeded(["quantize", "m.circle", ...data, "--mode", "minmax", "-o", "q.circle"], where);
    const { out } = await succeeded(["compare", "m.circle", "q.circle", ...data, "--why", "--json"], where);
    const { samples: count, outputs, why } = JSON.parse(out);
    expect(count).toBe(8);
    expect(why.samples).toBe(8);
    expect(why.unmatchedConstants).toEqual([]);
    // Measured in two ways: compare's own sums, and the variant with everything on.
    expect(why.outputs[0].sqnr.all).toBeCloseTo(outputs[0].metrics.sqnr, 6);
  });

  test("shares are of one, sorted, and add up", async () => {
    const { outputs } = await diagnosed(uneven(), plain);
    const { roundings, sqnr } = outputs[0]!;
    // x, up, down, fc2, fc3; constants of four operators.
    expect(roundings).toHaveLength(9);
    let sum = 0;
    for (const [i, { share, cumulated }] of roundings.entries()) {
      sum += share;
      expect(cumulated).toBeCloseTo(sum, 9);
      if (i > 0) expect(share).toBeLessThanOrEqual(roundings[i - 1]!.share);
    }
    expect(sum).toBeCloseTo(1, 9);
    // Noises add up: within the 2 dB that the facts state.
    expect(Math.abs(sqnr.sum! - sqnr.all!)).toBeLessThan(2);
  });

  test("on a terminal names fit, and the sentence stands below", async () => {
    const cwd = folder();
    await write(uneven(), join(cwd, "m.circle"));
    samples(cwd, 16, plain);
    const { out } = await succeeded(["diagnose", "m.circle", "--data", "samples.npy"], { cwd });
    expect(out).toContain("one-tensor: one tensor (FULLY_CONNECTED) carries");
    expect(out).toContain("activations");
  });
});

describe("refusals", () => {
  const cwd = folder();
  test("too few samples", async () => {
    await write(uneven(), join(cwd, "m.circle"));
    samples(cwd, 1, plain);
    await refused(["diagnose", "m.circle", "--data", "samples.npy"], { cwd }, 2, "too few samples");
  });
  test("no samples", async () => {
    await refused(["diagnose", "m.circle"], { cwd }, 2, "--data");
  });
  test("a share that is none", async () => {
    await refused(["diagnose", "m.circle", "--data", "random:4", "--split", "1"], { cwd }, 2, "above 0 and below 1");
  });
});
