/** LiteRT's schemes on small graphs: classes of tied tensors, domains, borders of a model, biases that do not fit. Oracles are naive. */
import { describe, expect, test } from "bun:test";
import type { Model } from "../../src/model/index.ts";
import { noteWarnings } from "../../src/passes/warnings.ts";
import { SCHEMES } from "../../src/rules/schemes.ts";
import { type GraphBuilder, model, recorded } from "../helpers/models.ts";
import { asymmetricOf, hex } from "../operators/oracle.ts";
import { type Fact, quantize, type Setup, verifyAll, type Written, written } from "../passes/support.ts";

const INT8: Setup = { scheme: SCHEMES.int8, granularity: "channel" };
const INT16X8: Setup = { scheme: SCHEMES.int16x8, granularity: "channel" };

const CONCAT = { type: "ConcatenationOptions", value: { axis: 1, fusedActivationFunction: 0 } } as const;
const PLAIN_ADD = { type: "AddOptions", value: { fusedActivationFunction: 0 } } as const;
const SPACE = [1, 4];

const activation = (graph: GraphBuilder, name: string, min: number, max: number, shape = SPACE) =>
  graph.tensor(name, shape, "FLOAT32", recorded(min, max));

async function result(of: Model, setup = INT8): Promise<Written> {
  const space = await quantize(of, setup);
  const file = await written(space);
  expect(verifyAll(space, true)).toEqual([]);
  return file;
}

/** Scale and zero point of a range in int8. */
function int8Of(min: number, max: number) {
  const { scale, zeroPoint } = asymmetricOf(min, max);
  return { dtype: "INT8", scale: [hex(scale)], zeroPoint: [zeroPoint - 128] };
}

const fixed = (dtype: string, scale: number, zeroPoint: number) => ({
  dtype,
  scale: [hex(scale)],
  zeroPoint: [zeroPoint],
});

const parametersOf = ({ dtype, scale, zeroPoint }: Fact) => ({ dtype, scale, zeroPoint });
const all = ({ tensors }: Written, ...names: string[]) => names.map((name) => parametersOf(tensors.get(name)!));

