/** What a job's key depends on: everything that the result depends on, and nothing else. */
import { describe, expect, test } from "bun:test";
import { appendFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import pkg from "../../package.json" with { type: "json" };
import { type Entry, jobOf, keyOf } from "../../src/batch/job.ts";
import { Hashes, keyOfJob } from "../../src/batch/key.ts";
import { JOB_OPTIONS } from "../../src/options/lists.ts";
import { cleanUpAfterwards, folder } from "../cli/support.ts";

cleanUpAfterwards();

const cwd = folder();
const file = (name: string, text: string) => {
  writeFileSync(join(cwd, name), text);
  return join(cwd, name);
};
const BASE: Entry = { model: file("m.circle", "a model"), output: join(cwd, "q.circle"), data: "random:2" };

async function key(more: Entry = {}): Promise<string> {
  return (await keyOfJob(jobOf({ ...BASE, ...more }), new Hashes())).key;
}

describe("a job's key", () => {
  const same: Entry[] = [
    {},
    { output: join(cwd, "elsewhere/q.circle") },
    { "num-threads": 1 },
    { "memory-limit": "500MB" },
    // Defaults that are written out.
    { dtype: "uint8", mode: "percentile", granularity: "channel" },
    { scheme: "uint8" },
  ];
  for (const more of same)
    test(`does not depend on ${JSON.stringify(Object.keys(more))}`, async () =>
      expect(await key(more)).toBe(await key()));

  const other: Entry[] = [
    { output: join(cwd, "q.tflite") },
    { data: "random:3" },
    { dtype: "int16" },
    { scheme: "int8" },
    { scheme: "int8", activations: "symmetric" },
    { scheme: "dynamic-int4", data: null, output: join(cwd, "q.tflite") },
    { scheme: "dynamic-int4", data: null, output: join(cwd, "q.tflite"), block: 32 },
    { granularity: "layer" },
    { mode: "minmax" },
    { "min-percentile": 2 },
    { mode: "moving_average", "moving-avg-batch": 2 },
    { mode: "moving_average", "moving-avg-const": 0.5 },
    { "data-format": "random", data: "random:4" },
    { "tf-style-maxpool": true },
    { "profile-data": true },
    { "max-percentile": 98 },
    { "fast-math": true },
    { split: 0.25 },
    { strict: true },
    { "no-run": true },
    { "save-min-max": true },
    { "mask-value": -50 },
    { sequence: true },
    { accuracy: "good" },
    { accuracy: "best" },
    { "bias-correction": true },
    { rounding: "gptq" },
    { "range-margin": 1.5 },
    { equalize: true },
    { "input-shape": ["x=1,2"] },
    { scale: "0..1" },
    { scale: "-1..1" },
    { mean: [0.5, 0.5, 0.5] },
    { std: 127.5 },
    { resize: "crop" },
    { channels: "bgr" },
    { "skip-bad": true },
    { target: "onert" },
    { target: "onert", "custom-operators": ["a"] },
    { prepare: "decompose-hard-swish" },
    { "no-prepare": "zero-bias" },
    { layer: ["a=int16"] },
    { "input-dtype": "float32" },
    { "output-dtype": "float32" },
    { config: file("layers.json", "{}") },
    // It has to be written, too.
    { explain: join(cwd, "why.json") },
    // It has to be measured, too, and may fail.
    { compare: true },
    { compare: 1 },
    { "fail-below": "sqnr=20" },
    { "fail-below": ["sqnr=20", "cosine=0.9"] },
    { "fail-above": "mae=0.1" },
    { scheme: "dynamic-int8", compare: true, output: join(cwd, "q.tflite") },
  ];
  test("depends on every other option", async () => {
    const keys = await Promise.all([{}, ...other].map(key));
    expect(new Set(keys).size).toBe(other.length + 1);
    const tried = new Set([...same, ...other].flatMap(Object.keys));
    expect(JOB_OPTIONS.map(keyOf).filter((name) => !tried.has(name))).toEqual([]);
  });

  test("is for a job without limits what it was before there were any, so results of then still count", async () => {
    const sha = (text: string) => new Bun.CryptoHasher("sha256").update(text).digest("hex");
    const parts = [
      pkg.version,
      "circle",
      sha("a model"),
      ["data", "random:2", [], []],
      ["granularity", "channel"],
      ["mode", "percentile"],
      ["movingAvgBatch", 16],
      ["movingAvgConst", 0.1],
      ["output"],
      ["scheme", "uint8"],
    ];
    expect(await key()).toBe(sha(JSON.stringify(parts)));
  });

  test("depends on the pictures of a folder and of a pattern, and on their order", async () => {
    const photos = folder();
    const put = (name: string, text: string) => writeFileSync(join(photos, name), text);
    put("a.png", "one");
    put("b.png", "two");
    const data = [photos, join(photos, "*.png")];
    const keysOf = () => Promise.all(data.map((each) => key({ data: each })));
    const seen = [await keysOf()];
    put("b.png", "three");
    seen.push(await keysOf());
    renameSync(join(photos, "a.png"), join(photos, "c.png"));
    seen.push(await keysOf());
    for (const i of data.keys()) expect(new Set(seen.map((keys) => keys[i])).size).toBe(3);
    put("other.jpg", "not matched");
    expect((await keysOf())[1]).toBe(seen[2]![1]!);
    expect((await keysOf())[0]).not.toBe(seen[2]![0]!);
  });

  test("depends on the contents of the model, of data and of layer settings, not on their names", async () => {
    const more = { data: file("a.npy", "samples"), config: file("c.json", "{}") };
    const before = await key(more);
    renameSync(more.data, join(cwd, "b.npy"));
    renameSync(more.config, join(cwd, "d.json"));
    const renamed = { data: join(cwd, "b.npy"), config: join(cwd, "d.json") };
    expect(await key(renamed)).toBe(before);
    const keys = new Set([before]);
    for (const path of [renamed.data, renamed.config, String(BASE.model)]) {
      appendFileSync(path, " ");
      keys.add(await key(renamed));
    }
    expect(keys.size).toBe(4);
  });
});
