/** `minmaxq visq` as people run it; the expected errors are computed by hand. */
import { beforeAll, describe, expect, test } from "bun:test";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { floats, npy } from "../calibration/support.ts";
import { model, quantizedAs } from "../helpers/models.ts";
import { write } from "./models.ts";
import { cleanUpAfterwards, executable, folder, refused, succeeded } from "./support.ts";

cleanUpAfterwards();

const cwd = folder();
const at = (name: string) => join(cwd, name);
const MODELS = ["-f", "float.circle", "-q", "byte.circle"];
const DATA = ["-d", "data.npy", "--data_format", "npy"];
const read = (name: string) => JSON.parse(readFileSync(at(name), "utf8"));

/** x ─▶ RELU "y\"\\" (a name that Graphviz has to have escaped) ─▶ RESHAPE flat ─▶ MUL(flat, flat) z. */
const NAME = 'y"\\';
const net = (x: object, y: object, z: object) =>
  model(["x"], ["z"], (graph) =>
    graph
      .tensor("x", [1, 4], "FLOAT32", x)
      .tensor(NAME, [1, 4], "FLOAT32", y)
      .constant("shape", [1], Int32Array.of(4))
      .tensor("flat", [4], "FLOAT32", y)
      .tensor("z", [4], "FLOAT32", z)
      .operator("RELU", ["x"], [NAME])
      .operator("RESHAPE", [NAME, "shape"], ["flat"], { type: "ReshapeOptions", value: {} })
      .operator("MUL", ["flat", "flat"], ["z"], { type: "MulOptions", value: {} }),
  );

beforeAll(async () => {
  await write(net({}, {}, {}), at("float.circle"));
  const half = quantizedAs("UINT8", [0.5], [0]);
  await write(net(quantizedAs("UINT8", [0.5], [2]), half, quantizedAs("UINT8", [0.25], [0])), at("byte.circle"));
  // First x is 0, 0.5, 1.5, −0.5 rounded: y is off by 0.1, 0.1, 0.2, 0; z is 0.01, 0.36, 1.69, 0, and 0, 0.25, 2.25, 0 of the rounded y.
  // Then all is 0.
  writeFileSync(at("data.npy"), npy("<f4", [2, 1, 4], floats(0.1, 0.6, 1.3, -0.4, 0, 0, 0, 0)));
});

/** Of the first sample; the second is without error. */
const Y = { tae: 0.4, mse: 0.06 / 4, peir: 0.2 / 1.3 };
const Z = { tae: 0.01 + 0.11 + 0.56, mse: (0.01 ** 2 + 0.11 ** 2 + 0.56 ** 2) / 4, peir: 0.56 / 1.69 };
const srmse = ({ mse }: typeof Y, scale: number) => Math.sqrt(mse / 2) / scale;
/** The range of colours goes over single samples in MSE and TAE, from 0 in the others. */
const EXPECTED: [metric: string, y: number, z: number, most: number][] = [
  ["mpeir", Y.peir / 2, Z.peir / 2, 1],
  ["mse", Y.mse / 2, Z.mse / 2, Z.mse],
  ["tae", Y.tae / 2, Z.tae / 2, Z.tae],
  ["srmse", srmse(Y, 0.5), srmse(Z, 0.25), srmse(Z, 0.25)],
];

test("all metrics in one run", async () => {
  const outputs = EXPECTED.flatMap(([metric]) => [`--${metric}_output`, `${metric}.json`]);
  await succeeded(["visq", ...MODELS, ...DATA, ...outputs, "-b", "1"], { cwd });
  for (const [metric, y, z, most] of EXPECTED) {
    const file = read(`${metric}.json`);
    expect(file.meta).toMatchObject({ model: "float.circle", metric: metric.toUpperCase() });
    // What operators yield and is rounded: neither the input nor what RESHAPE hands on.
    expect(Object.keys(file.error[0])).toEqual([NAME, "z"]);
    expect(file.error[0][NAME]).toBeCloseTo(y, 4);
    expect(file.error[0].z).toBeCloseTo(z, 4);
    const bands: { b: number; e: number }[] = file.meta.colorscheme;
    expect(bands).toHaveLength(9);
    expect(bands[0]!.b).toBe(0);
    expect(bands[8]!.e).toBeCloseTo(most, 4);
    // Four digits behind the point.
    for (const value of [...Object.values(file.error[0]), ...bands.flatMap(({ b, e }) => [b, e])])
      expect(Math.round((value as number) * 1e4) / 1e4).toBe(value as number);
    expect(existsSync(at(`${metric}.json.dot`))).toBe(false);
  }
});

