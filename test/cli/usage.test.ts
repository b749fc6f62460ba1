/** Help, versions, typos and everything else that is wrong with a command line: exit code 2. */
import { beforeAll, describe, expect, test } from "bun:test";
import { copyFileSync } from "node:fs";
import { join } from "node:path";
import pkg from "../../package.json" with { type: "json" };
import { allCommands, COMMANDS, FRONTS } from "../../src/cli/commands.ts";
import { OPTIONS as CIRCLE_QUANTIZER } from "../../src/drop-in/circle-quantizer.ts";
import { OPTIONS as RECORD_MINMAX } from "../../src/drop-in/record-minmax.ts";
import { OPTIONS } from "../../src/options/table.ts";
import { cleanUpAfterwards, folder, minmaxq, REAL, refused, succeeded } from "./support.ts";

cleanUpAfterwards();

const cwd = folder();
const commands = await allCommands();
beforeAll(() => copyFileSync(REAL, join(cwd, "model.tflite")));

describe("help", () => {
  for (const command of commands) {
    test(`${command.name} --help shows every option of the table and the examples`, async () => {
      const { out } = await succeeded([command.name, "--help"], { cwd });
      expect(out).toStartWith(`Usage: minmaxq ${command.name}`);
      const words = out.replace(/\s+/g, " ");
      for (const name of command.options) {
        expect(words).toContain(OPTIONS[name].flags);
        expect(words).toContain(OPTIONS[name].help);
      }
      const lines = out.replace(/ \\\n\s+/g, " ");
      // A comment may stand above its line.
      for (const part of command.examples.flatMap((example) => example.split(/\s+# /))) expect(lines).toContain(part);
      expect(out).toContain("--verbose");
      expect((await succeeded(["help", command.name], { cwd })).out).toBe(out);
    });
  }

  test("every command is listed under its own name", () => {
    expect(commands.map(({ name }) => name)).toEqual(Object.keys(COMMANDS));
  });

  test("minmaxq alone, --help and -h list all commands and drop-in fronts", async () => {
    const { out } = await succeeded([], { cwd });
    for (const { name } of commands) expect(out).toMatch(new RegExp(`^  ${name} `, "m"));
    for (const name of Object.keys(FRONTS)) expect(out).toMatch(new RegExp(`^  ${name} `, "m"));
    expect((await succeeded(["--help"], { cwd })).out).toBe(out);
    expect((await succeeded(["-h"], { cwd })).out).toBe(out);
  });

  test("--version", async () => {
    expect((await succeeded(["--version"], { cwd })).out).toBe(`${pkg.version}\n`);
    expect((await succeeded(["-V"], { cwd })).out).toBe(`${pkg.version}\n`);
    expect((await succeeded(["circle-quantizer", "--version"], { cwd })).out).toBe(`minmaxq ${pkg.version}\n`);
  });

  for (const [front, options] of [
    ["circle-quantizer", CIRCLE_QUANTIZER],
    ["record-minmax", RECORD_MINMAX],
  ] as const) {
    test(`${front} --help shows every option, wherever it stands`, async () => {
      const { out } = await succeeded([front, "--help"], { cwd });
      const words = out.replace(/\s+/g, " ");
      for (const [name, { help }] of Object.entries(options)) {
        expect(out).toMatch(new RegExp(`^  ${name}\\s`, "m"));
        expect(words).toContain(help);
      }
      expect((await succeeded([front, "--verbose", "-h"], { cwd })).out).toBe(out);
    });
  }
});

describe("wrong command lines", () => {
  const model = "model.tflite";
  const rows: [args: string[], ...says: (string | RegExp)[]][] = [
    [["quantise", model], "unknown command 'quantise'", "Did you mean quantize?", "minmaxq --help"],
    [["nonsense"], "unknown command 'nonsense'"],
    [[""], "unknown command ''"],
    // Names that every JavaScript object has.
    [["constructor"], "unknown command 'constructor'"],
    [["__proto__"], "unknown command '__proto__'"],
    [["--nonsense"], "unknown option '--nonsense'"],
    [["quantize"], "missing required argument 'model'", "minmaxq quantize --help"],
    [["quantize", model], "-o, --output <path>", "for example"],
    [["quantize", model, "--outptu", "x"], "unknown option '--outptu'", "Did you mean --output?"],
    [["inspect", model, "--jsno"], "unknown option '--jsno'", "Did you mean --json?"],
    [["quantize", model, "other", "-o", "x"], "too many arguments", "other"],
    [["quantize", model, "-o"], "-o, --output <path>", "argument missing"],
    [["quantize", model, "-o", ""], "-o, --output <path>", "empty"],
    [["quantize", model, "-o", "-"], "stdout", "give a path"],
    [["record", model, "--data", "random", "-o", "-"], "stdout"],
    [["convert", model, "-o", "-"], "stdout"],
    [["record", model, "-o", "x"], "record needs --data <samples>"],
    [["record", model], "-o, --output <path> and --data <samples>"],
    [["convert", model], "-o, --output <path>"],
    [["inspect", ""], "path of the model is empty"],
    [["quantize", model, "-o", "x", "--data", ""], "--data", "empty"],
    [["quantize", model, "-o", "x", "--dtype", "int8"], "--dtype", "'int8'", "uint8 or int16"],
    [["quantize", model, "-o", "x", "--dtype", "constructor"], "--dtype", "uint8 or int16"],
    [["quantize", model, "-o", "x", "--granularity", "tensor"], "--granularity", "layer or channel"],
    [["quantize", model, "-o", "x", "--granularity", "layer", "--dtype", "int16"], "not with int16", "channel"],
    [["quantize", model, "-o", "x", "--block", "48"], "--block", "32 or 64 or 128 or 256"],
    [["quantize", model, "-o", "x", "--block", "32"], "--block", "--scheme dynamic-int4"],
    [["quantize", model, "-o", "x", "--input-dtype", "uint8,half"], "--input-dtype", "float32"],
    [["quantize", model, "-o", "x", "--mode", "average"], "--mode", "moving_average or minmax"],
    [["quantize", model, "-o", "x", "--min-percentile", "-1"], "--min-percentile", "from 0 to 100"],
    [["quantize", model, "-o", "x", "--max-percentile", "1e3"], "--max-percentile", "from 0 to 100"],
    [["quantize", model, "-o", "x", "--max-percentile", "NaN"], "--max-percentile", "from 0 to 100"],
    [["quantize", model, "-o", "x", "--moving-avg-batch", "0"], "--moving-avg-batch", "whole number"],
    [["quantize", model, "-o", "x", "--moving-avg-const", "2"], "--moving-avg-const", "from 0 to 1"],
    [["quantize", model, "-o", "x", "--num-threads", "1.5"], "--num-threads", "whole number"],
    [
      ["quantize", model, "-o", "x", "--data", "random", "--min-percentile", "60", "--max-percentile", "40"],
      "60 is above the max percentile 40",
    ],
    [["quantize", model, "-o", "x", "--data", "random:many"], "random:many", "random:COUNT"],
    [["quantize", model, "-o", "x", "--data", model], model, "--data-format|give the format"],
    [["quantize", model, "-o", "x", "--data", model, "--data-format", "csv"], '"csv" is not known', "npz"],
    [["convert", model, "-o", "x", "--to", "onnx"], "--to", "circle or tflite"],
  ];
  for (const [args, ...says] of rows) {
    test(args.join(" ") || "(nothing)", async () => {
      await refused(
        args,
        { cwd },
        2,
        ...says.map((each) => (typeof each === "string" && each.includes("|") ? new RegExp(each) : each)),
      );
    });
  }
});

describe("drop-in fronts", () => {
  const minmax = ["--quantize_with_minmax", "float32", "uint8", "channel"];
  const rows: [args: string[], ...says: string[]][] = [
    [["circle-quantizer"], "INPUT and OUTPUT missing"],
    [["circle-quantizer", "a", "b"], "exactly one of", "--quantize_with_minmax", "--quantize_dequantize_weights"],
    [["circle-quantizer", ...minmax, "--quantize_dequantize_weights", ...minmax.slice(1), "a", "b"], "exactly one of"],
    [["circle-quantizer", ...minmax, "a"], "OUTPUT missing"],
    [["circle-quantizer", ...minmax, "a", "b", "c"], '"c"'],
    [["circle-quantizer", "--quantize_with_minmax", "float32", "uint8"], "takes 3 value(s), got 2"],
    // The mode takes the next three words, whatever they are.
    [["circle-quantizer", "--quantize_with_minmax", "float32", "uint8", "a", "b", "c"], '"a"', "layer, channel"],
    [["circle-quantizer", "--quantize_with_minmax", "float16", "uint8", "channel", "a", "b"], '"float16"', "float32"],
    [["circle-quantizer", "--quantize_with_minmax", "float32", "int8", "channel", "a", "b"], '"int8"', "uint8, int16"],
    [["circle-quantizer", "--quantize_with_minmax", "float32", "toString", "channel", "a", "b"], '"toString"'],
    [["circle-quantizer", "--quantize_with_minmax", "float32", "int16", "layer", "a", "b"], "uint8 only", "channel"],
    [["circle-quantizer", "--quantize_dequantize_weights", "float32", "int16", "layer", "a", "b"], "uint8 only"],
    [["circle-quantizer", ...minmax, "--input_type", "half", "a", "b"], "--input_type", '"half"'],
    [["circle-quantizer", "--quantise", "a", "b"], "unknown option --quantise"],
    [["record-minmax"], "--input_model and --output_model missing"],
    [["record-minmax", "--input_model", "a"], "--output_model missing"],
    [["record-minmax", "--input_model"], "--input_model: takes 1 value(s), got 0"],
    [["record-minmax", "--input_model", "a", "--output_model", "b", "c"], '"c"'],
    [["record-minmax", "--input_model", "a", "--output_model", "b", "--mode", "median"], "--mode", '"median"'],
    [["record-minmax", "--input_model", "a", "--output_model", "b", "--min_percentile", "101"], "--min_percentile"],
  ];
  for (const [args, ...says] of rows) test(args.join(" "), () => refused(args, { cwd }, 2, ...says));

  test("an option takes its words even when they begin with a dash", async () => {
    await refused(
      ["record-minmax", "--input_model", "--mode", "--output_model", "x"],
      { cwd },
      1,
      "--mode: there is no",
    );
  });

  test("a missing model, a missing folder", async () => {
    await refused(
      ["circle-quantizer", ...minmax, "constructor", "out"],
      { cwd },
      1,
      "constructor: there is no such file",
    );
    await refused(
      ["circle-quantizer", ...minmax, "model.tflite", "no/out"],
      { cwd },
      1,
      "the folder no does not exist",
    );
  });
});

test("--verbose, before or after the command, prints the stack below the same line", async () => {
  const plain = await minmaxq(["inspect", "nosuch"], { cwd });
  for (const args of [
    ["--verbose", "inspect", "nosuch"],
    ["inspect", "nosuch", "--verbose"],
  ]) {
    const verbose = await minmaxq(args, { cwd });
    expect(verbose.code).toBe(1);
    expect(verbose.err).toStartWith(plain.err);
    expect(verbose.err).toMatch(/^ {4}at /m);
  }
});
