/**
 * The verifier (§6): a good model has no problems; each rule broken by hand gives exactly the problems that name it.
 */
import { describe, expect, test } from "bun:test";
import { type Graph, type Node, setInput } from "../../src/graph/graph.ts";
import { setOptions } from "../../src/graph/options.ts";
import { perTensor, type QuantParam, quantParam } from "../../src/graph/quantparam.ts";
import type { BuiltinOperator, BuiltinOptions } from "../../src/model/index.ts";
import type { Workspace } from "../../src/passes/context.ts";
import { SCHEMES } from "../../src/rules/schemes.ts";
import { model, quantized } from "../helpers/models.ts";
import { CASES } from "../operators/cases.ts";
import { modelOf, parse } from "../operators/one-operator.ts";
import { dropIn, nodeOf, type Setup, spaceOf, verifyAll, written } from "./support.ts";

/** A verified graph of one operator (test/operators/cases.ts); its operands are x0, w1 …, its results y0, y1. */
async function good(op: string, setup: Setup = {}, options?: BuiltinOptions): Promise<Workspace & { graph: Graph }> {
  const one = CASES[op]!;
  const space = await dropIn(modelOf(op, parse(one), options ?? one.options), setup);
  // Writing fills in the scales.
  await written(space);
  expect(verifyAll(space, false)).toEqual([]);
  return { ...space, graph: space.graphs[0]! };
}

type Break = (node: (name: string) => Node) => void;

/** Operator, what is broken, and for each problem what it must say. */
interface Rule {
  op: string;
  what: string;
  break: Break;
  problems: RegExp[];
  setup?: Setup;
}

const with_ = (node: Node, changes: Partial<QuantParam>) => {
  node.quant = quantParam({ ...node.quant!, ...changes });
};
const two: Partial<QuantParam> = { scale: Float32Array.of(1, 1), zeroPoint: BigInt64Array.of(0n, 0n) };
const another = () => perTensor(0.75, 7, { from: "file" });

