/** List files, folders, made-up data, and what a location is taken for. */
import { describe, expect, test } from "bun:test";
import { mkdirSync } from "node:fs";
import { join, relative } from "node:path";
import { openDataSet } from "../../src/calibration/dataset.ts";
import { xoshiro128, xoshiro128From } from "../../src/calibration/random.ts";
import { all, bytesOf, file, floats, folder, messageOf, npy, spec } from "./support.ts";

const A = spec("a", "FLOAT32", [2]);
const B = spec("b", "INT32", [1]);
const a = [floats(1, 2), floats(3, 4)];
const b = [bytesOf(Int32Array.of(5)), bytesOf(Int32Array.of(6))];
const both = [0, 1].map((i) => [a[i]!, b[i]!]);
const joined = (i: number) => Uint8Array.of(...a[i]!, ...b[i]!);

describe("list", () => {
  test("one file an input, or one with all; blank lines and CR are nothing; names from the list's folder", async () => {
    const where = folder();
    file(where, "a0", a[0]!);
    file(where, "b0", b[0]!);
    file(where, "all 1.bin", joined(1));
    const path = file(where, "data.list", "a0 b0\r\n\n  all 1.bin  \n");
    expect(await all(await openDataSet(path, [A, B]))).toEqual(both);
  });

  test("names from the current folder come first", async () => {
    const where = folder();
    const name = relative(process.cwd(), file(where, "x", a[0]!));
    const path = file(where, "data.txt", `${name}\n${file(where, "y", a[1]!)}`);
    expect(await all(await openDataSet(path, [A]))).toEqual([[a[0]!], [a[1]!]]);
  });

  test("all problems at once: missing, wrong size, wrong number of names", async () => {
    const where = folder();
    file(where, "a0", floats(1));
    file(where, "b0", b[0]!);
    const path = file(where, "data.txt", "a0 b0\na0 none\na0 b0 b0\n");
    const message = await messageOf(() => openDataSet(path, [A, B]));
    expect(message).toContain('a0: has 4 bytes, model input "a" (FLOAT32 [2]) needs 8');
    expect(message).toContain(`data.txt:2: there is no file "none"`);
    expect(message).toContain("data.txt:3: wrong number of inputs: 3 names for 2 model inputs");
  });

  test("an empty list", async () => {
    expect(await messageOf(() => openDataSet(file(folder(), "x.txt", "\n\n"), [A]))).toContain("holds no records");
  });
});

describe("folder", () => {
  test("raw files by name, all inputs in one", async () => {
    const where = folder();
    file(where, "1.bin", joined(1));
    file(where, "0.bin", joined(0));
    file(where, ".hidden", "x");
    mkdirSync(join(where, "sub"));
    expect(await all(await openDataSet(where, [A, B]))).toEqual(both);
    expect((await openDataSet(where, [A, B], { format: "dir" })).count).toBe(2);
  });

  test("npy files: one a record", async () => {
    const where = folder();
    file(where, "0.npy", npy("<f4", [2], a[0]!));
    file(where, "1.npy", npy("<f4", [1, 2], a[1]!));
    expect(await all(await openDataSet(where, [A]))).toEqual([[a[0]!], [a[1]!]]);
  });

  test("npy files: NAME_0 and NAME_1 for two inputs", async () => {
    const where = folder();
    for (const i of [0, 1]) {
      file(where, `r_${i}_0.npy`, npy("<f4", [2], a[i]!));
      file(where, `r_${i}_1.npy`, npy("<i4", [1], b[i]!));
    }
    expect(await all(await openDataSet(where, [A, B]))).toEqual(both);
  });

  test("problems", async () => {
    const where = folder();
    file(where, "0.bin", floats(1));
    file(where, "1.bin", floats(1, 2, 3));
    const message = await messageOf(() => openDataSet(where, [A]));
    expect(message).toContain("0.bin: has 4 bytes");
    expect(message).toContain("1.bin: has 12 bytes");
    file(where, "2.npy", npy("<f4", [2], a[0]!));
    expect(await messageOf(() => openDataSet(where, [A]))).toContain(
      'holds 2 other files (e.g. "0.bin") and 1 .npy file (e.g. "2.npy"); a folder holds one kind',
    );
    expect(await messageOf(() => openDataSet(folder(), [A]))).toContain("holds no records");

    const pairs = folder();
    file(pairs, "x_0.npy", npy("<f4", [2], a[0]!));
    file(pairs, "y.npy", npy("<f4", [2], a[0]!));
    const missing = await messageOf(() => openDataSet(pairs, [A, B]));
    expect(missing).toContain('x_1.npy: there is no such file (input 1 of record "x")');
    expect(missing).toContain("y.npy: a model with 2 inputs needs NAME_0.npy");
  });

  test("thousands of bad files are summed up", async () => {
    const where = folder();
    for (let i = 0; i < 40; i++) file(where, `${i}.bin`, "x");
    const message = await messageOf(() => openDataSet(where, [A]));
    expect(message).toContain("40 problems");
    // The sentence, five of them, and how many more.
    expect(message.split("\n").length).toBe(7);
    expect(message).toEndWith("… and 35 more");
  });
});