describe("tied tensors are a class", () => {
  test("all operands, a constant and what only moves them have the range of all", async () => {
    const file = await result(
      model(["a", "b"], ["z"], (graph) => {
        activation(graph, "a", -1, 1).constant("c", [1, 4], Float32Array.of(-3, 0, 2, 1));
        activation(graph, "b", 0, 6);
        activation(graph, "y", -1, 5, [1, 12]);
        activation(graph, "z", -1, 5, [12])
          .constant("shape", [1], Int32Array.of(12))
          .operator("CONCATENATION", ["a", "c", "b"], ["y"], CONCAT)
          .operator("RESHAPE", ["y", "shape"], ["z"]);
      }),
    );
    const expected = int8Of(-3, 6);
    expect(all(file, "a", "b", "c", "y", "z")).toEqual(Array(5).fill(expected));
    const { scale } = asymmetricOf(-3, 6);
    const values = [-3, 0, 2, 1].map((value) => Math.round(value / scale) + expected.zeroPoint[0]!);
    expect(file.tensors.get("c")!.values).toEqual(values);
    expect(file.operators.length).toBe(2);
  });

  test("a function's parameters pin a class that they fit", async () => {
    const file = await result(
      model(["x"], ["z"], (graph) => {
        activation(graph, "x", -5, 5);
        activation(graph, "p", 0.01, 0.99);
        activation(graph, "z", 0.01, 0.99, [4])
          .constant("shape", [1], Int32Array.of(4))
          .operator("LOGISTIC", ["x"], ["p"])
          .operator("RESHAPE", ["p", "shape"], ["z"]);
      }),
    );
    expect(all(file, "p", "z")).toEqual(Array(2).fill(fixed("INT8", 1 / 256, -128)));
    expect(file.operators.length).toBe(2);
  });

  test("where they do not fit, a Quantize stands before the operator that joins", async () => {
    const file = await result(
      model(["x"], ["y"], (graph) => {
        activation(graph, "x", -5, 5);
        activation(graph, "p", 0.01, 0.99);
        activation(graph, "r", 0.01, 0.99)
          .constant("shape", [2], Int32Array.of(1, 4))
          .operator("LOGISTIC", ["x"], ["p"])
          .operator("RESHAPE", ["p", "shape"], ["r"]);
        activation(graph, "y", -5, 5, [1, 8]).operator("CONCATENATION", ["r", "x"], ["y"], CONCAT);
      }),
    );
    expect(all(file, "p", "r")).toEqual(Array(2).fill(fixed("INT8", 1 / 256, -128)));
    expect(all(file, "x", "y", "r_Quantize")).toEqual(Array(3).fill(int8Of(-5, 5)));
    expect(file.operators).toContain("QUANTIZE(r) -> r_Quantize");
    expect(file.operators).toContain("CONCATENATION(r_Quantize, x) -> y");
  });

  test("a tensor that others read, too, keeps its parameters where it would lose a bit", async () => {
    const joined = (high: number) =>
      model(["x", "w"], ["y", "z"], (graph) => {
        activation(graph, "x", 0, 1);
        activation(graph, "w", 0, high);
        activation(graph, "y", 0, high, [1, 8]).operator("CONCATENATION", ["x", "w"], ["y"], CONCAT);
        activation(graph, "z", 0, 2).operator("ADD", ["x", "x"], ["z"], PLAIN_ADD);
      });
    const wide = await result(joined(640));
    expect(all(wide, "x")).toEqual([int8Of(0, 1)]);
    expect(all(wide, "x_Quantize", "w", "y")).toEqual(Array(3).fill(int8Of(0, 640)));
    const near = await result(joined(1.5));
    expect(all(near, "x", "w", "y")).toEqual(Array(3).fill(int8Of(0, 1.5)));
  });

  test("a maximum never shows what lies below its result", async () => {
    const file = await result(
      model(["x"], ["y"], (graph) => {
        activation(graph, "x", -50, 5).constant("zero", [1], Float32Array.of(0));
        activation(graph, "y", 0, 5).operator("MAXIMUM", ["x", "zero"], ["y"]);
      }),
    );
    expect(all(file, "x", "zero", "y")).toEqual(Array(3).fill(int8Of(0, 5)));
  });

  test("all results of an operator with several have the operand's", async () => {
    const file = await result(
      model(["x"], ["a", "b"], (graph) => {
        activation(graph, "x", -2, 3).constant("axis", [], Int32Array.of(1));
        activation(graph, "a", -2, 1, [1, 2]);
        activation(graph, "b", -1, 3, [1, 2]).operator("SPLIT", ["axis", "x"], ["a", "b"], {
          type: "SplitOptions",
          value: { numSplits: 2 },
        });
      }),
    );
    expect(all(file, "x", "a", "b")).toEqual(Array(3).fill(int8Of(-2, 3)));
  });
});

