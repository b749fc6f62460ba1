/**
 * The second model run as it is. The oracle is LiteRT itself on the file's own bytes, with integers made and read by plain arithmetic here.
 */
import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { compileLibrary, loadEngine } from "../../src/calibration/litert.ts";
import { asIs } from "../../src/compare/as-is.ts";
import { type CompareOptions, compareModels } from "../../src/compare/compare.ts";
import { quantizedBytes } from "../../src/compare/numbers.ts";
import { hasIntegers, openSide, type Side } from "../../src/compare/side.ts";
import { type Model, openModel, serializeModel } from "../../src/model/index.ts";
import { dataOf } from "../calibration/support.ts";
import { model, quantizedAs } from "../helpers/models.ts";
import { floatRecords } from "./support.ts";

const folder = mkdtempSync(join(tmpdir(), "minmaxq-as-is-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const X = { scale: 0.008, zero: 3 };
const C = { scale: 0.04, zero: -7 };
const Y = { scale: 1 / 128, zero: 0 };
const WEIGHTS = [0.01, 0.02, 0.005];
const SHAPE = [1, 6, 6, 2];
const CONV = [1, 6, 6, 3];
const w = Int8Array.from({ length: 3 * 9 * 2 }, (_, i) => ((i * 37) % 251) - 125);
const b = Int32Array.of(300, -500, 40);

type Parameters = typeof X;
const int8 = ({ scale, zero }: Parameters) => quantizedAs("INT8", [scale], [zero]);
const options = { type: "Conv2DOptions", value: { strideW: 1, strideH: 1, padding: 0 } } as const;

/** x → CONV_2D c → TANH y in int8. */
function quantized(shown = ["y"]): Model {
  const scales = WEIGHTS.map((scale) => Math.fround(X.scale) * Math.fround(scale));
  return model(["x"], shown, (graph) => {
    graph
      .tensor("x", SHAPE, "INT8", int8(X))
      .constant("w", [3, 3, 3, 2], w, quantizedAs("INT8", WEIGHTS, [0, 0, 0]))
      .constant("b", [3], b, quantizedAs("INT32", scales, [0, 0, 0]))
      .tensor("c", CONV, "INT8", int8(C))
      .tensor("y", CONV, "INT8", int8(Y))
      .operator("CONV_2D", ["x", "w", "b"], ["c"], options)
      .operator("TANH", ["c"], ["y"]);
  });
}

/** The float model. */
function float(): Model {
  const scaleAt = (i: number) => Math.fround(WEIGHTS[Math.floor(i / 18)]!);
  return model(["x"], ["y"], (graph) =>
    graph
      .tensor("x", SHAPE)
      .constant(
        "w",
        [3, 3, 3, 2],
        Float32Array.from(w, (value, i) => value * scaleAt(i)),
      )
      .constant(
        "b",
        [3],
        Float32Array.from(b, (value, i) => value * X.scale * WEIGHTS[i]!),
      )
      .tensor("c", CONV)
      .tensor("y", CONV)
      .operator("CONV_2D", ["x", "w", "b"], ["c"], options)
      .operator("TANH", ["c"], ["y"]),
  );
}

const RECORDS = floatRecords([72], 4);

const bytesOf = (built: Model) => serializeModel({ ...built, version: 3 }, { dialect: "tflite" });

async function opened(built: Model, name: string) {
  const path = join(folder, name);
  await Bun.write(path, await bytesOf(built));
  return openModel(path);
}

/** What LiteRT gives for a tensor of a model, as numbers: integers or floats. */
async function run(built: Model, name: string, inputs: readonly Uint8Array[], integers: boolean): Promise<number[][]> {
  const engine = await loadEngine(await bytesOf(built), [name], await compileLibrary(false), false);
  const all: number[][] = [];
  for (const input of inputs)
    await engine.run([input], (_, bytes) => {
      const { buffer } = bytes.slice();
      all.push([...(integers ? new Int8Array(buffer) : new Float32Array(buffer))]);
    });
  engine.close();
  return all;
}

/** Mean absolute and squared differences of a tensor of the float model and the int8 one, in plain arithmetic. */
async function naive(name: "c" | "y", { scale, zero }: Parameters) {
  const graph = { ...float().subgraphs![0]!, outputs: Int32Array.of(name === "c" ? 3 : 4) };
  const floats = await run(
    { ...float(), subgraphs: [graph] },
    name,
    RECORDS.map(([x]) => x!),
    false,
  );
  const integers = RECORDS.map(([x]) => {
    const values = new Float32Array(x!.slice().buffer);
    // No value here is halfway between two integers.
    const quantize = (value: number) =>
      Math.max(-128, Math.min(127, Math.round(value / Math.fround(X.scale)) + X.zero));
    return new Uint8Array(Int8Array.from(values, quantize).buffer);
  });
  const results = await run(quantized([name]), name, integers, true);
  const differences = floats.flatMap((row, i) =>
    row.map((value, k) => value - Math.fround(Math.fround(scale) * (results[i]![k]! - zero))),
  );
  const mean = (list: number[]) => list.reduce((sum, value) => sum + value, 0) / list.length;
  return { mae: mean(differences.map(Math.abs)), mse: mean(differences.map((value) => value * value)) };
}

async function sides(): Promise<{ first: Side; fake: Side; real: Side }> {
  const first = await openSide(await opened(float(), "float.tflite"));
  const file = await opened(quantized(), "int8.tflite");
  const fake = await openSide(file);
  const real = await asIs(file, fake);
  if ("reason" in real) throw new Error(real.reason);
  return { first, fake, real };
}

const compare = (a: Side, second: Side, more: CompareOptions = {}) =>
  compareModels([a, second], async () => dataOf(...RECORDS), { layers: true, workers: 1, ...more });

test("outputs and inner tensors are LiteRT's own integers", async () => {
  const { first, real } = await sides();
  const found = await compare(first, real);
  expect(found.ran).toBe("as it is");
  const y = await naive("y", Y);
  expect(found.outputs[0]!.metrics.mae).toBeCloseTo(y.mae, 9);
  expect(found.outputs[0]!.metrics.mse).toBeCloseTo(y.mse, 9);
  const inner = found.layers.find(({ name }) => name === "c")!;
  const c = await naive("c", C);
  expect(inner.dtype).toBe("INT8");
  expect(inner.metrics.mae).toBeCloseTo(c.mae, 9);
  expect(inner.metrics.mse).toBeCloseTo(c.mse, 9);
  expect(found.notCompared).toEqual([]);
  // The input's own rounding, half a step at most.
  const x = found.layers.find(({ name }) => name === "x")!;
  expect(x.metrics.mae!).toBeGreaterThan(X.scale / 8);
  expect(x.metrics.mae!).toBeLessThan(X.scale / 2);
});

test("both ways agree within a step of the kernels", async () => {
  const { fake, real } = await sides();
  const found = await compare(fake, real);
  for (const { name, metrics } of [...found.outputs, ...found.layers]) {
    const step = { x: X.scale, c: C.scale, y: Y.scale }[name]!;
    expect(metrics.mae!).toBeLessThanOrEqual(step);
    expect(metrics.mse!).toBeLessThanOrEqual(step * step);
  }
});

test("in parts the numbers are the same", async () => {
  const { first, real } = await sides();
  const together = await compare(first, real);
  expect(await compare(first, real, { cut: "always" })).toEqual(together);
});

test("what LiteRT has no kernels for is not run as it is, and why is said", async () => {
  const uint8 = (scales: number[], zero: number) =>
    quantizedAs(
      "UINT8",
      scales,
      scales.map(() => zero),
    );
  const one = model(["x"], ["c"], (graph) =>
    graph
      .tensor("x", SHAPE, "UINT8", uint8([X.scale], 128))
      .constant(
        "w",
        [3, 3, 3, 2],
        Uint8Array.from(w, (value) => value + 128),
        uint8(WEIGHTS, 128),
      )
      .constant("b", [3], b, quantizedAs("INT32", [1, 1, 1], [0, 0, 0]))
      .tensor("c", CONV, "UINT8", uint8([C.scale], 100))
      .operator("CONV_2D", ["x", "w", "b"], ["c"], options),
  );
  const file = await opened(one, "one.tflite");
  expect(await asIs(file, await openSide(file))).toEqual({
    reason: expect.stringContaining('does not run CONV_2D "c"'),
  });
  const path = join(folder, "m.circle");
  await Bun.write(path, await serializeModel(quantized(), { dialect: "circle" }));
  const circle = openModel(path);
  expect(await asIs(circle, await openSide(circle))).toEqual({ reason: "it is a .circle file" });
});

test("a float model is the same either way", () => {
  expect(hasIntegers(float())).toBe(false);
  expect(hasIntegers(quantized())).toBe(true);
});

test("floats become integers half away from 0, clamped", () => {
  const floats = new Uint8Array(Float32Array.of(0.25, -0.25, 0.75, 100, -100, Number.NaN).buffer);
  const integers = (dtype: "INT8" | "UINT8" | "INT16", zeroPoint: number) =>
    quantizedBytes(floats, { dtype, scale: 0.5, zeroPoint });
  expect([...new Int8Array(integers("INT8", -3).buffer as ArrayBuffer)]).toEqual([-2, -4, -1, 127, -128, -3]);
  expect([...integers("UINT8", 10)]).toEqual([11, 9, 12, 210, 0, 10]);
  expect([...new Int16Array(integers("INT16", 0).buffer as ArrayBuffer)]).toEqual([1, -1, 2, 200, -200, 0]);
});
