/** Tuning by the executable: what the samples that check have to say, and weights alone. */
import { beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { existsSync, statSync } from "node:fs";
import { join } from "node:path";
import { write } from "../cli/models.ts";
import { cleanUpAfterwards, folder, succeeded } from "../cli/support.ts";
import { noisy, samples, uneven } from "./models.ts";
import { type Facts, pointOf, worst } from "./tune-facts.ts";

cleanUpAfterwards();
setDefaultTimeout(120_000);

const DATA = ["--data", "samples.npy", "--mode", "minmax"];

describe("the samples that check", () => {
  // Of sixteen samples every fourth checks (docs: every other one of the held half). Smaller ones have the same steps and less signal.
  const scaled = (share: number) => (values: Float32Array, i: number) =>
    i % 4 === 3 ? values.map((v) => v * share) : values;

  async function inFolder(share: number, args: string[]): Promise<Facts & { dir: string; err: string }> {
    const dir = folder();
    await write(uneven(), join(dir, "m.circle"));
    samples(dir, 16, scaled(share));
    const all = ["tune", "m.circle", ...DATA, ...args, "-o", "out.circle"];
    const { out } = await succeeded([...all, "--json", "--quiet"], { cwd: dir });
    const { out: text } = await succeeded([...all, "--force"], { cwd: dir });
    return { ...JSON.parse(out), dir, err: text };
  }

  test("a target that holds on the samples of the search alone is not enough", async () => {
    const even = await inFolder(1, ["--until", "sqnr=36", "--output-dtype", "int16"]);
    expect(even.layers).toEqual({ up: "int16", down: "int16" });
    const facts = await inFolder(0.5, ["--until", "sqnr=36", "--output-dtype", "int16"]);
    const result = pointOf(facts, "result")!;
    expect(worst(result)).toBeGreaterThanOrEqual(36);
    expect(Math.min(...(result.unseen as number[]))).toBeGreaterThanOrEqual(36);
    expect(facts.holdsOnUnseen).toBe(true);
    expect(Object.keys(facts.layers).length).toBeGreaterThan(2);
    // Another way to the same: compare, on the held half (of which the checking samples are half).
    const { out } = await succeeded(
      ["compare", "m.circle", "out.circle", "--data", "samples.npy", "--split", "0.5", "--json"],
      { cwd: facts.dir },
    );
    expect(JSON.parse(out).outputs[0].metrics.sqnr).toBeGreaterThanOrEqual(36);
  });

  test("what nothing brings to hold there is said, and the result is within 1 dB of the most", async () => {
    const facts = await inFolder(0.01, ["--until", "sqnr=30"]);
    const of = (what: string) => pointOf(facts, what)!.unseen![0] as number;
    expect(of("all high")).toBeLessThan(30);
    expect(facts.holdsOnUnseen).toBe(false);
    expect(of("result")).toBeGreaterThanOrEqual(of("all high") - 1 - 1e-6);
    expect(facts.err).toContain("on the samples that check, the target is missed");
    expect(existsSync(join(facts.dir, "out.circle"))).toBe(true);
  });

  test("a budget does not look at them", async () => {
    const facts = await inFolder(0.5, ["--at-most", "50%"]);
    expect(facts.checkDecides).toBe(false);
    expect(facts.holdsOnUnseen).toBeNull();
  });
});

describe("weights alone", () => {
  const cwd = folder();
  beforeAll(async () => {
    await write(uneven(), join(cwd, "m.tflite"));
    samples(cwd, 16, (values) => values);
  });
  const WEIGHTS = ["--data", "samples.npy", "--scheme", "weights-int4"];
  const run = async (args: string[], output: string, model = "m.tflite"): Promise<Facts> =>
    JSON.parse((await succeeded(["tune", model, ...args, "-o", output, "--force", "--json", "--quiet"], { cwd })).out);

  test("int4 and int8: bytes count four bits for a weight", async () => {
    const facts = await run([...WEIGHTS, "--cost", "bytes", "--at-most", "100%"], "w.tflite");
    // Four layers of 16 × 16 weights: 1024 halves of a byte more.
    expect(pointOf(facts, "all high")!.cost).toBe(512);
    expect(pointOf(facts, "all high")!.bytes - pointOf(facts, "all low")!.bytes).toBe(512);
  });

  test("a size is kept, by layers of both", async () => {
    await write(noisy(), join(cwd, "noisy.tflite"));
    const all = await run([...WEIGHTS, "--at-most", "100%"], "w.tflite", "noisy.tflite");
    const size = pointOf(all, "all low")!.bytes + 300;
    const facts = await run([...WEIGHTS, "--target-size", `${size / 1000}KB`], "w.tflite", "noisy.tflite");
    expect(statSync(join(cwd, "w.tflite")).size).toBeLessThanOrEqual(size);
    expect(worst(pointOf(facts, "result")!)).toBeGreaterThan(worst(pointOf(facts, "all low")!));
    const { out } = await succeeded(["inspect", "w.tflite", "--json"], { cwd });
    for (const dtype of ["INT4", "INT8"]) expect(out).toContain(dtype);
  });

  test("kernels that round activations while they run are measured as they are", async () => {
    const args = ["--data", "samples.npy", "--scheme", "dynamic-int8", "--at-most", "50%"];
    const facts = await run(args, "w.tflite");
    // Each row has one weight, so its integers are exact, and all that is lost is lost by rounded activations.
    expect(worst(pointOf(facts, "all low")!)).toBeLessThan(60);
    expect(worst(pointOf(facts, "all high")!)).toBe(Number.POSITIVE_INFINITY);
  });
});
