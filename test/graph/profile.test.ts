/** Profile data, read back by a parser of its own. */
import { describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { runCircleQuantizer } from "../../src/drop-in/circle-quantizer.ts";
import { MemoryBytes, readRange } from "../../src/model/bytes.ts";
import { type Model, openModel, readModel, writeModel } from "../../src/model/index.ts";
import { type GraphBuilder, model, recorded } from "../helpers/models.ts";

/** Independent of ours: one pass over the words of a table. */
function parse(model: Model, name: string): Uint8Array | undefined {
  const entries = (model.metadata ?? []).filter((each) => each.name === name);
  expect(entries.length).toBeLessThanOrEqual(1);
  const data = entries[0] && model.buffers![entries[0].buffer!]!.data;
  return data && "source" in data ? readRange(data) : undefined;
}

function profileOf(path: string) {
  const { model } = readModel(new MemoryBytes(readRange({ ...whole(path) })));
  const sources = parse(model, "ONE_source_table");
  const operators = parse(model, "ONE_op_table");
  if (!sources || !operators) return null;
  const names: [number, string][] = [];
  const view = new DataView(sources.buffer);
  let at = 4;
  for (let left = view.getUint32(0, true); left > 0; left--) {
    const id = view.getUint32(at, true);
    const length = view.getUint32(at + 4, true);
    const text = [...sources.subarray(at + 8, at + 8 + length)];
    expect(text.indexOf(0)).toBe(length - 1);
    names.push([id, new TextDecoder().decode(Uint8Array.from(text.slice(0, -1)))]);
    at += 8 + length;
  }
  expect(at).toBe(sources.length);
  const words = [...new Uint32Array(operators.buffer)];
  const rows: [number, number[]][] = [];
  for (let word = 1; word < words.length; word += 2 + words[word + 1]!) {
    rows.push([words[word]!, words.slice(word + 2, word + 2 + words[word + 1]!)]);
  }
  expect(rows.length).toBe(words[0]!);
  const written = model.subgraphs![0]!;
  const results = written.operators!.map(({ outputs }) => written.tensors![outputs![0]!]!.name!);
  return { names, origins: Object.fromEntries(rows.map(([position, ids]) => [results[position]!, ids])) };
}

function whole(path: string) {
  const { source } = openModel(path);
  return { source, offset: 0, length: source.size };
}

/** x ─▶ RELU a ─▶ LOGISTIC b; `dead` is not reached. */
function fill(g: GraphBuilder): void {
  for (const name of ["x", "dead", "a", "b"]) g.tensor(name, [2], "FLOAT32", recorded(-1, 1));
  g.operator("ABS", ["x"], ["dead"]).operator("RELU", ["x"], ["a"]).operator("LOGISTIC", ["a"], ["b"]);
}

async function run(steps: string[][], made: Model = model(["x"], ["b"], fill)) {
  const folder = mkdtempSync(join(tmpdir(), "minmaxq-profile-"));
  try {
    let path = join(folder, "in.circle");
    await writeModel(made, path, { dialect: "circle" });
    for (const [index, words] of steps.entries()) {
      const next = join(folder, `${index}.circle`);
      await runCircleQuantizer([...words, path, next]);
      path = next;
    }
    return profileOf(path);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

const MINMAX = ["--quantize_with_minmax", "float32", "uint8", "channel"];
const NAMES = [
  [0, "dead"],
  [1, "a"],
  [2, "b"],
];

describe("--generate_profile_data", () => {
  test("lists all operators of the input and, for each written one, where it comes from", async () => {
    expect(await run([[...MINMAX, "--generate_profile_data"]])).toEqual({
      names: NAMES as [number, string][],
      origins: { a: [1], b: [2] },
    });
  });

  test("inserted operators belong to the operator behind which, else before which they stand", async () => {
    const words = [...MINMAX, "--input_type", "float32", "--output_type", "float32", "--generate_profile_data"];
    expect((await run([words]))!.origins).toEqual({ x_Quantize: [1], a: [1], b: [2], b_Dequantize: [2] });
  });

  test("is not written without the option (the reference always writes it)", async () => {
    expect(await run([MINMAX])).toBeNull();
  });

  test("of a step before keeps its sources, also where the option is not given again", async () => {
    const first = [...MINMAX, "--output_type", "int16", "--generate_profile_data"];
    const expected = { names: NAMES as [number, string][], origins: { a: [1], b: [2], b_Quantize: [2] } };
    for (const more of [[], ["--generate_profile_data"]])
      expect(await run([first, ["--force_quantparam", "a", "0.5", "1", ...more]])).toEqual(expected);
  });

  test("that is damaged is made anew", async () => {
    const made = model(["x"], ["b"], fill);
    for (const name of ["ONE_source_table", "ONE_op_table"]) {
      const bytes = Uint8Array.of(9, 0, 0, 0, 1, 0, 0, 0);
      const buffer = made.buffers!.push({ data: { source: new MemoryBytes(bytes), offset: 0, length: 8 } }) - 1;
      made.metadata = [...(made.metadata ?? []), { name, buffer }];
    }
    const profile = await run([[...MINMAX, "--generate_profile_data"]], made);
    expect(profile!.origins).toEqual({ a: [1], b: [2] });
  });
});