describe("operators that cannot take every value", () => {
  const root = (min: number, more?: (graph: GraphBuilder) => void, outputs = ["y"]) =>
    model(["x"], outputs, (graph) => {
      activation(graph, "x", min, 4);
      activation(graph, "y", 0.5, 3).operator("RSQRT", ["x"], ["y"]);
      more?.(graph);
    });

  test("stay float below 0", async () => {
    const space = await quantize(root(-0.5), INT8);
    const file = await written(space);
    expect(file.operators.find((text) => text.startsWith("RSQRT"))).toBe("RSQRT(x) -> y");
    expect(space.context.notes.map(({ code }) => code)).toEqual(["outside-domain"]);
  });

  test("have the lowest zero point", async () => {
    expect(all(await result(root(0.1)), "x")).toEqual([int8Of(0, 4)]);
  });

  test("get a Quantize of their own where a class reaches below 0", async () => {
    const file = await result(
      root(
        0.1,
        (graph) => {
          activation(graph, "n", -4, 4).operator("TANH", ["y"], ["n"]);
          activation(graph, "w", -3, 4);
          activation(graph, "v", -3, 4, [1, 8])
            .operator("ADD", ["n", "n"], ["w"], PLAIN_ADD)
            .operator("CONCATENATION", ["x", "w"], ["v"], CONCAT);
        },
        ["y", "v"],
      ),
    );
    expect(all(file, "x", "v")).toEqual(Array(2).fill(int8Of(-3, 4)));
    expect(all(file, "x_Quantize")).toEqual([int8Of(0, 4)]);
    expect(file.operators).toContain("RSQRT(x_Quantize) -> y");
  });

  test("divisors that would become 0 stay float", async () => {
    const division = (min: number) =>
      model(["x", "d"], ["y"], (graph) => {
        activation(graph, "x", -1, 1);
        activation(graph, "d", min, 255);
        activation(graph, "y", -1, 1).operator("DIV", ["x", "d"], ["y"], {
          type: "DivOptions",
          value: { fusedActivationFunction: 0 },
        });
      });
    const floats = async (min: number) =>
      (await quantize(division(min), INT8)).context.notes.map(({ code }) => code).join();
    // A step is 1; what is below half of it becomes 0.
    expect(await floats(0.4)).toBe("outside-domain");
    expect(await floats(0.6)).toBe("");
    expect(await floats(-1)).toBe("outside-domain");
  });
});

describe("operators that cannot take every scale", () => {
  const codes = async (of: Model, setup: Setup) => (await quantize(of, setup)).context.notes.map(({ code }) => code);

  test("a sum that is far finer than its operands stays float", async () => {
    const sum = (size: number) =>
      model(["x"], ["y"], (graph) => {
        activation(graph, "x", -size, size);
        activation(graph, "y", -1, 1).operator("ADD", ["x", "x"], ["y"], PLAIN_ADD);
      });
    expect(await codes(sum(2 ** 14 * 0.99), INT16X8)).toEqual([]);
    expect(await codes(sum(2 ** 14 * 1.01), INT16X8)).toEqual(["outside-domain"]);
    expect(await codes(sum(2 ** 16 * 0.99), INT8)).toEqual([]);
    expect(await codes(sum(2 ** 16 * 1.01), INT8)).toEqual(["outside-domain"]);
  });

  test("a softmax of int16 with steps of 5 and more stays float", async () => {
    const softmax = (size: number) =>
      model(["x"], ["y"], (graph) => {
        activation(graph, "x", -size, size);
        activation(graph, "y", 0, 1).operator("SOFTMAX", ["x"], ["y"], {
          type: "SoftmaxOptions",
          value: { beta: 1 },
        });
      });
    // Without what masks hold: the whole range is useful here.
    expect(await codes(softmax(32767 * 4.9), { ...INT16X8, maskValue: -1e9 })).not.toContain("outside-domain");
    expect(await codes(softmax(32767 * 5.1), { ...INT16X8, maskValue: -1e9 })).toContain("outside-domain");
  });

  test("comparisons stay float: their integer kernels compare something else", async () => {
    const less = model(["x", "w"], ["y"], (graph) => {
      activation(graph, "x", -1, 1);
      activation(graph, "w", -1, 1).tensor("y", SPACE, "BOOL").operator("LESS", ["x", "w"], ["y"]);
    });
    expect(await codes(less, INT8)).toEqual(["no-kernel"]);
    expect(await codes(less, INT16X8)).toEqual(["no-kernel"]);
  });

  test("results that are indices verify", async () => {
    const least = model(["x"], ["y", "v", "i"], (graph) => {
      activation(graph, "x", -1, 1)
        .constant("axis", [], Int32Array.of(1))
        .tensor("y", [1], "INT32")
        .constant("k", [], Int32Array.of(2));
      activation(graph, "v", -1, 1, [1, 2])
        .tensor("i", [1, 2], "INT32")
        .operator("ARG_MIN", ["x", "axis"], ["y"], { type: "ArgMinOptions", value: { outputType: 2 } })
        .operator("TOPK_V2", ["x", "k"], ["v", "i"]);
    });
    const file = await result(least);
    expect(all(file, "x", "v")).toEqual(Array(2).fill(int8Of(-1, 1)));
    expect(["y", "i"].map((name) => file.tensors.get(name)!.dtype)).toEqual(["INT32", "INT32"]);
  });
});

