/** Recording: small models, and a real one with one and two workers. */
import { describe, expect, test } from "bun:test";
import { type DataSet, inputSpecs, recordAllRanges, recordRanges } from "../../src/calibration/index.ts";
import { rangeOf } from "../../src/model/bytes.ts";
import { RoPEMode } from "../../src/model/index.ts";
import { GraphBuilder, ModelBuilder, model } from "./models.ts";
import { bytesOf, dataOf, floats, messageOf, ranges } from "./support.ts";

describe("what is observed", () => {
  test("float inputs, used or not, and every float result; not constants and other types", async () => {
    const of = model(["x", "n", "unused"], ["y", "x"], (graph) =>
      graph
        .tensor("x", [1, 2], "FLOAT32", { shapeSignature: Int32Array.of(-1, 2) })
        .tensor("n", [1, 2], "INT32")
        .tensor("unused", [3])
        .constant("c", [2], Float32Array.of(10, 20))
        .tensor("sum", [1, 2])
        .tensor("first", [1, 1])
        .tensor("second", [1, 1])
        .constant("axis", [], Int32Array.of(1))
        .tensor("cast", [1, 2])
        .tensor("y", [1, 2])
        .tensor("less", [1, 2], "BOOL")
        .operator("ADD", ["x", "c"], ["sum"], { type: "AddOptions", value: { fusedActivationFunction: 1 } })
        .operator("SPLIT", ["axis", "sum"], ["first", "second"], { type: "SplitOptions", value: { numSplits: 2 } })
        .operator("CAST", ["n"], ["cast"])
        .operator("LESS", ["x", "cast"], ["less"])
        .operator("SUB", ["sum", "cast"], ["y"], { type: "SubOptions", value: {} }),
    );
    expect(inputSpecs(of)[0]).toEqual({ name: "x", dtype: "FLOAT32", shape: [1, 2], signature: [-1, 2] });
    const numbers = bytesOf(Int32Array.of(1, 2));
    const data = dataOf(
      [floats(-15, 1), numbers, floats(1, 2, 3)],
      [floats(4, 5), numbers, floats(-1, Number.NaN, -3.4028234663852886e38)],
    );
    expect(await ranges(of, data)).toEqual({
      x: [-15, 5],
      unused: [-1, 3],
      sum: [0, 25],
      first: [0, 14],
      second: [21, 25],
      cast: [1, 2],
      y: [-1, 23],
    });
  });

  test("constants behind DEQUANTIZE are constants; repeated and missing names", async () => {
    const half = new Uint16Array([0x3c00, 0xc000]); // 1, -2
    const of = model(["x"], ["y"], (graph) => {
      const buffer = graph.builder.buffers.push({ data: rangeOf(bytesOf(half)) }) - 1;
      graph
        .tensor("x", [2])
        .tensor("half", [2], "FLOAT16", { buffer })
        .tensor("c", [2])
        .tensor("a", [2], "FLOAT32", { name: "same" })
        .tensor("y", [2], "FLOAT32", { name: "same" })
        .operator("DEQUANTIZE", ["half"], ["c"])
        .operator("MUL", ["x", "c"], ["a"], { type: "MulOptions", value: {} })
        .operator("NEG", ["a"], ["y"]);
    });
    const found = await recordRanges(of, dataOf([floats(3, 4)]), { reduction: { kind: "minmax" }, workers: 1 });
    expect([...found].map(([index, { name, min, max }]) => [index, name, min, max])).toEqual([
      [0, "x", 3, 4],
      [3, "same", -8, 3],
      [4, "same", -3, 8],
    ]);
  });

  test("infinity counts; nothing but NaN is an error with tensor and record", async () => {
    const of = model(["x"], ["y"], (graph) =>
      graph.tensor("x", [2]).tensor("y", [2], "FLOAT32", { name: "root" }).operator("SQRT", ["x"], ["y"]),
    );
    expect(await ranges(of, dataOf([floats(-1, Number.POSITIVE_INFINITY)]))).toEqual({
      x: [-1, Number.POSITIVE_INFINITY],
      root: [3.4028234663852886e38, Number.POSITIVE_INFINITY],
    });
    expect(await messageOf(() => ranges(of, dataOf([floats(1, 2)], [floats(-1, -2)])))).toBe(
      'tensor "root": all values are NaN in record 1; the model or that record is broken',
    );
  });

  test("inputs alone, without any operator", async () => {
    const of = model(["x"], ["x"], (graph) => graph.tensor("x", [2]));
    expect(await ranges(of, dataOf([floats(1, 2)], [floats(0, 1)]))).toEqual({ x: [0, 2] });
  });

  test("shapes computed from shapes become constants", async () => {
    const of = model(["x"], ["y"], (graph) =>
      graph
        .tensor("x", [2, 3])
        .tensor("shape", [2], "INT32")
        .constant("reversed", [1], Int32Array.of(0))
        .tensor("turned", [2], "INT32")
        .tensor("flat", [3, 2])
        .tensor("y", [3, 2])
        .operator("SHAPE", ["x"], ["shape"], { type: "ShapeOptions", value: { outType: 2 } })
        .operator("REVERSE_V2", ["shape", "reversed"], ["turned"])
        .operator("RESHAPE", ["x", "turned"], ["flat"])
        .operator("NEG", ["flat"], ["y"]),
    );
    expect(await ranges(of, dataOf([floats(1, 2, 3, 4, 5, 6)]))).toEqual({ x: [1, 6], flat: [1, 6], y: [-6, -1] });
  });

  test("a shape that follows from the data", async () => {
    const of = model(["x", "shape"], ["y"], (graph) =>
      graph
        .tensor("x", [4])
        .tensor("shape", [2], "INT32")
        .tensor("y", [2, 2])
        .operator("RESHAPE", ["x", "shape"], ["y"]),
    );
    const data = dataOf([floats(1, 2, 3, 4), bytesOf(Int32Array.of(2, 2))]);
    expect(await ranges(of, data)).toEqual({ x: [1, 4], y: [1, 4] });
  });

  test("control flow runs; branches are recorded when they are taken", async () => {
    const builder = new ModelBuilder();
    const branch = (kind: "NEG" | "ABS") =>
      new GraphBuilder(builder)
        .tensor("bx", [2])
        .tensor(`inner_${kind}`, [2])
        .operator(kind, ["bx"], [`inner_${kind}`]);
    const unrelated = new GraphBuilder(builder).tensor("z", [1]).graph(["z"], ["z"]);
    const main = new GraphBuilder(builder)
      .tensor("x", [2])
      .tensor("c", [], "BOOL")
      .tensor("y", [2])
      .operator("IF", ["c", "x"], ["y"], { type: "IfOptions", value: { thenSubgraphIndex: 3, elseSubgraphIndex: 0 } });
    const of = builder.model(
      branch("ABS").graph(["bx"], ["inner_ABS"]),
      unrelated,
      main.graph(["x", "c"], ["y"]),
      branch("NEG").graph(["bx"], ["inner_NEG"]),
    );
    let unobserved: readonly string[] = [];
    const outcome = ranges(of, dataOf([floats(-1, 2), Uint8Array.of(1)], [floats(-5, 2), Uint8Array.of(0)]), {
      subgraph: 2,
      onUnobserved: (names) => {
        unobserved = names;
      },
    });
    expect(await outcome).toEqual({ x: [-5, 2], y: [-2, 5] });
    expect(unobserved).toEqual([]);
    const inner = await recordAllRanges(of, dataOf([floats(-1, 2), Uint8Array.of(1)]), {
      subgraph: 2,
      reduction: { kind: "minmax" },
      onUnobserved: (names) => {
        unobserved = names;
      },
    });
    expect([...inner.get(3)!.values()]).toMatchObject([{ name: "inner_NEG", min: -2, max: 1 }]);
    expect(inner.has(0)).toBe(false);
    expect(unobserved).toEqual(["inner_ABS"]);
  });
});

