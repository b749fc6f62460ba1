/**
 * Results of every kind without a state, in every scheme, loaded and run in the LiteRT inside, against the float operator on the values that the file's integers
 * stand for. A Dequantize changes nothing but the order of sums; a hybrid kernel may round each activation by a step of its range.
 */
import { expect, test } from "bun:test";
import { ActivationFunctionType, type BuiltinOptions, type Model, Padding } from "../../src/model/index.ts";
import { BEYOND_ONE, OPERATORS } from "../../src/rules/operators.ts";
import { WEIGHT_SCHEMES, type WeightSchemeName } from "../../src/rules/schemes.ts";
import { model } from "../helpers/models.ts";
import { generator } from "../kernels/oracle.ts";
import { alone, run, weights } from "./support.ts";

type Constants = Record<string, { shape: number[]; values: Float32Array<ArrayBuffer> }>;

interface Case {
  readonly op: string;
  readonly name?: string;
  /** Shape of the activation; rows of indices where they are INT32. */
  readonly input: number[];
  readonly indices?: true;
  readonly output: number[];
  readonly weights: Record<string, number[]>;
  /** Operands by name; "" is absent, "s" the result's shape, "x" the activation, other names zeros of `variables`, or biases. */
  readonly operands: string[];
  readonly variables?: Record<string, number[]>;
  readonly options?: BuiltinOptions;
  readonly block?: number;
  /** Dtypes in dynamic-int4, where they are not int4. */
  readonly dynamic4?: "INT8";
}

const VALID = { padding: Padding.VALID, strideH: 1, strideW: 1 };
const TANH = { fusedActivationFunction: ActivationFunctionType.TANH };
const gates = (prefix: string, shape: number[]) =>
  Object.fromEntries(["i", "f", "c", "o"].map((gate) => [`${prefix}${gate}`, shape]));
const lstm = (peepholes: boolean) => [
  ...["x", "wi", "wf", "wc", "wo", "ri", "rf", "rc", "ro"],
  ...(peepholes ? ["pi", "pf", "po"] : ["", "", ""]),
  ...["bi", "bf", "bc", "bo", "", "", "h", "c", "", "", "", ""],
];
const CELL = { ...gates("w", [8, 6]), ...gates("r", [8, 8]) };
const PEEPHOLES = { pi: [8], pf: [8], po: [8] };
const STATE = { h: [2, 8], c: [2, 8] };

