/** Two models in memory: which tensors are compared, and that the numbers are those of LiteRT's own outputs. */
import { describe, expect, test } from "bun:test";
import { compareModels } from "../../src/compare/compare.ts";
import { openSide } from "../../src/compare/side.ts";
import type { Model, TensorType } from "../../src/model/index.ts";
import { SCHEMES } from "../../src/rules/schemes.ts";
import { dataOf, floats, messageOf } from "../calibration/support.ts";
import { type GraphBuilder, model, quantized, recorded } from "../helpers/models.ts";
import { dropIn, quantize, reopened } from "../passes/support.ts";
import { naive } from "./naive.ts";
import { compared, fakeQuantized, floatRecords, modelOf, valuesOf } from "./support.ts";

const FULLY = {
  type: "FullyConnectedOptions",
  value: { fusedActivationFunction: 0, weightsFormat: 0, keepNumDims: false },
} as const;

/** x ─▶ FULLY_CONNECTED fc ─▶ TANH t ─▶ ADD(t, x) sum ─▶ RESHAPE flat; outputs flat and fc. */
function network(more: (graph: GraphBuilder) => void = () => {}, outputs = ["flat", "fc"]): Model {
  const weights = Float32Array.from({ length: 36 }, (_, i) => Math.sin(i * 1.7) / 2);
  return model(["x"], outputs, (graph) => {
    graph
      .tensor("x", [1, 6], "FLOAT32", recorded(-1, 1))
      .constant("w", [6, 6], weights)
      .constant("b", [6], Float32Array.of(0.1, -0.2, 0.05, 0, 0.3, -0.3))
      .constant("to", [2], Int32Array.of(2, 3))
      .tensor("fc", [1, 6], "FLOAT32", recorded(-2, 2))
      .tensor("t", [1, 6], "FLOAT32", recorded(-1, 1))
      .tensor("sum", [1, 6], "FLOAT32", recorded(-2, 2))
      .tensor("flat", [2, 3], "FLOAT32", recorded(-2, 2))
      .operator("FULLY_CONNECTED", ["x", "w", "b"], ["fc"], FULLY)
      .operator("TANH", ["fc"], ["t"])
      .operator("ADD", ["t", "x"], ["sum"], { type: "AddOptions", value: { fusedActivationFunction: 0 } })
      .operator("RESHAPE", ["sum", "to"], ["flat"], {
        type: "ReshapeOptions",
        value: { newShape: Int32Array.of(2, 3) },
      });
    more(graph);
  });
}

const records = floatRecords([6], 7);
const close = (value: unknown) =>
  typeof value === "number" && Number.isFinite(value) ? expect.closeTo(value, 9) : value;

function expected(a: Float32Array[], b: Float32Array[]) {
  const { tae: _, visqMpeir: __, ofRecords: ___, ...metrics } = naive(a.map((each, i) => [each, b[i]!] as const));
  return Object.fromEntries(Object.entries(metrics).map(([name, value]) => [name, close(value)]));
}

/** Where tensor X is in a fake-quantized model. */
const AFTER = (name: string) => `${name}_FQ_Quantize_FQ_Dequantize`;

for (const [label, setup] of [
  ["uint8 by layer", { dtype: "UINT8", granularity: "layer" }],
  ["uint8 by channel", { dtype: "UINT8", granularity: "channel" }],
  ["int16 by channel", { dtype: "INT16", granularity: "channel" }],
  ["float inputs and outputs", { inputDtypes: ["FLOAT32"], outputDtypes: ["FLOAT32"] }],
  ["mixed", { layers: { t: { dtype: "INT16", granularity: "channel" } } }],
] as const) {
  test(`${label}: outputs and layers are as LiteRT's own`, async () => {
    const float = network();
    const other = await modelOf(await dropIn(float, setup as never));
    const result = await compared(float, other, records, { layers: true });
    const fake = await fakeQuantized(other);
    const ofFloat = await valuesOf(float, ["fc", "t", "sum", "flat"], records);
    const ofFake = await valuesOf(fake, [...["fc", "t", "sum"].map(AFTER), "flat"], records);
    const pair = (name: string) => expected(ofFloat.get(name)!, (ofFake.get(AFTER(name)) ?? ofFake.get(name))!);
    expect(result.records).toBe(7);
    expect(result.outputs.map(({ name, metrics }) => ({ name, metrics }))).toEqual([
      { name: "flat", metrics: pair("flat") as never },
      { name: "fc", metrics: pair("fc") as never },
    ]);
    const layers = Object.fromEntries(result.layers.map(({ name, metrics }) => [name, metrics]));
    expect(Object.keys(layers)).toEqual(["x", "fc", "t", "sum", "flat"]);
    for (const name of ["fc", "t", "sum", "flat"]) expect(layers[name]).toEqual(pair(name) as never);
    // Only Quantize operators at borders have no counterpart.
    for (const { name, reason } of result.notCompared) {
      expect(name).toMatch(/_Quantize$/);
      expect(reason).toBe("only in memory");
    }
  });
}

