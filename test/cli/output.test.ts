/** Where results go: paths that cannot be written, pipes, colours. */
import { beforeAll, describe, expect, test } from "bun:test";
import { chmodSync, copyFileSync, linkSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { model } from "../calibration/models.ts";
import { convolution, RECORDED, write } from "./models.ts";
import {
  cleanUpAfterwards,
  executable,
  expectRefusal,
  files,
  folder,
  minmaxq,
  REAL,
  refused,
  shell,
  succeeded,
} from "./support.ts";

cleanUpAfterwards();

const cwd = folder();
const linux = process.platform === "linux";

beforeAll(async () => {
  copyFileSync(REAL, join(cwd, "model.tflite"));
  await write(convolution(RECORDED), join(cwd, "recorded.circle"));
  mkdirSync(join(cwd, "folder"));
  symlinkSync("model.tflite", join(cwd, "link.tflite"));
  symlinkSync(".", join(cwd, "here"));
  linkSync(join(cwd, "recorded.circle"), join(cwd, "hard.circle"));
});

describe("outputs that cannot be", () => {
  const writers: string[][] = [
    ["convert", "model.tflite"],
    ["record", "model.tflite", "--data", "random:1"],
    ["quantize", "model.tflite", "--data", "random:1"],
  ];
  const rows: [what: string, path: string, ...says: string[]][] = [
    ["a missing folder", "no/such/out.circle", "the folder no/such does not exist", "create it"],
    ["a folder", "folder", "is a folder", "give a file name"],
    ["a folder that is not there", "new/", "is a folder", "give a file name"],
    ["below a file", "recorded.circle/out.circle", "is a file, not a folder", "another path"],
    ["the input", "model.tflite", "is the input itself", "--force"],
    ["the input, otherwise written", "./folder/../model.tflite", "is the input itself", "--force"],
    ["a link to the input", "link.tflite", "is the input itself", "--force"],
    ["the input through a linked folder", "here/model.tflite", "is the input itself", "--force"],
    ["a name that is too long", `${"x".repeat(300)}.circle`, "too long"],
  ];
  for (const [what, path, ...says] of rows)
    test(what, async () => {
      for (const writer of writers) {
        const { err } = await refused([...writer, "-o", path], { cwd }, 1, `minmaxq: ${path}: `, ...says);
        expect(err).not.toContain("recording");
      }
    });

  test("a report over a model, and in no folder", async () => {
    const quantize = ["quantize", "recorded.circle", "-o", "explained.circle", "--explain"];
    await refused(
      [...quantize, "./explained.circle"],
      { cwd },
      1,
      "is the output itself",
      "give --explain another path",
    );
    await refused([...quantize, "hard.circle"], { cwd }, 1, "is the input itself");
    await refused([...quantize, "no/such.json"], { cwd }, 1, "the folder no does not exist");
    expect(files(cwd)).not.toContain("explained.circle");
  });

  test.if(linux)("a device, and a folder that takes no files", async () => {
    await refused(["convert", "model.tflite", "-o", "/dev/full"], { cwd }, 1, "/dev/full: is a device");
    await refused(
      ["convert", "model.tflite", "-o", "/proc/out.circle"],
      { cwd },
      1,
      // The folder's permissions are in the way of everyone but root, whom the system refuses the file itself.
      /\/proc\/out\.circle: (the folder \/proc )?cannot be written/,
    );
  });

  test.skipIf(process.getuid?.() === 0)("a read-only folder", async () => {
    mkdirSync(join(cwd, "readonly"), { recursive: true });
    chmodSync(join(cwd, "readonly"), 0o555);
    await refused(
      ["convert", "model.tflite", "-o", "readonly/out.circle"],
      { cwd },
      1,
      "cannot be written",
      "permissions",
    );
  });

  test("a full disk (a limit of the file size stands for it)", async () => {
    for (const line of ["convert model.tflite", "quantize model.tflite --data random:1", "quantize recorded.circle"]) {
      const where = folder();
      copyFileSync(REAL, join(where, "model.tflite"));
      await write(convolution(RECORDED), join(where, "recorded.circle"));
      const before = files(where);
      const result = await shell(`ulimit -f 1; $M ${line} -o out.circle`, { cwd: where });
      expectRefusal(result, 1, "out.circle: cannot be written", "bytes needed", "give another path");
      expect(files(where)).toEqual(before);
    }
  });
});

test("--force replaces the input; so do the drop-in fronts, as the reference's", async () => {
  const where = folder();
  for (const args of [
    ["quantize", "m.circle", "-o", "m.circle", "--force"],
    [
      "circle-quantizer",
      "--quantize_with_minmax",
      "float32",
      "uint8",
      "channel",
      "m.circle",
      "m.circle",
      "--output_type",
      "uint8",
    ],
  ]) {
    await write(convolution(RECORDED), join(where, "m.circle"));
    await succeeded(args, { cwd: where });
    await succeeded(["verify", "m.circle"], { cwd: where });
    expect(files(where)).toEqual(["m.circle"]);
  }
});

test("an older output is as it was when anything fails", async () => {
  const where = folder();
  await write(convolution(), join(where, "m.circle"));
  writeFileSync(join(where, "old.circle"), "old");
  await refused(["quantize", "m.circle", "-o", "old.circle"], { cwd: where }, 1, "no recorded ranges");
  expect(readFileSync(join(where, "old.circle"), "utf8")).toBe("old");
});

describe("standard output", () => {
  /** A model whose JSON is larger than any pipe's buffer. */
  const large = join(cwd, "large.circle");
  beforeAll(() => {
    const count = 8000;
    const of = model(["0"], [String(count)], (graph) => {
      graph.tensor("0", [1]);
      for (let i = 1; i <= count; i++) graph.tensor(String(i), [1]).operator("RELU", [String(i - 1)], [String(i)]);
    });
    return write(of, large);
  });

  test("a slow reader gets all of it", async () => {
    const whole = await shell("$M inspect large.circle --json > large.json; wc -c < large.json", { cwd });
    const piped = await shell("$M inspect large.circle --json | (sleep 0.5; cat) | wc -c", { cwd });
    expect(Number(whole.out)).toBeGreaterThan(1e6);
    expect(Number(piped.out)).toBe(Number(whole.out));
    const text = await shell("$M inspect large.circle --operators | (sleep 0.5; tail -n 1)", { cwd });
    expect(text.out).toContain("RELU 8000 FLOAT32[1]");
  });

  test("a reader that has seen enough is no error", async () => {
    for (const line of ["inspect large.circle --json", "inspect large.circle --operators", "--help"]) {
      const { out, err } = await shell(`{ $M ${line}; echo $? >&2; } | head -n 1`, { cwd });
      expect(out.split("\n").length).toBe(2);
      expect(err).toBe("0\n");
    }
  });

  test("a reader of stderr that has gone does not stop the work", async () => {
    const { out } = await shell(
      "{ $M quantize model.tflite --data random:2 -o gone.circle 2>&1 >/dev/null; echo $? >code; } | true; cat code",
      { cwd },
    );
    expect(out).toBe("0\n");
    await succeeded(["verify", "gone.circle"], { cwd });
  });

  test.if(linux)("a full disk", async () => {
    const result = await shell("$M inspect model.tflite > /dev/full", { cwd });
    expectRefusal(result, 1, "standard output cannot be written", "ENOSPC");
  });

  test("--json is JSON and nothing else", async () => {
    const { out } = await succeeded(["inspect", "model.tflite", "--json"], { cwd });
    expect(JSON.parse(out).subgraphs[0].operators.length).toBeGreaterThan(50);
    await succeeded(["quantize", "recorded.circle", "-o", "q.circle"], { cwd });
    const verified = await succeeded(["verify", "q.circle", "--json"], { cwd });
    expect(JSON.parse(verified.out)).toEqual({
      schema: "minmaxq/verify/1",
      reportVersion: 1,
      model: "q.circle",
      quantized: 4,
      schemes: [{ name: "uint8", family: "ONE", granularities: ["channel"], operators: 3 }],
      floatOperators: 0,
      floatOperatorsWithQuantizedWeights: 0,
      problems: [],
      warnings: [],
    });
  });
});

test("colours: none for a pipe and with NO_COLOR, some when forced", async () => {
  const colourful = async (env: Record<string, string>, ...args: string[]) => {
    const { out, err } = await minmaxq(args, { cwd, env });
    return (out + err).includes("\x1b");
  };
  for (const args of [["inspect", "model.tflite"], ["inspect", "nosuch"], ["--help"]]) {
    expect(await colourful({}, ...args)).toBe(false);
    expect(await colourful({ NO_COLOR: "1" }, ...args)).toBe(false);
    expect(await colourful({ FORCE_COLOR: "0" }, ...args)).toBe(false);
    if (args[0] !== "--help") expect(await colourful({ FORCE_COLOR: "1" }, ...args)).toBe(true);
  }
});

test("names in a model do not command the terminal", async () => {
  const name = "title\x1b]0;gone\x07 and\rback";
  const of = model(["x"], [name], (graph) => graph.tensor("x", [1]).tensor(name, [1]).operator("RELU", ["x"], [name]));
  await write(of, join(cwd, "names.circle"));
  const { out } = await succeeded(["inspect", "names.circle"], { cwd });
  expect(out).toContain("title\ufffd]0;gone\ufffd and\ufffdback");
  const json = await succeeded(["inspect", "names.circle", "--json"], { cwd });
  expect(JSON.parse(json.out).subgraphs[0].tensors[1].name).toBe(name);
});

describe("drop-in fronts", () => {
  test("a copy of the executable with a front's name is that front", async () => {
    const program = executable("circle-quantizer");
    const words = ["--quantize_with_minmax", "float32", "uint8", "channel", "--output_type", "uint8"];
    await succeeded([...words, "recorded.circle", "copy.circle"], { cwd, program });
    await succeeded(["circle-quantizer", ...words, "recorded.circle", "word.circle"], { cwd });
    expect(readFileSync(join(cwd, "copy.circle"))).toEqual(readFileSync(join(cwd, "word.circle")));
    expect((await succeeded(["--help"], { cwd, program })).out).toStartWith("Usage: minmaxq circle-quantizer");
    await refused(["inspect", "recorded.circle"], { cwd, program }, 2, "exactly one of");
  });

  test("record-minmax", async () => {
    const words = ["--input_model", "model.tflite", "--output_model", "recorded.model.circle"];
    const { code, err } = await minmaxq(["record-minmax", ...words, "--mode", "moving_average"], { cwd });
    // Off a terminal short work says nothing of its progress.
    expect({ code, err }).toEqual({ code: 0, err: "" });
    const { out } = await succeeded(["inspect", "recorded.model.circle", "--operators"], { cwd });
    expect(out).toMatch(/CONV_2D .* range -/);
  });
});
