/** `minmaxq compare` and the drop-in circle-eval-diff, as people run them: the compiled executable. */
import { beforeAll, describe, expect, test } from "bun:test";
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type Model, serializeModel } from "../../src/model/index.ts";
import { floats } from "../calibration/support.ts";
import { complaint, expectRefusal, folder, minmaxq, refused, succeeded } from "../cli/support.ts";
import { model, quantized } from "../helpers/models.ts";

let cwd: string;

const write = async (name: string, of: Model) =>
  writeFileSync(join(cwd, name), await serializeModel(of, { dialect: "circle" }));

/** y = |x|, z = −x, of four elements. */
const float = (outputs = ["y", "z"], shape = [4]) =>
  model(["x"], outputs, (graph) =>
    graph
      .tensor("x", shape)
      .tensor("y", shape)
      .tensor("z", shape)
      .operator("ABS", ["x"], ["y"])
      .operator("NEG", ["x"], ["z"]),
  );
const byte = () =>
  model(["x"], ["y", "z"], (graph) =>
    graph
      .tensor("x", [4], "UINT8", quantized(0.5, 128))
      .tensor("y", [4], "UINT8", quantized(0.5, 0))
      .tensor("z", [4], "UINT8", quantized(0.5, 128))
      .operator("ABS", ["x"], ["y"])
      .operator("NEG", ["x"], ["z"]),
  );

beforeAll(async () => {
  cwd = folder();
  await write("float.circle", float());
  await write("byte.circle", byte());
  await write("one.circle", float(["y"]));
  await write("wide.circle", float(["y", "z"], [5]));
  for (const [name, records] of [
    ["two", [floats(1, -2, 3, 0), floats(0.7, -0.2, 0.4, 1.1)]],
    ["one", [floats(1, -2, 3, 0)]],
    ["bytes", [Uint8Array.of(130, 124, 134, 128), Uint8Array.of(255, 0, 1, 2)]],
  ] as const) {
    mkdirSync(join(cwd, name));
    for (const [i, bytes] of records.entries()) writeFileSync(join(cwd, name, `${i}.bin`), bytes);
  }
});

const RUN = ["compare", "float.circle", "byte.circle", "--data", "two"];

