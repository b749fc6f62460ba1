/** A scheme is a row: schemes that no command offers quantize, verify and compare by nothing but their row. */
import { describe, expect, test } from "bun:test";
import { type Model, TensorType } from "../../src/model/index.ts";
import { quantizeGraph } from "../../src/passes/minmax/index.ts";
import { fakeQuantizeWeights } from "../../src/passes/transform/fake-quantize-weights.ts";
import { type ActivationQuantizer, QUANTIZERS, SCHEMES, type Scheme } from "../../src/rules/schemes.ts";
import { compared, floatRecords, modelOf } from "../compare/support.ts";
import { model, quantized, recorded } from "../helpers/models.ts";
import { asym, bias as biasOracle, propagate, sym } from "../kernels/oracle.ts";
import { asymmetricOf, f32, hex, type Scaled, symmetricOf } from "../operators/oracle.ts";
import {
  type Fact,
  factsOf,
  inferAll,
  nodeOf,
  quantize,
  spaceOf,
  verifyAll,
  type Written,
  written,
} from "../passes/support.ts";

const INT8: ActivationQuantizer = {
  dtype: "INT8",
  bits: 8,
  symmetric: false,
  low: -128,
  high: 127,
  smallestScale: 1e-5,
  fixed: {
    logistic: { scale: 1 / 256, zeroPoint: -128 },
    tanh: { scale: 1 / 128, zeroPoint: 0 },
    softmax: { scale: 1 / 256, zeroPoint: -128 },
  },
};
const SYMMETRIC_INT8: ActivationQuantizer = { ...QUANTIZERS.int8, fixed: INT8.fixed };

/** Rows that are nowhere in src/. */
const ROWS: readonly Scheme[] = [
  {
    name: "int16 with int8 weights and int64 biases",
    family: "one",
    activation: SCHEMES.int16.activation,
    weights: { layer: QUANTIZERS.int8, channel: QUANTIZERS.int8 },
    bias: { layer: "INT64", channel: "INT64" },
    granularities: ["channel", "layer"],
  },
  {
    name: "asymmetric int8 with narrow weights",
    family: "one",
    activation: INT8,
    weights: { layer: QUANTIZERS.int8, channel: QUANTIZERS.int8 },
    bias: { layer: "INT32", channel: "INT32" },
    granularities: ["channel", "layer"],
  },
  {
    name: "symmetric int8",
    family: "one",
    activation: SYMMETRIC_INT8,
    weights: { layer: QUANTIZERS.int8, channel: QUANTIZERS.int8 },
    bias: { layer: "INT32", channel: "INT32" },
    granularities: ["channel", "layer"],
  },
  {
    name: "int8 with asymmetric weights",
    family: "one",
    activation: INT8,
    weights: { layer: INT8, channel: INT8 },
    bias: { layer: "INT32", channel: "INT32" },
    granularities: ["channel", "layer"],
  },
];

const FILTER = Float32Array.from({ length: 4 * 3 * 3 * 3 }, (_, i) => Math.sin(i * 2.3) * (i % 5 === 0 ? 0.3 : 0.1));
const BIAS = Float32Array.of(0.2, -0.1, 0, 0.4);
const ALPHA = Float32Array.of(0.25, 0.5, -0.125, 0);
const ADDED = Float32Array.of(0.3, -0.7, 0.1, 0.05);
const JOINED = Float32Array.from({ length: 64 }, (_, i) => Math.cos(i) * 1.55);

const RANGES = { x: [-1, 1], conv: [-2, 2], leaky: [-1, 2], sum: [-1.5, 2.5], both: [-1.5, 2.6], y: [0, 1] } as const;

/** x ─▶ CONV_2D conv ─▶ PRELU leaky ─▶ ADD sum (a constant) ─▶ CONCATENATION both (a constant) ─▶ LOGISTIC y */
function network(): Model {
  return model(["x"], ["y"], (graph) => {
    const range = (name: keyof typeof RANGES) => recorded(RANGES[name][0], RANGES[name][1]);
    graph
      .tensor("x", [1, 4, 4, 3], "FLOAT32", range("x"))
      .constant("filter", [4, 3, 3, 3], FILTER)
      .constant("bias", [4], BIAS)
      .constant("alpha", [4], ALPHA)
      .constant("added", [4], ADDED)
      .constant("joined", [1, 4, 4, 4], JOINED)
      .tensor("conv", [1, 4, 4, 4], "FLOAT32", range("conv"))
      .tensor("leaky", [1, 4, 4, 4], "FLOAT32", range("leaky"))
      .tensor("sum", [1, 4, 4, 4], "FLOAT32", range("sum"))
      .tensor("both", [1, 4, 4, 8], "FLOAT32", range("both"))
      .tensor("y", [1, 4, 4, 8], "FLOAT32", range("y"))
      .operator("CONV_2D", ["x", "filter", "bias"], ["conv"], {
        type: "Conv2DOptions",
        value: {
          padding: 0,
          strideW: 1,
          strideH: 1,
          fusedActivationFunction: 0,
          dilationWFactor: 1,
          dilationHFactor: 1,
        },
      })
      .operator("PRELU", ["conv", "alpha"], ["leaky"])
      .operator("ADD", ["leaky", "added"], ["sum"], { type: "AddOptions", value: { fusedActivationFunction: 0 } })
      .operator("CONCATENATION", ["sum", "joined"], ["both"], {
        type: "ConcatenationOptions",
        value: { axis: 3, fusedActivationFunction: 0 },
      })
      .operator("LOGISTIC", ["both"], ["y"]);
  });
}