describe("random", () => {
  const inputs = ["FLOAT32", "INT32", "INT64", "BOOL", "UINT8", "INT8", "INT16"].map((type) => spec(type, type, [500]));

  test("three records by default, the same every time, another seed others", async () => {
    const first = await openDataSet("random", inputs);
    expect(first.count).toBe(3);
    const records = await all(first);
    expect(await all(await openDataSet("random:3:0", inputs))).toEqual(records);
    expect(Bun.deepEquals(await all(await openDataSet("random:3:1", inputs)), records)).toBe(false);
  });

  test("values have their type's range", async () => {
    const records = await all(await openDataSet("random:20:7", inputs));
    const values = <T>(input: number, view: (bytes: Uint8Array) => Iterable<T>): T[] =>
      records.flatMap((record) => [...view(record[input]!)]);
    const float = values(0, (x) => new Float32Array(x.buffer));
    expect(Math.min(...float)).toBeGreaterThanOrEqual(-5);
    expect(Math.min(...float)).toBeLessThan(-4.99);
    expect(Math.max(...float)).toBeLessThan(5);
    expect(Math.max(...float)).toBeGreaterThan(4.99);
    for (const whole of [
      values(1, (x) => new Int32Array(x.buffer)),
      values(2, (x) => new BigInt64Array(x.buffer)).map(Number),
    ]) {
      expect(new Set(whole).size).toBe(101);
      expect([Math.min(...whole), Math.max(...whole)]).toEqual([0, 100]);
    }
    expect(new Set(values(3, (x) => x))).toEqual(new Set([0, 1]));
    expect(new Set(values(4, (x) => x)).size).toBe(256);
    expect(new Set(values(6, (x) => new Int16Array(x.buffer))).size).toBeGreaterThan(9000);
  });

  test("the generator is xoshiro128** 1.1", () => {
    // The published test vector for the state 1, 2, 3, 4 begins so; the seeded numbers are from a Python twin.
    const published = xoshiro128From(1, 2, 3, 4);
    expect(Array.from({ length: 4 }, published)).toEqual([11520, 0, 5927040, 70819200]);
    const seeded = xoshiro128(0);
    expect(Array.from({ length: 4 }, seeded)).toEqual([3809008728, 1133695204, 53579671, 2891528803]);
  });

  test("what it is not", async () => {
    expect(await messageOf(() => openDataSet("random:x", inputs))).toContain("random:COUNT:SEED");
    expect(await messageOf(() => openDataSet("random:0", inputs))).toContain("no records");
    expect(await messageOf(() => openDataSet("random", [spec("s", "FLOAT16", [1])]))).toContain("give real data");
  });
});

describe("locations", () => {
  test("unknown formats, types and places", async () => {
    expect(await messageOf(() => openDataSet("/nowhere/at.all", [A]))).toContain("there is no such file or folder");
    const odd = file(folder(), "data.csv", "1,2");
    expect(await messageOf(() => openDataSet(odd, [A]))).toContain("cannot be told from its name");
    expect(await messageOf(() => openDataSet(odd, [A], { format: "H5" }))).toContain('data format "H5" is not known');
    expect(await messageOf(() => openDataSet(odd, [spec("s", "STRING", [1])], { format: "list" }))).toContain(
      "is STRING",
    );
  });
});
