/** Files that are no models, broken models, and models that cannot be quantized. */
import { beforeAll, describe, expect, test } from "bun:test";
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import {
  convolution,
  FLOATS,
  ofType,
  openBatch,
  RECORDED,
  withIf,
  withoutOperators,
  withoutRules,
  write,
} from "./models.ts";
import { cleanUpAfterwards, folder, minmaxq, REAL, refused, succeeded } from "./support.ts";

cleanUpAfterwards();

const cwd = folder();
const real = readFileSync(REAL);
const at = (name: string) => join(cwd, name);

/** Reproducible bytes that mean nothing. */
function garbage(count: number, seed = 1): Uint8Array {
  let state = seed;
  return Uint8Array.from({ length: count }, () => {
    state = (Math.imul(state, 1103515245) + 12345) >>> 0;
    return state >>> 16;
  });
}

describe("no models", () => {
  const bytes = (...parts: (string | number[] | Uint8Array)[]) =>
    Buffer.concat(parts.map((part) => (typeof part === "string" ? Buffer.from(part, "latin1") : Buffer.from(part))));
  const rows: [name: string, content: Uint8Array, ...says: string[]][] = [
    ["empty.tflite", bytes(), "empty"],
    ["short.tflite", bytes("abc"), "3 bytes"],
    ["image.png", bytes([0x89], "PNG\r\n\x1a\n", garbage(500)), "no model"],
    ["archive.zip", bytes("PK\x03\x04", garbage(500)), "zip"],
    ["text.circle", bytes("this is no model at all\n"), "text file"],
    ["page.circle", bytes("<!DOCTYPE html><html>404</html>"), "web page"],
    ["weights.h5", bytes([0x89], "HDF\r\n\x1a\n", garbage(500)), "HDF5"],
    ["model.onnx", bytes([8, 7, 0x12, 7], "pytorch", garbage(500)), "ONNX"],
    ["saved_model.pb", bytes([8, 1, 0x12], garbage(500)), "SavedModel"],
    ["lfs.tflite", bytes("version https://git-lfs.github.com/spec/v1\noid sha256:1\n"), "LFS"],
    ["magic.circle", bytes([16, 0, 0, 0], "CIR0"), "magic.circle"],
    ["garbage.circle", bytes([16, 0, 0, 0], "CIR0", garbage(5000)), "garbage.circle"],
    ["garbage.tflite", bytes([16, 0, 0, 0], "TFL3", garbage(5000, 7)), "garbage.tflite"],
    ["ones.tflite", bytes([255, 255, 255, 255], "TFL3", new Uint8Array(5000).fill(255)), "ones.tflite"],
    ["zeros.tflite", bytes([0, 0, 0, 0], "TFL3", new Uint8Array(5000)), "zeros.tflite"],
  ];
  for (const [name, content, ...says] of rows) {
    test(name, async () => {
      writeFileSync(at(name), content);
      for (const args of [
        ["inspect", name],
        ["quantize", name, "--data", "random", "-o", "out.circle"],
        ["circle-quantizer", "--quantize_with_minmax", "float32", "uint8", "channel", name, "out.circle"],
      ]) {
        const result = await refused(args, { cwd }, 1, `minmaxq: ${name}: `, ...says);
        expect(result.milliseconds).toBeLessThan(5000);
      }
    });
  }

  test("a missing file and a folder", async () => {
    mkdirSync(at("folder"), { recursive: true });
    for (const command of ["inspect", "verify"]) {
      await refused([command, "nosuch.tflite"], { cwd }, 1, "nosuch.tflite: there is no such file", "check the path");
      await refused([command, "folder"], { cwd }, 1, "folder: is not a file", "give");
    }
    await refused(
      ["quantize", "nosuch.tflite", "-o", "out.circle"],
      { cwd },
      1,
      "nosuch.tflite: there is no such file",
    );
    await refused(["convert", "folder", "-o", "out.circle"], { cwd }, 1, "folder: is not a file");
  });

  test("a model truncated at 50 places", async () => {
    const places = Array.from({ length: 50 }, (_, i) => Math.floor((real.length * i) / 50));
    const ends = async (place: number) => {
      const where = folder();
      writeFileSync(join(where, "cut.tflite"), real.subarray(0, place));
      const result = await refused(["convert", "cut.tflite", "-o", "out.circle"], { cwd: where }, 1, "cut.tflite: ");
      expect(result.milliseconds).toBeLessThan(5000);
    };
    for (let i = 0; i < places.length; i += 2) await Promise.all(places.slice(i, i + 2).map(ends));
  });

  test("a model with flipped bytes never crashes", async () => {
    for (let seed = 1; seed <= 20; seed++) {
      const broken = Uint8Array.from(real);
      const positions = garbage(8, seed);
      // Tables lie at both ends of the file.
      for (let i = 0; i < 4; i++) broken[positions[2 * i]! * 16 + (seed % 16)] = positions[2 * i + 1]!;
      writeFileSync(at("flipped.tflite"), broken);
      const result = await minmaxq(["inspect", "flipped.tflite", "--json"], { cwd });
      expect([0, 1]).toContain(result.code);
      expect(result.err).not.toMatch(/internal error|^ {4}at /m);
    }
    rmSync(at("flipped.tflite"));
  });
});

