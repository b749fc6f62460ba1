/** `--timings` and `--trace`, which tell where the time went and change nothing. */
import { expect, test } from "bun:test";
import { copyFileSync, existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { cleanUpAfterwards, folder, minmaxq, REAL, refused, succeeded } from "./support.ts";

cleanUpAfterwards();

const cwd = folder();
copyFileSync(REAL, join(cwd, "model.tflite"));

interface TraceEvent {
  ph: string;
  name: string;
  pid: number;
  tid: number;
  ts: number;
  dur: number;
  args: Record<string, unknown>;
}

const QUANTIZE = ["quantize", "model.tflite", "--data", "random:2"];

test("--timings prints a table whose rows add up, and the model is the same", async () => {
  await succeeded([...QUANTIZE, "-o", "plain.circle"], { cwd });
  const { code, err } = await minmaxq([...QUANTIZE, "-o", "timed.circle", "--timings"], { cwd });
  expect(code).toBe(0);
  const rows = new Map(
    [...err.matchAll(/^(\w+) +(\d+\.\d+) +-?\d+ %/gm)].map(([, name, seconds]) => [name!, Number(seconds)]),
  );
  expect([...rows.keys()]).toEqual([
    ...["start", "open", "prepare", "scan", "record", "passes", "stream", "write", "other", "total"].filter((name) =>
      rows.has(name),
    ),
  ]);
  for (const name of ["start", "open", "prepare", "record", "passes", "stream", "write", "total"])
    expect(rows.get(name)).toBeGreaterThanOrEqual(0);
  const sum = [...rows].reduce((total, [name, seconds]) => (name === "total" ? total : total + seconds), 0);
  // Each row is rounded to a millisecond.
  expect(Math.abs(sum - rows.get("total")!)).toBeLessThanOrEqual(rows.size * 0.0005 + 1e-9);
  expect(err).toContain("thread main");
  expect(readFileSync(join(cwd, "timed.circle"))).toEqual(readFileSync(join(cwd, "plain.circle")));
});

test("--trace writes events that a trace viewer takes: named tracks, spans that nest", async () => {
  const front = ["circle-quantizer", "--quantize_dequantize_weights", "float32", "uint8", "channel"];
  await succeeded([...front, "--trace", "trace.json", "model.tflite", "fake.circle"], { cwd });
  const { traceEvents }: { traceEvents: TraceEvent[] } = JSON.parse(readFileSync(join(cwd, "trace.json"), "utf8"));
  const tracks = new Map(traceEvents.filter(({ ph }) => ph === "M").map(({ tid, args }) => [tid, args.name]));
  expect(tracks.get(0)).toBe("main");
  const spans = traceEvents.filter(({ ph }) => ph === "X");
  for (const name of ["start", "open", "prepare", "stream", "write"])
    expect(spans.map((span) => span.name)).toContain(name);
  for (const { ts, dur, tid, pid } of spans) {
    expect(ts).toBeGreaterThanOrEqual(0);
    expect(dur).toBeGreaterThanOrEqual(0);
    expect(tracks.has(tid)).toBe(true);
    expect(pid).toBe(1);
  }
  for (const a of spans)
    for (const b of spans) {
      if (a.tid !== b.tid || a.ts > b.ts) continue;
      // Microseconds are rounded.
      const apart = b.ts >= a.ts + a.dur - 2;
      const inside = b.ts + b.dur <= a.ts + a.dur + 2;
      expect(apart || inside).toBe(true);
    }
});

test("a command that fails tells its times all the same", async () => {
  const { code, err } = await minmaxq(["quantize", "model.tflite", "-o", "x.circle", "--timings"], { cwd });
  expect(code).toBe(1);
  expect(err).toStartWith("minmaxq: ");
  expect(err).toMatch(/^open +\d/m);
  expect(existsSync(join(cwd, "x.circle"))).toBe(false);
});

test("a trace does not overwrite a model, and one that cannot be written is told", async () => {
  const command = [...QUANTIZE, "-o", "y.circle"];
  await refused([...command, "--trace", "y.circle"], { cwd }, 2, "--trace");
  await refused([...command, "--trace=./model.tflite"], { cwd }, 2, "--trace");
  await refused([...command, "--trace"], { cwd }, 2, "--trace");
  const failed = await minmaxq([...command, "--trace", "nosuch/t.json"], { cwd });
  expect(failed.code).toBe(1);
  expect(failed.err).toContain("minmaxq: nosuch/t.json: the trace cannot be written");
});
