/** Sample data that do not fit, for `quantize --data` and `record`. */
import { beforeAll, describe, expect, test } from "bun:test";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { zipSync } from "fflate";
import { npy } from "../calibration/support.ts";
import { convolution, twoInputs, write } from "./models.ts";
import { cleanUpAfterwards, folder, minmaxq, refused, succeeded } from "./support.ts";

cleanUpAfterwards();

const cwd = folder();
const bytes = (count: number) => new Uint8Array(count);
const good = npy("<f4", [2, 4, 4, 2], new Uint8Array(Float32Array.from({ length: 64 }, (_, i) => i / 64).buffer));
const left = npy("<f4", [2, 1, 4], bytes(32));

function put(name: string, content: Uint8Array | string): void {
  writeFileSync(join(cwd, name), content);
}

beforeAll(async () => {
  await write(convolution(), join(cwd, "one.circle"));
  await write(twoInputs(), join(cwd, "two.circle"));
  put("good.npy", good);
  put("good.npz", zipSync({ "x.npy": good }));
  put("shape.npy", npy("<f4", [2, 5, 5, 2], bytes(400)));
  put("dtype.npy", npy("<i4", [2, 4, 4, 2], bytes(256)));
  put("empty.npy", npy("<f4", [0, 4, 4, 2], bytes(0)));
  put("nothing.npy", "");
  put("nan.npy", npy("<f4", [2, 4, 4, 2], new Uint8Array(new Float32Array(64).fill(Number.NaN).buffer)));
  const infinite = new Float32Array(64).map((_, i) => (i === 40 ? Number.POSITIVE_INFINITY : 0));
  put("infinite.npy", npy("<f4", [2, 4, 4, 2], new Uint8Array(infinite.buffer)));
  put("object.npy", npy("|O", [2, 4, 4, 2], bytes(256)));
  put("header.npy", good.subarray(0, 40));
  put("cut.npy", good.subarray(0, good.length - 5));
  put("cut.npz", zipSync({ "x.npy": good }).subarray(0, 90));
  put("none.npz", zipSync({}));
  put("count.npz", zipSync({ "left.npy": left }));
  put("lengths.npz", zipSync({ "left.npy": left, "right.npy": npy("<f4", [3, 1, 4], bytes(48)) }));
  put("cut.h5", Uint8Array.from([0x89, ...Buffer.from("HDF\r\n\x1a\n"), ...bytes(40)]));
  put("garbage.h5", "no HDF5 at all");
  put("missing.list", "good.raw\nno-1.raw\nno-2.raw\n");
  put("good.raw", bytes(128));
  put("small.list", "small.raw\n");
  put("small.raw", bytes(100));
  put("empty.list", "\n\n");
  mkdirSync(join(cwd, "folder"));
  mkdirSync(join(cwd, "sizes"));
  put("sizes/0.raw", bytes(128));
  put("sizes/1.raw", bytes(127));
});

describe("refused", () => {
  const rows: [data: string, model: string, ...says: (string | RegExp)[]][] = [
    ["nosuch.npz", "one.circle", "nosuch.npz: there is no such file", "--data|sample data"],
    ["shape.npy", "one.circle", "[2, 5, 5, 2]", "[1, 4, 4, 2]", '"x"'],
    ["dtype.npy", "one.circle", /int32|INT32|<i4/, "FLOAT32", '"x"'],
    ["empty.npy", "one.circle", /no records|at least one/],
    ["nothing.npy", "one.circle", "nothing.npy"],
    ["object.npy", "one.circle", "object.npy"],
    ["header.npy", "one.circle", "header.npy"],
    ["cut.npy", "one.circle", "cut.npy"],
    ["cut.npz", "one.circle", "cut.npz"],
    ["none.npz", "one.circle", "none.npz"],
    ["good.npz", "two.circle", "good.npz"],
    ["count.npz", "two.circle", "count.npz", '"right"'],
    ["lengths.npz", "two.circle", "lengths.npz", "2", "3"],
    ["missing.list", "one.circle", "no-1.raw", "no-2.raw"],
    ["small.list", "one.circle", "minmaxq: small.raw: ", "100", "128"],
    ["empty.list", "one.circle", "empty.list", /no records|at least one/],
    ["folder", "one.circle", "folder", /no records|no files|at least one/],
    ["sizes", "one.circle", "1.raw", "127", "128"],
    ["nan.npy", "one.circle", "nan.npy: ", 'input "x": samples 1, 2 (counted from 1) have 64 values that are NaN'],
    ["random:0", "one.circle", "random:0", "at least one"],
  ];
  for (const [data, model, ...says] of rows) {
    const patterns = says.map((each) => (typeof each === "string" && each.includes("|") ? new RegExp(each) : each));
    test(`${data} for ${model}`, async () => {
      for (const command of ["quantize", "record"])
        await refused([command, model, "--data", data, "-o", "out.circle"], { cwd }, 1, ...patterns);
    });
  }

  for (const data of ["cut.h5", "garbage.h5"])
    test(data, async () => {
      await refused(["record", "one.circle", "--data", data, "-o", "out.circle"], { cwd }, 1, data, "HDF5");
    });

  test("the output is never the data", async () => {
    const args = ["record", "one.circle", "--data", "good.npy", "-o", "./good.npy"];
    await refused(args, { cwd }, 1, "good.npy: is the input itself", "--force");
  });
});

test("infinite samples: record warns, quantize refuses", async () => {
  const data = ["one.circle", "--data", "infinite.npy", "-o"];
  const { code, err } = await minmaxq(["record", ...data, "infinite.circle"], { cwd });
  expect(code).toBe(0);
  expect(err).toContain('warning: "x" was 0 to Infinity, which cannot be quantized');
  await refused(["quantize", ...data, "out.circle"], { cwd }, 1, 'input "x": its recorded range is 0 to Infinity');
});

test("what fits works", async () => {
  const how = "percentile 1–99 of 2 samples";
  for (const [data, said] of [
    ["good.npy", how],
    ["good.npz", how],
    ["random:2:7", `ranges of random samples mean nothing (${how})`],
  ] as const) {
    const { out } = await succeeded(["record", "one.circle", "--data", data, "-o", "ok.circle"], { cwd });
    expect(out).toBe(`ok.circle: 4 ranges, ${said}\n`);
  }
});