const CASES: Case[] = [
  ...(["NONE", "RELU", "RELU6"] as const).map(
    (fused): Case => ({
      op: "FULLY_CONNECTED",
      name: fused,
      input: [3, 64],
      output: [3, 8],
      weights: { w: [8, 64] },
      operands: ["x", "w", "b"],
      options: {
        type: "FullyConnectedOptions",
        value: { fusedActivationFunction: ActivationFunctionType[fused] },
      },
      block: 32,
    }),
  ),
  {
    op: "FULLY_CONNECTED",
    name: "one row",
    input: [3, 64],
    output: [3, 1],
    weights: { w: [1, 64] },
    operands: ["x", "w", "b"],
    options: { type: "FullyConnectedOptions", value: {} },
  },
  {
    op: "FULLY_CONNECTED",
    name: "odd",
    input: [3, 27],
    output: [3, 8],
    weights: { w: [8, 27] },
    operands: ["x", "w", ""],
    options: { type: "FullyConnectedOptions", value: {} },
    dynamic4: "INT8",
  },
  {
    op: "CONV_2D",
    input: [2, 6, 6, 3],
    output: [2, 4, 4, 4],
    weights: { w: [4, 3, 3, 3] },
    operands: ["x", "w", "b"],
    options: { type: "Conv2DOptions", value: VALID },
  },
  {
    op: "CONV_2D",
    name: "one filter",
    input: [2, 6, 6, 3],
    output: [2, 4, 4, 1],
    weights: { w: [1, 3, 3, 3] },
    operands: ["x", "w", "b"],
    options: { type: "Conv2DOptions", value: VALID },
  },
  {
    op: "DEPTHWISE_CONV_2D",
    input: [2, 6, 6, 4],
    output: [2, 4, 4, 4],
    weights: { w: [1, 3, 3, 4] },
    operands: ["x", "w", "b"],
    options: { type: "DepthwiseConv2DOptions", value: { ...VALID, depthMultiplier: 1 } },
    dynamic4: "INT8",
  },
  {
    op: "TRANSPOSE_CONV",
    input: [2, 4, 4, 3],
    output: [2, 6, 6, 4],
    weights: { w: [4, 3, 3, 3] },
    operands: ["s", "w", "x", "b"],
    options: { type: "TransposeConvOptions", value: VALID },
    dynamic4: "INT8",
  },
  {
    op: "CONV_3D",
    input: [1, 4, 5, 5, 2],
    output: [1, 3, 3, 3, 3],
    weights: { w: [2, 3, 3, 2, 3] },
    operands: ["x", "w", "b"],
    options: { type: "Conv3DOptions", value: { ...VALID, strideD: 1 } },
  },
  {
    op: "CONV_3D_TRANSPOSE",
    input: [1, 4, 5, 5, 2],
    output: [1, 5, 7, 7, 3],
    weights: { w: [2, 3, 3, 3, 2] },
    operands: ["s", "w", "x", "b"],
    options: { type: "Conv3DOptions", value: { ...VALID, strideD: 1 } },
  },
  ...[false, true].flatMap((adjointRhs) =>
    [[], [2]].map(
      (batch): Case => ({
        op: "BATCH_MATMUL",
        name: `${adjointRhs} [${batch}]`,
        input: [2, 5, 8],
        output: [2, 5, 6],
        weights: { w: [...batch, ...(adjointRhs ? [6, 8] : [8, 6])] },
        operands: ["x", "w"],
        options: { type: "BatchMatMulOptions", value: { adjointRhs } },
        dynamic4: "INT8",
      }),
    ),
  ),
  {
    op: "EMBEDDING_LOOKUP",
    input: [4],
    indices: true,
    output: [4, 64],
    weights: { w: [10, 64] },
    operands: ["x", "w"],
    block: 64,
  },
  {
    op: "EMBEDDING_LOOKUP",
    name: "of matrices",
    input: [4],
    indices: true,
    output: [4, 4, 8],
    weights: { w: [10, 4, 8] },
    operands: ["x", "w"],
  },
  {
    op: "GATHER",
    input: [4],
    indices: true,
    output: [4, 33],
    weights: { w: [40, 33] },
    operands: ["w", "x"],
    options: { type: "GatherOptions", value: {} },
  },
  ...[false, true].map(
    (peepholes): Case => ({
      op: "LSTM",
      name: peepholes ? "peepholes" : "",
      input: [2, 6],
      output: [2, 8],
      weights: { ...CELL, ...(peepholes && PEEPHOLES) },
      variables: STATE,
      operands: lstm(peepholes),
      options: { type: "LSTMOptions", value: TANH },
      dynamic4: "INT8",
    }),
  ),
  {
    op: "UNIDIRECTIONAL_SEQUENCE_LSTM",
    input: [2, 5, 6],
    output: [2, 5, 8],
    weights: CELL,
    variables: STATE,
    operands: lstm(false),
    options: { type: "UnidirectionalSequenceLSTMOptions", value: TANH },
    dynamic4: "INT8",
  },
  {
    op: "RNN",
    input: [2, 6],
    output: [2, 8],
    weights: { w: [8, 6], r: [8, 8] },
    variables: { h: [2, 8] },
    operands: ["x", "w", "r", "b", "h"],
    options: { type: "RNNOptions", value: TANH },
    dynamic4: "INT8",
  },
  {
    op: "UNIDIRECTIONAL_SEQUENCE_RNN",
    input: [2, 3, 6],
    output: [2, 3, 8],
    weights: { w: [8, 6], r: [8, 8] },
    variables: { h: [2, 8] },
    operands: ["x", "w", "r", "b", "h"],
    options: { type: "SequenceRNNOptions", value: TANH },
    dynamic4: "INT8",
  },
  {
    op: "BIDIRECTIONAL_SEQUENCE_RNN",
    input: [2, 3, 6],
    output: [2, 3, 16],
    weights: { w: [8, 6], r: [8, 8], v: [8, 6], q: [8, 8] },
    variables: { h: [2, 8], g: [2, 8] },
    operands: ["x", "w", "r", "b8", "h", "v", "q", "b8", "g", "", "", ""],
    options: { type: "BidirectionalSequenceRNNOptions", value: { ...TANH, mergeOutputs: true } },
    dynamic4: "INT8",
  },
  {
    op: "BIDIRECTIONAL_SEQUENCE_LSTM",
    input: [2, 3, 6],
    output: [2, 3, 16],
    weights: { ...CELL, ...gates("v", [8, 6]), ...gates("q", [8, 8]) },
    variables: { ...STATE, g: [2, 8], d: [2, 8] },
    operands: [
      ...lstm(false).slice(0, 18),
      ...["vi", "vf", "vc", "vo", "qi", "qf", "qc", "qo", "", "", "", "bi", "bf", "bc", "bo", "", ""],
      ...["h", "c", "g", "d", "", "", "", "", "", "", "", "", ""],
    ],
    options: { type: "BidirectionalSequenceLSTMOptions", value: { ...TANH, mergeOutputs: true } },
    dynamic4: "INT8",
  },
  {
    op: "SVDF",
    input: [2, 6],
    output: [2, 4],
    weights: { w: [8, 6], t: [8, 5] },
    variables: { h: [2, 40] },
    operands: ["x", "w", "t", "b", "h"],
    options: { type: "SVDFOptions", value: { rank: 2 } },
    dynamic4: "INT8",
  },
];

