/** WHAT TABLES REFER TO BY NUMBER: the table against the schema, and what becomes of each reference when tensors move. */
import { describe, expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { inputSpecs } from "../../src/calibration/instrument.ts";
import { recordRanges } from "../../src/calibration/record.ts";
import { MemoryBytes, readRange } from "../../src/model/bytes.ts";
import { DIALECTS, type Model, openModel, readModel, serializeModel, type Tensor } from "../../src/model/index.ts";
import { REFERENCES } from "../../src/model/references.ts";
import { exportWorkspace } from "../../src/passes/workspace.ts";
import { model } from "../helpers/models.ts";
import { spaceOf } from "../passes/support.ts";

/** Numbers in fields that sound like references and are none. */
const PLAIN = new Set([
  "Tensor.externalBuffer", // refused: data in another file
  "Operator.debugMetadataIndex", // a line of a metadata buffer that is kept as it is
  "SubGraph.debugMetadataIndex",
  "StablehloGatherOptions.indexVectorDim",
  "StablehloGatherOptions.startIndexMap",
  "StablehloScatterOptions.indexVectorDim",
  "StablehloSliceOptions.limitIndices",
  "StablehloSliceOptions.startIndices",
]);
const SOUNDS_LIKE =
  /ind(ex|ices)|buffer|subgraph|tensor|computations|^(inputs|outputs|intermediates|scales|zeroPoints)$/i;

test("every field of the schema that holds an index is in the table, and nothing else", () => {
  const found = new Set<string>();
  for (const dialect of [DIALECTS.circle, DIALECTS.tflite])
    for (const [table, fields] of Object.entries(dialect.tables))
      for (const { name, kind, type, enum: of } of fields)
        if (/^scalars?$/.test(kind) && /^u?(int|long)$/.test(type) && !of && SOUNDS_LIKE.test(name))
          found.add(`${table}.${name}`);
  const known = Object.entries(REFERENCES).flatMap(([table, fields]) =>
    Object.keys(fields).map((f) => `${table}.${f}`),
  );
  expect([...found].filter((field) => !PLAIN.has(field)).sort()).toEqual(known.sort());
});

/** y = x · Wᵀ: row r of W is r + 1 times its scale 2^−r; the scales are named by W's details alone. */
function blockwise(): Model {
  const weights = Uint8Array.from({ length: 64 }, (_, i) => ((i >> 4) + 1) * 0x11);
  const half = Uint16Array.of(0x3c00, 0x3800, 0x3400, 0x3000);
  const details = { type: "BlockwiseQuantization" as const, value: { scales: 2, zeroPoints: -1, blockSize: 32 } };
  return model(["x"], ["y"], (graph) =>
    graph
      .constant("unused", [1], Float32Array.of(1))
      .tensor("x", [1, 32])
      .constant("scales", [4, 1], half, { type: 1 as Tensor["type"] })
      .constant("w", [4, 32], weights, { type: 17 as Tensor["type"], quantization: { details } })
      .tensor("y", [1, 4])
      .operator("FULLY_CONNECTED", ["x", "w"], ["y"], { type: "FullyConnectedOptions", value: {} }),
  );
}

/** The tensor that the block-wise weights name. */
function scalesOf(made: Model): Tensor | undefined {
  const tensors = made.subgraphs![0]!.tensors!;
  const details = tensors.find(({ name }) => name === "w")!.quantization!.details;
  if (details?.type !== "BlockwiseQuantization") throw new Error("no block-wise weights");
  expect(details.value!.zeroPoints).toBe(-1);
  return tensors[details.value!.scales!];
}

async function records(rows: Float32Array[], made: Model) {
  const copies = rows.map((row) => new Uint8Array(row.slice().buffer));
  const data = {
    description: "rows",
    count: rows.length,
    async *records() {
      for (const row of copies) yield [row.slice()];
    },
    close() {},
  };
  return recordRanges(made, data, { reduction: { kind: "minmax" } as never, workers: 1 });
}

describe("block-wise scales", () => {
  test.each(["circle", "tflite"] as const)("move with the tensor that they are (%s)", async (dialect) => {
    const { model: after } = exportWorkspace(await spaceOf(blockwise()));
    const bytes = await serializeModel(after, { dialect });
    const { model: read } = readModel(new MemoryBytes(bytes));
    expect(read.subgraphs![0]!.tensors!.map(({ name }) => name)).not.toContain("unused");
    const scales = scalesOf(read)!;
    expect([scales.name, Array.from(scales.shape!)]).toEqual(["scales", [4, 1]]);
    const { data } = read.buffers![scales.buffer!]!;
    expect(new Uint16Array(readRange(data as never).buffer)).toEqual(Uint16Array.of(0x3c00, 0x3800, 0x3400, 0x3000));
  });

  test("are an error where they name no tensor", async () => {
    const made = blockwise();
    const details = made.subgraphs![0]!.tensors![3]!.quantization!.details!;
    (details.value as { scales: number }).scales = 99;
    const bytes = await serializeModel(made, { dialect: "tflite" });
    expect(() => readModel(new MemoryBytes(bytes))).toThrow("quantization.details.scales: is 99, there are 5 tensors");
  });

  test("are run by LiteRT as they are", async () => {
    const ranges = await records([new Float32Array(32).fill(1)], blockwise());
    const { min, max } = [...ranges.values()].find(({ name }) => name === "y")!;
    // 32 · (r + 1) · 2^−r for r = 0 … 3
    expect(min).toBeCloseTo(16, 3);
    expect(max).toBeCloseTo(32, 3);
  });
});

const CASE = "../shared/cases/20-blockwise-scales-lost/fc_blockwise_int4.tflite";

test.if(existsSync(CASE))("fc_blockwise_int4 gives what native LiteRT gives", async () => {
  const opened = openModel(CASE);
  const [input] = inputSpecs(opened.model);
  const row = Float32Array.from({ length: 1024 }, (_, i) => ((i * 37) % 101) / 10 - 5);
  expect(input!.shape).toEqual([1, 1, 1024]);
  const ranges = await records([row], opened.model);
  opened.close();
  const { min, max } = [...ranges.values()].at(-1)!;
  // ai-edge-litert 2.1 on the same row.
  expect(min).toBeCloseTo(-12.775273, 4);
  expect(max).toBeCloseTo(9.825902, 4);
});
