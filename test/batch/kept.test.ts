/** Processes that a batch keeps: which jobs share one, and that none of it shows in results. */
import { expect, test } from "bun:test";
import { copyFileSync, mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { cleanUpAfterwards, files, folder, minmaxq, REAL } from "../cli/support.ts";
import { jobProcesses, list, results, start, statuses, until } from "./support.ts";

cleanUpAfterwards();

const SAMPLES = "random:16:3";

/** A folder with a real model and a job list of these entries. */
function real(jobs: readonly object[]): string {
  const cwd = folder();
  copyFileSync(REAL, join(cwd, "real.tflite"));
  mkdirSync(join(cwd, "q"));
  list(cwd, { jobs: jobs.map((job) => ({ model: "real.tflite", data: SAMPLES, ...job })) });
  return cwd;
}

/** Runs the list, one job at a time, and gives the processes that were seen. */
async function processesOf(cwd: string, ...more: string[]): Promise<Set<number>> {
  const before = new Set(jobProcesses());
  const seen = new Set<number>();
  const batch = start(["batch", "jobs.json", "--jobs", "1", "--redo", ...more], cwd);
  const ended = batch.end();
  let running = true;
  void ended.then(() => {
    running = false;
  });
  while (running) {
    for (const pid of jobProcesses()) if (!before.has(pid)) seen.add(pid);
    await Bun.sleep(10);
  }
  expect((await ended).code).toBe(0);
  return seen;
}

const THREE = [{ output: "q/1.tflite" }, { output: "q/2.tflite", scheme: "int16x8" }, { output: "q/3.tflite" }];

test("jobs that go well share a process; with --isolate, or a limit of memory, each has its own; the same bytes", async () => {
  const cwd = real(THREE);
  const bytes = () => [1, 2, 3].map((name) => readFileSync(join(cwd, `q/${name}.tflite`)));
  expect((await processesOf(cwd)).size).toBe(1);
  const kept = bytes();
  expect((await processesOf(cwd, "--isolate")).size).toBe(3);
  expect(bytes()).toEqual(kept);
  expect(kept[2]).toEqual(kept[0]!);
  expect(kept[1]).not.toEqual(kept[0]!);
  const limited = real(THREE.map((job) => ({ ...job, "memory-limit": "1GB" })));
  expect((await processesOf(limited)).size).toBe(3);
  expect([1, 2, 3].map((name) => readFileSync(join(limited, `q/${name}.tflite`)))).toEqual(kept);
  expect(jobProcesses()).toEqual([]);
}, 60_000);

test("a job that fails takes its process with it; the next has a new one", async () => {
  const cwd = real([
    { output: "q/1.tflite" },
    { output: "q/2.tflite", layer: ["nosuch=float32"] },
    { output: "q/3.tflite" },
  ]);
  const { code } = await minmaxq(["batch", "jobs.json", "--jobs", "1"], { cwd });
  expect(code).toBe(1);
  expect(results(cwd).map(({ status }) => status)).toEqual(["done", "failed", "done"]);
  expect(readFileSync(join(cwd, "q/3.tflite"))).toEqual(readFileSync(join(cwd, "q/1.tflite")));
}, 60_000);

test("a kept process that is killed in its second job ends that job alone", async () => {
  const cwd = real([
    { output: "q/1.tflite" },
    { output: "q/2.tflite", data: "random:100000" },
    { output: "q/3.tflite" },
  ]);
  const batch = start(["batch", "jobs.json", "--jobs", "1"], cwd);
  await batch.says(/\[1\/3\] .*: done/);
  await until(() => jobProcesses().length === 1);
  // Long enough for the order to have come: a process that ends before it has begun is no job's failure.
  await Bun.sleep(500);
  process.kill(jobProcesses()[0]!, "SIGKILL");
  const { code, said } = await batch.end();
  expect(code).toBe(1);
  expect(said).toMatch(/failed \(1 job\): its process was killed \(SIGKILL\)/);
  expect(results(cwd).map(({ status }) => status)).toEqual(["done", "failed", "done"]);
  expect(files(join(cwd, "q"))).toEqual(["1.tflite", "3.tflite"]);
}, 60_000);

test("samples of a list are looked up from the list's folder by each job of a process", async () => {
  const cwd = folder();
  copyFileSync(REAL, join(cwd, "real.tflite"));
  mkdirSync(join(cwd, "q"));
  for (const [name, value] of [
    ["a", 0.25],
    ["b", 0.75],
  ] as const) {
    mkdirSync(join(cwd, name));
    await Bun.write(join(cwd, name, "0.raw"), new Float32Array(128 * 128 * 3).fill(value));
    await Bun.write(join(cwd, name, "samples.txt"), "0.raw\n");
  }
  const job = (name: string, output: string) => ({ model: "real.tflite", data: `${name}/samples.txt`, output });
  list(cwd, { jobs: [job("a", "q/1.tflite"), job("b", "q/2.tflite"), job("a", "q/3.tflite")] });
  expect((await processesOf(cwd)).size).toBe(1);
  expect(statuses(cwd).map(([, status]) => status)).toEqual(["done", "done", "done"]);
  const [one, two, three] = [1, 2, 3].map((name) => readFileSync(join(cwd, `q/${name}.tflite`)));
  expect(three).toEqual(one!);
  expect(two).not.toEqual(one!);
}, 60_000);
