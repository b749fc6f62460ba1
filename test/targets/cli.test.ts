/** Targets on the command line, as a person uses them. */
import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { openModel, operatorName, serializeModel } from "../../src/model/index.ts";
import { cleanUpAfterwards, folder, minmaxq, refused, succeeded } from "../cli/support.ts";
import { type GraphBuilder, model, recorded } from "../helpers/models.ts";
import { numbers } from "../prepare/support.ts";

cleanUpAfterwards();

/** A folder with a model `m` between a RESHAPE that has its shape in the options alone and what `fill` adds from r to y. */
async function withModel(name: string, fill: (graph: GraphBuilder) => GraphBuilder): Promise<string> {
  const cwd = folder();
  const made = model(["x"], ["y"], (graph) =>
    fill(
      graph
        .tensor("x", [1, 2, 4], "FLOAT32", recorded(-1, 1))
        .tensor("r", [1, 8], "FLOAT32", recorded(-1, 1))
        .tensor("y", [1, 3], "FLOAT32", recorded(-2, 2))
        .operator("RESHAPE", ["x"], ["r"], { type: "ReshapeOptions", value: { newShape: Int32Array.of(1, -1) } }),
    ),
  );
  const dialect = name.endsWith(".tflite") ? "tflite" : "circle";
  await Bun.write(join(cwd, name), await serializeModel({ ...made, version: 3 }, { dialect }));
  return cwd;
}

const connected = (graph: GraphBuilder) =>
  graph
    .constant("w", [3, 8], numbers(24))
    .constant("b", [3], numbers(3))
    .operator("FULLY_CONNECTED", ["r", "w", "b"], ["y"], { type: "FullyConnectedOptions", value: {} });

/** Operators with the number of their operands. */
function operators(path: string): string[] {
  const opened = openModel(path);
  try {
    return opened.model.subgraphs![0]!.operators!.map(
      (each) => `${operatorName(opened.model, each)} ${each.inputs!.length}`,
    );
  } finally {
    opened.close();
  }
}

describe("quantize", () => {
  test("--target onert: the result passes its check, and says whom it is for", async () => {
    const cwd = await withModel("m.tflite", connected);
    const { out } = await succeeded(["quantize", "m.tflite", "--target", "onert", "-o", "q.circle"], { cwd });
    expect(out).toContain("weights per channel, for onert, ");
    expect((await succeeded(["check", "q.circle", "--target", "onert"], { cwd })).out).toBe(
      "q.circle: onert's cpu backend loads it and computes it rightly (2 operators)\n",
    );
  });

  test("without: one line tells what onert would not compute rightly, check exits with 1", async () => {
    const cwd = await withModel("m.tflite", connected);
    const { out } = await succeeded(["quantize", "m.tflite", "-o", "q.circle"], { cwd });
    expect(out.trimEnd().split("\n").at(-1)).toBe(
      "  1 FULLY_CONNECTED per channel: onert's cpu backend computes them wrongly; --target onert",
    );
    await refused(
      ["check", "q.circle", "--target", "onert"],
      { cwd },
      1,
      /q\.circle: is not for onert's cpu backend \(1 problem\)/,
    );
    const { out: json, code } = await minmaxq(["check", "q.circle", "--target", "onert", "--json"], { cwd });
    expect(code).toBe(1);
    expect(JSON.parse(json)).toMatchObject({
      target: "onert",
      runs: false,
      operators: 2,
      findings: [{ operator: "FULLY_CONNECTED", tensor: "y", consequence: "wrong" }],
    });
  });

  test("a .tflite is not for onert alone, so nothing is said of it", async () => {
    const cwd = await withModel("m.tflite", connected);
    expect((await succeeded(["quantize", "m.tflite", "--no-run", "-o", "q.tflite"], { cwd })).out).not.toContain(
      "onert",
    );
  });

  test("int16 and what has no kernel are refused before anything is written", async () => {
    const cwd = await withModel("m.tflite", connected);
    const words = ["quantize", "m.tflite", "--target", "onert", "-o", "q.circle"];
    await refused([...words, "--dtype", "int16"], { cwd }, 2, "--dtype int16: not for onert's cpu backend");
    await refused([...words, "--output-dtype", "int16"], { cwd }, 2, "--output-dtype int16: not for");
    await refused(
      ["quantize", "m.tflite", "--target", "onrt", "-o", "q.circle"],
      { cwd },
      2,
      "Choose litert or litert-portable or tflm or ethos-u or edgetpu or onert or none",
    );
    const other = await withModel("m.circle", (graph) =>
      graph
        .tensor("c", [1, 8])
        .operator("CEIL", ["r"], ["c"])
        .constant("s", [2], Int32Array.of(0, 0))
        .constant("n", [2], Int32Array.of(1, 3))
        .operator("SLICE", ["c", "s", "n"], ["y"]),
    );
    await refused(
      ["quantize", "m.circle", "--target", "onert", "-o", "q.circle"],
      { cwd: other },
      1,
      /m\.circle: onert's cpu backend cannot run it \(1\):/,
      /CEIL "c": onert's cpu backend has no kernel for CEIL/,
    );
  });

  test("a target is demanded by check", async () => {
    const cwd = await withModel("m.tflite", connected);
    await refused(["check", "m.tflite"], { cwd }, 2, "check needs --target <runtime>");
  });
});

