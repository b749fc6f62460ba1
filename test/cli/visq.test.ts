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

/** x ─▶ RELU "y\"\\" (a name that Graphviz has to have escaped). */
const NAME = 'y"\\';
const relu = (x: object, y: object) =>
  model(["x"], [NAME], (graph) =>
    graph.tensor("x", [1, 4], "FLOAT32", x).tensor(NAME, [1, 4], "FLOAT32", y).operator("RELU", ["x"], [NAME]),
  );

beforeAll(async () => {
  await write(relu({}, {}), at("float.circle"));
  await write(relu(quantizedAs("UINT8", [0.5], [2]), quantizedAs("UINT8", [0.5], [0])), at("byte.circle"));
  // Rounded to 0, 0.5, 1.5, −0.5: x is off by 0.1, 0.1, 0.2, 0.1, y by 0.1, 0.1, 0.2, 0.
  writeFileSync(at("data.npy"), npy("<f4", [1, 1, 4], floats(0.1, 0.6, 1.3, -0.4)));
});

const EXPECTED: [metric: string, x: number, y: number][] = [
  ["mpeir", 0.2 / 1.7, 0.2 / 1.3],
  ["mse", 0.07 / 4, 0.06 / 4],
  ["tae", 0.5, 0.4],
  ["srmse", Math.sqrt(0.07 / 4) / 0.5, Math.sqrt(0.06 / 4) / 0.5],
];

test("all metrics in one run", async () => {
  const outputs = EXPECTED.flatMap(([metric]) => [`--${metric}_output`, `${metric}.json`]);
  await succeeded(["visq", ...MODELS, ...DATA, ...outputs, "--batch_size", "1"], { cwd });
  for (const [metric, x, y] of EXPECTED) {
    const file = JSON.parse(readFileSync(at(`${metric}.json`), "utf8"));
    expect(file.meta).toMatchObject({ model: "float", metric: metric.toUpperCase() });
    expect(file.meta.colorscheme).toHaveLength(9);
    expect(Object.keys(file.error[0])).toEqual(["x", NAME]);
    expect(file.error[0].x).toBeCloseTo(x, 4);
    expect(file.error[0][NAME]).toBeCloseTo(y, 4);
    // Four digits behind the point.
    for (const value of Object.values(file.error[0]))
      expect(Math.round((value as number) * 1e4) / 1e4).toBe(value as number);
    expect(existsSync(at(`${metric}.json.dot`))).toBe(false);
  }
});

test("--dump_dot_graph: operators in the colours of their errors", async () => {
  const words = ["--tae_output=tae.json", "--mse_output", "m.json", "--dump_dot_graph"];
  await succeeded(["visq", ...MODELS, ...DATA, ...words], { cwd });
  const { meta } = JSON.parse(readFileSync(at("tae.json"), "utf8"));
  const dot = readFileSync(at("tae.json.dot"), "utf8");
  expect(dot).toStartWith('digraph "float" {\n');
  const [least, most] = [meta.colorscheme[0].c, meta.colorscheme[8].c];
  expect(dot).toContain(`n0 [label="input\\nx\\n0.5", fillcolor="${most}"`);
  expect(dot).toContain(`n1 [label="RELU\\ny\\"\\\\\\n0.4", fillcolor="${least}"`);
  expect(dot.match(/n\d+ -> n\d+;/g)).toEqual(["n0 -> n1;", "n1 -> n2;"]);
  expect(dot.match(/legend\d \[/g)).toHaveLength(9);
  for (const [open, close] of ["{}", "[]"]) expect(dot.split(open!).length).toBe(dot.split(close!).length);
  expect(readFileSync(at("m.json.dot"), "utf8")).toContain("MSE");
});

describe("wrong command lines and files", () => {
  const rows: [words: string[], code: number, ...says: string[]][] = [
    [[], 2, "--fp32_circle and --q_circle and --data missing", "minmaxq visq"],
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
