/** Memory does not grow with the model: peak RSS of the executable on recorded ranges, for models up to thirty times the limit. */
import { afterEach, expect, setDefaultTimeout, test } from "bun:test";
import { rmSync, statfsSync, statSync } from "node:fs";
import { join } from "node:path";
import { generateModel } from "../../scripts/generate-model.ts";
import { cleanUpAfterwards, environment, executable, folder, peakMemory } from "./support.ts";

cleanUpAfterwards();

/** What the issue asks for, MB of 10^6 bytes. */
const LIMIT = 200;
const cwd = folder();
const free = statfsSync(cwd).bavail * statfsSync(cwd).bsize;

/** Runs to the end; gives the process's peak memory in MB. */
async function peakOf(args: readonly string[]): Promise<number> {
  const child = Bun.spawn([executable(), ...args], { cwd, env: environment(), stdout: "ignore", stderr: "pipe" });
  const peak = await peakMemory(child);
  const [code, err] = [await child.exited, await new Response(child.stderr).text()];
  expect({ code, err }).toEqual({ code: 0, err: "" });
  return peak / 1e6;
}

afterEach(() => {
  for (const name of ["in.circle", "out.circle"]) rmSync(join(cwd, name), { force: true });
});

/** Sparse inputs take no disk; their results do. */
const CASES: readonly [what: string, size: number, options: readonly string[], output: number][] = [
  ["100 MB", 100e6, [], 25e6],
  ["four times the limit", 4 * LIMIT * 1e6, [], 200e6],
  ["four times the limit, int16", 4 * LIMIT * 1e6, ["--dtype", "int16"], 400e6],
  ["four times the limit, by layer", 4 * LIMIT * 1e6, ["--granularity", "layer"], 200e6],
  ["6 GB, weights behind the FlatBuffer", 6e9, [], 1.5e9],
];

// What is measured is memory: a disk that others use, too, may take its time for 1.5 GB.
setDefaultTimeout(240_000);

for (const [what, size, options, output] of CASES) {
  const possible = process.platform === "linux" && free > 2 * output;
  const title = possible ? what : `${what} (needs Linux and ${(2 * output) / 1e9} GB of free disk)`;
  test.skipIf(!possible)(title, async () => {
    await generateModel(size, join(cwd, "in.circle"), true);
    expect(statSync(join(cwd, "in.circle")).size).toBeGreaterThanOrEqual(0.95 * size);
    const peak = await peakOf(["quantize", "in.circle", ...options, "-o", "out.circle", "--quiet"]);
    expect(statSync(join(cwd, "out.circle")).size).toBeGreaterThan(0.9 * output);
    expect(peak).toBeGreaterThan(20);
    expect(peak).toBeLessThan(LIMIT);
  });
}
