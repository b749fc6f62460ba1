/** `minmaxq one-quantize`: the bits of ONE's three tools in a row, its cfg file, its modes, what it refuses. */
import { beforeAll, describe, expect, test } from "bun:test";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseCfg } from "../../src/drop-in/cfg.ts";
import { floats, npy } from "../calibration/support.ts";
import { convolution, write } from "./models.ts";
import { cleanUpAfterwards, executable, files, folder, minmaxq, refused, succeeded } from "./support.ts";

cleanUpAfterwards();

const cwd = folder();
const at = (name: string) => join(cwd, name);
const DATA = ["--input_data", "data.npy", "--input_data_format", "npy"];

beforeAll(async () => {
  await write(convolution(), at("model.circle"));
  const samples = Array.from({ length: 4 * 32 }, (_, i) => Math.sin(i * i) * (1 + (i % 5)));
  writeFileSync(at("data.npy"), npy("<f4", [4, 4, 4, 2], floats(...samples)));
  writeFileSync(
    at("layers.json"),
    JSON.stringify({ layers: [{ name: "conv", dtype: "int16", granularity: "channel" }] }),
  );
  writeFileSync(
    at("defaults.json"),
    JSON.stringify({ layers: [], default_quantization_dtype: "int16", default_granularity: "channel" }),
  );
});

/** What the three tools give one after the other, as ONE's driver calls them (§5.9). */
async function threeInARow(
  name: string,
  scheme: string[],
  { record = [], layers = [], last = [] }: { record?: string[]; layers?: string[]; last?: string[] },
): Promise<Uint8Array<ArrayBuffer>> {
  const where = { cwd };
  const [rounded, recorded, out] = [`${name}.1.circle`, `${name}.2.circle`, `${name}.3.circle`] as const;
  await succeeded(
    ["circle-quantizer", "--quantize_dequantize_weights", ...scheme, ...layers, "model.circle", rounded],
    where,
  );
  await succeeded(["record-minmax", "--input_model", rounded, "--output_model", recorded, ...record], where);
  await succeeded(["circle-quantizer", "--quantize_with_minmax", ...scheme, ...last, ...layers, recorded, out], where);
  return Uint8Array.from(readFileSync(at(out)));
}

describe("the same bits as the three tools in a row", () => {
  const rows: [name: string, words: string[], scheme: string[], more: Parameters<typeof threeInARow>[2]][] = [
    // ONE's defaults: uint8, layer, percentile 1 to 99, random samples.
    ["defaults", [], ["float32", "uint8", "layer"], {}],
    ["channel", [...DATA, "--granularity", "channel"], ["float32", "uint8", "channel"], { record: DATA }],
    [
      "int16",
      [
        ...DATA,
        "--quantized_dtype",
        "int16",
        "--granularity",
        "channel",
        "--mode",
        "moving_average",
        "--moving_avg_batch",
        "2",
      ],
      ["float32", "int16", "channel"],
      { record: [...DATA, "--mode", "moving_average", "--moving_avg_batch", "2"] },
    ],
    [
      "layers",
      [...DATA, "--granularity=channel", "--quant_config", "layers.json", "--output_type", "float32"],
      ["float32", "uint8", "channel"],
      { record: DATA, layers: ["--config", "layers.json"], last: ["--output_type", "float32"] },
    ],
    [
      "defaults of the file of layers",
      [...DATA, "--quant_config", "defaults.json", "--min_percentile", "10"],
      ["float32", "int16", "channel"],
      { record: [...DATA, "--min_percentile", "10"], layers: ["--config", "defaults.json"] },
    ],
  ];
  for (const [name, words, scheme, more] of rows)
    test(name, async () => {
      const out = `${name.replaceAll(" ", "-")}.circle`;
      const expected = await threeInARow(out, scheme, more);
      await succeeded(["one-quantize", "-i", "model.circle", "-o", out, ...words], { cwd });
      expect(Uint8Array.from(readFileSync(at(out)))).toEqual(expected);
      const log = readFileSync(at(`${out}.log`), "utf8").split("\n");
      expect(log.filter((line) => /^(circle-quantizer|record-minmax) --/.test(line)).length).toBe(3);
      // Nothing is left of the steps between.
      expect(files(cwd).filter((each) => each.endsWith(".tmp"))).toEqual([]);
    });
});

