/** Command lines that are nearly right get the line that helps. */
import { beforeAll, describe, expect, test } from "bun:test";
import { copyFileSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { cleanUpAfterwards, folder, minmaxq, REAL, refused, succeeded } from "./support.ts";

cleanUpAfterwards();

const cwd = folder();
const write = (name: string, ...bytes: (string | number[])[]) =>
  writeFileSync(join(cwd, name), Buffer.concat(bytes.map((each) => Buffer.from(each as string, "latin1"))));

beforeAll(() => {
  copyFileSync(REAL, join(cwd, "model.tflite"));
  // First bytes as the formats' own descriptions have them: a protobuf's fields, a zip's and HDF5's signatures.
  write("m.onnx", [0x08, 0x07, 0x12, 0x07], "pytorch");
  write("m.pt", "PK\x03\x04", new Array(30).fill(0), "archive/data.pkl");
  write("m.h5", [0x89], "HDF\r\n\x1a\n", new Array(30).fill(0));
  write("frozen.pb", [0x0a, 0x09, 0x0a, 0x01], "x", [0x12, 0x0b], "Placeholder");
  mkdirSync(join(cwd, "saved"));
  write("saved/saved_model.pb", [0x08, 0x01, 0x12, 0xa0]);
  write("layers.json", JSON.stringify({ layers: [{ name: "conv2d", dtype: "int16" }] }));
});

const out = ["-o", "out.circle"];

describe("a command line that is nearly right", () => {
  const rows: [args: string[], ...says: string[]][] = [
    [["model.tflite"], "a command comes first", "minmaxq inspect model.tflite", "-o model.int8.tflite"],
    [["models/none.circle"], "of nothing that is there", "minmaxq quantize models/none.circle --data"],
    [["m.onnx"], "an ONNX model", "onnx2tf -i m.onnx"],
    [["saved"], "SavedModel", "--saved_model_dir=saved"],
    [["help", "foo"], "no command 'foo'", "minmaxq --help"],
    [["help", "quantise"], "did you mean quantize?"],
    [["quantize"], "missing required argument 'model'", "for example: minmaxq quantize model.tflite"],
    [["compare", "model.tflite"], "'quantized'", "for example: minmaxq compare"],
    [["quantize", "model.tflite", "samples.npz", ...out], "too many arguments", "--data samples.npz"],
    [["quantize", "model.tflite", "--data", "random", "-o", "x.onnx"], "not ONNX", ".circle or .tflite"],
    [["convert", "model.tflite", "-o", "x.h5"], "not Keras or HDF5"],
    [["circle-quantizer"], "INPUT and OUTPUT missing", "minmaxq circle-quantizer --quantize_with_minmax"],
    [["record-minmax", "--input_model", "a"], "--output_model missing", "minmaxq record-minmax --input_model"],
    [["circle-eval-diff"], "--first_model and --second_model missing", "minmaxq circle-eval-diff --first_model"],
    [
      ["quantize", "model.tflite", "--data", "random", "--memory-limit", "4096", ...out],
      '"4096" needs a unit',
      "4096MB",
    ],
  ];
  for (const [args, ...says] of rows) test(args.join(" "), () => refused(args, { cwd }, 2, ...says));
});

describe("what is no model of ours", () => {
  const rows: [file: string, ...says: string[]][] = [
    ["m.onnx", "an ONNX model", "onnx2tf -i m.onnx", "one-import-onnx"],
    ["m.pt", "a PyTorch model", "litert_torch"],
    ["m.h5", "HDF5", "--keras_model_file=m.h5"],
    ["frozen.pb", "TensorFlow graph", "--graph_def_file=frozen.pb"],
    ["saved", "SavedModel", "--saved_model_dir=saved"],
  ];
  for (const [file, ...says] of rows)
    test(file, async () => {
      for (const args of [
        ["inspect", file],
        ["quantize", file, "--data", "random", ...out],
      ])
        await refused(args, { cwd }, 1, `minmaxq: ${file}: `, ...says);
    });
});

test("samples that were forgotten", async () => {
  await refused(
    ["quantize", "model.tflite", ...out],
    { cwd },
    1,
    "no recorded ranges",
    "--data",
    "random:16",
    "dynamic-int8",
  );
});

test("layers without a granularity get the model's; ONE's front wants one", async () => {
  await succeeded(
    ["quantize", "model.tflite", "--data", "random:1", "--config", "layers.json", "-o", "layers.circle"],
    { cwd },
  );
  const front = [
    "circle-quantizer",
    "--quantize_with_minmax",
    "float32",
    "uint8",
    "channel",
    "--config",
    "layers.json",
  ];
  await refused([...front, "model.tflite", "out.circle"], { cwd }, 1, "layers[0].granularity: is missing");
});

test("help of a front", async () => {
  for (const front of ["circle-quantizer", "record-minmax"])
    expect((await succeeded(["help", front], { cwd })).out).toBe((await succeeded([front, "--help"], { cwd })).out);
});

test("a size without a unit", async () => {
  const { code, err } = await minmaxq(
    ["quantize", "model.tflite", "--data", "random:1", "--memory-limit", "2", "-o", "two.circle"],
    { cwd },
  );
  expect({ code, err }).toEqual({ code: 0, err: "note: --memory-limit 2 is taken as 2.0 GB\n" });
});
