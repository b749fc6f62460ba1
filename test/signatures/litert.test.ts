/** Signatures of a .tflite result: LiteRT runs each of them as it is. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { rmSync } from "node:fs";
import { join } from "node:path";
import { asIs } from "../../src/compare/as-is.ts";
import { compareModels } from "../../src/compare/compare.ts";
import { openSide } from "../../src/compare/side.ts";
import { quantize } from "../../src/driver/quantize.ts";
import { rangeOf } from "../../src/model/bytes.ts";
import { type Model, openModel, writeModel } from "../../src/model/index.ts";
import { SCHEMES } from "../../src/rules/schemes.ts";
import { tryModel } from "../../src/trial/trial.ts";
import { dataOf, floats, folder } from "../calibration/support.ts";
import { encodeDecode, tensorIn } from "./models.ts";

let where: string;
beforeAll(() => {
  where = folder();
});
afterAll(() => rmSync(where, { recursive: true, force: true }));

const RECORDS = dataOf([floats(1, 2, -3, 0.5)], [floats(4, -4, 0, 2)]);

async function quantized(model: Model, name: string) {
  const [input, output] = [join(where, `${name}.float.tflite`), join(where, `${name}.tflite`)];
  await writeModel(model, input, { dialect: "tflite" });
  const sources = ["encode", "decode"].map((signature) => ({ signature, location: "random:8" }));
  const samples = { sources, reduction: { kind: "minmax" as const }, workers: 1 };
  const options = { scheme: SCHEMES.int8!, granularity: "channel" as const };
  const report = await quantize({ model: input, output, samples, options, strict: true });
  return { report, input, output };
}

/** SQNR of a signature's output, the result run by LiteRT's integer kernels. */
async function sqnr(input: string, output: string, subgraph: number): Promise<number> {
  const part = { subgraph };
  const [first, fake] = [openModel(input), openModel(output)];
  const sides = [await openSide(first, false, false, part), await openSide(fake, false, false, part)] as const;
  const second = await asIs(fake, sides[1], part);
  if ("reason" in second) throw new Error(second.reason);
  const { outputs, ran } = await compareModels([sides[0], second], async () => RECORDS, { workers: 1 });
  expect(ran).toBe("as it is");
  return outputs[0]!.metrics.sqnr!;
}

describe("int8", () => {
  test("every signature runs, near the float model", async () => {
    const { input, output, report } = await quantized(encodeDecode(), "both");
    expect(report.run).toEqual({ runtime: "LiteRT", ran: true });
    expect(await tryModel(output)).toEqual({ ran: true });
    for (const subgraph of [0, 1]) expect(await sqnr(input, output, subgraph)).toBeGreaterThan(25);
  });

  test("a bias that makes one signature's weights coarser makes those of the other so, too: they are the same", async () => {
    const biased = encodeDecode();
    const [encode] = biased.subgraphs!;
    // A channel of weights so small that its bias needs more than 32 bits of their scale.
    const weights = Float32Array.of(1e-9, -2e-9, 5e-10, 2e-10, -1, 3, 2, 0.125);
    biased.buffers![tensorIn(encode!, "w").buffer!] = { data: rangeOf(new Uint8Array(weights.buffer)) };
    const buffer = biased.buffers!.push({ data: rangeOf(new Uint8Array(Float32Array.of(40, 1).buffer)) }) - 1;
    const at = encode!.tensors!.push({ name: "bias", shape: Int32Array.of(2), type: 0, buffer }) - 1;
    encode!.operators![0]!.inputs![2] = at;
    const { input, output } = await quantized(biased, "biased");
    const { model } = openModel(output);
    const tables = model.subgraphs!.map((graph) => tensorIn(graph, "w"));
    expect(tables[0]!.buffer).toBe(tables[1]!.buffer!);
    expect([...tables[0]!.quantization!.scale!]).toEqual([...tables[1]!.quantization!.scale!]);
    // Larger than what the values alone would give.
    expect(tables[0]!.quantization!.scale![0]!).toBeGreaterThan(2e-9 / 127);
    for (const subgraph of [0, 1]) expect(await sqnr(input, output, subgraph)).toBeGreaterThan(25);
  });
});
