/** `.npy` and `.npz`. */
import { describe, expect, test } from "bun:test";
import { deflateRawSync } from "node:zlib";
import { zipSync } from "fflate";
import { openDataSet } from "../../src/calibration/dataset.ts";
import { all, bytesOf, file, floats, folder, messageOf, npy, spec } from "./support.ts";

const X = spec("x", "FLOAT32", [2, 3]);
const twelve = floats(...Array.from({ length: 12 }, (_, i) => i));
const halves = [[twelve.slice(0, 24)], [twelve.slice(24)]];

describe("npy", () => {
  for (const major of [1, 2, 3]) {
    test(`version ${major}, first axis counts records`, async () => {
      const path = file(folder(), "a.npy", npy("<f4", [2, 2, 3], twelve, { major }));
      const data = await openDataSet(path, [X]);
      expect(data.count).toBe(2);
      expect(await all(data)).toEqual(halves);
      // A second pass gives the same.
      expect(await all(data)).toEqual(halves);
    });
  }

  test("batches of one concatenated along the first axis", async () => {
    const path = file(folder(), "a.npy", npy("<f4", [4, 3], twelve));
    const records = await all(await openDataSet(path, [spec("x", "FLOAT32", [1, 3])]));
    expect(records).toEqual([0, 12, 24, 36].map((at) => [twelve.slice(at, at + 12)]));
  });

  test("one record of just the shape", async () => {
    const path = file(folder(), "a.npy", npy("<f4", [3, 4], twelve));
    expect(await all(await openDataSet(path, [spec("x", "FLOAT32", [3, 4])]))).toEqual([[twelve]]);
  });

  test("scalars", async () => {
    const path = file(folder(), "a.npy", npy("<i8", [2], bytesOf(BigInt64Array.of(5n, -1n))));
    expect(await all(await openDataSet(path, [spec("x", "INT64", [])]))).toEqual(
      [5n, -1n].map((value) => [bytesOf(BigInt64Array.of(value))]),
    );
  });

  test("Fortran order, made by NumPy: np.asfortranarray(np.arange(12, dtype='<f4').reshape(2, 3, 2))", async () => {
    const made =
      "k05VTVBZAQB2AHsnZGVzY3InOiAnPGY0JywgJ2ZvcnRyYW5fb3JkZXInOiBUcnVlLCAnc2hhcGUnOiAoMiwgMywgMiksIH0gICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgIAoAAAAAAADAQAAAAEAAAABBAACAQAAAIEEAAIA/AADgQAAAQEAAABBBAACgQAAAMEE=";
    const path = file(folder(), "a.npy", Buffer.from(made, "base64"));
    expect(await all(await openDataSet(path, [spec("x", "FLOAT32", [3, 2])]))).toEqual(halves);
    expect(await all(await openDataSet(path, [spec("x", "FLOAT32", [2, 3, 2])]))).toEqual([[twelve]]);
  });

  test("big-endian numbers are turned round", async () => {
    const turned = twelve.slice();
    for (let at = 0; at < 48; at += 4) turned.subarray(at, at + 4).reverse();
    const path = file(folder(), "a.npy", npy(">f4", [2, 2, 3], turned));
    expect(await all(await openDataSet(path, [X]))).toEqual(halves);
  });

  test("known by its first bytes when the name says nothing", async () => {
    const path = file(folder(), "sample", npy("<f4", [2, 2, 3], twelve));
    expect((await openDataSet(path, [X])).count).toBe(2);
  });

  test("type and shape that do not fit are reported together, with both sides", async () => {
    const path = file(folder(), "a.npy", npy("<f8", [5, 2], new Uint8Array(80)));
    const message = await messageOf(() => openDataSet(path, [X]));
    expect(message).toContain('holds FLOAT64, model input "x" (FLOAT32 [2, 3]) wants FLOAT32');
    expect(message).toContain("has shape [5, 2]");
  });

  const damaged: [string, Uint8Array, string][] = [
    ["nothing", new Uint8Array(0), "only 0 bytes"],
    ["no magic", Buffer.from("hello, hello, hello"), "does not begin with"],
    ["unknown version", npy("<f4", [2, 2, 3], twelve, { major: 9 }), "version 9.0"],
    ["header cut", npy("<f4", [2, 2, 3], twelve).slice(0, 40), "header claims"],
    ["data cut", npy("<f4", [2, 2, 3], twelve).slice(0, -1), "has 47 bytes of data where its header"],
    ["data too long", npy("<f4", [2, 2, 3], Uint8Array.of(...twelve, 0)), "has 49 bytes of data"],
    ["no type", npy("nonsense", [2, 2, 3], twelve), "element type 'nonsense' is not known"],
    ["no records", npy("<f4", [0, 2, 3], new Uint8Array(0)), "holds no records"],
    ["objects", npy("|O", [1], new Uint8Array(8)), "pickled Python objects"],
    ["structures", npy("[('a', '<f4'), ('b', '<f4')]", [1], new Uint8Array(8)), "structured elements"],
  ];
  for (const [what, bytes, expected] of damaged) {
    test(`refuses ${what}`, async () => {
      const path = file(folder(), "a.npy", bytes);
      const message = await messageOf(() => openDataSet(path, [X]));
      expect(message).toContain(expected);
      expect(message).toContain(path);
    });
  }

  test("one array cannot feed two inputs", async () => {
    const path = file(folder(), "a.npy", npy("<f4", [2, 2, 3], twelve));
    expect(await messageOf(() => openDataSet(path, [X, X]))).toContain("cannot feed 2 model inputs");
  });
});

