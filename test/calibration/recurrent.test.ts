/**
 * Recurrent operators against LiteRT itself: recurrent.json has models of every kind and everything that it can have, and what
 * ai-edge-litert gives for three records, with the state reset before each and with the state kept (scripts/litert/recurrent.py).
 */
import { describe, expect, test } from "bun:test";
import { type DataSet, inputSpecs, recordSamples } from "../../src/calibration/index.ts";
import { instrument } from "../../src/calibration/instrument.ts";
import { compileLibrary, loadEngine, openInstance } from "../../src/calibration/litert.ts";
import { sharedBytes } from "../../src/calibration/stepwise/run.ts";
import { Stepwise } from "../../src/calibration/stepwise/stepwise.ts";
import { MemoryBytes } from "../../src/model/bytes.ts";
import { BuiltinOperator, type Model, nameOf, readModel, serializeModel } from "../../src/model/index.ts";
import { model as build } from "./models.ts";
import truth from "./recurrent.json";
import { bytesOf, dataOf, floats, messageOf } from "./support.ts";

interface Case {
  readonly model: string;
  /** By record and input. */
  readonly inputs: number[][][];
  /** By record and output. */
  readonly alone: number[][][];
  readonly following: number[][][];
}
const CASES = Object.entries(truth as Record<string, Case>);

function modelOf({ model }: Case): Model {
  return readModel(new MemoryBytes(new Uint8Array(Buffer.from(model, "base64")))).model;
}

function recordsOf({ inputs }: Case): Uint8Array[][] {
  return inputs.map((record) => record.map((values) => bytesOf(Float32Array.from(values))));
}

/** The model's outputs for each record, as one LiteRT model or operator by operator. */
async function outputs(of: Case, byOperator: boolean, sequence = false): Promise<number[][][]> {
  const model = modelOf(of);
  const plan = instrument(model, 0, new Map(), byOperator);
  const names = Array.from(model.subgraphs![0]!.outputs!, (tensor) =>
    plan.outputs.findIndex((o) => o.tensor === tensor),
  );
  const library = await compileLibrary(false);
  const pick = (all: Uint8Array[]) => names.map((at) => [...new Float32Array(all[at]!.slice().buffer)]);
  const found: number[][][] = [];
  if (byOperator) {
    const steps = new Stepwise(await openInstance(library, false), {
      model: await sharedBytes(plan.model, undefined),
      sequence,
      room: 1e8,
    });
    for (const record of recordsOf(of)) found.push(pick((await steps.run(record, () => {})).map(({ bytes }) => bytes)));
    steps.close();
    return found;
  }
  const engine = await loadEngine(
    await serializeModel(plan.model, { dialect: "tflite" }),
    plan.outputNames,
    library,
    false,
  );
  for (const record of recordsOf(of)) {
    const all: Uint8Array[] = [];
    await engine.run(record, (output, bytes) => {
      all[output] = bytes.slice();
    });
    found.push(pick(all));
  }
  engine.close();
  return found;
}

function expectClose(found: number[][][], wanted: number[][][]): void {
  expect(found.map((record) => record.map((values) => values.length))).toEqual(
    wanted.map((record) => record.map((values) => values.length)),
  );
  const numbers = wanted.flat(2);
  for (const [i, value] of found.flat(2).entries())
    expect(Math.abs(value - numbers[i]!)).toBeLessThan(2e-6 + 2e-6 * Math.abs(numbers[i]!));
}

describe("what LiteRT gives", () => {
  for (const [name, of] of CASES) {
    test(name, async () => {
      expectClose(await outputs(of, false), of.alone);
      expectClose(await outputs(of, true), of.alone);
      expectClose(await outputs(of, true, true), of.following);
    });
  }

  test("every kind with variable tensors is there", () => {
    const kinds = new Set(
      CASES.flatMap(([, of]) => modelOf(of).operatorCodes!.map((code) => nameOf(BuiltinOperator, code.builtinCode!))),
    );
    expect([...kinds].sort()).toEqual([
      "BIDIRECTIONAL_SEQUENCE_LSTM",
      "BIDIRECTIONAL_SEQUENCE_RNN",
      "LSTM",
      "RNN",
      "SVDF",
      "UNIDIRECTIONAL_SEQUENCE_LSTM",
      "UNIDIRECTIONAL_SEQUENCE_RNN",
    ]);
  });
});