describe("models that cannot be quantized", () => {
  const rows: [name: string, model: Parameters<typeof write>[0], args: string[], ...says: (string | RegExp)[]][] = [
    ["no ranges", convolution(), [], "has no recorded ranges", "--data", "minmaxq record"],
    [
      "min above max",
      convolution({ ...RECORDED, conv: [2, -2], y: [3, 1] }),
      [],
      '"conv": its recorded minimum 2 is above its maximum -2',
      '"y": its recorded minimum 3',
    ],
    [
      "ranges of NaN and infinity",
      convolution({ ...RECORDED, conv: [Number.NaN, 2], y: [0, Number.POSITIVE_INFINITY] }),
      [],
      '"conv": its recorded range is NaN to 2',
      '"y": its recorded range is 0 to Infinity',
      "record it again",
    ],
    [
      "NaN in weights",
      convolution(
        RECORDED,
        FLOATS(6, (i) => (i === 3 ? Number.NaN : i)),
      ),
      [],
      'constant "w": has 1 NaN',
      "Mend",
    ],
    [
      "NaN in weights, with samples",
      convolution(
        {},
        FLOATS(6, () => Number.NaN),
      ),
      ["--data", "random"],
      '"w": has 6 NaN',
    ],
    [
      "infinite weights",
      convolution(
        RECORDED,
        FLOATS(6, (i) => (i === 3 ? Number.NEGATIVE_INFINITY : i)),
      ),
      [],
      'constant "w": has infinite values',
    ],
    ["no float tensors", ofType("INT32"), [], "has no float32 tensors"],
    ["float64", ofType("FLOAT64"), [], "has no float32 tensors"],
    ["strings, with samples", ofType("STRING"), ["--data", "random"], "no float32 tensors"],
    [
      "a custom operator that cannot be run",
      withoutRules({}),
      ["--data", "random"],
      "MyOwnOperator",
      '"second"',
      "custom operator",
    ],
    [
      "operators without a rule, --strict",
      withoutRules(),
      ["--strict"],
      "2 parts cannot be quantized",
      'SIN "first"',
      'CUSTOM:MyOwnOperator "second"',
    ],
    ["control flow, --strict", withIf({ x: [0, 1], before: [0, 1], y: [0, 1] }), ["--strict"], "IF", "subgraph 1"],
  ];
  for (const [name, model, args, ...says] of rows) {
    test(name, async () => {
      const where = folder();
      await write(model, join(where, "m.circle"));
      await refused(["quantize", "m.circle", "-o", "out.circle", ...args], { cwd: where }, 1, "m.circle", ...says);
    });
  }

  test("missing ranges: all of them, and only those", async () => {
    const where = folder();
    await write(convolution({ x: [-1, 1], abs: [0, 2] }), join(where, "m.circle"));
    const { err } = await refused(["quantize", "m.circle", "-o", "o.circle"], { cwd: where }, 1, "no recorded range");
    const named = err.split("\n").filter((line) => line.startsWith("  "));
    expect(named.length).toBe(2);
    expect(named[0]).toContain('CONV_2D "conv"');
    expect(named[1]).toContain('LOGISTIC "y"');
  });

  test("one missing range says what is missing", async () => {
    const where = folder();
    await write(convolution({ ...RECORDED, conv: undefined }), join(where, "m.circle"));
    await refused(
      ["quantize", "m.circle", "-o", "o.circle"],
      { cwd: where },
      1,
      '"conv"',
      "no recorded range",
      "--data",
    );
  });

  test("NaN and infinity in a bias", async () => {
    for (const value of [Number.NaN, Number.POSITIVE_INFINITY]) {
      const where = folder();
      await write(
        convolution(
          RECORDED,
          FLOATS(6),
          FLOATS(3, (i) => (i === 1 ? value : 0)),
        ),
        join(where, "m.circle"),
      );
      await refused(["quantize", "m.circle", "-o", "o.circle"], { cwd: where }, 1, '"b"');
    }
  });

  test("a quantized model", async () => {
    const where = folder();
    await write(convolution(RECORDED), join(where, "m.circle"));
    await succeeded(["quantize", "m.circle", "-o", "q.circle"], { cwd: where });
    for (const more of [[], ["--data", "random"]])
      await refused(
        ["quantize", "q.circle", "-o", "o.circle", ...more],
        { cwd: where },
        1,
        "quantized already",
        "float model",
      );
    await refused(["record", "q.circle", "--data", "random", "-o", "o.circle"], { cwd: where }, 1, "nothing to record");
    await refused(["verify", "m.circle"], { cwd: where }, 1, "no quantized activations", "minmaxq quantize");
  });

  test("wrong dtypes of inputs are told before samples are run", async () => {
    const where = folder();
    await write(convolution(), join(where, "m.circle"));
    const quantize = ["quantize", "m.circle", "-o", "o.circle", "--data", "random"];
    const two = await refused(
      [...quantize, "--input-dtype", "uint8,uint8"],
      { cwd: where },
      1,
      /dtypes: 2 .* for 1 input/,
    );
    const int32 = await refused(
      [...quantize, "--output-dtype", "int32"],
      { cwd: where },
      1,
      '"y": cannot become INT32',
    );
    expect(two.err + int32.err).not.toContain("recording");
  });
});

