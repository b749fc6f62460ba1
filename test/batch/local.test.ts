/** `minmaxq batch` on this machine, run as a person would. */
import { describe, expect, test } from "bun:test";
import {
  appendFileSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { ABANDONED } from "../../src/batch/process.ts";
import { convolution, RECORDED, withoutOperators, withoutRules, write } from "../cli/models.ts";
import { cleanUpAfterwards, complaint, files, folder, minmaxq, REAL, succeeded } from "../cli/support.ts";
import { jobProcesses, list, models, results, start, statuses, until } from "./support.ts";

cleanUpAfterwards();

describe("outcome", () => {
  test("the bytes that quantize gives, a table, results.jsonl, exit code 0", async () => {
    const cwd = await models();
    const { code, out, err } = await minmaxq(["batch", "models", "--out", "q"], { cwd });
    expect(code).toBe(0);
    expect(files(join(cwd, "q"))).toEqual(["a.q8.circle", "deep/b.q8.circle", "results.jsonl"]);
    for (const [model, output] of [
      ["a.circle", "a.q8.circle"],
      ["deep/b.tflite", "deep/b.q8.circle"],
    ] as const) {
      await succeeded(["quantize", `models/${model}`, "-o", "single.circle"], { cwd });
      expect(readFileSync(join(cwd, "q", output))).toEqual(readFileSync(join(cwd, "single.circle")));
    }
    const size = /[\d.]+ (?:bytes|KB) → [\d.]+ (?:bytes|KB)/.source;
    expect(out.split("\n")).toEqual([
      expect.stringMatching(/^model +status +size +seconds$/),
      expect.stringMatching(new RegExp(`^a\\.circle +done +${size} +\\d\\.\\d$`)),
      expect.stringMatching(new RegExp(`^deep/b\\.tflite +done +${size} +\\d\\.\\d$`)),
      `2 done; ${join(cwd, "q/results.jsonl")}`,
      "",
    ]);
    expect(err).toMatch(/^\[1\/2\] \S+: done, .*\n\[2\/2\] \S+: done, .*\n$/);
    const [line] = results(join(cwd, "q"));
    expect(line).toMatchObject({
      status: "done",
      options: {},
      version: expect.any(String),
      sha256: expect.stringMatching(/^[0-9a-f]{64}$/),
    } as never);
    expect(line!.summary!.join("\n")).toContain("quantized; verified");
  });

  test("a failure does not stop the others; exit code 1, the reason in one line", async () => {
    const cwd = await models();
    writeFileSync(join(cwd, "models/broken.circle"), "broken");
    await write(convolution(), join(cwd, "models/unrecorded.circle"));
    const result = await minmaxq(["batch", "models", "--out", "q", "--jobs", "1"], { cwd });
    expect(result.code).toBe(1);
    expect(result.out).toMatch(/^broken\.circle +failed +\d\.\d$/m);
    expect(result.out).toMatch(/^failed \(1 job\): is no model: it has 6 bytes only; .*\n {2}broken\.circle$/m);
    expect(result.out).toMatch(
      /^failed \(1 job\): has no recorded ranges; [\s\S]*? needs neither\n {2}unrecorded\.circle$/m,
    );
    expect(complaint(result).at(-1)).toBe(
      "minmaxq: 2 of 4 jobs failed; run it again when they are mended, with --failed",
    );
    expect(statuses(join(cwd, "q"))).toEqual([
      ["a.circle", "done"],
      ["broken.circle", "failed"],
      ["deep/b.tflite", "done"],
      ["unrecorded.circle", "failed"],
    ]);
    expect(files(join(cwd, "q"))).toEqual(["a.q8.circle", "deep/b.q8.circle", "results.jsonl"]);
  });

  test("what quantize would have said is in the table in short, and in results.jsonl in full", async () => {
    const cwd = folder();
    await write(withoutRules(), join(cwd, "m.circle"));
    const { out } = await minmaxq(["batch", list(cwd, { jobs: [{ model: "m.circle" }] })], { cwd });
    expect(out).toMatch(/^m\.circle +done .* {2}2 parts stay float$/m);
    const { out: single } = await succeeded(["quantize", "m.circle", "-o", "single.circle"], { cwd });
    // Time and memory are measured.
    const told = (lines: readonly string[]) => lines.slice(1).filter((line) => !line.startsWith("  memory: "));
    expect(told(results(cwd)[0]!.summary!)).toEqual(told(single.trimEnd().split("\n")));
  });

  test("several problems are one reason", async () => {
    const cwd = folder();
    await write(withoutOperators(), join(cwd, "m.circle"));
    const jobs = [
      { model: "m.circle", data: "random:1", layer: ["nosuch=int16", "neither=int16"] },
      { model: "nosuch.circle" },
    ];
    const { out } = await minmaxq(["batch", list(cwd, { jobs })], { cwd });
    expect(out).toMatch(/^failed \(1 job\): [\s\S]*"nosuch"[\s\S]*;\s[\s\S]*"neither"[\s\S]*\n {2}m\.circle$/m);
    expect(out).toMatch(/^failed \(1 job\): there is no such file; check the path\n {2}nosuch\.circle$/m);
  });

  test("--fail-fast begins nothing more and stops what runs", async () => {
    const cwd = await models();
    copyFileSync(REAL, join(cwd, "real.tflite"));
    const jobs = [
      { model: "real.tflite", data: "random:100000" },
      { model: "nosuch.circle" },
      { model: "models/a.circle" },
    ];
    const { code, out } = await minmaxq(["batch", list(cwd, { jobs }), "--fail-fast", "--out", "q"], { cwd });
    expect(code).toBe(1);
    expect(out).toMatch(
      /real\.tflite +stopped\nnosuch\.circle +failed.*\nmodels\/a\.circle +stopped\n[\s\S]*\n1 failed, 2 stopped/,
    );
    expect(files(join(cwd, "q"))).toEqual(["results.jsonl"]);
    expect(statuses(join(cwd, "q"))).toEqual([["nosuch.circle", "failed"]]);
  });

  test("--explain of a job appears whole; names in a list of samples count from the list", async () => {
    const cwd = await models();
    mkdirSync(join(cwd, "data"));
    writeFileSync(join(cwd, "data/0.raw"), new Uint8Array(new Float32Array(32).fill(0.5).buffer));
    writeFileSync(join(cwd, "data/samples.txt"), "0.raw\n");
    const jobs = [{ model: "models/a.circle", data: "data/samples.txt", explain: "why/a.json", output: "q/a.circle" }];
    mkdirSync(join(cwd, "why"));
    await minmaxq(["batch", list(cwd, { jobs })], { cwd });
    expect(statuses(cwd)).toEqual([["models/a.circle", "done"]]);
    expect(JSON.parse(readFileSync(join(cwd, "why/a.json"), "utf8"))[0].tensors.length).toBeGreaterThan(3);
    expect(files(join(cwd, "why"))).toEqual(["a.json"]);
  });
});

describe("a second run", () => {
  /** Runs and gives the statuses in the table, by model. */
  async function again(cwd: string, ...more: string[]): Promise<Record<string, string>> {
    const { out } = await minmaxq(["batch", "jobs.json", "--out", "q", ...more], { cwd });
    const rows = out
      .split("\n")
      .slice(1)
      .flatMap((line) => [/^(\S+\.\S+) +(done|skipped|failed|stopped)/.exec(line) ?? []].filter((m) => m.length));
    return Object.fromEntries(rows.map(([, model, status]) => [model, status]));
  }

  async function twoJobs(): Promise<string> {
    const cwd = await models();
    writeFileSync(join(cwd, "0.raw"), new Uint8Array(128));
    writeFileSync(join(cwd, "s.txt"), "0.raw\n");
    writeFileSync(join(cwd, "layers.json"), '{"layers": []}');
    const b = { model: "models/deep/b.tflite", data: "s.txt", config: "layers.json", explain: "why.json" };
    list(cwd, { jobs: [{ model: "models/a.circle" }, b] });
    mkdirSync(join(cwd, "q"));
    expect(await again(cwd)).toEqual({ "models/a.circle": "done", "models/deep/b.tflite": "done" });
    return cwd;
  }
  const SKIPPED = { "models/a.circle": "skipped", "models/deep/b.tflite": "skipped" };
  const B_DONE = { "models/a.circle": "skipped", "models/deep/b.tflite": "done" };

  test("does what has changed and nothing else", async () => {
    const cwd = await twoJobs();
    const output = join(cwd, "q/models/a.q8.circle");
    const before = statSync(output).mtimeMs;
    expect(await again(cwd)).toEqual(SKIPPED);
    expect(statSync(output).mtimeMs).toBe(before);

    // A file that a list names, the layer file, the model, the explanation that is gone, and options.
    writeFileSync(join(cwd, "0.raw"), new Uint8Array(128).fill(1));
    expect(await again(cwd)).toEqual(B_DONE);
    writeFileSync(join(cwd, "layers.json"), '{ "layers": [] }');
    expect(await again(cwd)).toEqual(B_DONE);
    rmSync(join(cwd, "q/why.json"));
    expect(await again(cwd)).toEqual(B_DONE);
    await write(convolution({ ...RECORDED, y: [0, 2] }), join(cwd, "models/a.circle"));
    expect(await again(cwd)).toEqual({ "models/a.circle": "done", "models/deep/b.tflite": "skipped" });
    expect(await again(cwd)).toEqual(SKIPPED);
    expect(await again(cwd, "--redo")).toEqual({ "models/a.circle": "done", "models/deep/b.tflite": "done" });
  });

  test("an option that changes nothing changes nothing", async () => {
    const cwd = await models();
    list(cwd, { jobs: [{ model: "models/a.circle" }] });
    expect(await again(cwd)).toEqual({ "models/a.circle": "done" });
    list(cwd, { jobs: [{ model: "models/a.circle", dtype: "uint8", strict: false, output: "models/a.q8.circle" }] });
    expect(await again(cwd)).toEqual({ "models/a.circle": "skipped" });
    list(cwd, { jobs: [{ model: "models/a.circle", "save-min-max": true }] });
    expect(await again(cwd)).toEqual({ "models/a.circle": "done" });
  });

  test("an output that was touched is made again, also when size and time are the same", async () => {
    const cwd = await twoJobs();
    const output = join(cwd, "q/models/a.q8.circle");
    const right = readFileSync(output);
    const { atime, mtime } = statSync(output);
    const wrong = Buffer.from(right);
    wrong[wrong.length - 1]! ^= 1;
    writeFileSync(output, wrong);
    utimesSync(output, atime, mtime);
    expect(await again(cwd)).toEqual({ "models/a.circle": "done", "models/deep/b.tflite": "skipped" });
    expect(readFileSync(output)).toEqual(right);
    rmSync(output);
    expect(await again(cwd)).toEqual({ "models/a.circle": "done", "models/deep/b.tflite": "skipped" });
  });

  test("a line that was cut when a run was killed is passed over; what stood before counts", async () => {
    const cwd = await twoJobs();
    const path = join(cwd, "q/results.jsonl");
    appendFileSync(path, '{"model":"models/a.circle","output":"models/a.q8.cir');
    expect(await again(cwd)).toEqual(SKIPPED);
    expect(readFileSync(path, "utf8").split("\n").length).toBe(6);
    expect(results(join(cwd, "q")).map(({ status }) => status)).toEqual(["done", "done", "skipped", "skipped"]);
  });

  test("what failed is tried again", async () => {
    const cwd = await models();
    list(cwd, { jobs: [{ model: "late.circle" }] });
    expect(await again(cwd)).toEqual({ "late.circle": "failed" });
    copyFileSync(join(cwd, "models/a.circle"), join(cwd, "late.circle"));
    expect(await again(cwd)).toEqual({ "late.circle": "done" });
  });
});

describe("interrupted", () => {
  async function long(): Promise<string> {
    const cwd = await models();
    copyFileSync(REAL, join(cwd, "real.tflite"));
    const real = { model: "real.tflite", data: "random:100000" };
    list(cwd, {
      jobs: [{ model: "models/a.circle" }, { ...real, output: "q/1.circle" }, { ...real, output: "q/2.circle" }],
    });
    mkdirSync(join(cwd, "q"));
    return cwd;
  }

  for (const signal of ["SIGINT", "SIGTERM"] as const)
    test(`${signal}: what is done stays, nothing half, no process left`, async () => {
      const cwd = await long();
      const batch = start(["batch", "jobs.json"], cwd);
      await batch.says(/models\/a\.circle: done/);
      await until(() => jobProcesses().length > 0);
      const sent = performance.now();
      batch.child.kill(signal);
      const { code, said } = await batch.end();
      expect(performance.now() - sent).toBeLessThan(3000);
      expect(code).toBe(signal === "SIGINT" ? 130 : 143);
      expect(said).toEndWith(`minmaxq: stopped by ${signal}: 1 done, 2 stopped; run it again to go on\n`);
      expect(jobProcesses()).toEqual([]);
      expect(files(join(cwd, "q"))).toEqual([]);
      expect(statuses(cwd)).toEqual([["models/a.circle", "done"]]);
    });

  test("killed: its processes end by themselves", async () => {
    const cwd = await long();
    const batch = start(["batch", "jobs.json"], cwd);
    await batch.says(/models\/a\.circle: done/);
    await until(() => jobProcesses().length > 0);
    batch.child.kill("SIGKILL");
    await batch.end();
    await until(() => jobProcesses().length === 0);
    expect(files(join(cwd, "q"))).toEqual([]);
    expect(statuses(cwd)).toEqual([["models/a.circle", "done"]]);
  });

  test("a job whose process is killed fails alone; its file under way is removed", async () => {
    const cwd = await long();
    const jobs = [{ model: "real.tflite", data: "random:100000", output: "q/1.circle" }, { model: "models/a.circle" }];
    list(cwd, { jobs });
    const batch = start(["batch", "jobs.json", "--jobs", "1"], cwd);
    await until(() => jobProcesses().length === 1);
    const [pid] = jobProcesses();
    // As if it had been killed while writing.
    writeFileSync(join(cwd, `q/.1.circle.${pid}.0123abcd.tmp`), "half");
    writeFileSync(join(cwd, "q/.1.circle.999999.0123abcd.tmp"), "somebody else's");
    process.kill(pid!, "SIGKILL");
    const { code, said } = await batch.end();
    expect(code).toBe(1);
    expect(said).toMatch(/failed \(1 job\): its process was killed \(SIGKILL\), [\s\S]*\n {2}real\.tflite\n/);
    expect(said).toMatch(/models\/a\.circle +done/);
    expect(files(join(cwd, "q"))).toEqual([".1.circle.999999.0123abcd.tmp"]);
  });

  test("what a killed process left long ago is removed before the job is done again", async () => {
    const cwd = await models();
    list(cwd, { jobs: [{ model: "models/a.circle", output: "q/a.circle" }] });
    mkdirSync(join(cwd, "q"));
    const [old, young] = ["q/.a.circle.999999.0123abcd.tmp", "q/.a.circle.999998.0123abcd.tmp"];
    for (const name of [old, young]) writeFileSync(join(cwd, name), "half");
    const then = new Date(Date.now() - ABANDONED - 1000);
    utimesSync(join(cwd, old), then, then);
    await minmaxq(["batch", "jobs.json"], { cwd });
    expect(existsSync(join(cwd, "q/a.circle"))).toBe(true);
    expect([existsSync(join(cwd, old)), existsSync(join(cwd, young))]).toEqual([false, true]);
  });
});

test("jobs know neither the queue's address nor its password, and no argument of theirs tells anything", async () => {
  const cwd = await models();
  copyFileSync(REAL, join(cwd, "real.tflite"));
  list(cwd, { jobs: [{ model: "real.tflite", data: "random:100000" }] });
  const secrets = { MINMAXQ_QUEUE_URL: "redis://u:geheim@h", MINMAXQ_QUEUE_PASSWORD: "geheim" };
  const batch = start(["batch", "jobs.json"], cwd, secrets);
  await until(() => jobProcesses().length === 1);
  const [pid] = jobProcesses();
  expect(readFileSync(`/proc/${pid}/environ`, "utf8")).not.toContain("geheim");
  expect(readFileSync(`/proc/${pid}/cmdline`, "utf8")).toEndWith("\0__job\0");
  batch.child.kill("SIGINT");
  await batch.end();
});
