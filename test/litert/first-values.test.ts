/**
 * Variables whose first value another subgraph gives (CALL_ONCE): one class over both. Expected integers are computed naively; that LiteRT
 * runs the file is the trial's word, and was seen in the interpreter of PyPI's ai-edge-litert 2.3.
 */
import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { quantize, verify } from "../../src/driver/quantize.ts";
import { readRange } from "../../src/model/bytes.ts";
import { type Model, nameOf, openModel, serializeModel, TensorType } from "../../src/model/index.ts";
import { SCHEMES } from "../../src/rules/schemes.ts";
import { GraphBuilder, ModelBuilder } from "../helpers/models.ts";

const folder = mkdtempSync(join(tmpdir(), "minmaxq-variables-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const FIRST = [-9, 0.5, 1, 2];
type Init = "constant" | "computed" | "read" | "also called";

/** y = x + v, v = y / 2; v is FIRST before the first run. */
function stateful(init: Init = "constant"): Model {
  const builder = new ModelBuilder();
  const handle = { type: "VarHandleOptions", value: { sharedName: "v", container: "" } } as const;
  const once = { type: "CallOnceOptions", value: { initSubgraphIndex: 1 } } as const;
  const main = new GraphBuilder(builder)
    .tensor("x", [1, 4])
    .tensor("h", [], "RESOURCE")
    .tensor("old", [1, 4])
    .tensor("y", [1, 4])
    .tensor("new", [1, 4])
    .constant("half", [], Float32Array.of(0.5))
    .operator("CALL_ONCE", [], [], once)
    .operator("VAR_HANDLE", [], ["h"], handle)
    .operator("READ_VARIABLE", ["h"], ["old"])
    .operator("ADD", ["x", "old"], ["y"], { type: "AddOptions", value: {} })
    .operator("MUL", ["y", "half"], ["new"], { type: "MulOptions", value: {} })
    .operator("ASSIGN_VARIABLE", ["h", "new"], []);
  if (init === "also called") main.operator("CALL", [], [], { type: "CallOptions", value: { subgraph: 1 } });
  const start = new GraphBuilder(builder)
    .tensor("h1", [], "RESOURCE")
    .constant("first", [1, 4], Float32Array.from(FIRST))
    .operator("VAR_HANDLE", [], ["h1"], handle);
  if (init === "computed") start.tensor("made", [1, 4]).operator("NEG", ["first"], ["made"]);
  start.operator("ASSIGN_VARIABLE", ["h1", init === "computed" ? "made" : "first"], []);
  if (init === "read")
    start
      .tensor("seen", [1, 4])
      .tensor("twice", [1, 4])
      .operator("READ_VARIABLE", ["h1"], ["seen"])
      .operator("ADD", ["seen", "seen"], ["twice"], { type: "AddOptions", value: {} })
      .operator("ASSIGN_VARIABLE", ["h1", "twice"], []);
  return builder.model(main.graph(["x"], ["y"]), start.graph([], []));
}

async function quantized(name: string, of: Model, scheme: "int8" | "int16x8" = "int8") {
  const path = join(folder, `${name}.tflite`);
  await Bun.write(path, await serializeModel({ ...of, version: 3 }, { dialect: "tflite" }));
  const output = join(folder, `${name}.${scheme}.tflite`);
  const report = await quantize({
    model: path,
    output,
    options: { scheme: SCHEMES[scheme], granularity: "channel" },
    samples: { sources: [{ location: "random:8" }], reduction: { kind: "minmax" } },
  });
  const opened = openModel(output);
  const tensors = new Map(
    opened.model.subgraphs!.flatMap(({ tensors }) =>
      tensors!.map((tensor) => {
        const { quantization, type = TensorType.FLOAT32, name = "", buffer = 0 } = tensor;
        const data = opened.model.buffers![buffer]?.data;
        const bytes = data && data.length > 0 ? readRange(data as Parameters<typeof readRange>[0]) : undefined;
        const [scale, zeroPoint] = [quantization?.scale?.[0], quantization?.zeroPoint?.[0]];
        return [name, { dtype: nameOf(TensorType, type), scale, zeroPoint: Number(zeroPoint), bytes }] as const;
      }),
    ),
  );
  opened.close();
  return { report, tensors, output };
}

for (const [scheme, List, low, high] of [
  ["int8", Int8Array, -128, 127],
  ["int16x8", Int16Array, -32767, 32767],
] as const)
  test(`a constant first value has the variable's parameters in ${scheme}`, async () => {
    const { report, tensors, output } = await quantized("constant", stateful(), scheme);
    const old = tensors.get("old")!;
    const first = tensors.get("first")!;
    expect(report.notes.filter(({ code }) => code === "variable")).toEqual([]);
    expect(report.run).toEqual({ runtime: "LiteRT", ran: true });
    const { dtype, scale, zeroPoint } = old;
    expect(dtype).toBe(scheme === "int8" ? "INT8" : "INT16");
    for (const name of ["first", "new"]) expect(tensors.get(name)).toMatchObject({ dtype, scale, zeroPoint });
    // What is written as the first value counts for the range, although samples add to it before it is seen in y.
    expect((low - zeroPoint) * scale!).toBeLessThanOrEqual(-9 + scale!);
    const integers = [...new List(first.bytes!.slice().buffer)];
    expect(integers).toEqual(
      FIRST.map((value) => Math.max(low, Math.min(high, Math.round(value / scale!) + zeroPoint))),
    );
    expect((await verify({ model: output })).problems).toEqual([]);
  });

for (const [init, reason] of [
  ["computed", "its variable's first value is computed, or quantized already"],
  ["read", "the subgraph that gives its variable a first value reads it, too"],
  ["also called", "another subgraph uses its variable"],
] as const)
  test(`it stays float, with the reason: ${init}`, async () => {
    const { report, tensors } = await quantized(init.replace(" ", "-"), stateful(init));
    expect(
      report.notes.filter(({ code }) => code === "variable").map(({ text }) => text.replace(/^.*": /, "")),
    ).toEqual([reason, reason]);
    expect(tensors.get("first")!.dtype).toBe("FLOAT32");
    expect(tensors.get("old")!.dtype).toBe("FLOAT32");
    expect(tensors.get("x")!.dtype).toBe("INT8");
  });

test("a first value with other parameters is a problem of a file", async () => {
  const { output } = await quantized("spoiled", stateful());
  const opened = openModel(output);
  const subgraphs = opened.model.subgraphs!.map((graph) => ({
    ...graph,
    tensors: graph.tensors!.map((tensor) =>
      tensor.name === "first"
        ? { ...tensor, quantization: { ...tensor.quantization, scale: Float32Array.of(1) } }
        : tensor,
    ),
  }));
  const path = join(folder, "other-scale.tflite");
  await Bun.write(path, await serializeModel({ ...opened.model, subgraphs }, { dialect: "tflite" }));
  opened.close();
  expect((await verify({ model: path })).problems).toEqual([
    expect.stringMatching(/^ASSIGN_VARIABLE.*"first" and "old" are values of one variable with other parameters/),
  ]);
});
