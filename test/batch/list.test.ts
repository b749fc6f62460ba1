/** Job lists: what is read from them, and everything wrong with one told at once. */
import { describe, expect, test } from "bun:test";
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { jobsSchema, overridesSchema } from "../../scripts/generate-config-schema.ts";
import { jobOf } from "../../src/batch/job.ts";
import { type JobList, readJobs } from "../../src/batch/job-list.ts";
import { quantize } from "../../src/commands/quantize.ts";
import { OPTIONS, type OptionName } from "../../src/options/table.ts";
import type { Given } from "../../src/options/values.ts";
import { cleanUpAfterwards, folder, refused } from "../cli/support.ts";
import { list, models } from "./support.ts";

cleanUpAfterwards();

const NONE: Given = new Map();

function read(content: unknown, out?: string): JobList & { cwd: string } {
  const cwd = folder();
  return { cwd, ...readJobs(join(cwd, list(cwd, content)), out && join(cwd, out), NONE) };
}

/** The lines of the refusal, without the file's name. */
function problems(content: unknown): string[] {
  const cwd = folder();
  const path = join(cwd, list(cwd, content));
  try {
    readJobs(path, undefined, NONE);
  } catch (error) {
    const lines = (error as Error).message.split("\n");
    return (lines.length > 1 ? lines.slice(1) : lines).map((line) => line.trim().replace(`${path}: `, ""));
  }
  return [];
}

