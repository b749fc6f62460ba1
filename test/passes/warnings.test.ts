/** Warnings that are known once all scales are there: what each names, and where it says nothing. Numbers are computed by hand. */
import { describe, expect, test } from "bun:test";
import type { Model } from "../../src/model/index.ts";
import { noteWarnings } from "../../src/passes/warnings.ts";
import { model, recorded } from "../helpers/models.ts";
import { dropIn, quantize, type Setup, written } from "./support.ts";

async function warningsOf(made: Model, setup: Setup = {}, reference = false) {
  const space = reference ? await dropIn(made, setup) : await quantize(made, setup);
  await written(space);
  for (const graph of space.graphs) noteWarnings(graph, space.context);
  return space.context.notes.filter(({ kind }) => kind === "warning");
}

const relu = (min: number, max: number) =>
  model(["x"], ["y"], (graph) =>
    graph
      .tensor("x", [4], "FLOAT32", recorded(0, 1))
      .tensor("y", [4], "FLOAT32", recorded(min, max))
      .operator("ABS", ["x"], ["y"]),
  );

describe("smallest-scale", () => {
  test("names the tensor, the bits that are left and the scale", async () => {
    const [note, ...rest] = await warningsOf(relu(0, 3.1e-4));
    expect(rest).toEqual([]);
    expect(note).toMatchObject({ code: "smallest-scale", tensor: "y", subgraph: 0 });
    // 3.1e-4 / 1e-5 + 1 = 32 values: 5 bits.
    expect(note!.numbers!.bits).toBeCloseTo(5, 5);
    expect(note!.text).toContain("5.0 of 8 bits are left");
  });

  test("says nothing of zeros, of ranges just below the limit, and of int16 with its smaller scale", async () => {
    // 255 steps of 1e-5 are 0.00255; with 0.002 there are 7.6 bits left.
    for (const max of [0, 0.002, 1]) expect(await warningsOf(relu(0, max))).toEqual([]);
    expect(await warningsOf(relu(0, 3.1e-4), { dtype: "INT16" })).toEqual([]);
  });

  test("is none of the drop-in front's", async () => {
    expect(await warningsOf(relu(0, 3.1e-4), {}, true)).toEqual([]);
  });
});

describe("few-levels", () => {
  const joined = (op: "CONCATENATION" | "PACK", scores: number) =>
    model(["a", "b"], ["y"], (graph) =>
      graph
        .tensor("a", [4], "FLOAT32", recorded(0, 640))
        .tensor("b", [4], "FLOAT32", recorded(0, scores))
        .tensor("boxes", [4], "FLOAT32", recorded(0, 640))
        .tensor("scores", [4], "FLOAT32", recorded(0, scores))
        .tensor("y", op === "PACK" ? [2, 4] : [8], "FLOAT32", recorded(0, 640))
        .operator("ABS", ["a"], ["boxes"])
        .operator("ABS", ["b"], ["scores"])
        .operator(op, ["boxes", "scores"], ["y"]),
    );

  for (const op of ["CONCATENATION", "PACK"] as const) {
    test(`${op}: the narrow operand, its bits in the common scale`, async () => {
      const notes = await warningsOf(joined(op, 5));
      expect(notes).toMatchObject([{ code: "few-levels", tensor: "scores" }]);
      // Steps of 640/255: 5 / 2.51 + 1 = 2.99 values.
      expect(notes[0]!.numbers!.bits).toBeCloseTo(Math.log2(5 / (640 / 255) + 1), 4);
      expect(notes[0]!.text).toContain(`keeps 1.6 of 8 bits in ${op} "y"`);
    });
  }

  test("says nothing where 4 bits are left, and nothing in int16", async () => {
    expect(await warningsOf(joined("CONCATENATION", 38))).toEqual([]);
    expect(await warningsOf(joined("CONCATENATION", 5), { dtype: "INT16" })).toEqual([]);
  });
});

describe("output-undoes-layer", () => {
  const layers = { y: { dtype: "INT16", granularity: "channel" } } as const;

  test("an int16 layer whose output is uint8", async () => {
    const notes = await warningsOf(relu(0, 1), { layers });
    expect(notes).toMatchObject([{ code: "output-undoes-layer", tensor: "y" }]);
    expect(notes[0]!.text).toContain("add --output-dtype int16");
  });

  test("not where the output is int16, too", async () => {
    expect(await warningsOf(relu(0, 1), { layers, outputDtypes: ["INT16"] })).toEqual([]);
  });
});