const rangeOf = (values: Float32Array): [number, number] => [Math.min(...values), Math.max(...values)];

/** The naive rules of the reference; integers from −128 on are those from 0 on, moved. */
function scaledOf(
  { symmetric, low, high }: Scheme["activation"] | Scheme["weights"]["layer"],
  range: readonly [number, number],
): Scaled {
  if (symmetric) return symmetricOf(range[0], range[1], high);
  const scaled = asymmetricOf(range[0], range[1]);
  return { ...scaled, zeroPoint: scaled.zeroPoint + low };
}

function integersOf(quantizer: Scheme["weights"]["layer"], values: Float32Array, each: readonly Scaled[]): number[] {
  const shape = { channels: each.length, inner: values.length / each.length };
  const lists = {
    nmin: Float32Array.from(each, ({ nudgedMin }) => nudgedMin),
    nmax: Float32Array.from(each, ({ nudgedMax }) => nudgedMax),
    scale: Float32Array.from(each, ({ scale }) => scale),
    inv: Float32Array.from(each, ({ scale }) => f32(1 / scale)),
  };
  if (quantizer.symmetric) return [...sym(values, shape, lists, quantizer.high)];
  return [...asym(values, shape, lists)].map((integer) => integer + quantizer.low);
}

const parameters = (dtype: string, each: readonly { scale: number; zeroPoint: number }[]) => ({
  dtype,
  scale: each.map(({ scale }) => hex(scale)),
  zeroPoint: each.map(({ zeroPoint }) => zeroPoint),
});

const numbers = ({ scale }: Fact) =>
  scale.map((bits) => new Float32Array(Uint32Array.of(Number.parseInt(bits, 16)).buffer)[0]!);

const channelsOf = (granularity: "layer" | "channel") => (granularity === "channel" ? 4 : 1);

function scaledWeights({ weights }: Scheme, granularity: "layer" | "channel"): Scaled[] {
  const channels = channelsOf(granularity);
  const size = FILTER.length / channels;
  return Array.from({ length: channels }, (_, c) =>
    scaledOf(weights[granularity], rangeOf(FILTER.subarray(c * size, (c + 1) * size))),
  );
}

function expectFilter({ tensors }: Written, scheme: Scheme, granularity: "layer" | "channel"): void {
  const quantizer = scheme.weights[granularity];
  const each = scaledWeights(scheme, granularity);
  expect(tensors.get("filter")).toMatchObject({
    ...parameters(quantizer.dtype, each),
    values: integersOf(quantizer, FILTER, each),
  });
}

