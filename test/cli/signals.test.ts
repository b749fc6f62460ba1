/** Ctrl-C and kill: one line, the exit code that shells give, nothing left, at once. */
import { beforeAll, describe, expect, test } from "bun:test";
import { copyFileSync, linkSync } from "node:fs";
import { join } from "node:path";
import { generateModel } from "../../scripts/generate-model.ts";
import { cleanUpAfterwards, environment, executable, files, folder, REAL } from "./support.ts";

cleanUpAfterwards();

const SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"] as const;
/** 128 and the number of the signal (POSIX: 2, 15, 1), as `sh` says it of a process that a signal ended. */
const CODES = { SIGINT: 130, SIGTERM: 143, SIGHUP: 129 };

/** Starts, sends the signal once `ready`, and expects the end within two seconds. */
async function stopped(args: string[], cwd: string, signal: (typeof SIGNALS)[number], ready: () => Promise<boolean>) {
  const before = files(cwd);
  const child = Bun.spawn(args, { cwd, env: environment(), stdout: "pipe", stderr: "pipe" });
  while (child.exitCode === null && !(await ready())) await Bun.sleep(2);
  expect(child.exitCode).toBeNull();
  const sent = performance.now();
  child.kill(signal);
  expect(await child.exited).toBe(CODES[signal]);
  expect(performance.now() - sent).toBeLessThan(2000);
  expect(await new Response(child.stderr).text()).toBe(`minmaxq: stopped by ${signal}; nothing was written\n`);
  expect(await new Response(child.stdout).text()).toBe("");
  expect(files(cwd)).toEqual(before);
}

const after = (milliseconds: number) => {
  const started = performance.now();
  return async () => performance.now() - started > milliseconds;
};

describe("while samples run", () => {
  const cwd = folder();
  beforeAll(() => copyFileSync(REAL, join(cwd, "model.tflite")));
  const args = ["quantize", "model.tflite", "--data", "random:100000", "-o", "out.circle"];
  // While workers start, and while they work.
  for (const milliseconds of [300, 1500])
    for (const signal of SIGNALS)
      test(`${signal} after ${milliseconds} ms`, () =>
        stopped([executable(), ...args], cwd, signal, after(milliseconds)));
});

describe("while a model of 300 MB is written", () => {
  const home = folder();
  const big = join(home, "big.circle");
  beforeAll(() => generateModel(300e6, big));
  const hidden = (cwd: string) => async () => files(cwd).some((name) => name.endsWith(".tmp"));

  for (const signal of SIGNALS)
    test(`quantize, ${signal}`, async () => {
      const cwd = folder();
      linkSync(big, join(cwd, "big.circle"));
      await stopped([executable(), "quantize", "big.circle", "-o", "out.circle"], cwd, signal, hidden(cwd));
    });

  test("quantize on one core, SIGINT", async () => {
    const cwd = folder();
    linkSync(big, join(cwd, "big.circle"));
    const command = ["taskset", "-c", "0", executable(), "quantize", "big.circle", "-o", "out.circle"];
    await stopped(command, cwd, "SIGINT", hidden(cwd));
  });

  test("convert, SIGINT", async () => {
    const cwd = folder();
    linkSync(big, join(cwd, "big.circle"));
    await stopped([executable(), "convert", "big.circle", "-o", "out.tflite"], cwd, "SIGINT", hidden(cwd));
  });
});