const RULES: Rule[] = [
  {
    op: "ADD",
    what: "dtype of the result",
    break: (node) => (node("y0").dtype = "INT16"),
    problems: [/ADD "y0": wrong dtype.*result.*INT16.*UINT8/],
  },
  {
    op: "ADD",
    what: "dtype of an operand",
    break: (node) => (node("x1").dtype = "INT16"),
    problems: [/ADD "y0": wrong dtype.*"x1".*INT16.*UINT8/],
  },
  {
    op: "ADD",
    what: "two scales",
    break: (node) => with_(node("x1"), two),
    problems: [/ADD "y0": wrong granularity.*"x1"/],
  },
  {
    op: "ADD",
    what: "no parameters",
    break: (node) => (node("y0").quant = null),
    problems: [/ADD "y0": wrong granularity.*"y0"/],
  },
  {
    op: "ADD",
    what: "an absent operand",
    break: (node) => setInput(node("y0"), 1, null),
    problems: [/ADD "y0": operand 1 is absent/],
  },
  {
    op: "ADD",
    what: "some integers",
    break: (node) => (node("x1").dtype = "INT32"),
    problems: [/ADD "y0": wrong dtype.*"x1".*INT32/],
  },
  {
    op: "CONV_2D",
    what: "dtype of the filter",
    break: (node) => (node("w1").dtype = "INT8"),
    problems: [/CONV_2D "y0": wrong dtype.*"w1".*INT8/],
  },
  {
    op: "CONV_2D",
    what: "axis of the filter",
    break: (node) => with_(node("w1"), { axis: 3 }),
    problems: [/CONV_2D "y0": wrong granularity.*"w1".*axis 0/],
  },
  {
    op: "DEPTHWISE_CONV_2D",
    what: "axis of the filter",
    break: (node) => with_(node("w1"), { axis: 0 }),
    problems: [/DEPTHWISE_CONV_2D "y0": wrong granularity.*"w1".*axis 3/],
  },
  {
    op: "CONV_2D",
    what: "dtype of the bias",
    break: (node) => (node("b2").dtype = "INT64"),
    problems: [/CONV_2D "y0": wrong dtype.*"b2".*INT64.*INT32/],
  },
  {
    op: "FULLY_CONNECTED",
    what: "dtype of the bias, int16",
    setup: { scheme: SCHEMES.int16 },
    break: (node) => (node("b2").dtype = "INT32"),
    problems: [/FULLY_CONNECTED "y0": wrong dtype.*"b2".*INT32.*INT64/],
  },
  {
    op: "CONV_2D",
    what: "scale of the bias",
    break: (node) => with_(node("b2"), { scale: node("b2").quant!.scale.map((s) => s + 2 ** -22) }),
    problems: [/CONV_2D "y0": wrong bias scale.*"b2"/],
  },
  {
    op: "TRANSPOSE_CONV",
    what: "scale of one channel of the bias",
    break: (node) => with_(node("b3"), { scale: node("b3").quant!.scale.map((s, i) => (i === 2 ? s * 2 : s)) }),
    problems: [/TRANSPOSE_CONV "y0": wrong bias scale.*"b3"/],
  },
  {
    op: "CONV_2D",
    what: "number of scales of the bias",
    break: (node) => with_(node("b2"), two),
    problems: [/CONV_2D "y0": wrong granularity.*"b2".*3/, /CONV_2D "y0": wrong bias scale.*"b2"/],
  },
  {
    op: "CONV_2D",
    what: "granularity of the filter, by layer",
    setup: { granularity: "layer" },
    break: (node) => with_(node("w1"), two),
    problems: [/CONV_2D "y0": wrong granularity.*"w1".*one scale/, /CONV_2D "y0": wrong bias scale/],
  },
  {
    op: "PRELU",
    what: "axis of alpha",
    break: (node) => with_(node("u1"), { axis: 1 }),
    problems: [/PRELU "y0": wrong granularity.*"u1"/],
  },
  {
    op: "INSTANCE_NORM",
    what: "dtype of beta",
    break: (node) => (node("u2").dtype = "INT32"),
    problems: [/INSTANCE_NORM "y0": wrong dtype.*"u2".*INT32.*UINT8/],
  },
  {
    op: "LOGISTIC",
    what: "predefined scale",
    break: (node) => (node("y0").quant = another()),
    problems: [/LOGISTIC "y0": its parameters.*logistic/],
  },
  {
    op: "TANH",
    what: "predefined zero point",
    break: (node) => with_(node("y0"), { zeroPoint: BigInt64Array.of(127n) }),
    problems: [/TANH "y0": its parameters.*tanh/],
  },
  {
    op: "SOFTMAX",
    what: "predefined scale, one bit off",
    break: (node) => with_(node("y0"), { scale: Float32Array.of(1 / 255 + 2 ** -31) }),
    problems: [/SOFTMAX "y0": its parameters.*softmax/],
  },
  {
    op: "FLOOR",
    what: "a scale that is no integer",
    break: (node) => with_(node("y0"), { scale: Float32Array.of(6.5) }),
    problems: [/FLOOR "y0": its scale 6.5/],
  },
  {
    op: "SPLIT",
    what: "parameters of one result",
    break: (node) => (node("y1").quant = another()),
    problems: [/SPLIT "y1": its parameters must be those of "x1"/],
  },
  {
    op: "SPLIT_V",
    what: "dtype of one result",
    break: (node) => (node("y1").dtype = "INT16"),
    problems: [/SPLIT_V "y1": wrong dtype.*INT16/],
  },
  {
    op: "UNPACK",
    what: "two scales of one result",
    break: (node) => with_(node("y0"), { scale: Float32Array.of(...node("y0").quant!.scale, 1) }),
    problems: [/UNPACK "y0": wrong granularity/],
  },
  {
    op: "STRIDED_SLICE",
    what: "parameters",
    break: (node) => (node("y0").quant = another()),
    problems: [/STRIDED_SLICE "y0": its parameters must be those of "x0"/],
  },
  {
    op: "SLICE",
    what: "dtype of begin",
    break: (node) => (node("i1").dtype = "INT16"),
    problems: [/SLICE "y0": operand 1 "i1" is INT16/],
  },
  ...["MEAN", "REDUCE_MAX", "SUM", "PAD", "MIRROR_PAD", "TRANSPOSE"].map((op) => ({
    op,
    what: "dtype of axes, paddings or perm",
    break: ((node) => (node("i1").dtype = "INT64")) as Break,
    problems: [new RegExp(`${op} "y0": operand 1 "i1" is INT64, expected INT32`)],
  })),
  {
    op: "ONE_HOT",
    what: "dtype of depth",
    break: (node) => (node("i1").dtype = "INT64"),
    problems: [/ONE_HOT "y0": operand 1 "i1" is INT64, expected INT32/],
  },
  {
    op: "PADV2",
    what: "dtype of the pad value",
    break: (node) => (node("x2").dtype = "FLOAT32"),
    problems: [/PADV2 "y0": wrong dtype.*"x2".*FLOAT32/],
  },
  {
    op: "RESHAPE",
    what: "dtype of the shape",
    break: (node) => (node("i1").dtype = "INT64"),
    problems: [/RESHAPE "y0": operand 1 "i1" is INT64/],
  },
  {
    op: "RESHAPE",
    what: "parameters on one side only",
    break: (node) => (node("x0").quant = null),
    problems: [/RESHAPE "y0": wrong granularity.*"x0".*both/],
  },
  {
    op: "ARG_MAX",
    what: "dtype of the result",
    break: (node) => (node("y0").dtype = "INT32"),
    problems: [/ARG_MAX "y0": wrong dtype.*INT32.*INT64/],
  },
  {
    op: "ARG_MAX",
    what: "dtype of the input",
    break: (node) => (node("x0").dtype = "FLOAT32"),
    problems: [/ARG_MAX "y0": wrong dtype.*"x0".*FLOAT32/],
  },
  {
    op: "GREATER",
    what: "dtype of the result",
    break: (node) => (node("y0").dtype = "UINT8"),
    problems: [/GREATER "y0": wrong dtype.*UINT8.*BOOL/],
  },
  {
    op: "NOT_EQUAL",
    what: "granularity of an operand",
    break: (node) => with_(node("x1"), two),
    problems: [/NOT_EQUAL "y0": wrong granularity.*"x1"/],
  },
  {
    op: "LOGICAL_OR",
    what: "dtype of an operand",
    break: (node) => (node("B1").dtype = "UINT8"),
    problems: [/LOGICAL_OR "y0": operand 1 "B1" is UINT8, expected BOOL/],
  },
  {
    op: "CAST",
    what: "option of the operand",
    break: (node) => setOptions(node("y0"), { inDataType: 0 }),
    problems: [/CAST "y0": its option inDataType is FLOAT32.*"x0" is UINT8/],
  },
  {
    op: "CAST",
    what: "dtype of the result",
    break: (node) => (node("y0").dtype = "INT32"),
    problems: [/CAST "y0": wrong dtype.*INT32/, /CAST "y0": its option outDataType is UINT8.*"y0" is INT32/],
  },
];