describe("as the reference's kernels have it", () => {
  const FLT_MAX = 3.4028234663852886e38;
  const inf = Number.POSITIVE_INFINITY;

  test("operators with a fused activation give no infinity, nor does what only moves their results", async () => {
    const of = model(["x"], ["moved", "sum", "exp"], (graph) =>
      graph
        .tensor("x", [1, 4])
        .constant("two", [1], Float32Array.of(2))
        .constant("shape", [1], Int32Array.of(4))
        .tensor("doubled", [1, 4])
        .tensor("moved", [4])
        .tensor("sum", [1, 4])
        .tensor("exp", [1, 4])
        .tensor("flat", [4])
        .operator("MUL", ["x", "two"], ["doubled"], { type: "MulOptions", value: {} })
        .operator("RESHAPE", ["doubled", "shape"], ["moved"])
        .operator("ADD", ["doubled", "doubled"], ["sum"], { type: "AddOptions", value: {} })
        .operator("EXP", ["x"], ["exp"])
        .operator("RESHAPE", ["exp", "shape"], ["flat"]),
    );
    const data = dataOf([floats(-3e38, 1, 3e38, 5)], [floats(-3e38, 1, 2, -3e38)]);
    for (const kind of ["minmax", "percentile_all"] as const) {
      expect(await ranges(of, data, { reduction: { kind, min: 0, max: 100 } })).toEqual({
        x: [Math.fround(-3e38), Math.fround(3e38)],
        doubled: [2, FLT_MAX],
        moved: [2, FLT_MAX],
        sum: [4, FLT_MAX],
        exp: [0, inf],
        flat: [0, inf],
      });
    }
  });

  test("an input's infinity stays one", async () => {
    const of = model(["x"], ["y"], (graph) => graph.tensor("x", [2]).tensor("y", [2]).operator("NEG", ["x"], ["y"]));
    expect(await ranges(of, dataOf([floats(inf, 1)]))).toEqual({ x: [1, inf], y: [-inf, -1] });
  });

  test("a padding value of another dtype is converted by its value", async () => {
    const of = model(["x"], ["y"], (graph) =>
      graph
        .tensor("x", [2])
        .tensor("y", [4])
        .constant("paddings", [1, 2], Int32Array.of(1, 1))
        .constant("value", [1], Int32Array.of(-7))
        .operator("PADV2", ["x", "paddings", "value"], ["y"]),
    );
    expect(await ranges(of, dataOf([floats(1, 2)]))).toEqual({ x: [1, 2], y: [-7, 2] });
  });
});

