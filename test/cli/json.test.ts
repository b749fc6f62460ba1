/** What programs read: one JSON document on stdout, versioned; and the facts of its end block. */
import { beforeAll, describe, expect, test } from "bun:test";
import { copyFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { BuiltinOperator, nameOf, openModel, TensorType } from "../../src/model/index.ts";
import { cleanUpAfterwards, folder, minmaxq, REAL, succeeded } from "./support.ts";

cleanUpAfterwards();

const cwd = folder();
const at = (name: string) => join(cwd, name);
const QUANTIZE = ["quantize", "model.tflite", "--data", "random:2"];

beforeAll(async () => {
  copyFileSync(REAL, at("model.tflite"));
  await succeeded([...QUANTIZE, "-o", "q.tflite", "--json"], { cwd });
});

/** Operators of a file by the dtype of their first result, from its tables: what the file says, not what the driver thinks. */
function layersOf(path: string): Record<string, number> {
  const opened = openModel(path);
  const counts: Record<string, number> = {};
  for (const { operators = [], tensors = [] } of opened.model.subgraphs ?? [])
    for (const { opcodeIndex = 0, outputs = [] } of operators) {
      const kind = nameOf(BuiltinOperator, opened.model.operatorCodes![opcodeIndex]!.builtinCode ?? 0);
      if (["QUANTIZE", "DEQUANTIZE"].includes(kind)) continue;
      const dtype = nameOf(TensorType, tensors[outputs[0]!]!.type ?? 0).toLowerCase();
      counts[dtype] = (counts[dtype] ?? 0) + 1;
    }
  opened.close();
  return counts;
}

describe("every command that reads or writes a model has --json", () => {
  const rows: string[][] = [
    [...QUANTIZE, "-o", "a.tflite"],
    ["quantize", "model.tflite", "--scheme", "dynamic-int8", "-o", "b.tflite"],
    ["record", "model.tflite", "--data", "random:2", "-o", "c.circle"],
    ["convert", "model.tflite", "-o", "d.circle"],
    ["dequantize", "q.tflite", "-o", "e.tflite"],
    ["fake-quantize-weights", "model.tflite", "-o", "f.circle"],
    ["verify", "q.tflite"],
  ];
  for (const args of rows)
    test(args[0] === "quantize" ? args.join(" ") : args[0]!, async () => {
      const { out, err } = await succeeded([...args, "--json"], { cwd });
      const report = JSON.parse(out);
      expect(report.reportVersion).toBe(1);
      expect(err).toBe("");
      const output = args[args.indexOf("-o") + 1]!;
      if (report.output)
        expect(report.output).toEqual({
          path: output,
          format: output.endsWith(".tflite") ? "tflite" : "circle",
          bytes: statSync(at(output)).size,
        });
    });

  test("check, also of what is not for the target: the facts on stdout, the error on stderr", async () => {
    const { code, out, err } = await minmaxq(["check", "model.tflite", "--target", "onert", "--json"], { cwd });
    const { reportVersion, runs, operators } = JSON.parse(out);
    expect({ reportVersion, runs, operators, code }).toEqual({
      reportVersion: 1,
      runs: code === 0,
      operators: 164,
      code,
    });
    if (code !== 0) expect(err).toStartWith("minmaxq: model.tflite: ");
  });
});

describe("the block at the end", () => {
  test("layers by dtype are those of the file", async () => {
    const mixed = [...QUANTIZE, "--layer", "conv2d*=int16", "--layer", "reshape*=float32", "-o", "mixed.circle"];
    const { layers } = JSON.parse((await succeeded([...mixed, "--json"], { cwd })).out);
    expect(layers).toEqual(layersOf(at("mixed.circle")));
    expect(Object.keys(layers).length).toBe(3);
  });

  test("lines: layers, sizes with what they grew or shrank by, memory", async () => {
    const { out } = await succeeded([...QUANTIZE, "-o", "block.tflite"], { cwd });
    const [before, after] = [statSync(REAL).size, statSync(at("block.tflite")).size];
    const percent = Math.round((1 - after / before) * 100);
    expect(out).toContain(`(−${percent} %)`);
    const layers = layersOf(at("block.tflite"));
    expect(out).toContain(`  ${layers.int8} layers: ${layers.int8} int8\n`);
    const memory = Number(/^ {2}memory: (\d+) MB at most$/m.exec(out)![1]);
    // LiteRT alone takes tens of megabytes; a hundred times that would be no model of 200 KB.
    expect(memory).toBeGreaterThan(50);
    expect(memory).toBeLessThan(2000);
  });
});