describe("compare", () => {
  test("prints a table of at most 80 columns", async () => {
    const { out } = await succeeded([...RUN, "--layers"], { cwd });
    const lines = out.trimEnd().split("\n");
    expect(Math.max(...lines.map((line) => line.length))).toBeLessThanOrEqual(80);
    expect(lines[0]).toBe("float.circle and byte.circle, 2 samples; the second fake-quantized");
    expect(lines[1]).toMatch(/^ +SQNR dB +cosine +MAE +MSE +MAPE % +MPEIR +top-1 +top-5$/);
    expect(lines[2]).toBe("output y");
    // Signal 15.9, error 0.1 for all three: 22.01 dB. An input cannot have more than 8 bits hold, 6.02 · 8 + 1.76 = 49.92 dB.
    expect(lines.slice(7, 11)).toEqual([
      "SQNR dB  drop dB  dtype  operator  layer",
      "  22.01    27.91  uint8  (input)   x",
      "  22.01     0.00  uint8  ABS       y",
      "  22.01     0.00  uint8  NEG       z",
    ]);
    // Nothing but an input loses, and that can have no scheme of its own.
    expect(lines.slice(11)).toEqual(["largest loss: x (an input), 27.91 dB"]);
  });

  test("prints JSON", async () => {
    const { out } = await succeeded([...RUN, "--json"], { cwd });
    const facts = JSON.parse(out);
    expect(facts).toMatchObject({ float: "float.circle", quantized: "byte.circle", samples: 2, broken: [] });
    expect(facts.layers).toBeUndefined();
    const [y] = facts.outputs;
    // Only the second record is no multiple of a half: 0.7 → 0.5, 0.2 → 0, 0.4 → 0.5, 1.1 → 1.
    expect(y).toMatchObject({ name: "y", other: "y", shape: [4] });
    expect(y.metrics.mae).toBeCloseTo((0.2 + 0.2 + 0.1 + 0.1) / 8, 6);
    expect(y.metrics.mape).toBeCloseTo((100 / 7) * (0.2 / 0.7 + 1 + 0.1 / 0.4 + 0.1 / 1.1), 4);
    expect(y.metrics).toMatchObject({ zeros: 1, notFinite: 0, top5: null });
  });

  test("JSON has all layers in the graph's order, with rank, drop and what they are measured against", async () => {
    const { layers } = JSON.parse((await succeeded([...RUN, "--layers", "--json"], { cwd })).out);
    const facts = layers.map(({ name, operator, operands, rank }: Record<string, unknown>) => ({
      name,
      operator,
      operands,
      rank,
    }));
    expect(facts).toEqual([
      { name: "x", operator: null, operands: [], rank: 1 },
      { name: "y", operator: "ABS", operands: ["x"], rank: 2 },
      { name: "z", operator: "NEG", operands: ["x"], rank: 3 },
    ]);
    expect(layers[0].drop).toBeCloseTo(49.92 - 10 * Math.log10(159), 5);
    expect(layers[1].drop).toBeCloseTo(0, 5);
  });

  test("explains every metric in its help, in 80 columns", async () => {
    const { out } = await succeeded(["compare", "--help"], { cwd });
    const metrics = out.slice(out.indexOf("Metrics,"));
    for (const name of ["SQNR", "cosine", "MAE", "MSE", "MAPE", "MPEIR", "top-1", "top-5", "drop"])
      expect(metrics).toMatch(new RegExp(`^  ${name}\\b`, "m"));
    expect(Math.max(...out.split("\n").map((line) => line.length))).toBeLessThanOrEqual(80);
  });

  test("fails with one line that names output, metric, value and limit; the table is printed all the same", async () => {
    const below = await minmaxq([...RUN, "--fail-below", "sqnr=5,cosine=0.5", "--fail-below", "top1=1.5"], { cwd });
    expect(below.code).toBe(1);
    expect(below.out).toContain("output y");
    expect(complaint(below)[1]).toMatch(/^ {2}output "y": top1 1 is below the limit 1.5$/);
    const above = await minmaxq([...RUN, "--fail-above", "mse=0.013"], { cwd });
    expect(above.code).toBe(0);
    const one = await minmaxq(["compare", "one.circle", "one.circle", "--data", "two", "--fail-below", "top1=2"], {
      cwd,
    });
    expect(complaint(one)).toEqual(['minmaxq: output "y": top1 1 is below the limit 2']);
  });

  test("writes visq's JSON", async () => {
    const { out, code } = await minmaxq([...RUN, "--visq", "visq.json"], { cwd });
    expect(code).toBe(0);
    expect(out).not.toContain("(uint8)");
    const file = JSON.parse(readFileSync(join(cwd, "visq.json"), "utf8"));
    expect(file.meta).toMatchObject({ model: "float.circle", metric: "MPEIR" });
    expect(file.meta.colorscheme).toHaveLength(9);
    // The second record's largest error is 0.2, of an interval of 1.3 (z) or 0.9 (y); the first has none.
    expect(file.error).toEqual([{ y: 0.1111, z: 0.0769 }]);
  });

  const wrong: [string, string[], number, RegExp][] = [
    ["a limit without a number", [...RUN, "--fail-below", "sqnr"], 2, /METRIC=NUMBER/],
    ["a limit in the wrong direction", [...RUN, "--fail-below", "mae=1"], 2, /--fail-above mae=1/],
    ["an unknown visq metric", [...RUN, "--visq-metric", "mae"], 2, /mpeir or mse or tae or srmse/],
    ["no data", ["compare", "float.circle", "byte.circle"], 2, /--data/],
    ["one model", ["compare", "float.circle", "--data", "two"], 2, /quantized/],
    [
      "a model that is not there",
      ["compare", "float.circle", "no.circle", "--data", "two"],
      1,
      /no\.circle: there is no/,
    ],
    [
      "different numbers of outputs",
      ["compare", "float.circle", "one.circle", "--data", "two"],
      1,
      /2 \("y", "z"\).*1 \("y"\)/,
    ],
    ["different inputs", ["compare", "float.circle", "wide.circle", "--data", "two"], 1, /\[4\].*\[5\]/],
    ["visq's file over a model", [...RUN, "--visq", "byte.circle"], 1, /is the input itself/],
  ];
  for (const [name, args, code, says] of wrong) {
    test(`refuses ${name}`, async () => {
      await refused(args, { cwd }, code, says);
    });
  }
});

