/** Recording through both fronts, `record` and record-minmax: every data format, every option. */
import { describe, expect, test } from "bun:test";
import { mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { zipSync } from "fflate";
import type { Output } from "../../src/base/output.ts";
import { runProgram } from "../../src/cli/program.ts";
import { runRecordMinmax } from "../../src/drop-in/record-minmax.ts";
import { openModel, writeModel } from "../../src/model/index.ts";
import { model } from "./models.ts";
import { bytesOf, file, floats, folder, messageOf, npy } from "./support.ts";
import { draw, normal } from "./value-oracle.ts";

const said: string[] = [];
const output: Output = {
  print: (line) => said.push(line),
  tell: (line) => said.push(line),
  progress: () => () => {},
};

/** x FLOAT32 [1, 2], y = -x. */
async function negation(where: string): Promise<string> {
  const path = join(where, "model.circle");
  const of = model(["x"], ["y"], (graph) =>
    graph.tensor("x", [1, 2]).tensor("y", [1, 2]).operator("NEG", ["x"], ["y"]),
  );
  await writeModel(of, path, { dialect: "circle" });
  return path;
}

/** a FLOAT32 [1, 2] and b INT32 [1]; y = a. */
async function twoInputs(where: string): Promise<string> {
  const path = join(where, "two.circle");
  const of = model(["a", "b"], ["y"], (graph) =>
    graph.tensor("a", [1, 2]).tensor("b", [1], "INT32").tensor("y", [1, 2]).operator("NEG", ["a"], ["y"]),
  );
  await writeModel(of, path, { dialect: "circle" });
  return path;
}

function recorded(path: string): Record<string, [number, number]> {
  const opened = openModel(path);
  try {
    return Object.fromEntries(
      opened.model.subgraphs![0]!.tensors!.flatMap(({ name, quantization }) =>
        quantization?.min ? [[name, [quantization.min[0]!, quantization.max![0]!]]] : [],
      ),
    );
  } finally {
    opened.close();
  }
}

/** Runs both fronts; both have to write the same file. */
async function both(
  where: string,
  input: string,
  own: readonly string[],
  reference: readonly string[],
): Promise<Record<string, [number, number]>> {
  const [ours, theirs] = [join(where, "own.circle"), join(where, "reference.circle")];
  await runProgram(["record", input, "-o", ours, "--force", ...own], output);
  await runRecordMinmax(["--input_model", input, "--output_model", theirs, ...reference], output);
  expect(readFileSync(theirs).equals(readFileSync(ours))).toBe(true);
  return recorded(ours);
}

/** A file with value/R/0 = [[R + 1, 2R + 2]] '<f4' for R in 0..4. */
async function hdf5(path: string): Promise<string> {
  const h5 = await import("h5wasm/node");
  await h5.ready;
  const made = new h5.File(path, "w");
  const value = made.create_group("value");
  for (const r of [0, 1, 2, 3, 4])
    value.create_group(String(r)).create_dataset({ name: "0", data: Float32Array.of(r + 1, 2 * r + 2), shape: [1, 2] });
  made.close();
  return path;
}

describe("data formats", () => {
  const records = [1, 2, 3, 4, 5].map((r) => floats(r, 2 * r));
  const stack = Uint8Array.from(records.flatMap((record) => [...record]));
  const minmax = { x: [1, 10], y: [-10, -1] };
  const OWN = ["--mode", "minmax"];

  type Source = { data: string; formats: string[] };
  const sources: Record<string, (where: string) => Source | Promise<Source>> = {
    h5: async (where) => ({ data: await hdf5(join(where, "data.h5")), formats: ["h5", "hdf5"] }),
    list: (where) => {
      for (const [r, record] of records.entries()) file(where, `${r}.bin`, record);
      return { data: file(where, "data.txt", "0.bin\n1.bin\n2.bin\n3.bin\n4.bin\n"), formats: ["list", "filelist"] };
    },
    directory: (where) => {
      const inside = join(where, "records");
      mkdirSync(inside);
      for (const [r, record] of records.entries()) file(inside, `${r}.bin`, record);
      return { data: inside, formats: ["directory", "dir"] };
    },
    "directory of .npy": (where) => {
      const inside = join(where, "records");
      mkdirSync(inside);
      for (const [r, record] of records.entries()) file(inside, `${r}.npy`, npy("<f4", [1, 2], record));
      return { data: inside, formats: ["directory"] };
    },
    npy: (where) => ({ data: file(where, "data.npy", npy("<f4", [5, 2], stack)), formats: ["npy"] }),
    npz: (where) => ({
      data: file(where, "data.npz", zipSync({ "x.npy": npy("<f4", [5, 2], stack) })),
      formats: ["npz"],
    }),
  };
  for (const [name, make] of Object.entries(sources)) {
    test(name, async () => {
      const where = folder();
      const input = await negation(where);
      const { data, formats } = await make(where);
      for (const format of formats) {
        const reference = ["--input_data", data, "--input_data_format", format, "--mode", "minmax"];
        expect(await both(where, input, ["--data", data, ...OWN], reference)).toEqual(minmax as never);
        await both(where, input, ["--data", data, "--data-format", format], reference.slice(0, 4));
      }
    });
  }

  test("h5 is the reference's default, whatever the name", async () => {
    const where = folder();
    const input = await negation(where);
    const data = await hdf5(join(where, "data"));
    expect(await both(where, input, ["--data", data, ...OWN], ["--input_data", data, "--mode", "minmax"])).toEqual(
      minmax as never,
    );
  });

  test("several inputs: a list with a file each, and files with all of them", async () => {
    const where = folder();
    const input = await twoInputs(where);
    const b = bytesOf(Int32Array.of(3));
    records.forEach((record, r) => {
      file(where, `${r}a.bin`, record);
      file(where, `${r}b.bin`, b);
      file(where, `${r}.bin`, Uint8Array.from([...record, ...b]));
    });
    const each = file(where, "each.txt", records.map((_, r) => `${r}a.bin ${r}b.bin`).join("\n"));
    const whole = file(where, "whole.txt", records.map((_, r) => `${r}.bin`).join("\n"));
    for (const data of [each, whole]) {
      const reference = ["--input_data", data, "--input_data_format", "list", "--mode", "minmax"];
      const found = await both(where, input, ["--data", data, ...OWN], reference);
      expect(found).toEqual({ a: [1, 10], y: [-10, -1] });
    }
  });

  test("none: three made-up records in [-5, 5), the same each time", async () => {
    const where = folder();
    const found = await both(where, await negation(where), ["--data", "random:3", ...OWN], ["--mode", "minmax"]);
    expect(found.x![0]).toBeGreaterThanOrEqual(-5);
    expect(found.x![1]).toBeLessThan(5);
    expect(found.x![0]).toBeLessThan(found.x![1]);
  });
});

describe("options", () => {
  const made = async () => {
    const where = folder();
    const stack = draw(2 * 40, 3, normal);
    return { where, input: await negation(where), data: file(where, "data.npy", npy("<f4", [40, 2], bytesOf(stack))) };
  };
  const SAME: readonly [own: string[], reference: string[]][] = [
    [[], []],
    [
      ["--min-percentile", "5", "--max-percentile", "95.5"],
      ["--min_percentile", "5", "--max_percentile", "95.5"],
    ],
    [
      ["--mode", "moving_average", "--moving-avg-batch", "7", "--moving-avg-const", "0.25"],
      ["--mode", "moving_average", "--moving_avg_batch", "7", "--moving_avg_const", "0.25"],
    ],
    [
      ["--mode", "percentile_all"],
      ["--mode", "percentile_all"],
    ],
    [
      ["--mode", "percentile_all", "--min-percentile", "0.01", "--max-percentile", "99.99"],
      ["--mode", "percentile_all"],
    ],
    [
      ["--mode", "entropy"],
      ["--mode", "entropy"],
    ],
    [
      ["--mode", "mse"],
      ["--mode", "mse"],
    ],
    [
      ["--num-threads", "2"],
      ["--num_threads", "2", "--generate_profile_data", "--verbose"],
    ],
    [
      ["--num-threads", "1"],
      ["--num_threads", "3"],
    ],
    [
      ["--num-threads", "1"],
      ["--num_threads", "500"],
    ],
  ];
  test("the reference's and ours do the same", async () => {
    const { where, input, data } = await made();
    for (const [own, reference] of SAME)
      await both(
        where,
        input,
        ["--data", data, ...own],
        ["--input_data", data, "--input_data_format", "npy", ...reference],
      );
  });

  test("percentiles of all values cut off less than those of the samples", async () => {
    const { where, input, data } = await made();
    const run = (...own: string[]) =>
      runProgram(["record", input, "-o", join(where, "o.circle"), "--data", data, ...own], output);
    await run();
    expect(said.at(-1)).toContain("percentile 1–99 of 40 samples");
    await run("--mode", "percentile_all");
    expect(said.at(-1)).toContain("percentile 0.01–99.99 of all values of 40 samples");
    await run("--mode", "mse", "--dtype", "int16");
    expect(said.at(-1)).toContain("least squared error (int16) of 40 samples");
    expect(await messageOf(() => run("--mode", "entropy", "--dtype", "int16"))).toContain(
      "entropy is defined for 8 bits",
    );
  });

  test("refused, with the option and the value", async () => {
    const { where, input, data } = await made();
    const wrong: readonly [string[], string][] = [
      [["--num_threads", "0"], '--num_threads: "0" is not possible'],
      [["--num_threads", "-2"], '--num_threads: "-2" is not possible'],
      [["--num_threads", "1.5"], '--num_threads: "1.5" is not possible'],
      [["--min_percentile", "-1"], "--min_percentile"],
      [["--max_percentile", "many"], "--max_percentile"],
      [["--min_percentile", "60", "--max_percentile", "40"], "above the max percentile"],
      [["--moving_avg_batch", "0"], "--moving_avg_batch"],
      [["--moving_avg_const", "2"], "--moving_avg_const"],
      [["--mode", "median"], "--mode"],
      [["--input_data_format", "H5"], 'data format "H5" is not known'],
      [["--input_data_format", "h5"], "data.npy"],
    ];
    for (const [words, message] of wrong) {
      const path = join(where, "none.circle");
      const all = ["--input_model", input, "--output_model", path, "--input_data", data, ...words];
      expect(await messageOf(() => runRecordMinmax(all, output))).toContain(message);
      expect(await Bun.file(path).exists()).toBe(false);
    }
  });
});