describe("the cfg file", () => {
  const cfg = (name: string, ...lines: string[]) => writeFileSync(at(name), `${lines.join("\n")}\n`);

  test("gives what the command line does not; other sections are for others", async () => {
    cfg(
      "one.cfg",
      "[onecc]",
      "one-quantize=True",
      "; a comment",
      "[one-quantize]",
      "input_path=model.circle   # the float model",
      "output_path = from-cfg.circle",
      "input_data: data.npy",
      "input_data_format=npy",
      "granularity=layer",
      "evaluate_result=False",
      "[one-codegen]",
      "granularity=nonsense",
    );
    await succeeded(["one-quantize", "-C", "one.cfg", "--granularity", "channel"], { cwd });
    await succeeded(["one-quantize", "-i", "model.circle", "-o", "cl.circle", ...DATA, "--granularity", "channel"], {
      cwd,
    });
    expect(readFileSync(at("from-cfg.circle"))).toEqual(readFileSync(at("cl.circle")));
  });

  test("an option that there is none of is told; what is wrong is an error", async () => {
    cfg("typo.cfg", "[one-quantize]", "input_path=model.circle", "output_path=typo.circle", "granularty=channel");
    const { code, err } = await minmaxq(["one-quantize", "-C", "typo.cfg"], { cwd });
    expect({ code, err }).toEqual({
      code: 0,
      err: 'warning: typo.cfg: "granularty" is no option of one-quantize; it is left out, as in ONE\n',
    });
    cfg("none.cfg", "[one-optimize]", "input_path=a");
    await refused(["one-quantize", "-C", "none.cfg"], { cwd }, 1, "no section [one-quantize]", "[one-optimize]");
    cfg("broken.cfg", "[one-quantize]", "what is this");
    await refused(["one-quantize", "-C", "broken.cfg"], { cwd }, 1, "broken.cfg: line 2: ");
    await refused(["one-quantize", "-C", "absent.cfg"], { cwd }, 1, "absent.cfg: cannot be read");
    cfg("empty.cfg", "[one-quantize]", "input_path=model.circle");
    await refused(["one-quantize", "-C", "empty.cfg"], { cwd }, 2, "--output_path missing");
  });

  test("is read as Python's configparser reads it", () => {
    const text = [
      "[DEFAULT]",
      "stem=m",
      "[a]",
      "Key = one two ; comment",
      "url: x#y",
      "path=%(stem)s.circle",
      "percent=5%%",
      "list=first",
      "  second",
      "empty=",
    ].join("\n");
    // By configparser.ConfigParser(inline_comment_prefixes=("#", ";")) of Python 3.12 with optionxform = str.
    expect(Object.fromEntries(parseCfg("a.cfg", text).get("a")!)).toEqual({
      stem: "m",
      Key: "one two",
      url: "x#y",
      path: "m.circle",
      percent: "5%",
      list: "first\nsecond",
      empty: "",
    });
  });
});

