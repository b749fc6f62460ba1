/**
 * Running a file once in LiteRT (src/trial). What LiteRT takes is said by the facts on its kernels, and was seen in the interpreter of
 * PyPI's ai-edge-litert 2.3 for each kind of refusal here.
 */
import { afterAll, expect, test } from "bun:test";
import { existsSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { MinmaxqError } from "../../src/base/errors.ts";
import { quantize } from "../../src/driver/quantize.ts";
import type { QuantizeSettings } from "../../src/driver/settings.ts";
import { type Model, serializeModel } from "../../src/model/index.ts";
import { SCHEMES } from "../../src/rules/schemes.ts";
import { refusalText } from "../../src/trial/refusal.ts";
import { type Trial, tryModel } from "../../src/trial/trial.ts";
import { GraphBuilder, ModelBuilder, model, quantizedAs } from "../helpers/models.ts";

const folder = mkdtempSync(join(tmpdir(), "minmaxq-trial-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

async function written(built: Model, name = "m.tflite"): Promise<string> {
  const path = join(folder, name);
  await Bun.write(path, await serializeModel({ ...built, version: 3 }, { dialect: "tflite" }));
  return path;
}

const tried = async (built: Model): Promise<Trial> => tryModel(await written(built));
const refused = (trial: Trial): string => ("refused" in trial ? refusalText(trial.refused) : JSON.stringify(trial));
const reason = (trial: Trial): string => ("reason" in trial ? trial.reason : JSON.stringify(trial));

const IN = quantizedAs("INT8", [0.1], [0]);

/** y = x · w + b in int8, as LiteRT's facts ask for it; `weights` in another form. */
function convolution(weights = quantizedAs("INT8", [0.5, 0.25], [0, 0]), activation = IN): Model {
  return model(["x"], ["y"], (graph) =>
    graph
      .tensor("x", [1, 2, 2, 1], "INT8", activation)
      .constant("w", [2, 1, 1, 1], Int8Array.of(3, 4), weights)
      .constant("b", [2], Int32Array.of(0, 0), quantizedAs("INT32", [0.05, 0.025], [0, 0]))
      .tensor("y", [1, 2, 2, 2], "INT8", activation)
      .operator("CONV_2D", ["x", "w", "b"], ["y"], { type: "Conv2DOptions", value: { strideW: 1, strideH: 1 } }),
  );
}

test("a model that LiteRT has kernels for runs", async () => {
  expect(await tried(convolution())).toEqual({ ran: true });
});

test("ONE's uint8 per channel has no kernels: operator, tensor and way out are named", async () => {
  const trial = await tried(convolution(quantizedAs("UINT8", [0.5, 0.25], [0, 0]), quantizedAs("UINT8", [0.1], [128])));
  expect(refused(trial)).toStartWith(
    'LiteRT does not run CONV_2D "y": LiteRT has no kernels for ONE\'s uint8 per channel: write .circle, or choose --scheme int8 (what stock LiteRT runs), or --no-run to keep the file (LiteRT says: ',
  );
  expect(refused(trial)).not.toContain("third_party");
  expect(trial).toMatchObject({ refused: { tensor: "y" } });
});

test("ONE's int16 likewise", async () => {
  const built = model(["x"], ["y"], (graph) =>
    graph
      .tensor("x", [1, 2, 2, 1], "INT16", quantizedAs("INT16", [0.1], [0]))
      .constant("w", [2, 1, 1, 1], Int8Array.of(3, 0, 4, 0), quantizedAs("INT16", [0.5, 0.25], [0, 0]))
      .constant("b", [2], BigInt64Array.of(0n, 0n), quantizedAs("INT64", [0.05, 0.025], [0, 0]))
      .tensor("y", [1, 2, 2, 2], "INT16", quantizedAs("INT16", [0.1], [0]))
      .operator("CONV_2D", ["x", "w", "b"], ["y"], { type: "Conv2DOptions", value: { strideW: 1, strideH: 1 } }),
  );
  expect(refused(await tried(built))).toContain(
    "no kernels for ONE's int16: write .circle, or choose --scheme int16x8",
  );
});

test("an operator is found in a later subgraph, and every signature is run", async () => {
  const builder = new ModelBuilder();
  const graphs = [1, 2].map((number) => {
    const graph = new GraphBuilder(builder);
    graph.tensor("x", [4], "INT8", IN).tensor(`y${number}`, [4], "INT8", IN);
    // FLOOR has a kernel for floats alone (facts §3.3).
    graph.operator(number === 1 ? "RELU" : "FLOOR", ["x"], [`y${number}`]);
    return graph.graph(["x"], [`y${number}`]);
  });
  const signatureDefs = [0, 1].map((subgraphIndex) => ({
    signatureKey: `s${subgraphIndex}`,
    subgraphIndex,
    inputs: [{ name: "in", tensorIndex: 0 }],
    outputs: [{ name: "out", tensorIndex: 1 }],
  }));
  expect(refused(await tried({ ...builder.model(...graphs), signatureDefs }))).toContain('does not run FLOOR "y2": ');
});

test("a custom operator that this LiteRT does not know is said, and is no refusal", async () => {
  const built = model(["x"], ["y"], (graph) =>
    graph.tensor("x", [4]).tensor("y", [4]).operator("CUSTOM", ["x"], ["y"], undefined, "Mine"),
  );
  expect(reason(await tried(built))).toBe("it has custom operators (Mine)");
});

/** a / b in int8. */
function division(zeroPoint: number, denominator?: number): Model {
  const b = quantizedAs("INT8", [0.1], [zeroPoint]);
  return model(denominator === undefined ? ["a", "b"] : ["a"], ["y"], (graph) => {
    graph.tensor("a", [4], "INT8", IN).tensor("y", [4], "INT8", IN);
    if (denominator === undefined) graph.tensor("b", [4], "INT8", b);
    else graph.constant("b", [4], new Int8Array(4).fill(denominator), b);
    graph.operator("DIV", ["a", "b"], ["y"], { type: "DivOptions", value: {} });
  });
}

test.each([-128, -20, 0, 127])("inputs are no zero points: nothing divides by 0 (zero point %i)", async (zeroPoint) => {
  expect(await tried(division(zeroPoint))).toEqual({ ran: true });
});

test("what stops for values is said with its operator", async () => {
  expect(reason(await tried(division(5, 5)))).toStartWith('it loads, but made-up inputs stop DIV "y": ');
});

/** A convolution whose input's height is open, and that no height of 1 goes through. */
function openHeight(): Model {
  const built = model(["x"], ["y"], (graph) =>
    graph
      .tensor("x", [1, 1, 4, 1], "FLOAT32", { shapeSignature: Int32Array.of(1, -1, 4, 1) })
      .constant("w", [1, 3, 1, 1], new Float32Array(3).fill(1))
      .constant("b", [1], new Float32Array(1))
      .tensor("y", [1, 1, 4, 1], "FLOAT32", { shapeSignature: Int32Array.of(1, -1, 4, 1) })
      .operator("CONV_2D", ["x", "w", "b"], ["y"], {
        type: "Conv2DOptions",
        value: { strideW: 1, strideH: 1, padding: 1 },
      }),
  );
  return built;
}

test("open sizes are those of samples, or it is said", async () => {
  const path = await written(openHeight());
  expect(reason(await tryModel(path))).toBe('input "x": sizes that the model leaves open');
  expect(await tryModel(path, { shapes: [[1, 9, 4, 1]] })).toEqual({ ran: true });
});

test("a limit of memory that leaves no room is kept", async () => {
  const trial = await tryModel(await written(convolution()), { memoryLimit: 1e6 });
  expect(reason(trial)).toMatch(/^it needs .* more than --memory-limit leaves$/);
});

test("inputs that a few bytes of a file make larger than WASM's memory are not made", async () => {
  const wide = model(["x"], ["y"], (graph) =>
    graph.tensor("x", [1, 4, 4, 50_331_650]).tensor("y", [1, 4, 4, 50_331_650]).operator("ABS", ["x"], ["y"]),
  );
  expect(reason(await tried(wide))).toBe("its inputs have 3.2 GB, and LiteRT's WASM memory ends at 2 GiB");
});

test("an open batch is 1", async () => {
  const built = model(["x"], ["y"], (graph) =>
    graph
      .tensor("x", [1, 4], "FLOAT32", { shapeSignature: Int32Array.of(-1, 4) })
      .tensor("y", [1, 4], "FLOAT32", { shapeSignature: Int32Array.of(-1, 4) })
      .operator("RELU", ["x"], ["y"]),
  );
  expect(await tried(built)).toEqual({ ran: true });
});

// LiteRT's WASM build refuses a model with a variable tensor as a whole (measured); the rest is tried by itself.

/** x in int8 → CONV_2D (`weights`) → y; and an RNN whose input is `input`. */
function withState(weights = quantizedAs("INT8", [0.5, 0.25], [0, 0]), input: "FLOAT32" | "INT8" = "FLOAT32"): Model {
  return model(["x", "s"], ["y", "r"], (graph) =>
    graph
      .tensor("x", [1, 2, 2, 1], "INT8", IN)
      .constant("w", [2, 1, 1, 1], Int8Array.of(3, 4), weights)
      .constant("b", [2], Int32Array.of(0, 0), quantizedAs("INT32", [0.05, 0.025], [0, 0]))
      .tensor("y", [1, 2, 2, 2], "INT8", IN)
      .operator("CONV_2D", ["x", "w", "b"], ["y"], { type: "Conv2DOptions", value: { strideW: 1, strideH: 1 } })
      .tensor("s", [1, 2], input, input === "INT8" ? IN : {})
      .constant("rw", [2, 2], Float32Array.of(1, 2, 3, 4))
      .constant("rb", [2], Float32Array.of(1, 2))
      .tensor("h", [1, 2], "FLOAT32", { isVariable: true })
      .tensor("r", [1, 2])
      .operator("RNN", ["s", "rw", "rw", "rb", "h"], ["r"], { type: "RNNOptions", value: {} }),
  );
}
const UNLOADED = `LiteRT's WASM build loads no variable tensors ("h")`;

test("a state in variable tensors is said; all other operators are run", async () => {
  expect(await tried(withState())).toEqual({
    ran: false,
    reason: `${UNLOADED}; all operators without a state ran one by one`,
  });
});

test("a state hides no operator that LiteRT refuses", async () => {
  const three = quantizedAs("INT8", [0.5, 0.25, 0.25], [0, 0, 0]);
  expect(refused(await tried(withState(three)))).toMatch(/^LiteRT does not run CONV_2D "y": /);
});

test("an operator with a state that cannot be taken apart is no refusal", async () => {
  expect(await tried(withState(undefined, "INT8"))).toEqual({ ran: false, reason: UNLOADED });
});

// The phase of `quantize`.

const FLOAT = () =>
  model(["x"], ["y"], (graph) =>
    graph
      .tensor("x", [1, 2, 2, 1])
      .constant("w", [2, 1, 1, 1], Float32Array.of(1, -2))
      .constant("b", [2], Float32Array.of(0, 1))
      .tensor("y", [1, 2, 2, 2])
      .operator("CONV_2D", ["x", "w", "b"], ["y"], { type: "Conv2DOptions", value: { strideW: 1, strideH: 1 } }),
  );

async function quantized(
  output: string,
  more: Partial<QuantizeSettings> = {},
  granularity: "channel" | "layer" = "channel",
) {
  return quantize({
    model: await written(FLOAT(), "float.tflite"),
    output: join(folder, output),
    options: { scheme: SCHEMES.uint8, granularity },
    samples: { sources: [{ location: "random:2" }], reduction: { kind: "minmax" } },
    ...more,
  });
}

test("quantize leaves no file that LiteRT refuses", async () => {
  const error = await quantized("refused.tflite").catch((each: unknown) => each);
  expect(error).toBeInstanceOf(MinmaxqError);
  expect((error as MinmaxqError).code).toBe("litert-refuses");
  expect((error as MinmaxqError).message).toStartWith(
    `${join(folder, "float.tflite")}: the quantized model: LiteRT does not run CONV_2D "y": LiteRT has no kernels for ONE's uint8 per channel: `,
  );
  expect(existsSync(join(folder, "refused.tflite"))).toBe(false);
  expect(readdirSync(folder).filter((name) => name.startsWith("."))).toEqual([]);
});

test("quantize says that LiteRT ran the file; not of .circle, and not with --no-run", async () => {
  expect((await quantized("ran.tflite", {}, "layer")).run).toEqual({ runtime: "LiteRT", ran: true });
  expect(existsSync(join(folder, "ran.tflite"))).toBe(true);
  expect((await quantized("kept.tflite", { withoutRun: true })).run).toBeUndefined();
  expect((await quantized("m.circle")).run).toBeUndefined();
});