describe("what a list says", () => {
  test("every option of quantize has its name, its check and its default", () => {
    const values: Partial<Record<OptionName, unknown>> = {
      data: "random:2",
      dataFormat: "random",
      // The one that the target below takes; another one is in the next tests.
      scheme: "uint8",
      activations: "asymmetric",
      dtype: "uint8",
      granularity: "channel",
      target: "onert",
      customOperators: ["one", "two"],
      inputDtype: ["float32", "uint8"],
      outputDtype: "float32",
      mode: "Minmax",
      minPercentile: 2,
      maxPercentile: "98.5",
      movingAvgBatch: 3,
      movingAvgConst: 0.5,
      split: 0.25,
      numThreads: 1,
      memoryLimit: "500MB",
      maskValue: "-50",
      inputShape: ["x=1,8,8,3"],
      scale: "-1..1",
      mean: [0.5, 0.25, 0.125],
      std: 2,
      resize: "crop",
      channels: "BGR",
      config: "layers.json",
      layer: ["a=int16", "b*=uint8:layer"],
      withSteps: ["relu-to-mul", "decompose-hard-swish"],
      withoutSteps: ["all", "zero-bias"],
      accuracy: "Good",
      rounding: "gptq",
      rangeMargin: "1.5",
      explain: "why.json",
    };
    // Blocks are for schemes that the other options do not go with.
    const left = ["output", "force", "json", "block"];
    const names = quantize.options.filter((name) => !left.includes(name));
    const key = (name: OptionName) => OPTIONS[name].flags.split(" ")[0]!.slice(2);
    const entry = Object.fromEntries(names.map((name) => [key(name), values[name] ?? true]));
    const { jobs, cwd } = read({ jobs: [{ model: "m.circle", ...entry }] });
    expect(jobs[0]!.options).toEqual({
      output: join(cwd, "m.q8.circle"),
      data: [{ location: "random:2" }],
      dataFormat: [{ format: "random" }],
      scale: [-1, 1],
      mean: [0.5, 0.25, 0.125],
      std: [2],
      resize: "crop",
      channels: "bgr",
      skipBad: true,
      scheme: "uint8",
      activations: "asymmetric",
      dtype: "uint8",
      granularity: "channel",
      target: "onert",
      customOperators: ["one", "two"],
      inputDtype: ["FLOAT32", "UINT8"],
      outputDtype: ["FLOAT32"],
      mode: "minmax",
      minPercentile: 2,
      maxPercentile: 98.5,
      movingAvgBatch: 3,
      movingAvgConst: 0.5,
      split: 0.25,
      numThreads: 1,
      memoryLimit: 500e6,
      fastMath: true,
      config: join(cwd, "layers.json"),
      layer: ["a=int16", "b*=uint8:layer"],
      withSteps: ["relu-to-mul", "decompose-hard-swish"],
      withoutSteps: ["all", "zero-bias"],
      accuracy: "good",
      biasCorrection: true,
      rounding: "gptq",
      rangeMargin: 1.5,
      tfStyleMaxpool: true,
      saveMinMax: true,
      sequence: true,
      maskValue: -50,
      inputShape: [{ name: "x", shape: [1, 8, 8, 3] }],
      strict: true,
      equalize: true,
      withoutRun: true,
      explain: join(cwd, "why.json"),
      profileData: true,
    } as never);
    const plain = read({ jobs: [{ model: "m.circle" }] }).jobs[0]!.options;
    const defaults = names.filter((name) => "default" in OPTIONS[name]);
    expect(defaults.length).toBeGreaterThan(3);
    for (const name of defaults)
      expect(plain[name]).toEqual((OPTIONS as Record<OptionName, { default?: unknown }>)[name].default as never);
    // What travels is read again to the same.
    expect(jobOf(JSON.parse(JSON.stringify(jobs[0]!.entry)))).toEqual({
      model: jobs[0]!.model,
      output: jobs[0]!.output,
      options: jobs[0]!.options,
      entry: jobs[0]!.entry,
    });
  });

  test("paths count from the list, outputs from --out; a name by the rule", () => {
    const { jobs, cwd, out } = read(
      {
        defaults: { data: "samples.npz", dtype: "int16" },
        jobs: [
          { model: "sub/a.tflite" },
          { model: "../b.circle", dtype: "uint8", data: null },
          { model: "/c.circle", output: "named/c.tflite", data: "random" },
        ],
      },
      "out",
    );
    expect(out).toBe(join(cwd, "out"));
    expect(jobs.map(({ entry }) => entry)).toEqual([
      {
        model: join(cwd, "sub/a.tflite"),
        data: join(cwd, "samples.npz"),
        dtype: "int16",
        output: join(out, "sub/a.q16.circle"),
      },
      { model: join(cwd, "../b.circle"), dtype: "uint8", output: join(out, "b.q8.circle") },
      { model: "/c.circle", data: "random", dtype: "int16", output: join(out, "named/c.tflite") },
    ]);
  });

  test("a default that needs data is none for a job without; an option of its own is a mistake", () => {
    const defaults = { data: "random", mode: "minmax" };
    expect(read({ defaults, jobs: [{ model: "a", data: null }] }).jobs[0]!.entry.mode).toBeUndefined();
    expect(problems({ defaults, jobs: [{ model: "a", data: null, mode: "mse" }] })).toEqual([
      'jobs[0].mode: does nothing without "data"',
    ]);
  });

  test("jobs of one model have names of their own", () => {
    const { jobs } = read({
      jobs: [{ model: "a.circle" }, { model: "a.circle", dtype: "int16" }, { model: "b.circle" }],
    });
    expect(jobs.map(({ shown }) => shown)).toEqual(["a.circle → a.q8.circle", "a.circle → a.q16.circle", "b.circle"]);
  });
});