describe("npz", () => {
  const array = npy("<f4", [2, 2, 3], twelve);
  const numbers = npy("<i4", [2, 1], bytesOf(Int32Array.of(7, 8)));
  const N = spec("n", "INT32", [1]);
  const both = [0, 1].map((i) => [twelve.slice(24 * i, 24 * i + 24), bytesOf(Int32Array.of(7 + i))]);

  test("made by NumPy, compressed: np.savez_compressed(a=np.arange(12, dtype='<f4').reshape(2, 3, 2), b=[[1], [2]])", async () => {
    const made =
      "UEsDBC0AAAAIAAAAIQBcLdtX//////////8FABQAYS5ucHkBABAAsAAAAAAAAABpAAAAAAAAAJvsF+obEMnIUMZQrZ6SWpxcpG6loG6TZqKuo6Cell9UUpSYF59flJIKEndLzClOBYoXZyQWpAL5GkY6CsY6CkaaOgq1CuQBLgYwaLAHEg5ABMQNQLwAiA8A8QMgZnBkYBAAYgUgNnAEAFBLAwQtAAAACAAAACEA9GmA+P//////////BQAUAGIubnB5AQAQAJAAAAAAAAAATAAAAAAAAACb7BfqGxDJyFDGUK2eklqcXKRupaBuk2mhrqOgnpZfVFKUmBefX5SSChJ3S8wpTgWKF2ckFqQC+RpGOgqGmjoKtQpkAy5GBghggtIAUEsBAi0DLQAAAAgAAAAhAFwt21dpAAAAsAAAAAUAAAAAAAAAAAAAAIABAAAAAGEubnB5UEsBAi0DLQAAAAgAAAAhAPRpgPhMAAAAkAAAAAUAAAAAAAAAAAAAAIABoAAAAGIubnB5UEsFBgAAAAACAAIAZgAAACMBAAAAAA==";
    const path = file(folder(), "a.npz", Buffer.from(made, "base64"));
    const data = await openDataSet(path, [spec("b", "INT64", [1]), spec("a", "FLOAT32", [3, 2])]);
    expect(await all(data)).toEqual([0, 1].map((i) => [bytesOf(BigInt64Array.of(BigInt(i + 1))), halves[i]![0]!]));
  });

  for (const level of [0, 6] as const) {
    test(`entries by name, ${level === 0 ? "stored" : "deflated"}; others are left alone`, async () => {
      const zip = zipSync({ "n.npy": numbers, "labels.npy": npy("|O", [1], floats(1)), "x.npy": array }, { level });
      const data = await openDataSet(file(folder(), "a.npz", zip), [X, N]);
      expect(data.description).toContain("2 records");
      expect(await all(data)).toEqual(both);
    });
  }

  test("positional names, and a lone entry of any name", async () => {
    const where = folder();
    const positional = file(where, "a.npz", zipSync({ "arr_1.npy": numbers, "arr_0.npy": array }));
    expect(await all(await openDataSet(positional, [X, N]))).toEqual(both);
    const lone = file(where, "b.npz", zipSync({ "whatever.npy": array }));
    expect(await all(await openDataSet(lone, [X]))).toEqual(halves);
  });

  test("a large entry is read in pieces", async () => {
    const values = Float32Array.from({ length: 6 * 50_000 }, (_, i) => Math.sin(i));
    const zip = zipSync({ "x.npy": npyOfFloats([50_000, 2, 3], values) });
    const data = await openDataSet(file(folder(), "a.npz", zip), [X]);
    let at = 0;
    for await (const [x] of data.records()) {
      expect(new Float32Array(x!.buffer)).toEqual(values.slice(at, at + 6));
      at += 6;
    }
    expect(at).toBe(values.length);
  });

  test("problems of all entries at once", async () => {
    const zip = zipSync({ "n.npy": npy("<f4", [2, 1], floats(1, 2)), "y.npy": array });
    const message = await messageOf(async () => openDataSet(file(folder(), "a.npz", zip), [X, N]));
    expect(message).toContain('has no entry for model input "x"');
    expect(message).toContain('its entries are "n", "y"');
    expect(message).toContain('holds FLOAT32, model input "n" (INT32 [1]) wants INT32');
  });

  test("different numbers of records", async () => {
    const zip = zipSync({ "x.npy": array, "n.npy": npy("<i4", [1, 1], bytesOf(Int32Array.of(1))) });
    expect(await messageOf(() => openDataSet(file(folder(), "a.npz", zip), [X, N]))).toContain('"x" 2, "n" 1');
  });

  test("refuses damage: no zip, cut, packed data broken, checksum", async () => {
    const where = folder();
    const zip = zipSync({ "x.npy": array });
    const open = (bytes: Uint8Array) => async () => {
      await all(await openDataSet(file(where, "a.npz", bytes), [X]));
    };
    expect(await messageOf(open(Buffer.from("nothing like a zip at all")))).toContain("no central directory");
    expect(await messageOf(open(zip.slice(0, -30)))).toContain("truncated");
    const stored = zipSync({ "x.npy": array }, { level: 0 });
    const at = Buffer.from(stored).indexOf(Buffer.from(twelve.slice(4, 12)));
    stored[at]! ^= 1;
    expect(await messageOf(open(stored))).toContain("checksum differs");
    const packed = deflateRawSync(array);
    const broken = zip.slice();
    broken.fill(0xff, Buffer.from(broken).indexOf(packed.subarray(0, 6)) + 20, -80);
    expect(await messageOf(open(broken))).toContain("a.npz");
  });
});

function npyOfFloats(shape: number[], values: Float32Array): Uint8Array {
  const header = npy("<f4", shape, new Uint8Array(0));
  const bytes = new Uint8Array(header.length + values.byteLength);
  bytes.set(header);
  bytes.set(bytesOf(values), header.length);
  return bytes;
}