describe("its other modes are circle-quantizer's", () => {
  beforeAll(() => succeeded(["one-quantize", "-i", "model.circle", "-o", "q.circle", ...DATA], { cwd }));

  const rows: [name: string, words: string[], tool: string[]][] = [
    [
      "force_quantparam",
      [
        "--force_quantparam",
        "--tensor_name",
        "conv",
        "--scale",
        "0.5",
        "--zero_point",
        "3",
        "--tensor_name",
        "abs",
        "--scale",
        "2",
        "--zero_point",
        "0",
      ],
      ["--force_quantparam", "conv", "0.5", "3", "--force_quantparam", "abs", "2", "0"],
    ],
    [
      "copy_quantparam",
      ["--copy_quantparam", "--src_tensor_name", "conv", "--dst_tensor_name", "abs"],
      ["--copy_quantparam", "conv", "abs"],
    ],
    ["fake_quantize", ["--fake_quantize"], ["--fake_quantize"]],
    [
      "requantize",
      ["--requantize", "--input_model_dtype", "int8", "--quantized_dtype", "uint8"],
      ["--requantize", "int8", "uint8"],
    ],
  ];
  for (const [name, words, tool] of rows)
    test(name, async () => {
      await succeeded(["one-quantize", "-i", "q.circle", "-o", `${name}.circle`, ...words], { cwd });
      await succeeded(["circle-quantizer", ...tool, "q.circle", "tool.circle"], { cwd });
      expect(readFileSync(at(`${name}.circle`))).toEqual(readFileSync(at("tool.circle")));
    });

  test("evaluate_result prints what circle-eval-diff says of the fake-quantized result", async () => {
    // ONE's format of both kinds of data is one option; circle-eval-diff knows h5 and folders only. Told before anything is run.
    const words = ["--evaluate_result", "--test_data", "data.npy"];
    await refused(
      ["one-quantize", "-i", "model.circle", "-o", "no.circle", ...DATA, ...words],
      { cwd },
      2,
      "--test_data",
    );
    const { out } = await succeeded(
      ["one-quantize", "-i", "model.circle", "-o", "e.circle", "--evaluate_result", "--print_mae", "--print_mse"],
      { cwd },
    );
    await succeeded(["circle-quantizer", "--fake_quantize", "e.circle", "e.fake.circle"], { cwd });
    const models = ["--first_model", "model.circle", "--second_model", "e.fake.circle"];
    const tool = await succeeded(["circle-eval-diff", ...models, "--print_mae", "--print_mse"], { cwd });
    expect(tool.out).toContain("Mean Absolute Error");
    expect(out.endsWith(tool.out)).toBe(true);
  });

  test("save_intermediate keeps the models between the steps under ONE's names", async () => {
    const words = ["--save_intermediate", ...DATA];
    await succeeded(["one-quantize", "-i", "model.circle", "-o", "kept.circle", ...words], { cwd });
    for (const name of ["model.weights_fake_quant.circle", "model.minmax_recorded.circle"])
      expect(existsSync(at(name))).toBe(true);
  });
});

describe("--ampq: the same bits as record-minmax and circle-mpqsolver in a row", () => {
  const ends = ["-i", "model.circle", "-o", "mixed.circle", "--ampq"];
  const solver = ["circle-mpqsolver", "--input_model", "rec.circle", "--output_model", "tool.circle"];
  const data = ["--data", "data.npy", "--data_format", "npy"];
  const same = () => expect(readFileSync(at("mixed.circle"))).toEqual(readFileSync(at("tool.circle")));
  beforeAll(() =>
    succeeded(["record-minmax", "--input_model", "model.circle", "--output_model", "rec.circle", ...DATA], { cwd }),
  );

  test("auto, with errors that it measures itself", async () => {
    const { out } = await succeeded(["one-quantize", ...ends, ...DATA, "--ampq_qerror_ratio", "0.3"], { cwd });
    const scheme = ["float32", "uint8", "channel"];
    await succeeded(["circle-quantizer", "--quantize_with_minmax", ...scheme, "rec.circle", "q8.circle"], { cwd });
    const models = ["--fp32_circle", "model.circle", "--q_circle", "q8.circle"];
    await succeeded(["visq", ...models, ...data, "--tae_output", "tae.json"], { cwd });
    const words = ["--bisection", "auto", "--visq_file", "tae.json", "--qerror_ratio", "0.3"];
    const tool = await succeeded([...solver, ...words, ...data], { cwd });
    same();
    expect(out).toContain(tool.out.replace("tool.circle", "mixed.circle"));
    expect(files(cwd).filter((each) => each.endsWith(".tmp"))).toEqual([]);
    const log = readFileSync(at("mixed.circle.log"), "utf8").split("\n");
    expect(log.filter((line) => /^(record-minmax|circle-quantizer|visq|circle-mpqsolver) --/.test(line)).length).toBe(
      4,
    );
  });

  test("from a cfg file: front, with dtypes of inputs and outputs", async () => {
    const lines = [
      "[one-quantize]",
      "ampq=True",
      "bisection_type=i16_front",
      "output_type=float32",
      "input_data_format=npy",
    ];
    writeFileSync(at("ampq.cfg"), lines.join("\n"));
    const words = ["-imodel.circle", "-o=mixed.circle", "-d", "data.npy", "-C", "ampq.cfg", "--save"];
    await succeeded(["one-quantize", ...words], { cwd });
    await succeeded([...solver, "--bisection", "true", "--output_dtype", "float32", ...data], { cwd });
    same();
    for (const name of ["model.minmax_recorded.circle", "errors.mpq.txt", "FinalConfiguration.mpq.json"])
      expect(existsSync(at(name))).toBe(true);
  });

  test("patterns", async () => {
    const words = ["--ampq_algorithm", "pattern", "--u8_softmax_with_s16_sub_exp", "--quantized_dtype", "int16"];
    const { err } = await minmaxq(["one-quantize", ...ends, ...DATA, ...words], { cwd });
    expect(err).toContain("warning: model.circle: --u8_softmax_with_s16_sub_exp finds no softmax");
    await minmaxq([...solver, "--patterns", "--u8_softmax_with_s16_sub_exp", "--quantized_dtype", "int16"], { cwd });
    same();
  });

  test("without samples, on random ones; what lies between the steps is kept, with visq's graph", async () => {
    const { code } = await minmaxq(["one-quantize", ...ends, "--save_intermediate", "--TF-style_maxpool"], { cwd });
    expect(code).toBe(0);
    for (const name of ["model.visq.q8.circle", "model.tae.visq.json", "model.tae.visq.json.dot"])
      expect(existsSync(at(name))).toBe(true);
    const log = readFileSync(at("mixed.circle.log"), "utf8").split("\n");
    const quantizing = log.find((line) => line.startsWith("circle-quantizer --quantize_with_minmax"));
    expect(quantizing).toContain(" --TF-style_maxpool ");
  });

  test("before anything else that is asked for", async () => {
    const { err } = await minmaxq(["one-quantize", ...ends, "--fake_quantize", "--ampq_algorithm", "pattern"], { cwd });
    expect(err).toContain("all layers are uint8");
  });
});

