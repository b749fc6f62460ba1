/** What a layer loses itself, and that the terminal gets the worst ones first. */
import { beforeAll, expect, test } from "bun:test";
import { copyFileSync } from "node:fs";
import { join } from "node:path";
import { dropOf } from "../../src/compare/losses.ts";
import { finerScheme } from "../../src/rules/schemes.ts";
import { cleanUpAfterwards, executable, folder, minmaxq, REAL, succeeded } from "../cli/support.ts";
import { inTerminal } from "../helpers/terminal.ts";

cleanUpAfterwards();

const cwd = folder();

test.each([
  // The worst operand counts.
  [20, [30, 50], "UINT8", 10],
  [36, [30, 50], "UINT8", -6],
  // What 8 bits cannot hold is not lost: 6.02 · 8 + 1.76.
  [40, [90], "INT8", 49.92 - 40],
  [90, [95], "INT16", 5],
  [40, [90], null, 50],
  // Inputs, and operands without error: behind these are weights of 8 bits.
  [47, [], "UINT8", 49.92 - 47],
  [80, [], "INT16", 98.08 - 80],
  [35, [Number.POSITIVE_INFINITY], "INT16", 49.92 - 35],
  [35, [Number.POSITIVE_INFINITY], null, 49.92 - 35],
  [35, [Number.POSITIVE_INFINITY, 40], null, 5],
  // Zeros that became something say nothing of what comes after them.
  [20, [Number.NEGATIVE_INFINITY, 30], "UINT8", 10],
  [20, [Number.NaN, 30], "UINT8", 10],
  [Number.POSITIVE_INFINITY, [30], null, 0],
  [Number.NaN, [30], "UINT8", null],
  [Number.NEGATIVE_INFINITY, [30], "UINT8", null],
] as const)("%d dB behind %p, %s: %p", (own, operands, dtype, drop) => {
  const found = dropOf(own, operands, dtype);
  if (drop === null) expect(found).toBeNull();
  else expect(found).toBeCloseTo(drop, 6);
});

test("the next scheme with more bits is of the same family", () => {
  expect(finerScheme("UINT8", "circle")?.name).toBe("int16");
  expect(finerScheme("UINT8", "tflite")?.name).toBe("int16x8");
  expect(finerScheme("INT8", "tflite")?.name).toBe("int16x8");
  expect(finerScheme("INT16", "tflite")).toBeUndefined();
  expect(finerScheme("FLOAT32", "tflite")).toBeUndefined();
});

interface Layer {
  name: string;
  rank: number;
  drop: number;
  operands: string[];
  dtype: string | null;
  metrics: { sqnr: number };
}

const DATA = ["--data", "random:3"];
const COMPARE = ["compare", "m.tflite", "q.tflite", ...DATA, "--layers"];

beforeAll(async () => {
  copyFileSync(REAL, join(cwd, "m.tflite"));
  await minmaxq(["quantize", "m.tflite", ...DATA, "-o", "q.tflite"], { cwd });
});

/** Both ways to run an int8 .tflite. */
for (const how of ["as-is", "fake"]) {
  test(`an int8 .tflite, run ${how}: ranks follow drops, drops follow the operands' SQNR`, async () => {
    const { out } = await succeeded([...COMPARE, "--run", how, "--json"], { cwd });
    const { layers, ran } = JSON.parse(out) as { layers: Layer[]; ran: string };
    expect(ran).toBe(how === "fake" ? "fake-quantized" : "as it is");
    expect(layers.length).toBeGreaterThan(50);
    expect(layers.map(({ rank }) => rank).sort((a, b) => a - b)).toEqual(layers.map((_, i) => i + 1));
    const sorted = layers.toSorted((a, b) => a.rank - b.rank);
    expect(sorted.map(({ drop }) => drop)).toEqual(layers.map(({ drop }) => drop).sort((a, b) => b - a));
    const sqnr = new Map(layers.map(({ name, metrics }) => [name, metrics.sqnr]));
    for (const { name, operands, drop, metrics, dtype } of layers) {
      const worst = Math.min(...operands.map((operand) => sqnr.get(operand)!), dtype === "INT8" ? 49.92 : 1e9);
      expect([name, drop]).toEqual([name, expect.closeTo(worst - metrics.sqnr, 6)]);
    }
    // The float model's own graph: the first convolution reads the input, wherever its RELU went.
    expect(layers.find(({ name }) => name === "activation")!.operands).toEqual(["input"]);
  });
}

test("ten layers, all with --all; the verdict's remedy is a layer that quantize takes", async () => {
  const some = (await succeeded(COMPARE, { cwd })).out.split("\n");
  const all = (await succeeded([...COMPARE, "--all"], { cwd })).out.split("\n");
  const rows = (lines: string[]) => lines.filter((line) => /^ *-?[\d.]+ +-?[\d.]+ {2}(int8|float) /.test(line));
  expect(rows(some)).toEqual(rows(all).slice(0, 10));
  expect(rows(all).length).toBeGreaterThan(50);
  expect(some.join("\n")).toContain(`… and ${rows(all).length - 10} more that lose less`);
  expect(all.join("\n")).not.toContain("more that lose less");
  const [, layer] = /^largest loss: .*; try --layer '(.*)'$/m.exec(some.join("\n"))!;
  const better = ["quantize", "m.tflite", ...DATA, "--layer", layer!, "-o", "better.tflite"];
  expect((await minmaxq(better, { cwd })).code).toBe(0);
});

test("weights alone: layers are float, so no layer's scheme is proposed", async () => {
  await minmaxq(["quantize", "m.tflite", "--scheme", "dynamic-int8", "-o", "d.tflite"], { cwd });
  const { out } = await succeeded(["compare", "m.tflite", "d.tflite", ...DATA, "--layers"], { cwd });
  expect(out).toMatch(/^largest loss: .* dB; it is float, and loses by its weights$/m);
  expect(out).not.toContain("--layer ");
});

test("on a terminal of 80 columns no line is longer, and poor values have colours", async () => {
  const { lines, raw } = await inTerminal(executable(), COMPARE, cwd);
  expect(lines.some((line) => line.startsWith("largest loss: "))).toBe(true);
  expect(lines.filter((line) => Bun.stringWidth(line) > 80)).toEqual([]);
  expect(raw).toMatch(/\x1b\[3[13]m *-?\d/);
});

test("--all alone is refused", async () => {
  const { code, err } = await minmaxq([...COMPARE.slice(0, -1), "--all"], { cwd });
  expect([code, err]).toEqual([2, expect.stringContaining("--layers")]);
});
