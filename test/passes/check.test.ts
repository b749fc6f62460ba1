/** What is refused before anything changes: weights that are no constants, bad ranges, ranges that are not there. */
import { describe, expect, test } from "bun:test";
import type { Model } from "../../src/model/index.ts";
import { checkRanges } from "../../src/passes/float/check-ranges.ts";
import { checkBefore } from "../../src/passes/minmax/check-before.ts";
import { model, recorded } from "../helpers/models.ts";
import { dropIn, refusal, spaceOf } from "./support.ts";

const graphOf = async (made: Model) => (await spaceOf(made)).graphs[0]!;
const before = (made: Model) => refusal(async () => checkBefore(await graphOf(made)));
const ranges = (made: Model) => refusal(async () => checkRanges(await graphOf(made)));

/** §2.4: operator, its operands by role; those after "!" must be constants. */
const LISTED = [
  ["PRELU", "x !alpha"],
  ["RMS_NORM", "x !gamma"],
  ["CONV_2D", "x !filter !bias"],
  ["DEPTHWISE_CONV_2D", "x !filter !bias"],
  ["FULLY_CONNECTED", "x !weights !bias"],
  ["INSTANCE_NORM", "x !gamma !beta"],
  ["TRANSPOSE_CONV", "!inputSizes !filter x !bias"],
] as const;

/** One operator whose operand `computed` is a graph input; -1: all are constants, "absent": the last is missing. */
function listed(op: string, operands: string, computed: number, absent = false): Model {
  const names = operands.split(" ").map((name) => name.replace("!", ""));
  const given = absent ? [...names.slice(0, -1), ""] : names;
  const inputs = given.filter((name, i) => name === "x" || i === computed);
  return model(inputs, ["y"], (graph) => {
    given.forEach((name, i) => {
      const range = recorded(-1, 1);
      if (name === "x" || i === computed) graph.tensor(name, [2], "FLOAT32", range);
      else if (name === "inputSizes") graph.constant(name, [1], Int32Array.of(1));
      else if (name) graph.constant(name, [2], Float32Array.of(1, 2));
    });
    graph.tensor("y", [2], "FLOAT32", recorded(-1, 1)).operator(op as "PRELU", given, ["y"]);
  });
}

describe.each(LISTED)("%s", (op, operands) => {
  operands.split(" ").forEach((name, i) => {
    if (name[0] !== "!") return;
    test(`${name.slice(1)} must be a constant`, async () => {
      const message = await before(listed(op, operands, i));
      expect(message).toContain(`${op} "y"`);
      expect(message).toContain(`"${name.slice(1)}"`);
      expect(message.split("\n").length).toBe(1);
    });
  });

  test("constants and absent operands are fine", async () => {
    checkBefore(await graphOf(listed(op, operands, -1)));
    checkBefore(await graphOf(listed(op, operands, -1, true)));
  });
});

test("computed operands of BATCH_MATMUL are fine, and unreachable operators are not looked at", async () => {
  const made = model(["a", "b"], ["y"], (graph) =>
    graph
      .tensor("a", [2], "FLOAT32", recorded(-1, 1))
      .tensor("b", [2], "FLOAT32", recorded(-1, 1))
      .tensor("y", [2], "FLOAT32", recorded(-1, 1))
      .tensor("dead", [2], "FLOAT32", recorded(-1, 1))
      .operator("BATCH_MATMUL", ["a", "b"], ["y"])
      .operator("PRELU", ["a", "b"], ["dead"]),
  );
  checkBefore(await graphOf(made));
});

/** x → ABS → y; both ranges are given. */
const simple = (x: [number, number], y: [number, number]) =>
  model(["x"], ["y"], (graph) =>
    graph
      .tensor("x", [2], "FLOAT32", recorded(...x))
      .tensor("y", [2], "FLOAT32", recorded(...y))
      .operator("ABS", ["x"], ["y"]),
  );

describe("ranges that make no sense", () => {
  test.each<[number, number]>([
    [1, -1],
    [0.5, 0.25],
    [Number.NaN, 1],
    [0, Number.NaN],
    [Number.NEGATIVE_INFINITY, 0],
    [0, Number.POSITIVE_INFINITY],
  ])("%p to %p", async (min, max) => {
    const wrong = await before(simple([min, max], [0, 1]));
    expect(wrong).toContain('input "x"');
    expect(wrong).not.toContain('"y"');
    const both = await before(simple([min, max], [min, max]));
    expect(both).toContain('input "x"');
    expect(both.match(/ABS "y"/g)!.length).toBe(1);
    expect(await refusal(() => dropIn(simple([0, 1], [min, max])))).toContain('ABS "y"');
  });

  test("a single value and the largest floats are fine", async () => {
    const largest = 3.4028234663852886e38;
    checkBefore(await graphOf(simple([2, 2], [-largest, largest])));
  });
});

test("ranges of constants and of what is quantized already are not looked at", async () => {
  const upsideDown = recorded(5, -5);
  const made = model(["x", "q"], ["y", "z"], (graph) =>
    graph
      .tensor("x", [2], "FLOAT32", recorded(-1, 1))
      .tensor("q", [2], "UINT8", {
        quantization: { ...upsideDown.quantization, scale: Float32Array.of(1), zeroPoint: BigInt64Array.of(0n) },
      })
      .constant("k", [2], Float32Array.of(1, 2), upsideDown)
      .tensor("y", [2], "FLOAT32", recorded(-1, 3))
      .tensor("z", [2], "UINT8")
      .operator("ADD", ["x", "k"], ["y"])
      .operator("ABS", ["q"], ["z"]),
  );
  checkBefore(await graphOf(made));
});

describe("ranges that are not there", () => {
  const missing = model(["x"], ["y", "z"], (graph) =>
    graph
      .tensor("x", [2])
      .tensor("y", [2])
      .tensor("z", [2], "BOOL")
      .tensor("a", [2])
      .tensor("b", [2], "FLOAT32", recorded(-1, 1))
      .tensor("dead", [2])
      .constant("i", [], Int32Array.of(0))
      .operator("SPLIT", ["i", "x"], ["a", "b"])
      .operator("ADD", ["a", "b"], ["y"])
      .operator("LESS", ["a", "b"], ["z"])
      .operator("ABS", ["x"], ["dead"]),
  );

  test("are all named at once, and nothing else", async () => {
    const message = await ranges(missing);
    const lines = message.split("\n").slice(1);
    expect(lines.map((line) => line.match(/"(.*)"/)![1]).toSorted()).toEqual(["a", "x", "y"]);
    expect(message).toContain("no recorded range");
  });

  test("a single one is told as such, too", async () => {
    const message = await ranges(
      model(["x"], ["y"], (graph) =>
        graph.tensor("x", [2], "FLOAT32", recorded(-1, 1)).tensor("y", [2]).operator("ABS", ["x"], ["y"]),
      ),
    );
    expect(message).toContain('ABS "y"');
    expect(message).toContain("no recorded range");
  });

  test("nothing is missing", async () => {
    checkRanges(await graphOf(simple([0, 1], [0, 1])));
  });
});