describe("inputs and outputs", () => {
  const sum = () =>
    model(["x"], ["y"], (graph) => {
      activation(graph, "x", -1, 2);
      activation(graph, "y", -2, 4).operator("ADD", ["x", "x"], ["y"], PLAIN_ADD);
    });

  test("uint8 is int8 moved by 128, and names stay", async () => {
    const file = await result(sum(), { ...INT8, inputDtypes: ["UINT8"], outputDtypes: ["UINT8"] });
    expect([file.inputs, file.outputs]).toEqual([["x"], ["y"]]);
    expect(file.operators).toEqual([
      "QUANTIZE(x) -> x_Quantize",
      "ADD(x_Quantize, x_Quantize) -> y_quantized",
      "QUANTIZE(y_quantized) -> y",
    ]);
    const moved = ({ scale, zeroPoint }: ReturnType<typeof int8Of>) => ({
      dtype: "UINT8",
      scale,
      zeroPoint: [zeroPoint[0]! + 128],
    });
    expect(all(file, "x", "y")).toEqual([moved(int8Of(-1, 2)), moved(int8Of(-2, 4))]);
    expect(all(file, "x_Quantize", "y_quantized")).toEqual([int8Of(-1, 2), int8Of(-2, 4)]);
  });

  test("float32 has no parameters", async () => {
    const file = await result(sum(), { ...INT8, inputDtypes: ["FLOAT32"], outputDtypes: ["FLOAT32"] });
    expect([file.inputs, file.outputs]).toEqual([["x"], ["y"]]);
    expect(all(file, "x", "y")).toEqual(Array(2).fill({ dtype: "FLOAT32", scale: [], zeroPoint: [] }));
    expect(file.operators.at(-1)).toBe("DEQUANTIZE(y_quantized) -> y");
  });

  test("from int16 to uint8 it leads through int8, for there is no kernel", async () => {
    const file = await result(sum(), { ...INT16X8, outputDtypes: ["UINT8"] });
    const chain = file.operators.slice(1).map((text) => text.replace(/\(.*/, ""));
    expect(chain).toEqual(["QUANTIZE", "QUANTIZE"]);
    const between = /^QUANTIZE\(y_quantized\) -> (.*)$/.exec(file.operators[1]!)![1]!;
    expect(file.tensors.get(between)!.dtype).toBe("INT8");
    expect(file.tensors.get("y")!.dtype).toBe("UINT8");
  });
});

test("an output of a layer with a scheme of its own keeps its name; that its bits are lost is told", async () => {
  const sum = model(["x"], ["y"], (graph) => {
    activation(graph, "x", -1, 2);
    activation(graph, "y", -2, 4).operator("ADD", ["x", "x"], ["y"], PLAIN_ADD);
  });
  const space = await quantize(sum, { ...INT8, layers: { y: { scheme: SCHEMES.int16x8, granularity: "channel" } } });
  const file = await written(space);
  expect(verifyAll(space, true)).toEqual([]);
  expect(file.operators).toEqual([
    "QUANTIZE(x) -> x_Quantize",
    "ADD(x_Quantize, x_Quantize) -> y_quantized",
    "QUANTIZE(y_quantized) -> y",
  ]);
  expect(["x", "y_quantized", "y"].map((name) => file.tensors.get(name)!.dtype)).toEqual(["INT8", "INT16", "INT8"]);
  noteWarnings(space.graphs[0]!, space.context);
  expect(space.context.notes.map(({ code }) => code)).toEqual(["output-undoes-layer"]);
});

test("an output with the dtype of its layer, or float32, is not rounded to the model's on the way", async () => {
  const layer = { scheme: SCHEMES.int16x8, granularity: "channel" } as const;
  const sum = () =>
    model(["x"], ["y"], (graph) => {
      activation(graph, "x", -1, 2);
      activation(graph, "y", -2, 4).operator("ADD", ["x", "x"], ["y"], PLAIN_ADD);
    });
  const float = await result(sum(), { ...INT8, outputDtypes: ["FLOAT32"], layers: { y: layer } });
  expect(float.operators.slice(1)).toEqual([
    "ADD(x_Quantize, x_Quantize) -> y_quantized",
    "DEQUANTIZE(y_quantized) -> y",
  ]);
  expect(float.tensors.get("y_quantized")!.dtype).toBe("INT16");
  const wide = await result(sum(), { ...INT8, outputDtypes: ["INT16"], layers: { y: layer } });
  expect(wide.operators.slice(1)).toEqual(["ADD(x_Quantize, x_Quantize) -> y"]);
  expect(wide.tensors.get("y")!.dtype).toBe("INT16");
});

describe("variables", () => {
  const HANDLE = { type: "VarHandleOptions", value: { container: "", sharedName: "v" } } as const;
  /** y = x + v; v = s */
  const stateful = (more?: (graph: GraphBuilder) => void) =>
    model(["x"], ["y"], (graph) => {
      activation(graph, "x", -1, 1);
      graph.tensor("h", [], "RESOURCE").operator("VAR_HANDLE", [], ["h"], HANDLE);
      activation(graph, "r", -2, 2).operator("READ_VARIABLE", ["h"], ["r"]);
      activation(graph, "y", -3, 3).operator("ADD", ["x", "r"], ["y"], PLAIN_ADD);
      activation(graph, "s", -2.5, 1)
        .operator("ADD", ["x", "x"], ["s"], PLAIN_ADD)
        .operator("ASSIGN_VARIABLE", ["h", "s"], []);
      more?.(graph);
    });

  test("all that read and write one have one range", async () => {
    const file = await result(stateful());
    expect(all(file, "r", "s")).toEqual(Array(2).fill(int8Of(-2.5, 2)));
    expect(all(file, "y")).toEqual([int8Of(-3, 3)]);
  });

  test("where one of them stays float, all do", async () => {
    const space = await quantize(
      stateful((graph) => graph.constant("k", SPACE, new Float32Array(4)).operator("ASSIGN_VARIABLE", ["h", "k"], [])),
      INT8,
    );
    const kept = space.context.notes.filter(({ code }) => code === "variable").length;
    expect(kept).toBe(3);
    const { tensors } = await written(space);
    expect(["r", "s"].map((name) => tensors.get(name)!.dtype)).toEqual(["FLOAT32", "INT8"]);
  });
});

describe("biases that do not fit", () => {
  const WEIGHTS = Float32Array.of(1, -0.5, 1e-9, 2e-9, 0, 0);
  const BIAS = Float32Array.of(0.25, 3, -2);
  const dense = () =>
    model(["x"], ["y"], (graph) => {
      activation(graph, "x", -1, 1, [1, 2]);
      graph.constant("w", [3, 2], WEIGHTS).constant("b", [3], BIAS);
      activation(graph, "y", -3, 4, [1, 3]).operator("FULLY_CONNECTED", ["x", "w", "b"], ["y"], {
        type: "FullyConnectedOptions",
        value: { fusedActivationFunction: 0, weightsFormat: 0 },
      });
    });

  for (const [setup, limit, wide] of [
    [INT8, (2 ** 31 - 1) / 2, false],
    [INT16X8, 2 ** 39, true],
  ] as const)
    test(`raise their channel's weight scale: ${wide ? "40 bits" : "half of 32 bits"}`, async () => {
      const space = await quantize(dense(), setup);
      const { tensors } = await written(space);
      const { scale, values } = tensors.get("w")!;
      const number = (bits: string) => new Float32Array(Uint32Array.of(Number.parseInt(bits, 16)).buffer)[0]!;
      const scales = scale.map(number);
      const input = number(tensors.get("x")!.scale[0]!);
      const integers = tensors.get("b")!.values!.map(Number);
      expect(scales[0]).toBe(Math.fround(1 / 127));
      for (const [channel, bias] of BIAS.entries()) {
        expect(Math.abs(integers[channel]!)).toBeLessThanOrEqual(limit * (1 + 1e-6));
        // Kernels take a smaller share in the result for 0.
        const result = number(tensors.get("y")!.scale[0]!);
        expect((input * scales[channel]!) / result).toBeGreaterThanOrEqual(2 ** -31 * (1 - 1e-6));
        const back = integers[channel]! * Math.fround(input * scales[channel]!);
        expect(Math.abs(back - bias)).toBeLessThanOrEqual(Math.abs(bias) * 1e-6 + input * scales[channel]!);
        const row = values!.slice(channel * 2, channel * 2 + 2).map(Number);
        const exact = [...WEIGHTS.subarray(channel * 2, channel * 2 + 2)];
        row.forEach((q, i) => {
          expect(Math.abs(q * scales[channel]! - exact[i]!)).toBeLessThanOrEqual(scales[channel]! * 0.5001);
        });
      }
      const raised = space.context.notes.filter(({ code }) => code === "weights-raised");
      expect(raised.length).toBe(1);
      expect(raised[0]!.numbers).toMatchObject({ of: 3 });
    });
});

describe("a kind without a kernel stays float, and says so", () => {
  test("a fused activation that no integer kernel clamps", async () => {
    const fused = model(["x"], ["y"], (graph) => {
      activation(graph, "x", -1, 2);
      activation(graph, "y", -1, 1).operator("ADD", ["x", "x"], ["y"], {
        type: "AddOptions",
        value: { fusedActivationFunction: 4 },
      });
    });
    const space = await quantize(fused, INT8);
    expect(space.context.notes.map(({ code, text }) => [code, text.includes("fused TANH")])).toEqual([
      ["no-kernel", true],
    ]);
  });

  test("int16 has fewer kernels than int8", async () => {
    const swish = () =>
      model(["x"], ["y"], (graph) => {
        activation(graph, "x", -4, 4);
        activation(graph, "y", -0.4, 4).operator("HARD_SWISH", ["x"], ["y"]);
      });
    const codes = async (setup: Setup) => (await quantize(swish(), setup)).context.notes.map(({ code }) => code);
    expect(await codes(INT8)).toEqual([]);
    expect(await codes(INT16X8)).toEqual(["no-kernel"]);
  });
});

test("an operand that keeps few bits where it is joined is told, also behind a Quantize", async () => {
  const boxes = model(["x", "w"], ["y", "z"], (graph) => {
    activation(graph, "x", 0, 1);
    activation(graph, "w", 0, 640);
    activation(graph, "y", 0, 640, [1, 8]).operator("CONCATENATION", ["x", "w"], ["y"], CONCAT);
    activation(graph, "z", 0, 2).operator("ADD", ["x", "x"], ["z"], PLAIN_ADD);
  });
  const space = await quantize(boxes, INT8);
  await written(space);
  noteWarnings(space.graphs[0]!, space.context);
  const told = space.context.notes.filter(({ code }) => code === "few-levels");
  expect(told.map(({ tensor, numbers }) => [tensor, numbers!.bits! < 1])).toEqual([["x", true]]);
});

test("an input that float operators alone read, and an output that one yields, stay float unless asked for", async () => {
  const cosine = () =>
    model(["x", "w"], ["y", "z"], (graph) => {
      activation(graph, "x", -1, 1);
      activation(graph, "w", -1, 1);
      activation(graph, "y", 0.5, 1).operator("COS", ["x"], ["y"]);
      activation(graph, "z", -2, 2).operator("ADD", ["w", "w"], ["z"], PLAIN_ADD);
    });
  const dtypes = async (setup: Setup) =>
    all(await result(cosine(), setup), "x", "w", "z")
      .map(({ dtype }) => dtype)
      .join();
  expect(await dtypes(INT8)).toBe("FLOAT32,INT8,INT8");
  expect((await result(cosine())).operators).toEqual(["COS(x) -> y", "ADD(w, w) -> z"]);
  expect(await dtypes({ ...INT8, inputDtypes: ["INT8"] })).toBe("INT8,INT8,INT8");
});
