/** What becomes of constants: integers, scales, layout and sharing, against rules written in the tests. */
import { beforeAll, describe, expect, test } from "bun:test";
import { join } from "node:path";
import { generateModel } from "../../scripts/generate-model.ts";
import { quantizeWeightsAlone } from "../../src/driver/weights-alone.ts";
import { ActivationFunctionType, type Model, openModel } from "../../src/model/index.ts";
import { WEIGHT_SCHEMES, type WeightSchemeName } from "../../src/rules/schemes.ts";
import { GraphBuilder as Graph, type GraphBuilder, ModelBuilder, model } from "../helpers/models.ts";
import { refusal } from "../passes/support.ts";
import { alone, constantsOf, folder, symmetric, weights } from "./support.ts";

/** x · w + b. */
function fullyConnected(
  rows: number,
  columns: number,
  values = weights([rows, columns]),
  fused: keyof typeof ActivationFunctionType = "NONE",
): Model {
  return model(["x"], ["y"], (graph) =>
    graph
      .tensor("x", [2, columns])
      .constant("w", [rows, columns], values)
      .constant("b", [rows], new Float32Array(rows).fill(0.5))
      .tensor("y", [2, rows])
      .operator("FULLY_CONNECTED", ["x", "w", "b"], ["y"], {
        type: "FullyConnectedOptions",
        value: { fusedActivationFunction: ActivationFunctionType[fused] },
      }),
  );
}

function convolution(kind: "CONV_2D" | "DEPTHWISE_CONV_2D", shape: number[], values = weights(shape)): Model {
  const channels = kind === "CONV_2D" ? shape[0]! : shape[3]!;
  return model(["x"], ["y"], (graph) =>
    graph
      .tensor("x", [1, 8, 8, shape[3]!])
      .constant("w", shape, values)
      .constant("b", [channels], new Float32Array(channels))
      .tensor("y", [1, 8, 8, channels])
      .operator(kind, ["x", "w", "b"], ["y"]),
  );
}

/** Elements that the stream handles at once (src/weights/encode.ts). */
const PIECE = 1 << 20;

const CASES: [name: string, scheme: WeightSchemeName, model: () => Model, dtype: string, high: number, axis: number][] =
  [
    ["int8", "dynamic-int8", () => fullyConnected(9, 70), "INT8", 127, 0],
    ["int4", "dynamic-int4", () => fullyConnected(9, 70), "INT4", 7, 0],
    ["int2", "dynamic-int2", () => fullyConnected(9, 68), "INT2", 1, 0],
    ["int8 before a Dequantize", "weights-int8", () => fullyConnected(9, 71), "INT8", 127, 0],
    ["int4 of odd rows", "weights-int4", () => fullyConnected(9, 71), "INT4", 7, 0],
    ["short channels", "dynamic-int4", () => convolution("CONV_2D", [7, 3, 3, 3]), "INT4", 7, 0],
    ["long odd channels", "dynamic-int4", () => convolution("CONV_2D", [7, 5, 5, 3]), "INT4", 7, 0],
    ["depthwise", "dynamic-int8", () => convolution("DEPTHWISE_CONV_2D", [1, 3, 3, 20]), "INT8", 127, 3],
    [
      "depthwise int4 before a Dequantize",
      "weights-int4",
      () => convolution("DEPTHWISE_CONV_2D", [1, 3, 3, 21]),
      "INT4",
      7,
      3,
    ],
    ["pieces", "dynamic-int8", () => fullyConnected(1500, 1024), "INT8", 127, 0],
    ["pieces of int4", "dynamic-int4", () => fullyConnected(1500, 1024), "INT4", 7, 0],
    ["pieces of int2", "dynamic-int2", () => fullyConnected(1500, 1024), "INT2", 1, 0],
    ["pieces that begin within a byte", "weights-int4", () => fullyConnected(1501, 1023), "INT4", 7, 0],
    ["channels in pieces", "dynamic-int4", () => fullyConnected(2, PIECE + 70), "INT4", 7, 0],
  ];