for (const rule of RULES) {
  test(`${rule.op}: ${rule.what}`, async () => {
    const space = await good(rule.op, rule.setup);
    rule.break((name) => nodeOf(space.graph, name));
    const problems = verifyAll(space, false);
    expect(problems.length).toBe(rule.problems.length);
    rule.problems.forEach((problem, i) => {
      expect(problems[i]).toMatch(problem);
    });
  });
}

describe("not checked (§6)", () => {
  const UNCHECKED = [
    "SUB",
    "BATCH_MATMUL",
    "MAXIMUM",
    "LEAKY_RELU",
    "SQUEEZE",
    "GATHER",
    "LESS",
    "EQUAL",
    "TILE",
    "COS",
  ];
  test.each(UNCHECKED)("%s", async (op) => {
    const space = await good(op);
    for (const name of ["x0", "y0"]) Object.assign(nodeOf(space.graph, name), { dtype: "INT8", quant: null });
    expect(verifyAll(space, false)).toEqual([]);
  });

  test("bias scales by less than 2⁻²³, absolute", async () => {
    const space = await good("CONV_2D");
    const bias = nodeOf(space.graph, "b2");
    with_(bias, { scale: bias.quant!.scale.map((s) => s + 2 ** -25) });
    expect(verifyAll(space, false)).toEqual([]);
  });

  test("forward parameters of RESHAPE and TRANSPOSE", async () => {
    for (const op of ["RESHAPE", "TRANSPOSE"]) {
      const space = await good(op);
      nodeOf(space.graph, "y0").quant = another();
      expect(verifyAll(space, false)).toEqual([]);
    }
  });
});