describe("what is wrong with a list", () => {
  test("everything at once, with its place", () => {
    const lines = problems({
      defaults: { dtyp: "uint8", mode: "minmx" },
      jobs: [
        { model: "a.tflite", dtype: "uint9", granularty: "layer" },
        { layer: [], force: true },
        7,
        {
          model: "",
          "min-percentile": 101,
          "no-prepare": ["nope"],
          data: 7,
          strict: "yes",
          "input-dtype": ["uint8", "foo"],
        },
      ],
      extra: 1,
    });
    expect(lines.map((line) => line.replace(/; did you mean all.*/, "")).sort()).toEqual([
      'defaults.dtyp: there is no such option; did you mean "dtype"?',
      'defaults.mode: is "minmx"; choose percentile or moving_average or minmax or percentile_all or entropy or mse',
      'extra: is unknown; a job list has "defaults", "jobs" and "overrides"',
      'jobs[0].dtype: is "uint9"; choose uint8 or int16',
      'jobs[0].granularty: there is no such option; did you mean "granularity"?',
      "jobs[1].force: is no option of a job: the output must not be the input; see --redo",
      "jobs[1].layer: is empty",
      "jobs[1].model: is missing",
      "jobs[2]: must be an object with a model, or a pattern",
      "jobs[3].data: must be a text, or a list of texts",
      'jobs[3].input-dtype: is ["uint8","foo"]; choose uint8 or int16 or int32 or int64 or float32 or bool or int8',
      "jobs[3].min-percentile: is 101; it must be a number from 0 to 100",
      "jobs[3].model: is empty",
      'jobs[3].no-prepare: is ["nope"]; there is no step "nope"',
      "jobs[3].strict: must be true or false",
    ]);
  });

  test("options that cannot stand together, and layers that are none", () => {
    expect(
      problems({
        defaults: { dtype: "int16" },
        jobs: [
          { model: "a", granularity: "layer" },
          { model: "b", layer: ["x=int16", "conv"] },
        ],
      }),
    ).toEqual([
      "jobs[0]: --granularity layer: not with int16, as in ONE; use --granularity channel",
      expect.stringContaining('jobs[1]: --layer "conv": has no NAME=SCHEME'),
    ]);
  });

  test("two jobs that write one file, or one that writes what another reads", () => {
    const lines = problems({
      defaults: { data: "s.npz" },
      jobs: [
        { model: "a.tflite" },
        { model: "a.circle" },
        { model: "c.circle", output: "./x/../a.tflite" },
        { model: "d.circle", explain: "s.npz" },
        { model: "e.circle", output: "e.circle" },
        { model: "f.circle", data: "samples", output: "samples/f.circle" },
        { model: "g.circle", output: "jobs.json" },
        { model: "h.circle", output: "results.jsonl" },
      ],
    });
    expect(lines.map((line) => line.replaceAll(/\/\S*\//g, ""))).toEqual([
      "jobs[1]: its output a.q8.circle is the output of jobs[0], too; give another path",
      "jobs[2]: its output a.tflite is the model of jobs[0]; give another path",
      expect.stringContaining("jobs[3]: its explain s.npz is the data of jobs["),
      "jobs[4]: its output e.circle is the model of jobs[4]; give another path",
      "jobs[5]: its output f.circle lies among the samples of jobs[5]; give another path",
      "jobs[6]: its output jobs.json is the batch's own file; give another path",
      "jobs[7]: its output results.jsonl is the batch's own file; give another path",
    ]);
  });

  test("links do not hide that two paths are one file", () => {
    const cwd = folder();
    mkdirSync(join(cwd, "real"));
    symlinkSync("real", join(cwd, "link"));
    const path = join(
      cwd,
      list(cwd, {
        jobs: [
          { model: "a", output: "real/x" },
          { model: "b", output: "link/x" },
        ],
      }),
    );
    expect(() => readJobs(path, undefined, NONE)).toThrow(/jobs\[1\]: its output .* is the output of jobs\[0\]/);
  });

  test.each([
    ["no JSON", "{", "cannot be read as JSON"],
    ["a list", "[]", 'the file: must be an object with "jobs"'],
    ["no jobs", "{}", "jobs: is missing"],
    ["an empty list", '{"jobs": []}', "jobs: is empty"],
    ["a control character", '{"jobs": [{"model": "a\\nb"}]}', "jobs[0].model: has a control character"],
  ])("%s", (_, text, says) => {
    const path = join(folder(), "jobs.json");
    writeFileSync(path, text);
    expect(() => readJobs(path, undefined, NONE)).toThrow(says);
  });
});

test("the shipped JSON Schema is that of the code", () => {
  expect(readFileSync(join(import.meta.dir, "../../schema/jobs.schema.json"), "utf8")).toBe(jobsSchema());
  expect(readFileSync(join(import.meta.dir, "../../schema/overrides.schema.json"), "utf8")).toBe(overridesSchema());
  expect(read({ $schema: "jobs.schema.json", jobs: [{ model: "a" }] }).jobs.length).toBe(1);
});

describe("a folder", () => {
  test("all models below, sorted, mirrored below --out; not hidden ones, links to folders or the outputs", () => {
    const cwd = folder();
    for (const name of [
      "b/x.tflite",
      "a.circle",
      "b.CIRCLE",
      ".hidden.circle",
      ".git/y.circle",
      "out/a.q8.circle",
      "t.txt",
    ]) {
      mkdirSync(join(cwd, name, ".."), { recursive: true });
      writeFileSync(join(cwd, name), "");
    }
    symlinkSync("b", join(cwd, "again"));
    symlinkSync("../a.circle", join(cwd, "b/linked.circle"));
    const given: Given = new Map([
      ["data", ["random:3"]],
      ["layer", ["a=int16", "b=int16"]],
      ["strict", [true]],
    ]);
    const { jobs } = readJobs(cwd, join(cwd, "out"), given);
    const options = { data: ["random:3"], layer: ["a=int16", "b=int16"], strict: true };
    expect(jobs.map(({ entry }) => entry)).toEqual(
      ["a.circle", "b.CIRCLE", "b/linked.circle", "b/x.tflite"].map((name) => ({
        ...options,
        model: join(cwd, name),
        output: join(cwd, "out", name.replace(/\.\w+$/, ".q8.circle")),
      })),
    );
  });
});

describe("the command line", () => {
  test("exit code 1 for a wrong list, 2 for a wrong command line; nothing is written", async () => {
    const cwd = await models();
    list(cwd, { jobs: [{ model: "models/a.circle", dtype: "uint9" }] });
    await refused(["batch", "jobs.json"], { cwd }, 1, 'jobs.json: jobs[0].dtype: is "uint9"; choose uint8 or int16');
    await refused(["batch", "nosuch"], { cwd }, 1, "nosuch: there is no such file or folder");
    await refused(["batch", "models"], { cwd }, 2, "models: is a folder; say with --out where the outputs go");
    await refused(["batch", "models", "--out", "./models"], { cwd }, 2, "is the folder of the models itself");
    await refused(
      ["batch", "jobs.json", "--dtype", "int16"],
      { cwd },
      2,
      '--dtype: is for a folder of models; with a job list, write "dtype" into its "defaults"',
    );
    await refused(
      ["batch", "models", "--out", "q", "--mode", "mse"],
      { cwd },
      2,
      "--mode: does nothing without --data",
    );
    await refused(["batch", "models", "--out", "q", "--force"], { cwd }, 2, "unknown option '--force'");
    await refused(["batch", "jobs.json", "--jobs", "0"], { cwd }, 2, "whole number from 1");
    await refused(
      ["batch", "jobs.json", "--jobs", "2", "--queue", "env"],
      { cwd },
      2,
      "--jobs: does nothing with --queue",
    );
    await refused(
      ["batch", "jobs.json", "--isolate", "--queue", "env"],
      { cwd },
      2,
      "--isolate: does nothing with --queue",
    );
    await refused(["batch"], { cwd }, 2, "missing required argument");
    mkdirSync(join(cwd, "empty"));
    await refused(["batch", "empty", "--out", "q"], { cwd }, 1, "empty: has no .circle or .tflite file");
    await refused(["__job"], { cwd }, 1, "__job: is for minmaxq's own use");
  });
});