test.each(CASES)("%s (%s)", async (_, scheme, make, dtype, high, axis) => {
  const float = make();
  const before = constantsOf(float).get("w")!;
  const { constants } = await alone(float, scheme);
  const after = constants.get("w")!;
  const inner = before.shape.slice(axis + 1).reduce((a, b) => a * b, 1);
  const wanted = symmetric(before.values, before.shape[axis]!, inner, high);
  expect([after.dtype, after.shape, after.axis]).toEqual([dtype, before.shape, axis]);
  expect(after.scale).toEqual(wanted.scale);
  expect(after.zeroPoint).toEqual(wanted.scale.map(() => 0));
  expect(Buffer.compare(Buffer.from(after.integers), Buffer.from(wanted.integers))).toBe(0);
  expect(after.bytes.length).toBe(Math.ceil((before.values.length * { 127: 8, 7: 4, 1: 2 }[high]!) / 8));
  // The bias stays as it is.
  expect(constants.get("b")).toEqual(constantsOf(float).get("b")!);
});

test("a channel of zeros gets the scale 1e-9 / high", async () => {
  const values = weights([3, 64]);
  values.fill(0, 64, 128);
  for (const [scheme, high] of [
    ["dynamic-int8", 127],
    ["dynamic-int4", 7],
    ["dynamic-int2", 1],
  ] as const) {
    const { scale, integers } = (await alone(fullyConnected(3, 64, values), scheme)).constants.get("w")!;
    expect(scale[1]).toBe(Math.fround(1e-9 / high));
    expect(integers.slice(64, 128)).toEqual(new Array(64).fill(0));
  }
});

test("NaN and infinities are refused by name in every scheme but float16", async () => {
  for (const [value, what] of [
    [Number.NaN, "1 NaN"],
    [Number.POSITIVE_INFINITY, "infinite values"],
  ] as const) {
    const values = weights([8, 64]);
    values[70] = value;
    for (const scheme of ["dynamic-int8", "dynamic-int4", "weights-int4"] as const)
      expect(await refusal(() => alone(fullyConnected(8, 64, values), scheme))).toContain(`"w": has ${what}`);
    expect(await refusal(() => alone(fullyConnected(8, 64, values), "dynamic-int4", { block: 32 }))).toContain(
      `"w": has ${what}`,
    );
  }
});

describe("float16", () => {
  test("to the nearest; its Dequantize is read instead", async () => {
    const float = fullyConnected(5, 33);
    const { constants, operators } = await alone(float, "weights-float16");
    const halves = new Uint16Array(constants.get("w")!.bytes.buffer);
    expect(halves).toEqual(new Uint16Array(new Float16Array(constantsOf(float).get("w")!.values).buffer));
    expect(constants.get("w")!.scale).toEqual([]);
    expect(operators).toEqual(["DEQUANTIZE(w) -> w_Dequantize", "FULLY_CONNECTED(x, w_Dequantize, b) -> y"]);
  });

  test("what is too large keeps its constant, and that alone, float32; it is told", async () => {
    const values = weights([5, 40]);
    values[77] = -70000;
    const two = model(["x"], ["y"], (graph) =>
      graph
        .tensor("x", [2, 40])
        .constant("w", [5, 40], values)
        .tensor("z", [2, 5])
        .constant("v", [5, 5], weights([5, 5]))
        .tensor("y", [2, 5])
        .operator("FULLY_CONNECTED", ["x", "w", ""], ["z"])
        .operator("FULLY_CONNECTED", ["z", "v", ""], ["y"]),
    );
    const { constants, report } = await alone(two, "weights-float16");
    expect(constants.get("w")).toMatchObject({ dtype: "FLOAT32", values });
    expect(constants.get("v")!.dtype).toBe("FLOAT16");
    expect(report.notes.map(({ code, tensor }) => [code, tensor])).toEqual([["too-large-for-float16", "z"]]);
    // 65519 is rounded to 65504; infinities are what they were.
    values[77] = 65519;
    values[78] = Number.NEGATIVE_INFINITY;
    const fits = (await alone(fullyConnected(5, 40, values), "weights-float16")).constants.get("w")!;
    expect([...fits.values.slice(77, 79)]).toEqual([65504, Number.NEGATIVE_INFINITY]);
  });

  test("large constants of operators without weights go along, small ones do not", async () => {
    const added = model(["x"], ["y"], (graph) =>
      graph
        .tensor("x", [1, 1024])
        .constant("large", [1, 1024], weights([1, 1024]))
        .constant("small", [1, 1023], weights([1, 1023]))
        .tensor("y", [1, 1024])
        .tensor("z", [1, 1023])
        .operator("ADD", ["x", "large"], ["y"], { type: "AddOptions", value: {} }),
    );
    added.subgraphs![0]!.operators!.push({
      ...added.subgraphs![0]!.operators![0]!,
      inputs: Int32Array.of(2, 2),
      outputs: Int32Array.of(4),
    });
    added.subgraphs![0]!.outputs = Int32Array.of(3, 4);
    const { constants } = await alone(added, "weights-float16", { withoutSteps: ["all"] });
    expect(constants.get("large")!.dtype).toBe("FLOAT16");
    expect(constants.get("small")!.dtype).toBe("FLOAT32");
    expect(await refusal(() => alone(added, "weights-int8", { withoutSteps: ["all"] }))).toContain(
      "has no float weights that weights-int8 is for",
    );
  });
});