test("ADD, MUL and CONCATENATION of integers alone are fine", async () => {
  for (const op of ["ADD", "MUL", "CONCATENATION"]) {
    for (const dtype of ["INT32", "INT64"] as const) {
      const space = await good(op);
      for (const name of ["x0", "x1", "y0"]) Object.assign(nodeOf(space.graph, name), { dtype, quant: null });
      expect(verifyAll(space, false)).toEqual([]);
    }
  }
});

test("floats on all sides are fine where they are allowed, and only there", async () => {
  const space = await good("RELU");
  for (const name of ["x0", "y0"]) Object.assign(nodeOf(space.graph, name), { dtype: "FLOAT32", quant: null });
  expect(verifyAll(space, true)).toEqual([]);
  expect(verifyAll(space, false).length).toBeGreaterThan(0);
  nodeOf(space.graph, "x0").dtype = "UINT8";
  expect(verifyAll(space, true).join("\n")).toMatch(/RELU "y0": wrong dtype: its result is FLOAT32/);
});

test("a layer of its own dtype is held to that", async () => {
  const layers = { y0: { dtype: "INT16", granularity: "channel" } } as const;
  const one = CASES.CONV_2D!;
  const space = await dropIn(modelOf("CONV_2D", parse(one)), { layers });
  await written(space);
  expect(verifyAll(space, false)).toEqual([]);
  nodeOf(space.graphs[0]!, "b2").dtype = "INT32";
  expect(verifyAll(space, false)).toEqual([expect.stringMatching(/"b2" is INT32, expected INT64/)]);
});

test("a single layer of int16 by layer, which cannot verify (§2.3), is refused before anything is done", async () => {
  const layers = { y0: { dtype: "INT16", granularity: "layer" } } as const;
  const made = dropIn(modelOf("CONV_2D", parse(CASES.CONV_2D!)), { layers });
  await expect(made).rejects.toThrow('"y0" is int16 with granularity layer, which it does not have; use channel');
});

test("tensors without a range are told with the cause", async () => {
  const parsed = parse(CASES.ADD!);
  const made = modelOf("ADD", parsed);
  made.subgraphs![0]!.tensors![2]!.quantization = undefined;
  const space = await dropIn(made);
  await written(space);
  const problems = verifyAll(space, false);
  // The result's dtype follows its operand; the missing parameters remain.
  expect(problems).toEqual([expect.stringMatching(/ADD "y0": wrong granularity.*"y0"/)]);
});

describe("what LiteRT's kernels demand of results, and ONE does not", () => {
  const parameters = quantized;
  const problems = async (op: keyof typeof BuiltinOperator, result: [number, number], options?: BuiltinOptions) => {
    const made = model(["x"], ["y"], (graph) =>
      graph
        .tensor("x", [1, 2, 2, 4], "INT8", parameters(0.5, 3))
        .tensor("y", [1, 2, 2, 4], "INT8", parameters(...result))
        .operator(op, ["x"], ["y"], options),
    );
    const space = await spaceOf(made, { scheme: SCHEMES.int8 });
    return verifyAll(space, true);
  };

  // LOG_SOFTMAX and L2_NORMALIZATION check in Prepare (lite/kernels/activations.cc, l2norm.cc); pools copy integers.
  test.each([
    ["LOG_SOFTMAX", [16 / 256, 127], [16 / 256, 126]],
    ["L2_NORMALIZATION", [1 / 128, 0], [1 / 64, 0]],
    ["MAX_POOL_2D", [0.5, 3], [0.5, 2]],
    ["AVERAGE_POOL_2D", [0.5, 3], [0.25, 3]],
  ] as [keyof typeof BuiltinOperator, [number, number], [number, number]][])("%s", async (op, right, wrong) => {
    expect(await problems(op, right)).toEqual([]);
    expect((await problems(op, wrong)).join()).toContain(`${op} "y": its parameters must be`);
  });
});