describe("models that need care", () => {
  beforeAll(async () => {
    await write(withoutRules(), at("norules.circle"));
    await write(withIf(), at("if.circle"));
    await write(openBatch(), at("open.circle"));
    await write(withoutOperators(), at("noops.circle"));
    await write(convolution(RECORDED), at("recorded.circle"));
  });

  test("operators without a rule stay float, and that is said", async () => {
    const { out } = await succeeded(["quantize", "norules.circle", "-o", "norules.q.circle"], { cwd });
    expect(out).toContain("stays float (2):");
    expect(out).toContain('SIN "first": there is no rule to quantize this kind');
    expect(out).toContain('CUSTOM:MyOwnOperator "second": custom operators cannot be quantized');
    await succeeded(["verify", "norules.q.circle"], { cwd });
  });

  test("control flow: the called subgraphs stay float", async () => {
    const { out, err, code } = await minmaxq(["quantize", "if.circle", "--data", "random", "-o", "if.q.circle"], {
      cwd,
    });
    expect(code).toBe(0);
    expect(out).toContain("subgraph 1: control flow runs it");
    // The made-up conditions are all true.
    expect(err).toMatch(/^warning: not recorded, because no sample shows them \(.*\): "LOGISTIC out"\n$/);
    await succeeded(["verify", "if.q.circle"], { cwd });
  });

  test("an open batch, and no operators", async () => {
    await succeeded(["quantize", "open.circle", "--data", "random", "-o", "open.q.circle"], { cwd });
    const { out } = await succeeded(["inspect", "open.q.circle"], { cwd });
    expect(out).toContain("UINT8[1,4]");
    await succeeded(["quantize", "noops.circle", "-o", "noops.q.circle"], { cwd });
  });

  test("--input-dtype and --output-dtype", async () => {
    const io = ["--input-dtype", "float32", "--output-dtype", "int16"];
    await succeeded(["quantize", "recorded.circle", ...io, "-o", "io.circle"], { cwd });
    const { out } = await succeeded(["inspect", "io.circle", "--json"], { cwd });
    const [graph] = JSON.parse(out).subgraphs;
    expect(graph.tensors[graph.inputs[0]].dtype).toBe("FLOAT32");
    expect(graph.tensors[graph.outputs[0]].dtype).toBe("INT16");
  });
});