describe("what kernels do not take", () => {
  const notesOf = ({ report }: Awaited<ReturnType<typeof alone>>) =>
    report.notes.map(({ kind, code, text }) => [kind, code, text]);

  test("rows that do not begin with a byte, and kinds without a kernel, become int8; it is told", async () => {
    const odd = await alone(fullyConnected(4, 27), "dynamic-int4");
    expect(odd.constants.get("w")!.dtype).toBe("INT8");
    expect(notesOf(odd)).toEqual([
      [
        "note",
        "weights-other-dtype",
        `FULLY_CONNECTED "y": weights become int8, not int4: "w" has rows of 27, no multiple of 2`,
      ],
    ]);
    expect((await alone(fullyConnected(4, 30), "dynamic-int2")).constants.get("w")!.dtype).toBe("INT8");
    const depthwise = await alone(convolution("DEPTHWISE_CONV_2D", [1, 3, 3, 4]), "dynamic-int4");
    expect(depthwise.constants.get("w")!.dtype).toBe("INT8");
    expect(notesOf(depthwise)[0]![2]).toContain("there is no kernel for int4 weights");
  });

  test("computed weights stay, with a reason; strict refuses them", async () => {
    const computed = model(["x", "w"], ["y"], (graph) =>
      graph
        .tensor("x", [2, 8])
        .tensor("w", [4, 8])
        .tensor("z", [2, 4])
        .constant("v", [3, 4], weights([3, 4]))
        .tensor("y", [2, 3])
        .operator("FULLY_CONNECTED", ["x", "w", ""], ["z"])
        .operator("FULLY_CONNECTED", ["z", "v", ""], ["y"]),
    );
    expect(notesOf(await alone(computed, "dynamic-int8"))).toEqual([
      ["float", "dynamic-weights", `FULLY_CONNECTED "z": "w" is computed, and only constants can be quantized before`],
    ]);
    expect(await refusal(() => alone(computed, "dynamic-int8", { strict: true }))).toContain(
      "without --strict they stay float",
    );
  });

  test("an output in Circle's format is refused", async () => {
    const output = join(folder, "out.circle");
    const float = fullyConnected(4, 32);
    expect(
      await alone(float, "dynamic-int8", { output }).then(
        () => "taken",
        ({ message }) => message,
      ),
    ).toContain("give an output that ends in .tflite");
  });
});

describe("sharing", () => {
  const dense = { type: "FullyConnectedOptions", value: {} } as const;

  test("weights that two operators want alike are one constant; another user keeps the floats", async () => {
    const twice = model(["x"], ["y"], (graph) =>
      graph
        .tensor("x", [2, 32])
        .constant("w", [32, 32], weights([32, 32]))
        .tensor("u", [2, 32])
        .tensor("v", [2, 32])
        .tensor("t", [32, 32])
        .tensor("y", [2, 32])
        .operator("FULLY_CONNECTED", ["x", "w", ""], ["u"], dense)
        .operator("FULLY_CONNECTED", ["u", "w", ""], ["v"], dense)
        .operator("FULLY_CONNECTED", ["v", "t", ""], ["y"], dense)
        .operator("NEG", ["w"], ["t"]),
    );
    const { operators, constants } = await alone(twice, "dynamic-int8", { withoutSteps: ["all"] });
    expect(operators.filter((text) => text.startsWith("NEG"))).toEqual(["NEG(w) -> t"]);
    expect(operators.filter((text) => text.startsWith("FULLY")).map((text) => text.match(/, (\w+)/)![1])).toEqual([
      "w_1",
      "w_1",
      "t",
    ]);
    expect([constants.get("w")!.dtype, constants.get("w_1")!.dtype]).toEqual(["FLOAT32", "INT8"]);
    const explicit = await alone(twice, "weights-int8", { withoutSteps: ["all"] });
    expect(explicit.operators.filter((text) => text.startsWith("DEQUANTIZE"))).toHaveLength(1);
  });

  test("bytes that tensors of several subgraphs share are encoded once", async () => {
    const builder = new ModelBuilder();
    const subgraph = (fill: (graph: GraphBuilder) => void) => {
      const graph = new Graph(builder);
      graph.tensor("x", [2, 64]).tensor("y", [2, 32]);
      fill(graph);
      return graph.operator("FULLY_CONNECTED", ["x", "w", ""], ["y"], dense).graph(["x"], ["y"]);
    };
    const first = subgraph((graph) => graph.constant("w", [32, 64], weights([32, 64])));
    const second = subgraph((graph) => graph.tensor("w", [32, 64], "FLOAT32", { buffer: builder.buffers.length - 1 }));
    for (const scheme of ["dynamic-int8", "weights-float16"] as const) {
      const { model: after, subgraphs } = await alone(builder.model(first, second), scheme);
      const buffers = after.subgraphs!.map(({ tensors }) => tensors!.find(({ name }) => name === "w")!.buffer);
      expect(buffers[0]).toBe(buffers[1]!);
      expect(after.buffers!.filter(({ data }) => (data?.length ?? 0) >= 32 * 64)).toHaveLength(1);
      expect(subgraphs[1]!.get("w")).toEqual(subgraphs[0]!.get("w")!);
    }
  });
});

