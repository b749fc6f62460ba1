/** Masks and pads are clipped to what their consumers can tell apart. Truth is float arithmetic, written out here. */
import { describe, expect, test } from "bun:test";
import type { Model } from "../../src/model/index.ts";
import { type GraphBuilder, model, recorded } from "../helpers/models.ts";
import { dropIn, type Fact, quantize, refusal, type Setup, type Written, written } from "./support.ts";

const N = 8;
const X: [number, number] = [-4, 4];
const FLT_MAX = 3.4028234663852886e38;
const BFLOAT_LOWEST = -3.3895313892515355e38;
const VALUES = [-1e4, -1e9, BFLOAT_LOWEST, -FLT_MAX, -Infinity];
const f32 = Math.fround;

/** 0 and 1 below the diagonal, or above it. */
const causal = Float32Array.from({ length: N * N }, (_, i) => (i % N > Math.floor(i / N) ? 1 : 0));
/** Values between the ends of X, both of them included. */
const x = Float32Array.from({ length: N * N }, (_, i) => f32(-4 + (8 * ((i * 37) % (N * N))) / (N * N - 1)));

const number = (bits: string) => new Float32Array(Uint32Array.of(Number(`0x${bits.replace("0x", "")}`)).buffer)[0]!;
const scaleOf = (fact: Fact) => number(fact.scale[0]!);

/** The value nearest to `value` that a quantized tensor can have. */
function rounded(fact: Fact, value: number): number {
  const scale = scaleOf(fact);
  const [low, high] = fact.dtype === "UINT8" ? [0, 255] : [-32767, 32767];
  const zero = fact.zeroPoint[0]!;
  return (Math.min(high, Math.max(low, Math.round(value / scale) + zero)) - zero) * scale;
}

/** What a quantized constant's integers stand for. */
const real = (fact: Fact) => fact.values!.map((value) => (Number(value) - fact.zeroPoint[0]!) * scaleOf(fact));

function softmax(values: readonly number[]): number[] {
  const rows: number[] = [];
  for (let at = 0; at < values.length; at += N) {
    const row = values.slice(at, at + N);
    const most = Math.max(...row);
    const parts = row.map((value) => Math.exp(value - most));
    const sum = parts.reduce((a, b) => a + b);
    rows.push(...parts.map((part) => part / sum));
  }
  return rows;
}

const furthest = (a: readonly number[], b: readonly number[]) =>
  Math.max(...a.map((value, i) => (Number.isNaN(value - b[i]!) ? Infinity : Math.abs(value - b[i]!))));

/** A probability may be off by what steps of the logits, and of itself, can do. */
const allowed = (logits: Fact) => 1.5 * scaleOf(logits) + 1 / 255;

function attention(names: string[], fill: (graph: GraphBuilder) => void, inputs = ["x"]): Model {
  return model(inputs, ["p"], (graph) => {
    graph.tensor("x", [N, N], "FLOAT32", recorded(...X));
    for (const name of names) graph.tensor(name, [N, N], "FLOAT32", recorded(...X));
    graph.tensor("p", [N, N], "FLOAT32", recorded(0, 1));
    fill(graph);
  });
}

async function run(
  made: Model,
  setup: Setup,
): Promise<Written & { notes: { code: string; tensor?: string; text: string }[] }> {
  const space = await quantize(made, setup);
  return { ...(await written(space)), notes: space.context.notes };
}

const DTYPES = ["UINT8", "INT16"] as const;
const each = DTYPES.flatMap((dtype) => VALUES.map((value) => [dtype, value] as const));

/** Steps that x would have without any mask, times this, is what its sum with a mask may have. */
const widened = (dtype: (typeof DTYPES)[number]) => {
  const levels = dtype === "UINT8" ? 255 : 65534;
  return (1.1 * (8 + Math.log(2 * levels * N)) * (dtype === "UINT8" ? 1 : 2)) / levels;
};