test("--dump_dot_graph: operators in the colours of their errors", async () => {
  const words = ["--tae=tae.json", "--mse_output", "m.json", "--dump", "-b1"];
  await succeeded(["visq", ...MODELS, ...DATA, ...words], { cwd });
  const dot = readFileSync(at("tae.json.dot"), "utf8");
  expect(dot).toStartWith('digraph "float.circle" {\n');
  // 0.2 and 0.34 of 0.68, in nine steps: the third and the fifth colour.
  expect(dot).toContain('"y\\"\\\\" [label="RELU\\ny\\"\\\\", style=filled, fillcolor="#fed976", fontcolor="#000000"');
  expect(dot).toContain('xlabel="TAE: 0.2000"];\n');
  expect(dot).toContain('"z" [label="MUL\\nz", style=filled, fillcolor="#fd8d3c"');
  expect(dot).toContain('"flat" [label="RESHAPE\\nflat", style=filled, fillcolor=gray];\n');
  expect(dot.match(/".*" -> ".*";/g)).toEqual(['"x" -> "y\\"\\\\";', '"y\\"\\\\" -> "flat";', '"flat" -> "z";']);
  expect(dot.match(/<td bgcolor="#.{6}">TAE: \d\.\d{4} ~ \d\.\d{4}<\/td>/g)).toHaveLength(9);
  expect(dot).toContain('bgcolor="#800026">TAE: 0.6044 ~ 0.6800<');
  for (const [open, close] of ["{}", "[]", "<>"]) {
    const arrows = open === "<" ? 3 : 0;
    expect(dot.split(open!).length + arrows).toBe(dot.split(close!).length);
  }
  expect(readFileSync(at("m.json.dot"), "utf8")).toContain("MSE");
});

test("without samples, on random ones: both models get the same", async () => {
  const words = ["--tae_output", "random.json"];
  await succeeded(["visq", ...MODELS, ...words], { cwd });
  const { error } = read("random.json");
  expect(Object.keys(error[0])).toEqual([NAME, "z"]);
  // Half a step at most, of four values (random ones are from −5 to 5).
  expect(error[0][NAME]).toBeGreaterThan(0);
  expect(error[0][NAME]).toBeLessThanOrEqual(4 * 0.25);
  await succeeded(["visq", ...MODELS, "-d", "random:3:0", "--data_format", "random", "--tae_output", "r.json"], {
    cwd,
  });
  expect(read("r.json")).toEqual(read("random.json"));
});

describe("wrong command lines and files", () => {
  const rows: [words: string[], code: number, ...says: string[]][] = [
    [[], 2, "--fp32_circle and --q_circle missing", "minmaxq visq"],
    [[...MODELS, ...DATA, "--tae=a.json", "--dump_dot_graph=1"], 2, "--dump_dot_graph: takes no value"],
    [[...MODELS, ...DATA, "--m", "a.json"], 2, "unknown option --m"],
    [[...MODELS, ...DATA], 2, "--mpeir_output, --mse_output, --tae_output, --srmse_output"],
    [[...MODELS, ...DATA, "--tae_output", "a.json", "--mse_output", "a.json"], 2, '"a.json" is written already'],
    [[...MODELS, ...DATA, "--tae_output", "data.npy"], 1, "data.npy: is the input itself"],
    [[...MODELS, ...DATA, "--tae_output", "no/a.json"], 1, "no/a.json: the folder no does not exist"],
    [[...MODELS, ...DATA, "--tae_output", "a.json", "--batch_size", "0"], 2, "--batch_size"],
    [[...MODELS, "-d", "data.npy", "--tae_output", "a.json"], 1, "data.npy: "],
    [["-f", "float.circle", "-q", "float.circle", ...DATA, "--tae_output", "a.json"], 1, "rounds none of its tensors"],
    [
      ["-f", "float.circle", "-q", "no.circle", ...DATA, "--tae_output", "a.json"],
      1,
      "no.circle: there is no such file",
    ],
  ];
  for (const [words, code, ...says] of rows)
    test(words.join(" ") || "(nothing)", () => refused(["visq", ...words], { cwd }, code, ...says));
});

test("a copy of the executable with its name", async () => {
  const { out } = await succeeded(["--help"], { cwd, program: executable("visq") });
  expect(out).toStartWith("Usage: minmaxq visq");
});