describe("blocks", () => {
  test("scales are a float16 constant that only the details name; the activation stands alone", async () => {
    const float = fullyConnected(6, 96, weights([6, 96]), "RELU6");
    const { constants, operators, model: after } = await alone(float, "dynamic-int4", { block: 32 });
    const { dtype, block, scale, integers } = constants.get("w")!;
    expect({ dtype, block, scale }).toEqual({
      dtype: "INT4",
      block: { size: 32, scales: "w_scales", shape: [6, 3] },
      scale: [],
    });
    expect(constants.get("w_scales")!.dtype).toBe("FLOAT16");
    expect(operators).toEqual(["FULLY_CONNECTED(x, w, b) -> y_linear", "RELU6(y_linear) -> y"]);
    const { value } = after.subgraphs![0]!.operators![0]!.builtinOptions as { value: Record<string, unknown> };
    expect(value).toMatchObject({ asymmetricQuantizeInputs: true });
    expect(value.fusedActivationFunction ?? 0).toBe(ActivationFunctionType.NONE);
    const before = constantsOf(float).get("w")!.values;
    const halves = constants.get("w_scales")!.values;
    expect(integers).toEqual(
      Array.from(before, (v, i) => {
        const x = Math.fround(v * Math.fround(1 / halves[Math.floor(i / 32)]!));
        return Math.max(-7, Math.min(7, Math.sign(x) * Math.floor(Math.abs(x) + 0.5))) + 0;
      }),
    );
    // Eight bits: within 2^-8 of the largest by 7.
    halves.forEach((half, i) => {
      const wanted = Math.max(...before.subarray(i * 32, i * 32 + 32).map(Math.abs)) / 7;
      expect(Math.abs(half - wanted)).toBeLessThanOrEqual(wanted * 2 ** -8);
    });
  });

  test("in pieces, and for tables of embeddings", async () => {
    const values = weights([1200, 1024]);
    const table = model(["i"], ["y"], (graph) =>
      graph
        .tensor("i", [3], "INT32")
        .constant("w", [1200, 1024], values)
        .tensor("y", [3, 1024])
        .operator("EMBEDDING_LOOKUP", ["i", "w"], ["y"]),
    );
    for (const size of [32, 256]) {
      const { constants } = await alone(table, "dynamic-int4", { block: size });
      const { values: after, block } = constants.get("w")!;
      expect(block).toEqual({ size, scales: "w_scales", shape: [1200, 1024 / size] });
      const halves = constants.get("w_scales")!.values;
      let worst = 0;
      for (let i = 0; i < values.length; i++)
        worst = Math.max(worst, Math.abs(after[i]! - values[i]!) / halves[Math.floor(i / size)]!);
      // Half a step, and what rounding the scale takes from the largest.
      expect(worst).toBeLessThan(0.53);
    }
  });

  test("rows that are no multiple, few rows, other kinds: a scale for each channel, and it is told", async () => {
    for (const [float, why] of [
      [fullyConnected(8, 48), `"w" has rows of 48`],
      [fullyConnected(3, 64), `"w" has fewer than 4 rows`],
      [convolution("CONV_2D", [4, 3, 3, 32]), "there is no kernel for them"],
    ] as const) {
      const { constants, report } = await alone(float, "dynamic-int4", { block: 32 });
      expect(constants.get("w")).toMatchObject({ dtype: "INT4", block: undefined });
      expect(report.notes.map(({ text }) => text).join()).toContain(`not for blocks of 32: ${why}`);
    }
  });
});