describe("RESHAPE's second operand is in every circle file", () => {
  test("quantize, convert, record, fake-quantize-weights and the drop-in front", async () => {
    const cwd = await withModel("m.tflite", connected);
    const expected = ["RESHAPE 2", "FULLY_CONNECTED 3"];
    for (const [out, ...words] of [
      ["q.circle", "quantize", "m.tflite", "-o"],
      ["c.circle", "convert", "m.tflite", "-o"],
      ["r.circle", "record", "m.tflite", "--data", "random:1", "-o"],
      ["f.circle", "fake-quantize-weights", "m.tflite", "-o"],
    ] as const) {
      expect((await minmaxq([...words, out], { cwd })).code).toBe(0);
      expect({ out, operators: operators(join(cwd, out)) }).toEqual({ out, operators: expected });
    }
    await succeeded(
      ["circle-quantizer", "--quantize_with_minmax", "float32", "uint8", "channel", "r.circle", "o.circle"],
      { cwd },
    );
    expect(operators(join(cwd, "o.circle"))).toEqual(expected);
  });

  test("there and back is what it was", async () => {
    const cwd = await withModel("m.tflite", connected);
    for (const [from, to] of [
      ["m.tflite", "same.tflite"],
      ["m.tflite", "there.circle"],
      ["there.circle", "back.tflite"],
    ] as const)
      await succeeded(["convert", from, "-o", to], { cwd });
    expect(operators(join(cwd, "back.tflite"))).toEqual(["RESHAPE 1", "FULLY_CONNECTED 3"]);
    expect(readFileSync(join(cwd, "back.tflite"))).toEqual(readFileSync(join(cwd, "same.tflite")));
  });
});

describe("convert --target onert", () => {
  const half = (graph: GraphBuilder) =>
    graph
      .constant("h", [3, 8], new Uint16Array(24).fill(0x3c00), { type: 1 })
      .tensor("w", [3, 8])
      .operator("DEQUANTIZE", ["h"], ["w"])
      .operator("FULLY_CONNECTED", ["r", "w", ""], ["y"], { type: "FullyConnectedOptions", value: {} });

  test("float16 constants are float32 ones", async () => {
    const cwd = await withModel("m.tflite", half);
    await succeeded(["convert", "m.tflite", "-o", "kept.circle"], { cwd });
    await refused(["check", "kept.circle", "--target", "onert"], { cwd }, 1, /DEQUANTIZE "w": .* float16/);
    const { out } = await succeeded(["convert", "m.tflite", "--target", "onert", "-o", "c.circle"], { cwd });
    expect(out).toContain("tflite → circle, for onert");
    expect(operators(join(cwd, "c.circle"))).toEqual(["RESHAPE 2", "FULLY_CONNECTED 3"]);
    await succeeded(["check", "c.circle", "--target", "onert"], { cwd });
  });
});

describe("quantize-weights --target onert", () => {
  test("FULLY_CONNECTED gets one scale; int4 and int16 are refused", async () => {
    const cwd = await withModel("m.tflite", connected);
    await succeeded(["quantize-weights", "m.tflite", "--target", "onert", "-o", "w.circle"], { cwd });
    const opened = openModel(join(cwd, "w.circle"));
    const weights = opened.model.subgraphs![0]!.tensors!.find(({ name }) => name === "w")!;
    opened.close();
    expect(weights.quantization!.scale).toHaveLength(1);
    await succeeded(["check", "w.circle", "--target", "onert"], { cwd });
    for (const dtype of ["int4", "int16"])
      await refused(
        ["quantize-weights", "m.tflite", "--target", "onert", "--weight-dtype", dtype, "-o", "v.circle"],
        { cwd },
        2,
        `--weight-dtype ${dtype}: not for onert's cpu backend, which takes int8`,
      );
  });
});