describe("wrong command lines", () => {
  const ends = ["-i", "model.circle", "-o", "x.circle"];
  const rows: [words: string[], ...says: string[]][] = [
    [[], "--input_path and --output_path missing", "minmaxq one-quantize -i model.circle"],
    [["-i", "model.circle"], "--output_path missing"],
    [["-i"], "takes 1 value(s), got 0"],
    [[...ends, "--nonsense"], "unknown option --nonsense"],
    [[...ends, "--quantized_dtype", "int8"], "--quantized_dtype", '"int8"', "uint8, int16"],
    [[...ends, "--granularity", "row"], "--granularity", '"row"', "layer, channel"],
    [[...ends, "--quantized_dtype", "int16"], "uint8 only", "channel"],
    [[...ends, "--force_quantparam", "--tensor_name", "a"], "--tensor_name and --scale and --zero_point", "1, 0, 0"],
    [[...ends, "--requantize"], "--input_model_dtype int8"],
    [[...ends, "--bisection_type", "auto"], "--bisection_type: add --ampq"],
    [[...ends, "--ampq", "--bisection_type", "i16"], '"i16"', "auto, i16_front, i16_back"],
    [[...ends, "--ampq", "--ampq_algorithm", "greedy"], '"greedy"', "bisection, pattern"],
    [[...ends, "--ampq", "--quant_config", "a.json"], "--quant_config: the solver"],
    [[...ends, "--ampq", "--ampq_qerror_ratio", "2"], "--qerror_ratio", "from 0 to 1"],
  ];
  for (const [words, ...says] of rows)
    test(words.join(" ") || "(nothing)", async () => {
      const where = folder();
      await write(convolution(), join(where, "model.circle"));
      const { code, out, err } = await minmaxq(["one-quantize", ...words], { cwd: where });
      expect({ code, out }).toEqual({ code: 2, out: "" });
      for (const each of says) expect(err).toContain(each);
      // What a step refuses is in the log.
      expect(files(where).filter((name) => name !== "x.circle.log")).toEqual(["model.circle"]);
    });

  test("an error names the model that was given, not a file between the steps", async () => {
    const words = ["-i", "model.circle", "-o", "x.circle", "--input_data", "absent.npy", "--input_data_format", "npy"];
    const { code, err } = await minmaxq(["one-quantize", ...words], { cwd });
    expect(code).toBe(1);
    expect(err).toStartWith("minmaxq: absent.npy: ");
    expect(err).not.toContain(".tmp");
    expect(files(cwd).filter((name) => name.endsWith(".tmp"))).toEqual([]);
  });

  test("its version", async () => {
    const { out } = await succeeded(["one-quantize", "-v"], { cwd });
    expect(out).toMatch(/^minmaxq \d+\.\d+\.\d+\n$/);
  });

  test("a copy of the executable with its name", async () => {
    const { out } = await succeeded(["--help"], { cwd, program: executable("one-quantize") });
    expect(out).toStartWith("Usage: minmaxq one-quantize");
  });
});