describe("operators LiteRT lacks", () => {
  const x = [1, -2, 3, 0.5, 5, -6, 7, 8];

  test("INSTANCE_NORM with fused RELU", async () => {
    const of = model(["x"], ["y"], (graph) =>
      graph
        .tensor("x", [1, 2, 2, 2])
        .constant("gamma", [2], Float32Array.of(2, 3))
        .constant("beta", [2], Float32Array.of(0.5, -1))
        .tensor("y", [1, 2, 2, 2])
        .operator("INSTANCE_NORM", ["x", "gamma", "beta"], ["y"], {
          type: "InstanceNormOptions",
          value: { epsilon: 0.001, fusedActivationFunction: 1 },
        }),
    );
    const y = [0, 1].flatMap((channel) => {
      const values = x.filter((_, i) => i % 2 === channel);
      const mean = values.reduce((a, b) => a + b) / 4;
      const variance = values.reduce((a, b) => a + (b - mean) ** 2, 0) / 4;
      return values.map((v) =>
        Math.max(0, ((v - mean) / Math.sqrt(variance + 0.001)) * [2, 3][channel]! + [0.5, -1][channel]!),
      );
    });
    const found = await ranges(of, dataOf([floats(...x)]));
    expect(Object.keys(found)).toEqual(["x", "y"]);
    expect(found.y![0]).toBe(0);
    expect(found.y![1]).toBeCloseTo(Math.max(...y), 5);
  });

  test("RMS_NORM", async () => {
    const of = model(["x"], ["y"], (graph) =>
      graph
        .tensor("x", [2, 4])
        .constant("gamma", [4], Float32Array.of(1, 2, 3, 4))
        .tensor("y", [2, 4])
        .operator("RMS_NORM", ["x", "gamma"], ["y"], { type: "RmsNormOptions", value: { epsilon: 0.01 } }),
    );
    const y = [x.slice(0, 4), x.slice(4)].flatMap((row) => {
      const scale = 1 / Math.sqrt(row.reduce((a, b) => a + b * b, 0) / 4 + 0.01);
      return row.map((v, i) => v * scale * (i + 1));
    });
    const found = await ranges(of, dataOf([floats(...x)]));
    expect(found.y![0]).toBeCloseTo(Math.min(...y), 5);
    expect(found.y![1]).toBeCloseTo(Math.max(...y), 5);
  });

  for (const mode of ["GPT_NEOX", "GPT_J"] as const) {
    test(`ROPE ${mode}`, async () => {
      const angles = [0.1, 0.7, 0.1, 0.7];
      const of = model(["x"], ["y"], (graph) =>
        graph
          .tensor("x", [1, 1, 2, 4])
          .constant("sin", [1, 1, 1, 4], Float32Array.from(angles, Math.sin))
          .constant("cos", [1, 1, 1, 4], Float32Array.from(angles, Math.cos))
          .tensor("y", [1, 1, 2, 4])
          .operator("ROPE", ["x", "sin", "cos"], ["y"], { type: "RoPEOptions", value: { mode: RoPEMode[mode] } }),
      );
      const y = [x.slice(0, 4), x.slice(4)].flatMap((row) =>
        row.map((v, i) => {
          const other =
            mode === "GPT_NEOX" ? (i < 2 ? -row[i + 2]! : row[i - 2]!) : i % 2 === 0 ? -row[i + 1]! : row[i - 1]!;
          return v * Math.cos(angles[i]!) + other * Math.sin(angles[i]!);
        }),
      );
      const found = await ranges(of, dataOf([floats(...x)]));
      expect(found.y![0]).toBeCloseTo(Math.min(...y), 5);
      expect(found.y![1]).toBeCloseTo(Math.max(...y), 5);
    });
  }

  test("UNIDIRECTIONAL_SEQUENCE_LSTM is unrolled; each record starts from the zero state", async () => {
    const gates = [0, 1, 2, 3];
    const w = gates.map((k) => Float32Array.of(0.5 - k, 0.25 * k));
    const r = gates.map((k) => Float32Array.of(0.3 * k, -0.2, 0.1, 0.4 - 0.1 * k));
    const b = gates.map((k) => Float32Array.of(0.1 * k, 1 - k));
    const of = model(["x"], ["y"], (graph) => {
      graph.tensor("x", [1, 3, 1]).tensor("y", [1, 3, 2]);
      for (const k of gates)
        graph.constant(`w${k}`, [2, 1], w[k]!).constant(`r${k}`, [2, 2], r[k]!).constant(`b${k}`, [2], b[k]!);
      graph
        .tensor("h", [1, 2], "FLOAT32", { isVariable: true })
        .tensor("c", [1, 2], "FLOAT32", { isVariable: true })
        .operator(
          "UNIDIRECTIONAL_SEQUENCE_LSTM",
          ["x", "w0", "w1", "w2", "w3", "r0", "r1", "r2", "r3", "", "", "", "b0", "b1", "b2", "b3", "", "", "h", "c"],
          ["y"],
          { type: "UnidirectionalSequenceLSTMOptions", value: { fusedActivationFunction: 4, cellClip: 0.5 } },
        );
    });
    const logistic = (v: number) => 1 / (1 + Math.exp(-v));
    const run = (x: number[]): number[] => {
      let h = [0, 0];
      let c = [0, 0];
      return x.flatMap((v) => {
        const at = (k: number, j: number) =>
          w[k]![j]! * v + r[k]![2 * j]! * h[0]! + r[k]![2 * j + 1]! * h[1]! + b[k]![j]!;
        c = c.map((old, j) => logistic(at(1, j)) * old + logistic(at(0, j)) * Math.tanh(at(2, j)));
        c = c.map((value) => Math.max(-0.5, Math.min(0.5, value)));
        h = c.map((value, j) => logistic(at(3, j)) * Math.tanh(value));
        return h;
      });
    };
    const records = [
      [1, -2, 3],
      [0.5, 0.1, -4],
    ];
    const found = await ranges(of, dataOf(...records.map((x) => [floats(...x)])));
    const y = records.flatMap(run);
    expect(Object.keys(found)).toEqual(["x", "y"]);
    expect(found.y![0]).toBeCloseTo(Math.min(...y), 5);
    expect(found.y![1]).toBeCloseTo(Math.max(...y), 5);
  });

  test("those that cannot be run are all named", async () => {
    const of = model(["x"], ["y"], (graph) =>
      graph
        .tensor("x", [2, 4])
        .tensor("state", [1, 2], "FLOAT32", { isVariable: true })
        .constant("w", [4, 4], new Float32Array(16))
        .tensor("g", [2, 4])
        .tensor("s", [2, 4])
        .tensor("y", [2, 4])
        .operator("GRU", ["x"], ["g"])
        .operator("UNIDIRECTIONAL_SEQUENCE_RNN", ["g", "w", "w", "", "state"], ["s"])
        .tensor("n", [1, 2])
        .operator("NEG", ["state"], ["n"])
        .operator("FULLY_CONNECTED", ["s", "w"], ["y"], {
          type: "FullyConnectedOptions",
          value: { weightsFormat: 127 },
        }),
    );
    const message = await messageOf(() => ranges(of, dataOf([floats(...x)])));
    expect(message).toContain('GRU "g" cannot be run');
    expect(message).toContain('UNIDIRECTIONAL_SEQUENCE_RNN "s" cannot be run: its input has 2 dims; 3 are known');
    expect(message).toContain('NEG "n" cannot be run: it keeps a state (variable tensor "state")');
    expect(message).toContain('FULLY_CONNECTED "y" cannot be run: its weights are shuffled');
  });
});

