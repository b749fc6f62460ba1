/** `inspect`, `diff` and `explain` as people run them: what they say of models whose contents are written here. */
import { beforeAll, describe, expect, test } from "bun:test";
import { copyFileSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { ActivationFunctionType, type Model, serializeModel, TensorType } from "../../src/model/index.ts";
import { cleanUpAfterwards, executable, folder, minmaxq, REAL, refused, succeeded } from "../cli/support.ts";
import { model, quantized } from "../helpers/models.ts";
import { inTerminal } from "../helpers/terminal.ts";

cleanUpAfterwards();

const cwd = folder();
const write = async (name: string, of: Model) =>
  writeFileSync(
    join(cwd, name),
    await serializeModel({ ...of, version: 3 }, { dialect: name.endsWith(".tflite") ? "tflite" : "circle" }),
  );

const relu = {
  type: "FullyConnectedOptions",
  value: { fusedActivationFunction: ActivationFunctionType.RELU },
} as const;

/** x → FULLY_CONNECTED h (RELU) → LOGISTIC p → RESHAPE r, int8 as LiteRT wants it; `bias`: the second value of the bias's scale. */
const dense = ({ scale = 0.5, weights = [1, -2, 3, 127], bias = 0.0625 } = {}) =>
  model(["x"], ["r"], (graph) =>
    graph
      .tensor("x", [1, 2], "INT8", quantized(0.25, 0))
      .constant("w", [2, 2], Int8Array.from(weights), {
        type: TensorType.INT8,
        quantization: {
          scale: Float32Array.of(0.125, 0.25),
          zeroPoint: BigInt64Array.of(0n, 0n),
          quantizedDimension: 0,
        },
      })
      .constant("b", [2], Int32Array.of(3, 4), {
        quantization: { scale: Float32Array.of(0.03125, bias), zeroPoint: BigInt64Array.of(0n, 0n) },
      })
      .tensor("h", [1, 2], "INT8", quantized(scale, -128))
      .tensor("p", [1, 2], "INT8", quantized(1 / 256, -128))
      .constant("to", [1], Int32Array.of(2))
      .tensor("r", [2], "INT8", quantized(1 / 256, -128))
      .operator("FULLY_CONNECTED", ["x", "w", "b"], ["h"], relu)
      .operator("LOGISTIC", ["h"], ["p"])
      .operator("RESHAPE", ["p", "to"], ["r"]),
  );

beforeAll(async () => {
  await write("a.tflite", dense());
  await write("b.tflite", dense({ scale: 0.75, weights: [1, -2, 3, 125] }));
  await write("wrong.tflite", dense({ bias: 0.1 }));
  copyFileSync(REAL, join(cwd, "real.tflite"));
});

const run = async (...args: string[]) => (await succeeded(args, { cwd })).out;
const lines = async (...args: string[]) => (await run(...args)).trimEnd().split("\n");

describe("inspect", () => {
  test("says in a summary what is in a file", async () => {
    const bytes = readFileSync(join(cwd, "a.tflite")).length;
    const out = await lines("inspect", "a.tflite");
    expect(out[0]).toBe(`a.tflite: tflite, ${(bytes / 1000).toFixed(1)} KB`);
    expect(out).toContain("  inputs        x  INT8[1,2]  scale 0.25 zero point 0");
    expect(out).toContain("  outputs       r  INT8[2]  scale 0.00390625 zero point -128");
    expect(out).toContain("  operators     3");
    for (const op of ["FULLY_CONNECTED", "LOGISTIC       ", "RESHAPE        "])
      expect(out).toContain(`    1  ${op}  INT8`);
    // Four weights, two biases; the shape is no parameter.
    expect(out).toContain("  parameters    6 in 3 constants: INT32 12 bytes, INT8 4 bytes");
    expect(out).toContain("  quantization  int8 of LiteRT's scheme, weights per channel");
  });

  test("--json: the same as data, with a version", async () => {
    const report = JSON.parse(await run("inspect", "a.tflite", "--json"));
    expect(report).toMatchObject({
      reportVersion: 1,
      path: "a.tflite",
      format: "tflite",
      quantization: {
        schemes: [{ name: "int8", family: "LiteRT", granularities: ["channel"] }],
        floatOperators: 0,
        ranges: 0,
      },
      parameters: { count: 6, constants: 3, bytes: 16 },
    });
    expect(report.operators).toContainEqual({ op: "LOGISTIC", dtype: "INT8", count: 1 });
    const [graph] = report.subgraphs;
    expect(graph.tensors[1]).toEqual({
      name: "w",
      dtype: "INT8",
      shape: [2, 2],
      constant: true,
      bytes: 4,
      scale: [0.125, 0.25],
      zeroPoint: [0, 0],
      axis: 0,
    });
    expect(graph.operators[0]).toEqual({ op: "FULLY_CONNECTED", inputs: [0, 1, 2], outputs: [3] });
  });

  test("--operators, --tensors, --constants, --signatures", async () => {
    const operators = await lines("inspect", "a.tflite", "--operators");
    expect(operators).toContain("  3 operators, 7 tensors (5 INT8, 2 INT32)");
    expect(operators).toContain("  input  x INT8[1,2] scale 0.25 zero point 0");
    expect(operators).toContain("  FULLY_CONNECTED h INT8[1,2] scale 0.5 zero point -128");
    expect(operators).toContain("                    w INT8[2,2] 2 scales 0.125…0.25 along axis 0");
    const tensors = await lines("inspect", "a.tflite", "--tensors");
    expect(tensors).toHaveLength(1 + 7);
    expect(tensors[2]).toMatch(/^1 {2}const {2}w {7}INT8\[2,2\] +2 scales$/);
    const constants = await lines("inspect", "a.tflite", "--constants");
    expect(constants.slice(1).map((line) => line.split(/ +/)[4])).toEqual(["b", "w", "to"]);
    expect(await lines("inspect", "a.tflite", "--signatures")).toEqual([expect.stringContaining("no signatures")]);
  });

  test("--tensor: parameters, neighbours, and the values that integers stand for", async () => {
    const out = await lines("inspect", "a.tflite", "--tensor", "w");
    expect(out[0]).toBe("w");
    expect(out).toContain("  read by       FULLY_CONNECTED → h");
    expect(out).toContain("  first         0.125, -0.25, 0.75, 31.75");
    // (0.125 − 0.25 + 0.75 + 31.75) / 4
    expect(out).toContain("  values        -0.25 … 31.75, mean 8.09375");
    const h = await lines("inspect", "a.tflite", "--tensor", "h");
    expect(h).toContain("  stands for    0 … 127.5");
    expect(h).toContain("  yielded by    FULLY_CONNECTED (x, w, b)");
  });

  test("a name that is not there gets the closest", async () => {
    const rows = [
      ["real.tflite", "Activation_1", "activation_1"],
      ["real.tflite", "activaton_1", "activation_1"],
      ["real.tflite", "_16/Kernel", "conv2d_16/Kernel"],
    ];
    for (const [file, wrong, right] of rows)
      await refused(["inspect", file!, "--tensor", wrong!], { cwd }, 1, `did you mean "${right}"?`);
    const { err } = await minmaxq(["inspect", "real.tflite", "--tensor", "nothing like it"], { cwd });
    expect(err).not.toContain("did you mean");
  });

  test("two views at once are refused", async () => {
    await refused(
      ["inspect", "a.tflite", "--tensors", "--constants"],
      { cwd },
      2,
      "--tensors and --constants: give one",
    );
  });

  for (const view of [[], ["--operators"], ["--tensors"], ["--constants"], ["--tensor", "conv2d_3"]])
    test(`80 columns: inspect ${view.join(" ")}`, async () => {
      const seen = await inTerminal(executable(), ["inspect", "real.tflite", ...view], cwd);
      expect(seen.code).toBe(0);
      expect(seen.lines.filter((line) => Bun.stringWidth(line) > 80)).toEqual([]);
      // A summary fits a terminal of 24 lines.
      if (view.length === 0) expect(seen.lines.length).toBeLessThanOrEqual(24);
    });

  test("80 columns: long names lose their middle there, and nowhere else", async () => {
    const long = `beginning/${"x".repeat(100)}/end`;
    const of = model(["x"], [long], (graph) => graph.tensor("x", [1]).tensor(long, [1]).operator("ABS", ["x"], [long]));
    await write("long.circle", of);
    const seen = (await inTerminal(executable(), ["inspect", "long.circle"], cwd)).lines.join("\n");
    expect(seen).toMatch(/outputs {7}beginning\/x+…x+\/end {2}FLOAT32\[1\]$/m);
    expect(await run("inspect", "long.circle")).toContain(long);
    expect(await run("inspect", "long.circle", "--json")).toContain(long);
  });
});

describe("diff", () => {
  test("exit 0 and one line for the same model, also under another name", async () => {
    copyFileSync(join(cwd, "a.tflite"), join(cwd, "copy.tflite"));
    expect(await lines("diff", "a.tflite", "copy.tflite")).toEqual(["a.tflite and copy.tflite are the same model"]);
  });

  test("exit 1, and what was changed: parameters and values", async () => {
    const { code, out, err } = await minmaxq(["diff", "a.tflite", "b.tflite"], { cwd });
    expect([code, err]).toEqual([1, ""]);
    expect(out.trimEnd().split("\n").slice(1)).toEqual([
      "parameters",
      "  ~ tensor h: scale 0.5 → 0.75",
      "values",
      // 127 and 125 by 0.25; 10 · log10((0.125² + 0.25² + 0.75² + 31.75²) / 0.5²)
      "  ~ tensor w: 1 element, at most 0.5 apart (36.1 dB)",
      "2 differences: 0 of structure, 1 of parameters, 1 of values",
    ]);
  });

  test("--json: what was added, removed and changed", async () => {
    const before = model(["x"], ["y"], (graph) =>
      graph
        .tensor("x", [1])
        .tensor("m", [1])
        .tensor("y", [1])
        .operator("ABS", ["x"], ["m"])
        .operator("NEG", ["m"], ["y"]),
    );
    const after = model(["x"], ["y"], (graph) =>
      graph
        .tensor("x", [2])
        .tensor("n", [1])
        .tensor("y", [1])
        .operator("ABS", ["x"], ["n"])
        .operator("NEG", ["n"], ["y"]),
    );
    await write("before.circle", before);
    await write("after.circle", after);
    const { code, out } = await minmaxq(["diff", "before.circle", "after.circle", "--json"], { cwd });
    expect(code).toBe(1);
    const report = JSON.parse(out);
    expect(report).toMatchObject({ reportVersion: 1, equal: false, parameters: [], values: [] });
    const tensor = { what: "tensor", subgraph: 0 };
    const operator = { what: "operator", subgraph: 0 };
    const expected = [
      { change: "removed", ...operator, name: "m", before: "ABS(x)" },
      { change: "changed", ...operator, name: "y", field: "operator", before: "NEG(m)", after: "NEG(n)" },
      { change: "added", ...operator, name: "n", after: "ABS(x)" },
      { change: "removed", ...tensor, name: "m", before: "FLOAT32[1]" },
      { change: "added", ...tensor, name: "n", after: "FLOAT32[1]" },
      { change: "changed", ...tensor, name: "x", field: "type", before: "FLOAT32[1]", after: "FLOAT32[2]" },
    ];
    expect(report.structure).toHaveLength(expected.length);
    for (const each of expected) expect(report.structure).toContainEqual(each);
  });

  test("a model against itself in the other format: only that", async () => {
    await succeeded(["convert", "a.tflite", "-o", "a.circle"], { cwd });
    const { out } = await minmaxq(["diff", "a.tflite", "a.circle"], { cwd });
    expect(out).toContain("~ file: format tflite → circle");
    expect(out).toEndWith("1 difference: 1 of structure, 0 of parameters, 0 of values\n");
  });

  test("exit 2 where there is no answer", async () => {
    await refused(["diff", "a.tflite", "nosuch.tflite"], { cwd }, 2, "nosuch.tflite: there is no such file");
  });
});

describe("explain", () => {
  const rows: [tensor: string, ...says: (string | RegExp)[]][] = [
    ["x", "An input", "stands for    -32 … 31.75"],
    ["w", 'Weights of FULLY_CONNECTED "h": one scale for each of 2 channels along axis 0, largest |value| / 127'],
    ["b", 'its scale is that of "x" × that of "w"', "The numbers are so."],
    [
      "h",
      "scale = (largest − least) / 255",
      "RELU is fused into FULLY_CONNECTED",
      "yielded by    FULLY_CONNECTED (x, w, b)",
    ],
    ["p", "LOGISTIC always has scale 1/256 and zero point -128", "The numbers are so.", /tied to +r$/m],
    ["r", "RESHAPE takes integers as they are", 'the parameters of "p"', "The numbers are so.", /tied to +p$/m],
    ["to", "INT32 without a scale"],
  ];
  for (const [tensor, ...says] of rows)
    test(tensor, async () => {
      const out = await run("explain", "a.tflite", tensor);
      for (const each of says) expect(out).toMatch(each);
    });

  test("says where numbers are not what the rule gives", async () => {
    expect(await run("explain", "wrong.tflite", "b")).toContain("The numbers are not so");
    const { tensors } = JSON.parse(await run("explain", "wrong.tflite", "b", "--json"));
    expect(tensors[0].explanation).toMatchObject({ rule: "bias", holds: false });
  });

  test("--from: the chain that quantize wrote", async () => {
    const quantize = ["quantize", "real.tflite", "--data", "random:2", "-o", "q.tflite", "--explain", "why.json"];
    expect((await minmaxq(quantize, { cwd })).code).toBe(0);
    const [graph] = JSON.parse(readFileSync(join(cwd, "why.json"), "utf8"));
    const entry = graph.tensors.find(({ chain }: { chain: string[] }) => chain.length > 1);
    const out = await run("explain", "q.tflite", entry.name, "--from", "why.json");
    expect(out).toContain(`  chain         1. ${entry.chain[0]}\n`);
    expect(out).toContain(`                2. ${entry.chain[1]}\n`);
    expect(await run("explain", "q.tflite", entry.name)).toContain("--explain why.json");
    expect(await run("explain", "a.tflite", "h", "--from", "why.json")).toContain("is that of this model?");
    await refused(["explain", "a.tflite", "h", "--from", "a.tflite"], { cwd }, 1, "a.tflite: cannot be read as JSON");
    writeFileSync(join(cwd, "other.json"), "{}");
    await refused(["explain", "a.tflite", "h", "--from", "other.json"], { cwd }, 1, "is no explanation of tensors");
  });

  test("a name that is not there gets the closest; 80 columns", async () => {
    await refused(["explain", "real.tflite", "activaton"], { cwd }, 1, 'did you mean "activation"?');
    const seen = await inTerminal(executable(), ["explain", "a.tflite", "h"], cwd);
    expect(seen.lines.filter((line) => Bun.stringWidth(line) > 80)).toEqual([]);
  });
});
