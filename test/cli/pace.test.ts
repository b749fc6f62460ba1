/** How far, how fast, how long: on a made-up clock, and on a real terminal. */
import { expect, test } from "bun:test";
import { copyFileSync } from "node:fs";
import { join } from "node:path";
import { generateModel } from "../../scripts/generate-model.ts";
import { inputSpecs, openDataSet, recordRanges } from "../../src/calibration/index.ts";
import { openModel } from "../../src/model/index.ts";
import { durationText, Pace } from "../../src/terminal/pace.ts";
import { cleanUpAfterwards, executable, folder, minmaxq, REAL } from "./support.ts";

cleanUpAfterwards();

/** A pace with a clock that is set by hand. */
function paced(unit?: ConstructorParameters<typeof Pace>[0]) {
  let seconds = 100;
  const pace = new Pace(unit, () => seconds);
  return (at: number, ...call: Parameters<Pace["text"]>) => {
    seconds = 100 + at;
    return pace.text(...call);
  };
}

test("rate and time left follow from all since the first call", () => {
  const text = paced("samples");
  expect(text(0, 10, 100)).toBe("10/100 samples");
  expect(text(0.5, 12, 100)).toBe("12/100 samples");
  // 20 in 10 s: 2 a second, 70 left.
  expect(text(10, 30, 100, "part 2 of 3")).toBe("30/100 samples, part 2 of 3, 2.0/s, 35 s left");
  const slow = paced("samples");
  slow(0, 0, 10);
  expect(slow(60, 1, 10)).toBe("1/10 samples, 60 s each, 9 min 0 s left".replace("60 s", "1 min 0 s"));
});

test("bytes, and work of which only the end is known", () => {
  const bytes = paced("bytes");
  bytes(0, 0, 6e9);
  expect(bytes(2, 1.2e9, 6e9)).toBe("1.2 GB of 6.0 GB, 600 MB/s, 8 s left");
  const open = paced("operators");
  expect(open(0, 0, 1)).toBe("");
  expect(open(12, 0, 1)).toBe("12 s so far");
});

test("durations", () => {
  expect([0.2, 59, 60, 125, 3600, 7199].map(durationText)).toEqual([
    "1 s",
    "59 s",
    "1 min 0 s",
    "2 min 5 s",
    "1 h 0 min",
    "2 h 0 min",
  ]);
});

/** What a terminal of `cols` columns gets to see. */
async function onTerminal(args: string[], cols: number, cwd: string): Promise<{ code: number; seen: string }> {
  const chunks: string[] = [];
  const decoder = new TextDecoder();
  const child = Bun.spawn([executable(), ...args], {
    cwd,
    // One thread: a machine with many would be done before there is something to show.
    env: { PATH: "/usr/bin:/bin", TERM: "xterm", MINMAXQ_THREADS: "1" },
    terminal: { cols, rows: 24, data: (_, bytes) => void chunks.push(decoder.decode(bytes, { stream: true })) },
  });
  const code = await child.exited;
  child.terminal?.close();
  return { code, seen: chunks.join("") };
}

test("a bar shows amount, rate and time left, within the terminal; --quiet shows nothing at all", async () => {
  const cwd = folder();
  copyFileSync(REAL, join(cwd, "model.tflite"));
  const record = ["record", "model.tflite", "--data", "random:500", "--num-threads", "1", "-o", "r.circle"];
  const { code, seen } = await onTerminal(record, 80, cwd);
  expect(code).toBe(0);
  expect(seen).toMatch(/recording \d+\/500 samples, \d+(\.\d)?\/s, \d+ s left/);
  // Frames stand between carriage returns and control sequences.
  const frames = seen.split(/[\r\n\x1b]+/).filter((frame) => frame.includes("recording"));
  expect(frames.filter((frame) => frame.length > 80)).toEqual([]);
  expect(await onTerminal([...record.slice(0, 3), "random:3", "-o", "q.circle", "--quiet"], 80, cwd)).toEqual({
    code: 0,
    seen: "",
  });
});

test("ranges of all values are a work of their own", async () => {
  const cwd = folder();
  copyFileSync(REAL, join(cwd, "model.tflite"));
  const { seen } = await onTerminal(
    ["record", "model.tflite", "--data", "random:3", "--mode", "mse", "-o", "r.circle"],
    80,
    cwd,
  );
  expect(seen).toMatch(/finding ranges \d+\/\d+ tensors/);
});

test("weights of a large model are counted in bytes", async () => {
  const cwd = folder();
  await generateModel(900e6, join(cwd, "big.circle"));
  const { code, seen } = await onTerminal(["quantize", "big.circle", "-o", "out.circle"], 80, cwd);
  expect(code).toBe(0);
  const done = [...seen.matchAll(/writing weights (\d+) MB of (\d+) MB/g)];
  expect(done.length).toBeGreaterThan(0);
  // Float weights are nearly all of the file.
  const total = Number(done[0]![2]);
  expect(total).toBeGreaterThan(880);
  expect(total).toBeLessThan(920);
  const bytes = done.map((match) => Number(match[1]));
  expect(bytes).toEqual([...bytes].sort((a, b) => a - b));
  expect(bytes.at(-1)).toBeLessThanOrEqual(total);
});

test("parts of a model are told", async () => {
  const { model } = openModel(REAL);
  const [input] = inputSpecs(model);
  const data = await openDataSet("random:2", [input!], {});
  const told: [number, number, string | undefined][] = [];
  await recordRanges(model, data, {
    reduction: { kind: "minmax" },
    cut: "always",
    onProgress: (...call) => told.push(call as (typeof told)[number]),
  });
  const parts = Number(/^part 1 of (\d+)$/.exec(told[0]![2]!)![1]);
  expect(parts).toBeGreaterThan(1);
  // Two samples in each part, one after the other.
  expect(told).toEqual(
    Array.from({ length: 2 * parts }, (_, i) => [i + 1, 2 * parts, `part ${Math.floor(i / 2) + 1} of ${parts}`]),
  );
});

test("--quiet: errors and exit codes alone; JSON that was asked for", async () => {
  const cwd = folder();
  copyFileSync(REAL, join(cwd, "model.tflite"));
  const quiet = async (...args: string[]) => {
    const { code, out, err } = await minmaxq([...args, "--quiet"], { cwd });
    return { code, out, err };
  };
  expect(await quiet("inspect", "model.tflite")).toEqual({ code: 0, out: "", err: "" });
  expect(
    await quiet("quantize", "model.tflite", "--data", "random:2", "--memory-limit", "2", "-o", "q.circle"),
  ).toEqual({ code: 0, out: "", err: "" });
  const json = await quiet("verify", "q.circle", "--json");
  expect({ code: json.code, err: json.err }).toEqual({ code: 0, err: "" });
  expect(JSON.parse(json.out).quantized).toBe(74);
  expect(await quiet("inspect", "nosuch.tflite")).toEqual({
    code: 1,
    out: "",
    err: "minmaxq: nosuch.tflite: there is no such file; check the path of the model\n",
  });
});