describe("targets of .tflite", () => {
  test("litert is obeyed where none is named; ONE's scheme is an error by operators, with the ways out", async () => {
    const cwd = await withModel("m.tflite", connected);
    const { out } = await succeeded(["quantize", "m.tflite", "-o", "q.tflite"], { cwd });
    expect(out).toContain("int8, weights per channel, for litert, ");
    await succeeded(["check", "q.tflite", "--target", "litert"], { cwd });
    await refused(
      ["quantize", "m.tflite", "--dtype", "uint8", "-o", "one.tflite"],
      { cwd },
      1,
      "m.tflite: LiteRT does not run uint8 of ONE's scheme with weights per channel (1 RESHAPE, 1 FULLY_CONNECTED); choose --scheme int8 or int16x8, or a .circle file for onert's cpu backend, or --target none for this file all the same",
    );
    expect(await Bun.file(join(cwd, "one.tflite")).exists()).toBe(false);
    const all = ["quantize", "m.tflite", "--dtype", "uint8", "--target", "none", "-o", "one.tflite"];
    expect((await succeeded(all, { cwd })).out.trimEnd().split("\n").at(-1)).toBe(
      "  1 FULLY_CONNECTED per channel: LiteRT refuses them; --target litert",
    );
    await refused(
      ["check", "one.tflite", "--target", "litert"],
      { cwd },
      1,
      /FULLY_CONNECTED "y": its weights "w" are/,
    );
    await refused(["check", "q.tflite", "--target", "none"], { cwd }, 2, "check needs a runtime");
  });

  test("what is no scheme of a target is refused at once", async () => {
    const cwd = await withModel("m.tflite", connected);
    const words = ["quantize", "m.tflite", "-o", "q.tflite", "--target"];
    await refused([...words, "edgetpu", "--scheme", "int16x8"], { cwd }, 2, "--scheme int16x8: not for the Edge TPU");
    await refused([...words, "tflm", "-o", "q.circle"], { cwd }, 2, "does not load .circle");
  });

  test("edgetpu: one scale for the weights of FULLY_CONNECTED", async () => {
    const cwd = await withModel("m.tflite", connected);
    await succeeded(["quantize", "m.tflite", "--target", "edgetpu", "-o", "q.tflite"], { cwd });
    const opened = openModel(join(cwd, "q.tflite"));
    const weights = opened.model.subgraphs![0]!.tensors!.find(({ name }) => name === "w")!;
    opened.close();
    expect(weights.quantization!.scale).toHaveLength(1);
  });

  const gather = (graph: GraphBuilder) =>
    graph
      .constant("i", [3], Int32Array.of(0, 2, 4))
      .operator("GATHER", ["r", "i"], ["y"], { type: "GatherOptions", value: { axis: 1 } });

  test("tflm: what has no int16 kernel there stays float, with its reason", async () => {
    const cwd = await withModel("m.tflite", gather);
    const words = ["quantize", "m.tflite", "--scheme", "int16x8", "-o"];
    expect((await succeeded([...words, "l.tflite"], { cwd })).out).not.toContain("stays float");
    expect((await succeeded([...words, "q.tflite", "--target", "tflm"], { cwd })).out).toContain(
      'GATHER "y": tflm has no int16x8 kernel for it',
    );
    await succeeded(["check", "q.tflite", "--target", "tflm"], { cwd });
    await refused(["check", "l.tflite", "--target", "tflm"], { cwd }, 1, /does not compute it with int16/);
  });

  test("litert-portable: sums of 16 bits have their operand's parameters", async () => {
    const cwd = await withModel("m.tflite", (graph) =>
      graph
        .tensor("s", [1, 1], "FLOAT32", recorded(-6, 6))
        .constant("a", [1], Int32Array.of(1))
        .operator("SUM", ["r", "a"], ["s"], { type: "ReducerOptions", value: { keepDims: true } })
        .constant("n", [2], Int32Array.of(1, 3))
        .operator("BROADCAST_TO", ["s", "n"], ["y"]),
    );
    const scales = async (target: string) => {
      await succeeded(
        ["quantize", "m.tflite", "--scheme", "int16x8", "--target", target, "-o", "q.tflite", "--force"],
        {
          cwd,
        },
      );
      const opened = openModel(join(cwd, "q.tflite"));
      const { tensors, operators: all } = opened.model.subgraphs![0]!;
      opened.close();
      const sum = all!.find((each) => operatorName(opened.model, each) === "SUM")!;
      return [sum.inputs![0]!, sum.outputs![0]!].map((index) => tensors![index]!.quantization!.scale![0]);
    };
    const [from, to] = await scales("litert");
    expect(from).not.toBe(to);
    const [source, result] = await scales("litert-portable");
    expect(source).toBe(result!);
  });
});
