/** Float16 and sparse constants become float32 constants of the graph, without a byte being read. */
import { describe, expect, test } from "bun:test";
import { importGraph } from "../../src/graph/import.ts";
import { DimensionType, type Model, type SparsityParameters, TensorType } from "../../src/model/index.ts";
import { expandConstants } from "../../src/passes/prepare/float-constants.ts";
import { type GraphBuilder, model, recorded } from "../helpers/models.ts";
import { generator, half } from "../kernels/oracle.ts";
import { weightsOf } from "../operators/oracle.ts";
import { dropIn, nodeOf, spaceOf, written } from "./support.ts";

const vector = (values: number[]) => ({ type: "Int32Vector" as const, value: { values: Int32Array.from(values) } });
const dense = (denseSize: number) => ({ format: DimensionType.DENSE, denseSize });
const csr = (segments: number[], indices: number[]) => ({
  format: DimensionType.SPARSE_CSR,
  arraySegments: vector(segments),
  arrayIndices: vector(indices),
});

interface Sparse {
  sparsity: SparsityParameters;
  packed: Float32Array;
}

/** Rows of `block` values; a block is stored if it has a value. Blocks of 1 are plain CSR. */
function byRows(values: Float32Array, rows: number, columns: number, block: number): Sparse {
  const segments = [0];
  const indices: number[] = [];
  const packed: number[] = [];
  for (let row = 0; row < rows; row++) {
    for (let at = 0; at < columns / block; at++) {
      const some = values.subarray(row * columns + at * block, row * columns + (at + 1) * block);
      if (some.every((v) => v === 0)) continue;
      indices.push(at);
      packed.push(...some);
    }
    segments.push(indices.length);
  }
  const sparsity: SparsityParameters =
    block === 1
      ? { traversalOrder: Int32Array.of(0, 1), dimMetadata: [dense(rows), csr(segments, indices)] }
      : {
          traversalOrder: Int32Array.of(0, 1, 2),
          blockMap: Int32Array.of(1),
          dimMetadata: [dense(rows), csr(segments, indices), dense(block)],
        };
  return { sparsity, packed: Float32Array.from(packed) };
}

/** Blocks of 2 × 4; blocks and what is in them in row-major order. */
function byBlocks(values: Float32Array, rows: number, columns: number): Sparse {
  const segments = [0];
  const indices: number[] = [];
  const packed: number[] = [];
  for (let r = 0; r < rows; r += 2) {
    for (let c = 0; c < columns; c += 4) {
      const some = [0, 1].flatMap((i) => [...values.subarray((r + i) * columns + c, (r + i) * columns + c + 4)]);
      if (some.every((v) => v === 0)) continue;
      indices.push(c / 4);
      packed.push(...some);
    }
    segments.push(indices.length);
  }
  const dimMetadata = [dense(rows / 2), csr(segments, indices), dense(2), dense(4)];
  const sparsity = { traversalOrder: Int32Array.of(0, 1, 2, 3), blockMap: Int32Array.of(0, 1), dimMetadata };
  return { sparsity, packed: Float32Array.from(packed) };
}

/** Columns first. */
function byColumns(values: Float32Array, rows: number, columns: number): Sparse {
  const segments = [0];
  const indices: number[] = [];
  const packed: number[] = [];
  for (let c = 0; c < columns; c++) {
    for (let r = 0; r < rows; r++) {
      const v = values[r * columns + c]!;
      if (v === 0) continue;
      indices.push(r);
      packed.push(v);
    }
    segments.push(indices.length);
  }
  const sparsity = { traversalOrder: Int32Array.of(1, 0), dimMetadata: [dense(columns), csr(segments, indices)] };
  return { sparsity, packed: Float32Array.from(packed) };
}

/** Rows of zeros, rows without any, and the rest in between. */
function mostlyZero(rows: number, columns: number): Float32Array<ArrayBuffer> {
  const next = generator(5);
  return Float32Array.from({ length: rows * columns }, (_, i) => {
    const row = Math.floor(i / columns);
    if (row === 1) return 0;
    return row === 2 || next() % 5 === 0 ? (next() % 100) / 8 - 6.1 : 0;
  });
}

