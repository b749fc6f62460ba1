/** Workers that have LiteRT and wait for more work. */
import { afterEach, expect, test } from "bun:test";
import { join } from "node:path";
import { dropEngines, keepEngine, takeEngine } from "../../src/calibration/engines.ts";
import { inputSpecs, openDataSet, recordRanges } from "../../src/calibration/index.ts";
import { openModel } from "../../src/model/index.ts";
import { withKernels } from "../../src/weights/kernels.ts";

const MODEL = join(import.meta.dir, "../../node_modules/@mediapipe/face_detection/face_detection_short_range.tflite");

afterEach(dropEngines);

async function ranges(samples: string, options: { workers?: number; memoryLimit?: number }) {
  const opened = openModel(MODEL);
  try {
    const data = await openDataSet(samples, inputSpecs(opened.model));
    return await recordRanges(opened.model, data, { reduction: { kind: "minmax" }, ...options });
  } finally {
    opened.close();
  }
}

test("a small one is kept and taken again, a grown one is not", () => {
  dropEngines();
  const first = takeEngine();
  keepEngine(first, 1 << 20);
  expect(takeEngine()).toBe(first);
  keepEngine(first, 1 << 30);
  const second = takeEngine();
  expect(second).not.toBe(first);
  second.terminate();
});

test("what a recording used is kept, and gives the next one's ranges as a new one does", async () => {
  dropEngines();
  const fresh = await ranges("random:3:1", { workers: 1 });
  const kept = takeEngine();
  keepEngine(kept, 0);
  const other = await ranges("random:3:2", { workers: 1 });
  expect(other).not.toEqual(fresh);
  expect(await ranges("random:3:1", { workers: 1 })).toEqual(fresh);
  expect(takeEngine()).toBe(kept);
  kept.terminate();
}, 30_000);

test("where memory is limited nothing is kept", async () => {
  dropEngines();
  const before = takeEngine();
  before.terminate();
  await ranges("random:2", { workers: 1, memoryLimit: 1e9 });
  const marked = takeEngine();
  keepEngine(marked, 0);
  await ranges("random:2", { workers: 1, memoryLimit: 1e9 });
  expect(takeEngine()).toBe(marked);
  marked.terminate();
}, 30_000);

test("others that come while a small model is recorded change nothing", async () => {
  const alone = await ranges("random:700:5", { workers: 1 });
  expect(await ranges("random:700:5", {})).toEqual(alone);
}, 60_000);

test("lent kernels come back without what lay in them", async () => {
  const kernels = withKernels((lent) => {
    lent.stream.reserve(1 << 20);
    return lent;
  });
  const again = await withKernels(async (lent) => {
    expect(lent).toBe(kernels);
    // What is being used is lent to nothing else.
    expect(withKernels((other) => other)).not.toBe(lent);
    const first = lent.stream.reserve(16).pointer;
    lent.stream.reset();
    expect(lent.stream.reserve(16).pointer).toBe(first);
    lent.stream.reserve(32 << 20);
    return lent;
  });
  expect(withKernels((lent) => lent)).not.toBe(again);
});
