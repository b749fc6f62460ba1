/** Batches that hold their results against the models, and those that are only looked at. */
import { describe, expect, test } from "bun:test";
import { copyFileSync, existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { convolution, FLOATS, RECORDED, write } from "../cli/models.ts";
import { cleanUpAfterwards, files, folder, minmaxq, REAL, refused } from "../cli/support.ts";
import { list, results } from "./support.ts";

cleanUpAfterwards();

interface Job {
  model: string;
  output: string;
  status: string;
  would: string;
  why: string;
  reason?: string;
  group?: string;
  bytes?: [number, number];
  ranges?: string;
  samples?: number;
  scheme?: string;
  failedBefore?: string;
  warnings?: string[];
  accuracy?: { output: string; sqnr: number | string; samples: number; ran: string; broken: string[] };
}

/** Runs with --json; gives the exit code and the jobs by model. */
async function batch(cwd: string, ...more: string[]): Promise<{ code: number; jobs: Record<string, Job> }> {
  const { code, out, err } = await minmaxq(["batch", "jobs.json", "--out", "q", "--json", ...more], { cwd });
  if (out === "") throw new Error(err);
  const { jobs } = JSON.parse(out) as { jobs: Job[] };
  return { code, jobs: Object.fromEntries(jobs.map((job) => [job.model, job])) };
}

/** The worst SQNR of outputs that `compare` tells, and the output. */
async function worst(cwd: string, model: string, output: string, data: string): Promise<[string, number]> {
  const { out } = await minmaxq(["compare", model, output, "--data", data, "--json"], { cwd });
  const { outputs } = JSON.parse(out) as { outputs: { name: string; metrics: { sqnr: number } }[] };
  const [found] = outputs.sort((a, b) => a.metrics.sqnr - b.metrics.sqnr);
  return [found!.name, found!.metrics.sqnr];
}

async function place(): Promise<string> {
  const cwd = folder();
  mkdirSync(join(cwd, "m"));
  copyFileSync(REAL, join(cwd, "m/face.tflite"));
  await write(convolution(), join(cwd, "m/small.tflite"));
  await write(convolution({}, FLOATS(6), FLOATS(3)), join(cwd, "m/other.circle"));
  return cwd;
}

describe("accuracy", () => {
  test("is what compare says of the worst output, of all samples or the first; also of weights alone", async () => {
    const cwd = await place();
    list(cwd, {
      defaults: { data: "random:4", scheme: "int8", compare: true },
      jobs: ["m/*.tflite", { model: "m/other.circle", scheme: "int16", compare: 2 }],
      overrides: [{ match: "face*", scheme: "dynamic-int8" }],
    });
    const { code, jobs } = await batch(cwd);
    expect(code).toBe(0);
    const expected = { "m/face.tflite": 4, "m/small.tflite": 4, "m/other.circle": 2 };
    expect(Object.keys(jobs).sort()).toEqual(Object.keys(expected).sort());
    for (const [model, samples] of Object.entries(expected)) {
      // Made-up samples are the same from the first on, however many there are.
      const [output, sqnr] = await worst(cwd, model, join("q", jobs[model]!.output), `random:${samples}`);
      expect(jobs[model]!.accuracy).toMatchObject({ output, sqnr, samples, broken: [] });
    }
    expect(jobs["m/face.tflite"]!.output).toBe("m/face.dynamic-int8.tflite");
    expect(jobs["m/other.circle"]!.accuracy!.ran).toBe("fake-quantized");
    // Kept for the next time, and in the table.
    const { out } = await minmaxq(["batch", "jobs.json", "--out", "q"], { cwd });
    const sqnr = (jobs["m/small.tflite"]!.accuracy!.sqnr as number).toFixed(1);
    expect(out).toMatch(new RegExp(`^m/small\\.tflite +skipped .* ${sqnr.replace(".", "\\.")}`, "m"));
    expect(out).toContain("3 skipped");
    // Asked for less or more, it is measured anew.
    expect((await batch(cwd, "--dry-run", "--fail-below", "sqnr=1")).jobs["m/small.tflite"]!.would).toBe("run");
  });

  test("a job below its limit fails with the reason and leaves no result; other results stay", async () => {
    const cwd = await place();
    list(cwd, {
      defaults: { data: "random:2", scheme: "int8" },
      jobs: ["m/*.tflite"],
      overrides: [{ match: "small*", "fail-below": "sqnr=200", explain: "why.json" }],
    });
    const { code, jobs } = await batch(cwd, "--fail-below", "sqnr=-100");
    expect(code).toBe(1);
    const { status, reason, group, accuracy } = jobs["m/small.tflite"]!;
    expect({ status, group }).toEqual({ status: "failed", group: "an output breaks fail-below sqnr=200" });
    expect(reason).toMatch(/^output "y": sqnr [\d.]+ dB is below the limit 200 dB$/);
    expect(accuracy!.broken).toEqual([reason!]);
    expect(files(join(cwd, "q")).sort()).toEqual(["m/face.int8.tflite", "results.jsonl", "why.json"]);
    expect(jobs["m/face.tflite"]!.accuracy).toBeDefined();
    const line = results(join(cwd, "q")).find(({ model }) => model === "m/small.tflite")!;
    expect(line).toMatchObject({ status: "failed", reason: reason! });
    // With a limit that it keeps it is done.
    list(cwd, { jobs: [{ model: "m/small.tflite", data: "random:2", scheme: "int8", "fail-below": "sqnr=1" }] });
    expect((await batch(cwd)).jobs["m/small.tflite"]!.status).toBe("done");
    expect(existsSync(join(cwd, "q/m/small.int8.tflite"))).toBe(true);
  });

  test("what cannot be held against a limit fails; without a limit it is told and kept", async () => {
    const cwd = folder();
    await write(convolution(RECORDED), join(cwd, "a.circle"));
    // Samples that the comparison cannot read any more are those of another model.
    writeFileSync(join(cwd, "s.npy"), "none");
    const jobs = [{ model: "a.circle", data: "s.npy", output: "a.tflite", scheme: "dynamic-int8" }];
    list(cwd, { jobs: jobs.map((job) => ({ ...job, compare: true })) });
    const kept = (await batch(cwd)).jobs["a.circle"]!;
    expect(kept.status).toBe("done");
    expect(kept.accuracy).toBeUndefined();
    expect(kept.warnings!.join()).toContain("it cannot be compared with its model");
    list(cwd, { jobs: jobs.map((job) => ({ ...job, "fail-above": "mae=1" })) });
    const failed = (await batch(cwd)).jobs["a.circle"]!;
    expect(failed.status).toBe("failed");
    expect(failed.reason).toContain("it cannot be compared with its model");
    expect(files(join(cwd, "q"))).toEqual(["results.jsonl"]);
  });

  test("without samples there is none, and a folder that has none is told so", async () => {
    const cwd = folder();
    mkdirSync(join(cwd, "m"));
    await write(convolution(RECORDED), join(cwd, "m/a.circle"));
    await refused(
      ["batch", "m", "--out", "q", "--compare"],
      { cwd },
      1,
      "--compare: no job has samples to be compared on",
    );
    await refused(["batch", "m", "--out", "q", "--compare", "x"], { cwd }, 2, "whole number from 1, or stand last");
    await refused(["batch", "m", "--out", "q", "--fail-below", "sqnr"], { cwd }, 2, "is no METRIC=NUMBER");
  });
});

describe("--dry-run", () => {
  test("writes nothing; tells outputs, sizes as they come to be, ranges, and what would fail of what", async () => {
    const cwd = await place();
    await write(convolution(RECORDED), join(cwd, "m/recorded.circle"));
    writeFileSync(join(cwd, "m/broken.tflite"), "broken");
    list(cwd, {
      jobs: [
        { model: "m/face.tflite", data: "random:3", scheme: "int8" },
        { model: "m/small.tflite", scheme: "weights-int8" },
        "m/recorded.circle",
        { model: "m/other.circle", dtype: "int16" },
        { model: "m/broken.tflite", data: "random" },
        { model: "m/small.tflite", data: "nosuch.npz", output: "x.circle" },
        { model: "nosuch.circle" },
      ],
    });
    const before = files(cwd);
    const { code, out, err } = await minmaxq(["batch", "jobs.json", "--out", "q", "--dry-run", "--json"], { cwd });
    expect(code).toBe(1);
    expect(err).toEndWith("minmaxq: 4 of 7 jobs would fail\n");
    expect(files(cwd)).toEqual(before);
    const { jobs, dryRun } = JSON.parse(out) as { jobs: Job[]; dryRun: boolean };
    expect(dryRun).toBe(true);
    const facts = jobs.map(({ output, would, ranges, samples, scheme }) => ({
      output,
      would,
      ranges,
      samples,
      scheme,
    }));
    expect(facts.slice(0, 3)).toEqual([
      { output: "m/face.int8.tflite", would: "run", ranges: "samples", samples: 3, scheme: "int8" },
      {
        output: "m/small.weights-int8.tflite",
        would: "run",
        ranges: "none",
        samples: undefined,
        scheme: "weights-int8",
      },
      { output: "m/recorded.q8.circle", would: "run", ranges: "file", samples: undefined, scheme: "uint8" },
    ]);
    const reasons = jobs.slice(3).map(({ would, why }) => `${would}: ${why}`);
    expect(reasons).toEqual([
      expect.stringMatching(/^fail: has no recorded ranges; give sample inputs/),
      expect.stringMatching(/^fail: is no model/),
      expect.stringMatching(/^fail: .*nosuch\.npz: there is no such file/),
      expect.stringMatching(/^fail: there is no such file/),
    ]);
    await batch(cwd);
    for (const { output, bytes, model } of jobs.slice(0, 3)) {
      expect(bytes![0]).toBe(statSync(join(cwd, model)).size);
      const real = statSync(join(cwd, "q", output)).size;
      expect(Math.abs(bytes![1] / real - 1)).toBeLessThan(0.01);
    }
    const again = await minmaxq(["batch", "jobs.json", "--out", "q", "--dry-run"], { cwd });
    expect(again.out).toMatch(/^m\/face\.tflite +skip +done already$/m);
    expect(again.out).toMatch(/\n0 would run, 3 be skipped, 4 fail; outputs in/);
    expect(again.out.split("\n").filter((line) => line.length > 80)).toEqual([]);
  });

  test("says why a job would run", async () => {
    const cwd = folder();
    const jobs = ["new", "changed", "gone", "edited", "failed"].map((name) => `${name}.circle`);
    for (const name of jobs) await write(convolution(name === "failed.circle" ? {} : RECORDED), join(cwd, name));
    list(cwd, { jobs: jobs.slice(1) });
    await minmaxq(["batch", "jobs.json", "--out", "q"], { cwd });
    await write(convolution({ ...RECORDED, y: [0, 2] }), join(cwd, "changed.circle"));
    await write(convolution(RECORDED), join(cwd, "failed.circle"));
    writeFileSync(join(cwd, "q/edited.q8.circle"), "edited");
    await Bun.file(join(cwd, "q/gone.q8.circle")).delete();
    list(cwd, { jobs });
    const why = async (...more: string[]) => {
      const { jobs } = await batch(cwd, "--dry-run", ...more);
      return Object.fromEntries(Object.values(jobs).map(({ model, why }) => [model, why]));
    };
    expect(await why()).toEqual({
      "new.circle": "new",
      "changed.circle": "model, samples, settings or version changed",
      "gone.circle": "its output is gone",
      "edited.circle": "its output was changed",
      "failed.circle": "failed the last time",
    });
    expect(Object.values(await why("--redo"))).toEqual(Array(5).fill("--redo"));
  });
});

describe("--failed", () => {
  test("shows and runs only what failed the last time", async () => {
    const cwd = await place();
    for (const name of ["good", "bad"])
      await write(convolution(name === "bad" ? {} : RECORDED), join(cwd, `${name}.circle`));
    list(cwd, { jobs: ["good.circle", "bad.circle", "gone.circle"] });
    expect((await batch(cwd)).code).toBe(1);
    const shown = await batch(cwd, "--failed", "--dry-run");
    expect(Object.keys(shown.jobs)).toEqual(["bad.circle", "gone.circle"]);
    expect(shown.jobs["bad.circle"]!.failedBefore).toMatch(/^has no recorded ranges/);
    await write(convolution(RECORDED), join(cwd, "bad.circle"));
    const { code, jobs } = await batch(cwd, "--failed");
    expect({ code, found: Object.values(jobs).map(({ model, status }) => `${model} ${status}`) }).toEqual({
      code: 1,
      found: ["bad.circle done", "gone.circle failed"],
    });
    copyFileSync(join(cwd, "good.circle"), join(cwd, "gone.circle"));
    expect((await batch(cwd, "--failed")).code).toBe(0);
    const none = await minmaxq(["batch", "jobs.json", "--out", "q", "--failed"], { cwd });
    expect(none).toMatchObject({
      code: 0,
      out: `no job of the list failed the last time; ${join(cwd, "q/results.jsonl")}\n`,
    });
    // Nothing was done or noted beside that.
    const lines = readFileSync(join(cwd, "q/results.jsonl"), "utf8").trimEnd().split("\n");
    expect(lines.length).toBe(6);
  });
});

test("results of a version that noted less are still skipped", async () => {
  const cwd = folder();
  await write(convolution(RECORDED), join(cwd, "a.circle"));
  list(cwd, { jobs: ["a.circle"] });
  await batch(cwd);
  const path = join(cwd, "q/results.jsonl");
  const { notes: _, accuracy: __, ...line } = JSON.parse(readFileSync(path, "utf8"));
  writeFileSync(path, `${JSON.stringify(line)}\n`);
  expect((await batch(cwd)).jobs["a.circle"]!.status).toBe("skipped");
});