const ROWS = 6;
const COLUMNS = 8;
const VALUES = mostlyZero(ROWS, COLUMNS);
const LAYOUTS: [string, Sparse][] = [
  ["rows", byRows(VALUES, ROWS, COLUMNS, 1)],
  ["columns", byColumns(VALUES, ROWS, COLUMNS)],
  ["rows of blocks of 4", byRows(VALUES, ROWS, COLUMNS, 4)],
  ["blocks of 2 × 4", byBlocks(VALUES, ROWS, COLUMNS)],
];

/** x → FULLY_CONNECTED with weights "w", which `fill` has to make. */
const withWeights = (fill: (graph: GraphBuilder) => void) =>
  model(["x"], ["y"], (graph) => {
    graph.tensor("x", [1, COLUMNS], "FLOAT32", recorded(-1, 1)).tensor("y", [1, ROWS], "FLOAT32", recorded(-2, 2));
    fill(graph);
    graph.constant("b", [ROWS], new Float32Array(ROWS)).operator("FULLY_CONNECTED", ["x", "w", "b"], ["y"]);
  });

const densified = ({ sparsity, packed }: Sparse) =>
  withWeights((graph) =>
    graph
      .constant("s", [ROWS, COLUMNS], packed, { sparsity })
      .tensor("w", [ROWS, COLUMNS])
      .operator("DENSIFY", ["s"], ["w"]),
  );

const sparseWeights = ({ sparsity, packed }: Sparse) =>
  withWeights((graph) => graph.constant("w", [ROWS, COLUMNS], packed, { sparsity }));

/** Bits, as those of -0 count. */
const bits = (values: readonly unknown[]) => [...new Uint32Array(Float32Array.from(values as number[]).buffer)];

describe.each(LAYOUTS)("sparse by %s", (_, sparse) => {
  test("behind DENSIFY", async () => {
    const { tensors, operators } = await written(await spaceOf(densified(sparse)));
    expect(operators).toEqual(["FULLY_CONNECTED(x, w, b) -> y"]);
    expect(bits(tensors.get("w")!.values!)).toEqual(bits([...VALUES]));
    expect(tensors.get("w")!.sparse).toBe(false);
    expect(tensors.has("s")).toBe(false);
  });

  test("read as it is", async () => {
    const { tensors } = await written(await spaceOf(sparseWeights(sparse)));
    expect(bits(tensors.get("w")!.values!)).toEqual(bits([...VALUES]));
    expect(tensors.get("w")!.sparse).toBe(false);
  });

  test("quantized", async () => {
    for (const made of [densified(sparse), sparseWeights(sparse)]) {
      const { tensors } = await written(await dropIn(made));
      expect(tensors.get("w")).toMatchObject(weightsOf("UINT8", "channel", VALUES, [ROWS, COLUMNS], 0));
    }
  });
});

test("sparse bytes that fill the tensor are dense for the reference only", async () => {
  // All values present, but stored by columns.
  const full = Float32Array.from({ length: ROWS * COLUMNS }, (_, i) => i + 1);
  const sparse = byColumns(full, ROWS, COLUMNS);
  const read = async (likeReference: boolean) =>
    (await written(await spaceOf(sparseWeights(sparse), { likeReference }))).tensors.get("w")!.values;
  expect(await read(true)).toEqual([...sparse.packed]);
  expect(await read(false)).toEqual([...full]);
  const behind = await written(await spaceOf(densified(sparse), { likeReference: true }));
  expect(behind.tensors.get("w")!.values).toEqual([...full]);
});