describe("ranges", () => {
  for (const sequence of [false, true])
    test(`of the operator's results, ${sequence ? "in a sequence" : "each record from zero"}, for any number of workers`, async () => {
      for (const name of ["LSTM basic", "BIDIRECTIONAL_SEQUENCE_RNN linked", "SVDF rank 2"]) {
        const of = (truth as Record<string, Case>)[name]!;
        const wanted = sequence ? of.following : of.alone;
        const model = modelOf(of);
        for (const workers of [1, 3]) {
          const samples = await recordSamples(model, dataOf(...recordsOf(of)), { sequence, workers });
          for (const [place, tensor] of [...model.subgraphs![0]!.outputs!].entries()) {
            const sample = samples.find((each) => each.tensor === tensor)!;
            for (const [record, values] of wanted.entries()) {
              expect(sample.mins[record]).toBeCloseTo(Math.min(...values[place]!), 5);
              expect(sample.maxs[record]).toBeCloseTo(Math.max(...values[place]!), 5);
            }
          }
        }
      }
    });

  test("steps that the model leaves open are those of each sample", async () => {
    // h = x + h: the running sum.
    const of = build(["x"], ["y"], (graph) =>
      graph
        .tensor("x", [1, 1, 1], "FLOAT32", { shapeSignature: Int32Array.of(1, -1, 1) })
        .constant("one", [1, 1], Float32Array.of(1))
        .constant("bias", [1], new Float32Array(1))
        .tensor("h", [1, 1], "FLOAT32", { isVariable: true })
        .tensor("y", [1, 1, 1], "FLOAT32", { shapeSignature: Int32Array.of(1, -1, 1) })
        .operator("UNIDIRECTIONAL_SEQUENCE_RNN", ["x", "one", "one", "bias", "h"], ["y"], {
          type: "SequenceRNNOptions",
          value: {},
        }),
    );
    const data = (): DataSet => ({
      ...dataOf([floats(1, 2, 3)], [floats(-4, 5)]),
      shapes: (record) => [[1, record === 0 ? 3 : 2, 1]],
    });
    const values = async (sequence: boolean) => {
      const [, y] = await recordSamples(of, data(), { sequence });
      return [[...y!.mins], [...y!.maxs]];
    };
    expect(await values(false)).toEqual([
      [1, -4],
      [6, 1],
    ]);
    expect(await values(true)).toEqual([
      [1, 2],
      [6, 7],
    ]);
  });

  test("operators that share a variable tensor find what was left there", async () => {
    // h = x + h, twice in one run: x, then x + x.
    const of = build(["x"], ["b"], (graph) =>
      graph
        .tensor("x", [1, 2])
        .constant("one", [2, 2], Float32Array.of(1, 0, 0, 1))
        .constant("bias", [2], new Float32Array(2))
        .tensor("h", [1, 2], "FLOAT32", { isVariable: true })
        .tensor("a", [1, 2])
        .tensor("b", [1, 2])
        .operator("RNN", ["x", "one", "one", "bias", "h"], ["a"], { type: "RNNOptions", value: {} })
        .operator("RNN", ["x", "one", "one", "bias", "h"], ["b"], { type: "RNNOptions", value: {} }),
    );
    const data = () => dataOf([floats(1, 5)], [floats(2, 3)]);
    const values = async (sequence: boolean) => {
      const samples = await recordSamples(of, data(), { sequence });
      return samples.map(({ name, mins, maxs }) => [name, [...mins], [...maxs]]);
    };
    expect(await values(false)).toEqual([
      ["x", [1, 2], [5, 3]],
      ["a", [1, 2], [5, 3]],
      ["b", [2, 4], [10, 6]],
    ]);
    expect(await values(true)).toEqual([
      ["x", [1, 2], [5, 3]],
      ["a", [1, 4], [5, 13]],
      ["b", [2, 6], [10, 16]],
    ]);
  });
});

describe("refused", () => {
  const rnn = (x: "FLOAT32" | "INT8", weights: "FLOAT32" | "INT32") =>
    build(["x"], ["y"], (graph) => {
      const numbers = weights === "FLOAT32" ? new Float32Array(4) : new Int32Array(4);
      graph
        .tensor("x", [1, 2], x)
        .constant("w", [2, 2], numbers)
        .constant("b", [2], new Float32Array(2))
        .tensor("h", [1, 2], "FLOAT32", { isVariable: true })
        .tensor("y", [1, 2])
        .operator("RNN", ["x", "w", "w", "b", "h"], ["y"], { type: "RNNOptions", value: {} });
    });
  for (const [x, weights, reason] of [
    ["INT8", "FLOAT32", "its input is INT8"],
    ["FLOAT32", "INT32", "its operand 1 is INT32"],
  ] as const)
    test(reason, async () => {
      const of = rnn(x, weights);
      const bytes = new Uint8Array(x === "INT8" ? 2 : 8);
      for (const sequence of [false, true])
        expect(await messageOf(() => recordSamples(of, dataOf([bytes]), { sequence }))).toContain(
          `RNN "y" cannot be run: ${reason}`,
        );
      expect(inputSpecs(of)[0]!.dtype).toBe(x);
    });
});