for (const scheme of ROWS)
  for (const granularity of scheme.granularities)
    describe(`${scheme.name}, by ${granularity}`, () => {
      const setup = { scheme, granularity };
      const { activation } = scheme;

      test("quantizes as the row says", async () => {
        const space = await quantize(network(), setup);
        const result = await written(space);
        const { tensors } = result;
        for (const name of ["x", "conv", "leaky", "both"] as const)
          expect([name, tensors.get(name)]).toMatchObject([
            name,
            parameters(activation.dtype, [scaledOf(activation, RANGES[name])]),
          ]);
        // The result of a function has its own parameters, and CONCATENATION's operands have those of its result.
        expect(tensors.get("y")).toMatchObject(parameters(activation.dtype, [activation.fixed.logistic]));
        const both = scaledOf(activation, RANGES.both);
        expect(tensors.get("sum")).toMatchObject(parameters(activation.dtype, [both]));
        const inverse = f32(1 / both.scale);
        expect(tensors.get("joined")).toMatchObject({
          ...parameters(activation.dtype, [both]),
          values: [...JOINED].map((v) => propagate(v, inverse, both.zeroPoint, activation.low, activation.high)),
        });
        const added = scaledOf(activation, rangeOf(ADDED));
        expect(tensors.get("added")).toMatchObject({
          ...parameters(activation.dtype, [added]),
          values: integersOf(activation, ADDED, [added]),
        });
        expectFilter(result, scheme, granularity);
        const wide = scheme.bias[granularity] === "INT64";
        const products = biasOracle(
          BIAS,
          scaledOf(activation, RANGES.x).scale,
          Float32Array.from(scaledWeights(scheme, granularity), ({ scale }) => scale),
          wide ? 64 : 32,
        );
        expect(tensors.get("bias")).toMatchObject({
          dtype: scheme.bias[granularity],
          scale: [...products.scales].map(hex),
          values: wide ? products.integers : products.integers.map(Number),
        });
      });

      test("slopes stand for their values", async () => {
        const alpha = (await written(await quantize(network(), setup))).tensors.get("alpha")!;
        expect(alpha.dtype).toBe(activation.dtype);
        const scales = numbers(alpha);
        expect(scales.length).toBe(channelsOf(granularity));
        const half = scales.length === 1 ? scales[0]! / 2 : 0;
        alpha.values!.forEach((integer, i) => {
          const at = scales.length === 1 ? 0 : i;
          const value = (Number(integer) - alpha.zeroPoint[at]!) * scales[at]!;
          expect(Math.abs(value - ALPHA[i]!)).toBeLessThanOrEqual(half * 1.0001);
        });
      });

      test("weights that were rounded before keep their integers", async () => {
        const space = await spaceOf(network(), setup);
        const [graph] = space.graphs;
        const kept = graph!.nodes.map((node) => node.quant);
        fakeQuantizeWeights(graph!, space.context);
        for (const [i, quant] of kept.entries()) if (quant) graph!.nodes[i]!.quant = quant;
        quantizeGraph(graph!, space.context);
        inferAll(space);
        const result = await written(space);
        expectFilter(result, scheme, granularity);
      });

      test("verifies, and not as another scheme", async () => {
        const space = await quantize(network(), setup);
        await written(space);
        expect(verifyAll(space, false)).toEqual([]);
        const other = { ...space, context: { ...space.context, options: { scheme: SCHEMES.int16, granularity } } };
        const problems = verifyAll(other, false).join("\n");
        expect(problems).toContain('filter "filter" is INT8');
        nodeOf(space.graphs[0]!, "y").quant!.scale[0]! *= 2;
        expect(verifyAll(space, false).length).toBe(1);
      });

      test("compares", async () => {
        const space = await quantize(network(), { ...setup, inputDtypes: ["FLOAT32"], outputDtypes: ["FLOAT32"] });
        const result = await compared(network(), await modelOf(space), floatRecords([48], 5), { layers: true });
        expect(result.outputs.length).toBe(1);
        const seen = result.layers.filter(({ name }) => ["conv", "leaky", "sum", "both"].includes(name));
        expect(seen.length).toBe(4);
        for (const { name, metrics } of [...result.outputs, ...seen]) {
          expect([name, metrics!.mpeir < 0.02]).toEqual([name, true]);
          expect([name, metrics!.mpeir > 0]).toEqual([name, true]);
        }
      });
    });

test("facts are of the file that was written", async () => {
  const { tensors } = factsOf(await modelOf(await quantize(network(), { scheme: ROWS[0]!, granularity: "channel" })));
  expect(["x", "filter", "bias"].map((name) => tensors.get(name)!.dtype)).toEqual(["INT16", "INT8", "INT64"]);
});

test("layers of one dtype by two rows do not share what was made of their constant", async () => {
  const [, asymmetric, symmetric] = ROWS;
  const both = model(["x"], ["b"], (graph) =>
    graph
      .tensor("x", [1, 4], "FLOAT32", recorded(-1, 1))
      .constant("added", [4], ADDED)
      .tensor("a", [1, 4], "FLOAT32", recorded(-1, 1))
      .tensor("b", [1, 4], "FLOAT32", recorded(-1, 1))
      .operator("ADD", ["x", "added"], ["a"], { type: "AddOptions", value: { fusedActivationFunction: 0 } })
      .operator("ADD", ["a", "added"], ["b"], { type: "AddOptions", value: { fusedActivationFunction: 0 } }),
  );
  const layers = { b: { scheme: symmetric!, granularity: "channel" } } as const;
  const space = await spaceOf(both, { scheme: asymmetric!, granularity: "channel", layers });
  quantizeGraph(space.graphs[0]!, space.context);
  const constants = ["a", "b"].map((name) => nodeOf(space.graphs[0]!, name).inputs[1]!);
  expect(constants.map(({ quant }) => Number(quant!.zeroPoint[0]))).toEqual(
    [asymmetric!, symmetric!].map(({ activation }) => scaledOf(activation, rangeOf(ADDED)).zeroPoint),
  );
});

test("a constant that is quantized already stays as it is", async () => {
  const partly = model(["x"], ["y"], (graph) =>
    graph
      .tensor("x", [1, 4], "FLOAT32", recorded(-1, 1))
      .constant("joined", [1, 4], Int8Array.of(-128, 0, 5, 127), { type: TensorType.INT8, ...quantized(0.5, 3) })
      .tensor("y", [1, 8], "FLOAT32", recorded(-1, 1))
      .operator("CONCATENATION", ["x", "joined"], ["y"], {
        type: "ConcatenationOptions",
        value: { axis: 1, fusedActivationFunction: 0 },
      }),
  );
  const space = await spaceOf(partly, { scheme: ROWS[1]!, granularity: "channel" });
  quantizeGraph(space.graphs[0]!, space.context);
  const { tensors } = await written(space);
  expect(tensors.get("joined")).toMatchObject({
    ...parameters("INT8", [{ scale: 0.5, zeroPoint: 3 }]),
    values: [-128, 0, 5, 127],
  });
});