describe("circle-eval-diff", () => {
  const models = (first: string, second: string) => [
    "circle-eval-diff",
    "--first_model",
    first,
    "--second_model",
    second,
  ];
  const data = (first: string, second: string) => [
    ...["--first_input_data", first, "--second_input_data", second, "--input_data_format", "DIR"],
  ];
  const all = ["mse", "mae", "mape", "mpeir", "top1_match", "top5_match"].map((name) => `--print_${name}`);

  test("prints what is asked for, in its own order", async () => {
    const { out } = await succeeded([...models("float.circle", "float.circle"), ...data("two", "two"), ...all], {
      cwd,
    });
    expect(out.split("\n").filter((line) => line.includes(" for y "))).toEqual([
      "MAE for y is 0",
      "MAPE for y is nan%",
      "MPEIR for y is 0",
      "Top-1 match ratio for y is 1",
      "Top-5 match ratio for y is skipped: it has too few elements",
      "MSE for y is 0",
    ]);
  });

  test("compares integers as integers and dumps them raw", async () => {
    const args = [...models("byte.circle", "byte.circle"), ...data("bytes", "bytes"), "--print_mae"];
    const { out } = await succeeded([...args, "--dump_output_with_prefix", "dump"], { cwd });
    expect(out).toContain("MAE for z is 0\n");
    const dumps = readdirSync(cwd).filter((name) => name.startsWith("dump."));
    expect(dumps.sort()).toEqual(
      [0, 1].flatMap((i) => ["first", "second"].flatMap((which) => [0, 1].map((k) => `dump.${i}.${which}.output${k}`))),
    );
    // |x|: 1, 2, 3, 0 in halves; then 63.5, 64, 63.5, 63 in halves.
    expect([...readFileSync(join(cwd, "dump.0.first.output0"))]).toEqual([2, 4, 6, 0]);
    expect([...readFileSync(join(cwd, "dump.1.second.output0"))]).toEqual([127, 128, 127, 126]);
    expect([...readFileSync(join(cwd, "dump.0.first.output1"))]).toEqual([126, 132, 122, 128]);
  });

  test("makes up the same records for both models without data", async () => {
    const { out } = await succeeded([...models("float.circle", "float.circle"), "--print_mse"], { cwd });
    expect(out).toContain("MSE for y is 0");
  });

  const wrong: [string, string[], number, RegExp][] = [
    [
      "data for one model only",
      [...models("float.circle", "float.circle"), "--first_input_data", "two"],
      2,
      /both or neither/,
    ],
    [
      "data sets of unequal length",
      [...models("float.circle", "float.circle"), ...data("two", "one")],
      1,
      /unequal length/,
    ],
    [
      "different dtypes",
      [...models("float.circle", "byte.circle"), ...data("two", "bytes")],
      1,
      /output 0 differs: "y" \(FLOAT32 \[4\]\)/,
    ],
    [
      "hdf5 as a format",
      [...models("float.circle", "float.circle"), "--input_data_format", "hdf5"],
      2,
      /h5, dir, directory/,
    ],
    ["no second model", ["circle-eval-diff", "--first_model", "float.circle"], 2, /--second_model/],
  ];
  for (const [name, args, code, says] of wrong) {
    test(`refuses ${name}`, async () => {
      const result = await minmaxq(args, { cwd });
      expectRefusal(result, code, says);
    });
  }
});