describe.each(each)("%s, %d before SOFTMAX", (dtype, value) => {
  test("ADD of a constant; the range is as it was recorded, or without what is passed over", async () => {
    for (const low of [f32(value - 4), X[0]]) {
      const mask = causal.map((on) => (on ? value : 0));
      const made = attention(["add"], (graph) => {
        graph.tensors[1]!.quantization = recorded(low, 4).quantization;
        graph
          .constant("mask", [N, N], mask)
          .operator("ADD", ["x", "mask"], ["add"])
          .operator("SOFTMAX", ["add"], ["p"]);
      });
      const { tensors, notes } = await run(made, { dtype });
      const add = tensors.get("add")!;
      const constant = real(tensors.get("mask")!);
      const logits = Array.from(x, (each, i) => rounded(add, rounded(tensors.get("x")!, each) + constant[i]!));
      const truth = softmax(Array.from(x, (each, i) => each + mask[i]!));
      expect(scaleOf(add)).toBeLessThan(widened(dtype));
      expect(furthest(softmax(logits), truth)).toBeLessThan(allowed(add));
      expect(notes.map(({ code, tensor }) => [code, tensor])).toEqual([
        ["mask-clipped", "mask"],
        ["mask-clipped", "add"],
      ]);
    }
  });

  test("SELECT_V2, then operators that only move values", async () => {
    const made = attention(["select", "moved"], (graph) => {
      graph.tensors[1]!.quantization = recorded(value, 4).quantization;
      graph.tensors[2]!.quantization = recorded(value, 4).quantization;
      const bytes = Uint8Array.from(causal);
      graph
        .constant("on", [N, N], bytes, { type: 6 })
        .constant("low", [], Float32Array.of(value))
        .constant("shape", [2], Int32Array.of(N, N))
        .operator("SELECT_V2", ["on", "low", "x"], ["select"])
        .operator("RESHAPE", ["select", "shape"], ["moved"])
        .operator("SOFTMAX", ["moved"], ["p"]);
    });
    const { tensors } = await run(made, { dtype });
    const moved = tensors.get("moved")!;
    const [low] = real(tensors.get("low")!);
    const logits = Array.from(x, (each, i) => rounded(moved, causal[i] ? low! : rounded(tensors.get("select")!, each)));
    const truth = softmax(Array.from(x, (each, i) => (causal[i] ? value : each)));
    expect(scaleOf(moved)).toBeLessThan(widened(dtype));
    expect(furthest(softmax(logits), truth)).toBeLessThan(allowed(moved));
  });

  test("MAX_POOL_2D behind PADV2, and MAXIMUM: the range is that of x", async () => {
    const made = model(["x"], ["y", "z"], (graph) => {
      graph
        .tensor("x", [1, 4, 4, 1], "FLOAT32", recorded(...X))
        .tensor("padded", [1, 6, 6, 1], "FLOAT32", recorded(value, 4))
        .tensor("y", [1, 5, 5, 1], "FLOAT32", recorded(...X))
        .tensor("z", [1, 4, 4, 1], "FLOAT32", recorded(...X))
        .constant("pads", [4, 2], Int32Array.of(0, 0, 1, 1, 1, 1, 0, 0))
        .constant("low", [], Float32Array.of(value))
        .constant("least", [], Float32Array.of(value))
        .operator("PADV2", ["x", "pads", "low"], ["padded"])
        .operator("MAX_POOL_2D", ["padded"], ["y"])
        .operator("MAXIMUM", ["x", "least"], ["z"]);
    });
    const { tensors } = await run(made, { dtype });
    const step = 8 / (dtype === "UINT8" ? 255 : 65534);
    for (const name of ["x", "padded", "low"]) expect(scaleOf(tensors.get(name)!)).toBeCloseTo(step, 6);
    // The pad and the other operand of the maximum are never above a value of x.
    for (const name of ["low", "least"]) expect(real(tensors.get(name)!)[0]).toBeLessThanOrEqual(-4 + step);
  });
});

describe.each(DTYPES)("%s, a mask that is computed from an input", (dtype) => {
  const inputs = ["x", "m"];
  const on = causal.map((each) => 1 - each);

  function graphOf(low: number, fill: (graph: GraphBuilder) => void): Model {
    return attention(
      ["m", "off", "far", "add"],
      (graph) => {
        for (const [name, range] of [
          ["m", [0, 1]],
          ["off", low < 0 ? [0, 1] : [-1, 0]],
          ["far", [-Math.abs(low), 0]],
          ["add", [-Math.abs(low), 4]],
        ] as const)
          graph.tensors.find((tensor) => tensor.name === name)!.quantization = recorded(
            range[0]!,
            range[1]!,
          ).quantization;
        graph.constant("one", [], Float32Array.of(1)).constant("scale", [], Float32Array.of(low));
        fill(graph);
        graph.operator("SOFTMAX", ["add"], ["p"]);
      },
      inputs,
    );
  }

  test.each([-1e4, -1e9, -3.3e38, 1e9])("times %d", async (low) => {
    const operands = low < 0 ? ["one", "m"] : ["m", "one"];
    const made = graphOf(low, (graph) =>
      graph
        .operator("SUB", operands, ["off"])
        .operator("MUL", ["off", "scale"], ["far"])
        .operator("ADD", ["x", "far"], ["add"]),
    );
    const { tensors } = await run(made, { dtype });
    const fact = (name: string) => tensors.get(name)!;
    const [scale] = real(fact("scale"));
    const logits = Array.from(x, (each, i) => {
      const off = rounded(fact("off"), low < 0 ? 1 - on[i]! : on[i]! - 1);
      return rounded(fact("add"), rounded(fact("x"), each) + rounded(fact("far"), off * scale!));
    });
    const truth = softmax(Array.from(x, (each, i) => (on[i] ? each : -Infinity)));
    // The switch stays as it is.
    expect(scaleOf(fact("m"))).toBeCloseTo((dtype === "UINT8" ? 1 : 2) / (dtype === "UINT8" ? 255 : 65534), 6);
    expect(scaleOf(fact("add"))).toBeLessThan(widened(dtype));
    expect(furthest(softmax(logits), truth)).toBeLessThan(allowed(fact("add")) + scaleOf(fact("far")));
  });

  test("taken away from x instead", async () => {
    const made = graphOf(-1e9, (graph) => {
      graph.tensors.find(({ name }) => name === "far")!.quantization = recorded(0, 1e9).quantization;
      graph
        .constant("positive", [], Float32Array.of(1e9))
        .operator("SUB", ["one", "m"], ["off"])
        .operator("MUL", ["off", "positive"], ["far"])
        .operator("SUB", ["x", "far"], ["add"]);
    });
    const { tensors } = await run(made, { dtype });
    const [positive] = real(tensors.get("positive")!);
    expect(positive).toBeGreaterThan(8 + Math.log(510));
    expect(positive).toBeLessThan(40);
    expect(scaleOf(tensors.get("far")!)).toBeLessThan(2 * widened(dtype));
    expect(scaleOf(tensors.get("add")!)).toBeLessThan(widened(dtype));
  });
});