test("one operator by hand: rounding of the input, the function, rounding of the result", async () => {
  const float = model(["x"], ["y"], (graph) =>
    graph
      .tensor("x", [4], "FLOAT32", recorded(-1, 1))
      .tensor("y", [4], "FLOAT32", recorded(0, 1.5))
      .operator("ABS", ["x"], ["y"]),
  );
  const other = model(["x"], ["y"], (graph) =>
    graph
      .tensor("x", [4], "UINT8", quantized(0.0078125, 128))
      .tensor("y", [4], "UINT8", quantized(0.015625, 0))
      .operator("ABS", ["x"], ["y"]),
  );
  const data = [[floats(-0.999, 0.301, 0.02, 0.75)], [floats(0.4, -2, 0, 0.123)]];
  const round = (value: number, scale: number, zero: number) =>
    (Math.min(255, Math.max(0, Math.round(value / scale) + zero)) - zero) * scale;
  const pairs = data.map(([bytes]) => {
    const x = new Float32Array(bytes!.buffer);
    return [x.map(Math.abs), x.map((each) => round(Math.abs(round(each, 1 / 128, 128)), 1 / 64, 0))] as const;
  });
  const result = await compared(float, other, data);
  const { tae: _, visqMpeir: __, ofRecords: ___, ...metrics } = naive(pairs);
  const of = Object.fromEntries(Object.entries(metrics).map(([name, value]) => [name, close(value)]));
  expect(result.outputs[0]!.metrics).toEqual(of as never);
});

test("one and two workers give the same bits", async () => {
  const float = network();
  const other = await modelOf(await dropIn(float, { scheme: SCHEMES.uint8 }));
  const many = floatRecords([6], 23);
  const [one, two] = [1, 2].map((workers) => compared(float, other, many, { layers: true, workers }));
  expect(await one).toEqual(await two!);
});

test("a model against itself is equal", async () => {
  const result = await compared(network(), network(), records, { layers: true });
  for (const { metrics } of [...result.outputs, ...result.layers]) {
    expect(metrics).toMatchObject({ mae: 0, mse: 0, mpeir: 0, top1: 1, sqnr: Number.POSITIVE_INFINITY });
  }
  expect(result.layers.every(({ dtype }) => dtype === null)).toBe(true);
  expect(result.notCompared).toEqual([]);
});

describe("outputs that no float operator yields", () => {
  test("an input, a constant, indices and a boolean", async () => {
    const build = (type: "FLOAT32" | "UINT8") =>
      model(["x"], ["x", "c", "best", "less"], (graph) => {
        const more = type === "UINT8" ? quantized(0.0625, 128) : {};
        const values = type === "UINT8" ? Uint8Array.of(130, 96) : Float32Array.of(0.125, -2.1);
        graph
          .tensor("x", [1, 6], type, more)
          .constant("c", [2], values, type === "UINT8" ? { type: 3 as TensorType, ...more } : {})
          .constant("axis", [], Int32Array.of(1))
          .tensor("best", [1], "INT64")
          .tensor("less", [1, 6], "BOOL")
          .constant("zero", [1], type === "UINT8" ? Uint8Array.of(128) : Float32Array.of(0), {
            ...(type === "UINT8" ? { type: 3 as TensorType, ...more } : {}),
          })
          .operator("ARG_MAX", ["x", "axis"], ["best"], { type: "ArgMaxOptions", value: { outputType: 4 } })
          .operator("LESS", ["x", "zero"], ["less"]);
      });
    const result = await compared(build("FLOAT32"), build("UINT8"), [[floats(1, 0.51, -1, 3, 2, -3)]]);
    const by = Object.fromEntries(result.outputs.map(({ name, metrics }) => [name, metrics]));
    expect(by.x!.mae).toBeCloseTo(0.01 / 6, 6);
    expect(by.c!.mae).toBeCloseTo(0.05, 6);
    expect(by.best).toMatchObject({ mae: 0, top5: null });
    expect(by.less!.mae).toBe(0);
  });
});