describe("large models", () => {
  const input = join(folder, "large.tflite");
  beforeAll(() => generateModel(60e6, input));

  const hashOf = async (scheme: WeightSchemeName, threads: string, block?: number) => {
    const output = join(folder, "large-out.tflite");
    const kept = process.env.MINMAXQ_THREADS;
    process.env.MINMAXQ_THREADS = threads;
    try {
      await quantizeWeightsAlone({ model: input, output, weights: { scheme: WEIGHT_SCHEMES[scheme], block } });
    } finally {
      if (kept === undefined) delete process.env.MINMAXQ_THREADS;
      else process.env.MINMAXQ_THREADS = kept;
    }
    openModel(output).close();
    return Bun.hash(await Bun.file(output).bytes());
  };

  for (const scheme of Object.keys(WEIGHT_SCHEMES) as WeightSchemeName[])
    test(`${scheme}: one thread or three, the same file`, async () => {
      expect(await hashOf(scheme, "1")).toBe(await hashOf(scheme, "3"));
    });

  test("blocks likewise", async () => {
    const blocks = await hashOf("dynamic-int4", "1", 32);
    expect(blocks).toBe(await hashOf("dynamic-int4", "3", 32));
    expect(blocks).not.toBe(await hashOf("dynamic-int4", "1"));
  });
});

test("a layer that a person wants float stays so; its scheme cannot be another one", async () => {
  const two = model(["x"], ["y"], (graph) => {
    const FC = { type: "FullyConnectedOptions", value: { fusedActivationFunction: 0, weightsFormat: 0 } } as const;
    graph
      .tensor("x", [1, 4])
      .constant(
        "v",
        [4, 4],
        Float32Array.from({ length: 16 }, (_, i) => Math.sin(i)),
      )
      .constant(
        "w",
        [4, 4],
        Float32Array.from({ length: 16 }, (_, i) => Math.cos(i)),
      )
      .tensor("m", [1, 4])
      .tensor("y", [1, 4])
      .operator("FULLY_CONNECTED", ["x", "v"], ["m"], FC)
      .operator("FULLY_CONNECTED", ["m", "w"], ["y"], FC);
  });
  const { constants } = await alone(two, "dynamic-int8", { layers: { given: ["m=float32"] } });
  expect([constants.get("v")!.dtype, constants.get("w")!.dtype]).toEqual(["FLOAT32", "INT8"]);
  const other = alone(two, "dynamic-int8", { layers: { given: ["m=int16"] } });
  await expect(other).rejects.toThrow("a layer can be dynamic-int8, dynamic-int4, dynamic-int2 or float32");
});

test("a layer has another scheme of the same kernels", async () => {
  const values = Float32Array.from({ length: 64 }, (_, i) => (i % 7) - 3);
  const FC = { type: "FullyConnectedOptions", value: { fusedActivationFunction: 0, weightsFormat: 0 } } as const;
  const two = model(["x"], ["y"], (graph) => {
    graph
      .tensor("x", [1, 8])
      .constant("v", [8, 8], values)
      .tensor("m", [1, 8])
      .operator("FULLY_CONNECTED", ["x", "v"], ["m"], FC)
      .constant(
        "w",
        [8, 8],
        values.map((value) => value + 1),
      )
      .tensor("y", [1, 8])
      .operator("FULLY_CONNECTED", ["m", "w"], ["y"], FC);
  });
  for (const given of ["m=weights-int8", "kind:FULLY_CONNECTED=weights-int8"]) {
    const { constants } = await alone(two, "weights-int4", { layers: { given: [given, "y=weights-int4"] } });
    expect([constants.get("v")!.dtype, constants.get("w")!.dtype]).toEqual(["INT8", "INT4"]);
  }
  const other = alone(two, "weights-int4", { layers: { given: ["m=dynamic-int8"] } });
  await expect(other).rejects.toThrow("a layer can be weights-int8, weights-int4, weights-float16 or float32");
});