describe("failures", () => {
  test("an unknown custom operator is named, with a hint", async () => {
    const of = model(["x"], ["y"], (graph) =>
      graph.tensor("x", [2]).tensor("y", [2]).operator("CUSTOM", ["x"], ["y"], undefined, "MyOp"),
    );
    const message = await messageOf(() => ranges(of, dataOf([floats(1, 2)])));
    expect(message).toContain('CUSTOM:MyOp "y"');
    expect(message).toContain("LiteRT does not know");
  });

  test("an operator that fails to prepare is named by its result", async () => {
    const of = model(["x"], ["y"], (graph) =>
      graph
        .tensor("x", [2])
        .tensor("y", [4])
        .constant("one", [1], Int32Array.of(1))
        .operator("ADD", ["x", "one"], ["y"], { type: "AddOptions", value: {} }),
    );
    expect(await messageOf(() => ranges(of, dataOf([floats(1, 2)])))).toMatch(
      /^ADD "y" cannot be run: .*FLOAT32 != INT32/,
    );
  });

  test("data that fail in the middle", async () => {
    const of = model(["x"], ["y"], (graph) => graph.tensor("x", [2]).tensor("y", [2]).operator("ABS", ["x"], ["y"]));
    const data: DataSet = {
      ...dataOf([floats(1, 2)], [floats(1, 2)]),
      async *records() {
        yield [floats(1, 2)];
        throw new Error("the disk is gone");
      },
    };
    expect(recordRanges(of, data, { reduction: { kind: "minmax" }, workers: 2 })).rejects.toThrow("the disk is gone");
  });

  test("a record of the wrong size", async () => {
    const of = model(["x"], ["y"], (graph) => graph.tensor("x", [2]).tensor("y", [2]).operator("ABS", ["x"], ["y"]));
    expect(await messageOf(() => ranges(of, dataOf([floats(1, 2)], [floats(1)])))).toContain(
      "record 1 of data: input 0 has 4 bytes, LiteRT wants 8",
    );
  });
});