test("int8 models of TFLite's own quantizer are compared, too", async () => {
  const other = model(["x"], ["y"], (graph) =>
    graph
      .tensor("x", [1, 6], "INT8", {
        quantization: { scale: Float32Array.of(1 / 127), zeroPoint: BigInt64Array.of(0n) },
      })
      .tensor("y", [1, 6], "INT8", {
        quantization: { scale: Float32Array.of(1 / 64), zeroPoint: BigInt64Array.of(-128n) },
      })
      .operator("ABS", ["x"], ["y"]),
  );
  const float = model(["x"], ["y"], (graph) =>
    graph.tensor("x", [1, 6]).tensor("y", [1, 6]).operator("ABS", ["x"], ["y"]),
  );
  const { outputs } = await compared(float, other, records);
  expect(outputs[0]!.metrics.sqnr).toBeGreaterThan(30);
});

describe("operators that stay float", () => {
  test("with Quantize and Dequantize at their borders", async () => {
    const float = network(
      (graph) =>
        graph
          .tensor("cos", [1, 6], "FLOAT32", recorded(-1, 1))
          .operator("COS", ["sum"], ["cos"])
          .tensor("y", [1, 6], "FLOAT32", recorded(0, 1))
          .operator("ABS", ["cos"], ["y"]),
      ["y", "cos"],
    );
    const other = await modelOf(await quantize(float, { scheme: SCHEMES.int16 }));
    const result = await compared(float, other, records, { layers: true });
    for (const { metrics } of result.outputs) expect(metrics.sqnr).toBeGreaterThan(60);
    expect(result.layers.map(({ name }) => name)).toContain("cos");
  });

  test("behind an operator without a rounding of its own", async () => {
    const float = network(
      (graph) => graph.tensor("cos", [2, 3], "FLOAT32", recorded(-1, 1)).operator("COS", ["flat"], ["cos"]),
      ["cos"],
    );
    const other = await modelOf(await quantize(float, { scheme: SCHEMES.int16 }));
    const { outputs } = await compared(float, other, records);
    expect(outputs[0]!.metrics.sqnr).toBeGreaterThan(60);
  });
});

describe("refused", () => {
  const refusal = async (first: Model, second: Model) => {
    const sides = [await openSide(await reopened(first)), await openSide(await reopened(second))] as const;
    return messageOf(() =>
      compareModels(
        [
          { ...sides[0], name: "A" },
          { ...sides[1], name: "B" },
        ],
        async () => dataOf(...records),
      ),
    );
  };

  test("different numbers of outputs, with both", async () => {
    const message = await refusal(network(), network(undefined, ["flat"]));
    expect(message).toContain('A 2 ("flat", "fc"), B 1 ("flat")');
  });

  test("different shapes, all in one error", async () => {
    const message = await refusal(network(), network(undefined, ["fc", "flat"]));
    expect(message).toContain('output 0 differs: "flat" (FLOAT32 [2, 3]) in A, "fc" (FLOAT32 [1, 6]) in B');
    expect(message).toContain("output 1 differs");
  });

  test("different inputs", async () => {
    const other = model(["z"], ["y", "z"], (graph) =>
      graph.tensor("z", [2, 3]).tensor("y", [2, 3]).operator("ABS", ["z"], ["y"]),
    );
    expect(await refusal(network(), other)).toContain('B has model input "z" (FLOAT32 [2, 3])');
  });
});

test("layers without a counterpart, and names that occur twice, are said", async () => {
  const ending = (names: string[]) => {
    const made = network((graph) => {
      for (const name of names) graph.tensor(name, [2, 3]).operator("ABS", ["flat"], [name]);
    }, names);
    for (const tensor of made.subgraphs![0]!.tensors!) if (tensor.name === "again") tensor.name = "twice";
    return made;
  };
  const result = await compared(ending(["extra", "twice", "again"]), ending(["other", "twice", "another"]), records, {
    layers: true,
  });
  expect(result.notCompared.map(({ name }) => name)).toEqual(["extra", "twice", "other", "another"]);
  expect(result.notCompared[1]!.reason).toContain("occurs twice");
  expect(result.layers.map(({ name }) => name)).toEqual(["x", "fc", "t", "sum", "flat"]);
});

test("an input that nobody uses is fed floats in both models", async () => {
  const withUnused = (more: Parameters<GraphBuilder["tensor"]>[3], type: keyof typeof TensorType) =>
    model(["x", "unused"], ["y"], (graph) =>
      graph
        .tensor("x", [4], type, more)
        .tensor("unused", [3], type, more)
        .tensor("y", [4], type, more)
        .operator("ABS", ["x"], ["y"]),
    );
  const given = [[floats(1, -2, 3, 0), floats(1, 2, 3)]];
  const result = await compared(withUnused({}, "FLOAT32"), withUnused(quantized(0.5, 128), "UINT8"), given);
  expect(result.outputs.map(({ name }) => name)).toEqual(["y"]);
});