/** All kinds of float16: zeros, denormals, ties of rounding, the largest. */
const HALVES = Uint16Array.from({ length: ROWS * COLUMNS }, (_, i) =>
  i < 8 ? [0, 0x8000, 1, 0x8001, 0x3ff, 0x400, 0x7bff, 0xfbff][i]! : (0x3000 + i * 97) | (i % 2 ? 0x8000 : 0),
);
const FLOAT16 = { type: TensorType.FLOAT16 };
const halves = () =>
  withWeights((graph) =>
    graph
      .constant("h", [ROWS, COLUMNS], HALVES, FLOAT16)
      .tensor("w", [ROWS, COLUMNS])
      .operator("DEQUANTIZE", ["h"], ["w"]),
  );

describe("float16", () => {
  test("behind DEQUANTIZE", async () => {
    const { tensors, operators } = await written(await spaceOf(halves()));
    expect(operators).toEqual(["FULLY_CONNECTED(x, w, b) -> y"]);
    expect(bits(tensors.get("w")!.values!)).toEqual([...HALVES].map(half));
    expect(tensors.has("h")).toBe(false);
  });

  test("quantized", async () => {
    const values = new Float32Array(Uint32Array.from(HALVES, half).buffer);
    const { tensors } = await written(await dropIn(halves()));
    expect(tensors.get("w")).toMatchObject(weightsOf("UINT8", "channel", values, [ROWS, COLUMNS], 0));
  });

  test("sparse, behind DENSIFY and DEQUANTIZE", async () => {
    const kept = HALVES.map((h, i) => (i % 3 === 0 ? h : 0));
    // A packed "value" is a float16; positions are those of the same pattern in float32.
    const { sparsity } = byRows(Float32Array.from(kept, Number), ROWS, COLUMNS, 1);
    const packed = Uint16Array.from([...kept].filter((h) => h !== 0));
    const made = withWeights((graph) =>
      graph
        .constant("s", [ROWS, COLUMNS], packed, { ...FLOAT16, sparsity })
        .tensor("d", [ROWS, COLUMNS], "FLOAT16")
        .tensor("w", [ROWS, COLUMNS])
        .operator("DENSIFY", ["s"], ["d"])
        .operator("DEQUANTIZE", ["d"], ["w"]),
    );
    const { tensors, operators } = await written(await spaceOf(made));
    expect(operators).toEqual(["FULLY_CONNECTED(x, w, b) -> y"]);
    expect(bits(tensors.get("w")!.values!)).toEqual([...kept].map(half));
    expect([...tensors.keys()].sort()).toEqual(["b", "w", "x", "y"]);
  });

  test("is not converted where nothing dequantizes it", async () => {
    const made = withWeights((graph) => graph.constant("w", [ROWS, COLUMNS], HALVES, FLOAT16));
    expect(nodeOf((await spaceOf(made)).graphs[0]!, "w").dtype).toBe("FLOAT16");
  });
});

test("no byte is read", () => {
  for (const made of [halves(), densified(LAYOUTS[3]![1]), sparseWeights(LAYOUTS[0]![1])]) {
    const graph = importGraph(unreadable(made), 0);
    expandConstants(graph);
    const { kind, dtype, shape } = nodeOf(graph, "w");
    expect({ kind, dtype, shape: [...shape] }).toEqual({ kind: "constant", dtype: "FLOAT32", shape: [ROWS, COLUMNS] });
  }
});

function unreadable(made: Model): Model {
  const readInto = () => {
    throw new Error("bytes were read");
  };
  const buffers = made.buffers!.map(({ data }) =>
    data && "source" in data ? { data: { ...data, source: { ...data.source, readInto } } } : { data },
  );
  return { ...made, buffers: buffers as Model["buffers"] };
}

test("constants that nobody uses are not written", async () => {
  const made = withWeights((graph) =>
    graph.constant("w", [ROWS, COLUMNS], VALUES).constant("lonely", [3], Float32Array.of(1, 2, 3)),
  );
  const { tensors, model: after } = await written(await spaceOf(made));
  expect([...tensors.keys()].sort()).toEqual(["b", "w", "x", "y"]);
  expect(after.buffers!.length).toBe(3);
});