describe("what is no mask stays", () => {
  /** ADD of a constant, then an operator. */
  const added = (constant: Float32Array, op: "SOFTMAX" | "EXP" | "ABS", range: [number, number] = [-30, 4]) =>
    attention(["add"], (graph) => {
      graph.tensors[1]!.quantization = recorded(...range).quantization;
      graph.constant("c", [N, N], constant).operator("ADD", ["x", "c"], ["add"]).operator(op, ["add"], ["p"]);
    });

  test("a bias without a gap, as positions have", async () => {
    const bias = causal.map((_, i) => -4 * (i % N));
    const { tensors, notes } = await run(added(bias, "SOFTMAX"), {});
    expect(notes).toEqual([]);
    expect(scaleOf(tensors.get("add")!)).toBeCloseTo(34 / 255, 6);
    expect(scaleOf(tensors.get("c")!)).toBeCloseTo(28 / 255, 6);
  });

  test("a consumer that tells low values apart: finite ones are said, infinite ones stay float", async () => {
    const far = causal.map((each) => each * -1e9);
    const finite = await run(added(far, "ABS", [-1e9, 4]), {});
    expect(finite.notes.map(({ code }) => code)).not.toContain("mask-clipped");
    const space = await quantize(
      added(
        causal.map((each) => (each ? -Infinity : 0)),
        "ABS",
        [-Infinity, 4],
      ),
      {},
    );
    expect(space.context.notes.map(({ code, tensor }) => [code, tensor])).toEqual([
      ["infinite-constant", "c"].with(1, "add") as [string, string],
      ["infinite-range", "p"],
    ]);
  });

  test("a second consumer that looks at all of it", async () => {
    const made = model(["x"], ["p", "y"], (graph) => {
      graph
        .tensor("x", [N, N], "FLOAT32", recorded(...X))
        .tensor("add", [N, N], "FLOAT32", recorded(-1e9, 4))
        .tensor("p", [N, N], "FLOAT32", recorded(0, 1))
        .tensor("y", [N, N], "FLOAT32", recorded(0, 1e9))
        .constant(
          "c",
          [N, N],
          causal.map((each) => each * -1e9),
        )
        .operator("ADD", ["x", "c"], ["add"])
        .operator("SOFTMAX", ["add"], ["p"])
        .operator("ABS", ["add"], ["y"]);
    });
    const { notes } = await run(made, {});
    expect(notes.map(({ code }) => code)).not.toContain("mask-clipped");
  });

  test("the drop-in front does what ONE does: it refuses, or takes the value as it is", async () => {
    const infinite = added(
      causal.map((each) => (each ? -FLT_MAX : 0)),
      "SOFTMAX",
    );
    expect(await refusal(() => dropIn(infinite))).toContain("infinite values");
    const { tensors } = await written(
      await dropIn(
        added(
          causal.map((each) => each * -1e9),
          "SOFTMAX",
          [-1e9, 4],
        ),
      ),
    );
    expect(scaleOf(tensors.get("c")!)).toBeCloseTo(1e9 / 255, -3);
  });
});

test("--mask-value: a person's own value instead", async () => {
  const made = attention(["add"], (graph) => {
    graph.tensors[1]!.quantization = recorded(-1e9, 4).quantization;
    graph
      .constant(
        "mask",
        [N, N],
        causal.map((each) => each * -1e9),
      )
      .operator("ADD", ["x", "mask"], ["add"])
      .operator("SOFTMAX", ["add"], ["p"]);
  });
  const { tensors } = await run(made, { maskValue: -50 });
  expect(Math.min(...real(tensors.get("mask")!))).toBeCloseTo(-50, 4);
  expect(scaleOf(tensors.get("add")!)).toBeCloseTo(54 / 255, 5);
});
