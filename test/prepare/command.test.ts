/** The command with prepare: switching steps off, and built models quantized to the end. */

import { afterAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Output } from "../../src/base/output.ts";
import { runProgram } from "../../src/cli/program.ts";
import {
  type BuiltinOptions,
  type Model,
  openModel,
  operatorTexts,
  Padding,
  TensorType,
  writeModel,
} from "../../src/model/index.ts";
import { PREPARE_NAMES, PREPARE_PASSES } from "../../src/passes/prepare/index.ts";
import { model, quantized } from "../helpers/models.ts";
import { numbers } from "./support.ts";

const folder = mkdtempSync(join(tmpdir(), "minmaxq-prepare-"));
afterAll(() => rmSync(folder, { recursive: true }));

const transposed: BuiltinOptions = {
  type: "TransposeConvOptions",
  value: { padding: Padding.SAME, strideW: 2, strideH: 2 },
};

/** Every pattern in a row: computed weights, batch-norm, activations, no bias, unknown batch. */
function everything(): Model {
  const dynamic = (...dims: number[]) => ({ shapeSignature: Int32Array.of(-1, ...dims) });
  return model(["x"], ["y"], (graph) => {
    graph
      .tensor("x", [1, 4, 4, 2], "FLOAT32", dynamic(4, 4, 2))
      .constant("q", [3, 1, 1, 2], Int8Array.of(1, 2, 3, -4, 5, -128), { type: TensorType.INT8, ...quantized(0.1, 0) })
      .constant("m", [3], Float32Array.of(0.5, 2, -1))
      .constant("p", [4], Float32Array.of(0.5, 2, -1, 3))
      .constant("eps", [], Float32Array.of(0.01))
      .constant("v", [4, 3], numbers(12))
      .constant("perm", [2], Int32Array.of(1, 0))
      .constant("five", [4], Int32Array.of(5, 1, 1, 4))
      .constant("size", [4], Int32Array.of(1, 8, 8, 5))
      .constant("t", [5, 2, 2, 4], numbers(80))
      .tensor("w", [3, 1, 1, 2])
      .tensor("turned", [3, 4])
      .tensor("u", [3, 4])
      .tensor("r", [4]);
    for (const name of ["a", "b", "c"]) graph.tensor(name, [1, 4, 4, 3], "FLOAT32", dynamic(4, 4, 3));
    graph.tensor("flat", [16, 3]).constant("rows", [2], Int32Array.of(-1, 3)).constant("k", [4, 3], numbers(12));
    for (const name of ["f", "g"]) graph.tensor(name, [16, 4]);
    graph.constant("square", [4], Int32Array.of(1, 4, 4, 4)).tensor("i", [1, 4, 4, 4]);
    for (const name of ["o", "y"]) graph.tensor(name, [1, 8, 8, 5]);
    graph
      .operator("DEQUANTIZE", ["q"], ["w"])
      .operator("CONV_2D", ["x", "w"], ["a"], { type: "Conv2DOptions", value: { strideW: 1, strideH: 1 } })
      .operator("MUL", ["a", "m"], ["b"], { type: "MulOptions", value: {} })
      .operator("RELU6", ["b"], ["c"])
      .operator("RESHAPE", ["c", "rows"], ["flat"])
      .operator("ADD", ["p", "eps"], ["r"], { type: "AddOptions", value: {} })
      .operator("FULLY_CONNECTED", ["flat", "k", ""], ["f"], { type: "FullyConnectedOptions", value: {} })
      .operator("SUB", ["f", "r"], ["g"], { type: "SubOptions", value: {} })
      .operator("RESHAPE", ["g", "square"], ["i"])
      .operator("TRANSPOSE_CONV", ["size", "t", "i"], ["o"], transposed)
      .operator("RELU", ["o"], ["y"]);
  });
}

/** Runs the command line; lines of stdout. */
async function minmaxq(...words: string[]): Promise<string[]> {
  const lines: string[] = [];
  const output: Output = { print: (line) => lines.push(line), tell: () => {}, progress: () => () => {} };
  await runProgram(words, output);
  return lines;
}

async function quantize(name: string, ...words: string[]): Promise<{ lines: string[]; operators: string[] }> {
  const [input, output] = [join(folder, `${name}.tflite`), join(folder, `${name}.circle`)];
  await writeModel(everything(), input, { dialect: "tflite" });
  const lines = await minmaxq("quantize", input, "--data", "random:2", "--num-threads", "1", "-o", output, ...words);
  const opened = openModel(output);
  opened.close();
  return { lines, operators: operatorTexts(opened.model) };
}

const PREPARED = [
  "CONV_2D(x, w, c_bias) RELU6 -> c",
  "RESHAPE(c, rows) -> flat",
  "FULLY_CONNECTED(flat, k, r) -> g",
  "RESHAPE(g, square) -> i",
  "TRANSPOSE_CONV(size, t, i) RELU -> y",
];

describe("quantize", () => {
  for (const words of [[], ["--dtype", "int16"], ["--granularity", "layer"]]) {
    test(`prepares and verifies: ${words.join(" ") || "uint8"}`, async () => {
      const { lines, operators } = await quantize("all", ...words);
      expect(operators).toEqual(PREPARED);
      expect(lines).toContain(
        "  prepared: folded constants (1 DEQUANTIZE, 1 ADD); folded 1 MUL into CONV_2D, 1 SUB into FULLY_CONNECTED; fused 1 RELU6, 1 RELU; zero bias for 1 CONV_2D",
      );
      expect(lines.join("\n")).not.toContain("stays float");
    });
  }

  test("steps are switched off by name: a list, several times, all", async () => {
    const some = await quantize("some", "--no-prepare", "fold-batch-norm, zero-bias", "--no-prepare", "fold-constants");
    expect(some.lines).toContain("  prepared: fused 1 RELU6, 1 RELU");
    expect(some.operators.find((line) => line.endsWith(" -> c"))).toMatch(/^MUL\(\w+, m\) RELU6 -> c$/);
    const none = await quantize("none", "--no-prepare", "all");
    expect(none.lines.filter((line) => line.includes("prepared"))).toEqual([]);
    expect(none.operators.find((line) => line.endsWith(" -> b"))).toMatch(/^MUL\(\w+, m\) -> b$/);
  });

  test("a misspelt name is told with the right one", async () => {
    const message = await minmaxq("quantize", "m.tflite", "-o", "o.circle", "--no-prepare", "fuse-activtion").catch(
      String,
    );
    expect(message).toContain('There is no step "fuse-activtion"; did you mean fuse-activation?');
    for (const name of PREPARE_NAMES) expect(message).toContain(name);
  });

  test("help names all steps", async () => {
    const help = (await minmaxq("quantize", "--help")).join("\n").replace(/\s+/g, " ");
    for (const { name } of PREPARE_PASSES) expect(help).toContain(name);
  });
});