/** The model of a case with these values of its weights. */
function modelOf({ op, input, indices, output, operands, variables = {}, options }: Case, constants: Constants): Model {
  return model(["x"], ["y"], (graph) => {
    graph.tensor("x", input, indices ? "INT32" : "FLOAT32");
    for (const [name, { shape, values }] of Object.entries(constants)) graph.constant(name, shape, values);
    for (const [name, shape] of Object.entries(variables)) graph.tensor(name, shape, "FLOAT32", { isVariable: true });
    for (const name of new Set(operands)) {
      if (name === "" || name === "x" || constants[name] || variables[name]) continue;
      if (name === "s") graph.constant(name, [output.length], Int32Array.from(output));
      else {
        const length = name === "b8" || Object.keys(variables).length > 1 ? 8 : output.at(-1)!;
        graph.constant(
          name,
          [length],
          Float32Array.from({ length }, (_, i) => (i % 5) / 10),
        );
      }
    }
    graph.tensor("y", output).operator(op as never, operands, ["y"], options);
  });
}

function activations({ input, indices }: Case): Float32Array | Int32Array {
  const next = generator(7);
  const length = input.reduce((a, b) => a * b, 1);
  if (indices) return Int32Array.of(3, 0, 9, 9);
  // Not around 0, so that symmetric and asymmetric rounding differ.
  return Float32Array.from({ length }, () => next() / 2 ** 31 - 0.4);
}

const SCHEMES = Object.keys(WEIGHT_SCHEMES) as WeightSchemeName[];

test("every kind that the operator table has weights of is here", () => {
  const known = Object.entries({ ...OPERATORS, ...BEYOND_ONE }).filter(([, row]) => row.families?.litert?.weights);
  expect([...new Set(CASES.map(({ op }) => op))].sort()).toEqual(known.map(([op]) => op).sort());
});

for (const each of CASES) {
  const { families } = (OPERATORS[each.op] ?? BEYOND_ONE[each.op])!;
  const { dynamic } = families!.litert!;
  for (const scheme of SCHEMES) {
    const isDynamic = WEIGHT_SCHEMES[scheme].kind === "dynamic";
    if (isDynamic && !dynamic) continue;
    const blocks = scheme === "dynamic-int4" && each.block ? [undefined, each.block] : [undefined];
    for (const block of blocks)
      test(`${each.op} ${each.name ?? ""} ${scheme} ${block ?? ""}`, async () => {
        const float: Constants = Object.fromEntries(
          Object.entries(each.weights).map(([name, shape], i) => {
            const small = Object.keys(each.weights).length > 1 ? 0.15 : 1;
            return [name, { shape, values: weights(shape, i + 1).map((value) => value * small) }];
          }),
        );
        const x = activations(each);
        const after = await alone(modelOf(each, float), scheme, { block });
        const stored: Constants = {};
        for (const [name, { shape }] of Object.entries(float)) {
          const { dtype, values, block: found } = after.constants.get(name)!;
          if (scheme === "dynamic-int4") expect(dtype).toBe(each.dynamic4 ?? "INT4");
          else if (scheme !== "dynamic-int2" && shape.length > 1)
            expect(dtype).toBe(scheme.split("-")[1]!.toUpperCase());
          expect(found?.size).toBe(block);
          stored[name] = { shape, values };
        }
        if (each.variables) {
          // The LiteRT inside loads no variables. Their kernels read one scale of each operand.
          const all = Object.keys(float).map((name) => after.constants.get(name)!);
          if (isDynamic) expect(all.map(({ scale }) => scale.length)).toEqual(all.map(() => 1));
          return;
        }
        const [wanted] = await run(modelOf(each, stored), [x]);
        const [given] = await run(after.bytes, [x]);
        const rounds = isDynamic && !dynamic!.exact;
        const errors = given!.map((value, i) => Math.abs(value - wanted![i]!));
        const largest = Math.max(...wanted!.map(Math.abs));
        expect(largest).toBeGreaterThan(0);
        expect(Math.max(...errors)).toBeLessThanOrEqual(rounds ? allowed(stored, x) : largest * 1e-5);
        // Hybrid kernels do round: what is exactly the float result was not computed by one.
        if (rounds) expect(Math.max(...errors)).toBeGreaterThan(largest * 1e-5);
      });
  }
}

/** Each activation is off by half a step of its row's range at most, and no result has more weights than there are. */
function allowed({ w }: Constants, x: Float32Array | Int32Array): number {
  const step = (Math.max(...x, 0) - Math.min(...x, 0)) / 255;
  return (step / 2) * w!.values.reduce((sum, value) => sum + Math.abs(value), 0);
}

test.each(["dynamic-int8", "weights-int8"] as const)(
  "CONV_2D without a bias gets one, whatever steps are left out (%s)",
  async (scheme) => {
    const each = CASES.find(({ op }) => op === "CONV_2D")!;
    const float = { w: { shape: each.weights.w!, values: weights(each.weights.w!) } };
    const x = activations(each);
    const without = { ...each, operands: ["x", "w"] };
    const { bytes, constants } = await alone(modelOf(without, float), scheme, { withoutSteps: ["all"] });
    const zero = { b: { shape: [4], values: new Float32Array(4) } };
    const [wanted] = await run(modelOf(each, { w: { ...float.w, values: constants.get("w")!.values }, ...zero }), [x]);
    const [given] = await run(bytes, [x]);
    const most = scheme === "dynamic-int8" ? allowed(float, x) : 1e-4;
    expect(Math.max(...given!.map((value, i) => Math.abs(value - wanted![i]!)))).toBeLessThanOrEqual(most);
  },
);
