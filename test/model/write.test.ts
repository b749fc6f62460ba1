/** Writing files: places, deferred contents, failures, very large files. */
import { afterAll, describe, expect, test } from "bun:test";
import { mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { MinmaxqError } from "../../src/base/errors.ts";
import { type Deferred, rangeOf, readRange } from "../../src/model/bytes.ts";
import {
  type Fill,
  type Model,
  OutputFile,
  openModel,
  planContents,
  removeTemporaryFiles,
  serializeModel,
  TensorType,
  writeModel,
} from "../../src/model/index.ts";
import { loaded, small } from "./everything.ts";

const folder = mkdtempSync(join(tmpdir(), "minmaxq-write-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const bytesAt = (model: Model, buffer: number) => readRange(model.buffers![buffer]!.data as never);

/** A model with two deferred weights between ordinary ones, and a scale that is known when they are filled in. */
function withDeferred(first: number, second: number): { model: Model; contents: Deferred[]; scale: Float32Array } {
  const contents = [first, second].map((length) => ({ deferred: true, length }) as const);
  const scale = new Float32Array(2);
  const model: Model = {
    buffers: [
      {},
      { data: rangeOf(Uint8Array.of(1, 2, 3)) },
      { data: contents[0]! },
      { data: rangeOf(new Uint8Array(9 << 20).fill(5)) },
      { data: contents[1]! },
      { data: contents[0]! },
    ],
    subgraphs: [
      { tensors: [{ type: TensorType.UINT8, shape: Int32Array.of(first), buffer: 2, quantization: { scale } }] },
    ],
  };
  return { model, contents, scale };
}

describe("deferred contents", () => {
  test.each(["file", "memory"])("are filled in before the tables are written (%s)", async (where) => {
    const { model, contents, scale } = withDeferred(100, 33);
    const fill: Fill = async (target, placed) => {
      expect(placed.map(({ content }) => content)).toEqual(contents);
      for (const { content, offset } of placed)
        target.write(new Uint8Array(content.length).fill(content.length), offset);
      await Bun.sleep(1);
      scale.set([0.5, 0.25]);
      expect(target.path === undefined).toBe(where === "memory");
    };
    const path = join(folder, `deferred-${where}.circle`);
    if (where === "file") await writeModel(model, path, { dialect: "circle", fill });
    else writeFileSync(path, await serializeModel(model, { dialect: "circle", fill }));
    const opened = openModel(path);
    expect(opened.model.subgraphs![0]!.tensors![0]!.quantization!.scale).toEqual(Float32Array.of(0.5, 0.25));
    expect(bytesAt(opened.model, 1)).toEqual(Uint8Array.of(1, 2, 3));
    expect(bytesAt(opened.model, 2)).toEqual(new Uint8Array(100).fill(100));
    expect(bytesAt(opened.model, 3)).toEqual(new Uint8Array(9 << 20).fill(5));
    expect(bytesAt(opened.model, 4)).toEqual(new Uint8Array(33).fill(33));
    expect(opened.model.buffers![5]).toEqual(opened.model.buffers![2]!);
    opened.close();
  });

  test("somebody has to fill deferred contents", async () => {
    await expect(serializeModel(withDeferred(4, 4).model, { dialect: "circle" })).rejects.toThrow(
      "no function to fill",
    );
  });
});

describe("places before the tables are known", () => {
  /** Writes after a plan; gives the model that was read, and where the file was and its deferred contents were filled in. */
  async function written(name: string, room: number, planned: (contents: Deferred[]) => Deferred[], limit?: number) {
    const { model, contents, scale } = withDeferred(100, 33);
    const path = join(folder, name);
    const before = readdirSync(folder);
    const begun = { file: new OutputFile(path), plan: planContents(planned(contents), room) };
    let filledAs = "";
    const offsets = new Map<Deferred, number>();
    const fill: Fill = (target, placed) => {
      filledAs = target.path!;
      scale.set([0.5, 0.25]);
      for (const { content, offset } of placed) {
        offsets.set(content, offset);
        target.write(new Uint8Array(content.length).fill(content.length), offset);
      }
    };
    await writeModel(model, path, { dialect: "circle", fill, begun, limit });
    expect(readdirSync(folder).filter((file) => !before.includes(file))).toEqual([name]);
    const opened = openModel(path);
    expect(opened.model.subgraphs![0]!.tensors![0]!.quantization!.scale).toEqual(Float32Array.of(0.5, 0.25));
    for (const [buffer, length] of [
      [2, 100],
      [4, 33],
      [5, 100],
    ] as const)
      expect(bytesAt(opened.model, buffer)).toEqual(new Uint8Array(length).fill(length));
    expect(bytesAt(opened.model, 1)).toEqual(Uint8Array.of(1, 2, 3));
    expect(bytesAt(opened.model, 3)).toEqual(new Uint8Array(9 << 20).fill(5));
    opened.close();
    return { isBegunFile: filledAs === begun.file.temporary, offsets, contents, external: opened.external };
  }

  test("hold, in whatever order the contents come later", async () => {
    const { isBegunFile, offsets, contents } = await written("planned.circle", 5000, ([a, b]) => [b!, a!]);
    expect(isBegunFile).toBe(true);
    // Multiples of 16 with four bytes for the length before them, and the second behind the first.
    expect(contents.map((content) => offsets.get(content))).toEqual([5056, 5008]);
  });

  test("are given up where the tables need more room", async () => {
    const { isBegunFile, offsets, contents } = await written("narrow.circle", 50, (all) => all);
    expect(isBegunFile).toBe(false);
    expect(offsets.get(contents[0]!)).toBeGreaterThan(50);
  });

  test("are given up where a content is not in the file after all", async () => {
    const other = { deferred: true, length: 8 } as const;
    expect((await written("other.circle", 5000, (all) => [...all, other])).isBegunFile).toBe(false);
  });

  test("are given up where contents have to lie outside of the FlatBuffer", async () => {
    const { isBegunFile, external } = await written("outside.circle", 5000, (all) => all, 1 << 20);
    expect({ isBegunFile, external }).toEqual({ isBegunFile: false, external: true });
  });

  test("leave nothing behind when nobody wants the file any more", () => {
    const path = join(folder, "unwanted.circle");
    const before = readdirSync(folder);
    const file = new OutputFile(path);
    file.write(Uint8Array.of(1), 1000);
    expect(readdirSync(folder).length).toBe(before.length + 1);
    file.discard();
    file.discard();
    expect(readdirSync(folder)).toEqual(before);
  });
});

describe("the file", () => {
  test("replaces an old one in one step, also the one that is read, also by a link", async () => {
    const path = join(folder, "same.circle");
    await writeModel(small(), path, { dialect: "circle" });
    const opened = openModel(path);
    const link = join(folder, "link.circle");
    symlinkSync(path, link);
    opened.model.description = "changed";
    await writeModel(opened.model, link, { dialect: "circle" });
    opened.close();
    const again = openModel(path);
    expect(loaded(again.model)).toStrictEqual(loaded({ ...small(), description: "changed" }));
    again.close();
  });

  test("is as it was, and nothing is left behind, when writing fails", async () => {
    const path = join(folder, "old.circle");
    writeFileSync(path, "old");
    const before = readdirSync(folder);
    const full = Object.assign(new Error("ENOSPC: no space left on device, write"), { code: "ENOSPC" });
    const failures: [Error, string | RegExp][] = [
      [full, `${path}: cannot be written: the disk is full (`],
      // It is the model that is wrong, whose name the caller knows; the output has nothing to do with it.
      [new MinmaxqError("tensor x: no good"), /^tensor x: no good$/],
      [new TypeError("a defect"), "a defect"],
    ];
    for (const [error, text] of failures) {
      const fill: Fill = () => {
        expect(readdirSync(folder).length).toBe(before.length + 1);
        throw error;
      };
      await expect(writeModel(small(), path, { dialect: "circle", fill })).rejects.toThrow(text);
      expect(readdirSync(folder)).toEqual(before);
      expect(readFileSync(path, "utf8")).toBe("old");
    }
  });

  test("under way is removed on request", async () => {
    const path = join(folder, "interrupted.circle");
    const before = readdirSync(folder);
    const fill: Fill = () => {
      removeTemporaryFiles();
      expect(readdirSync(folder)).toEqual(before);
    };
    await expect(writeModel(small(), path, { dialect: "circle", fill })).rejects.toThrow(path);
    expect(readdirSync(folder)).toEqual(before);
  });

  test.each([
    [join(folder, "missing/m.circle"), "does not exist; create it first"],
    [folder, "is a folder; give a file name"],
    ["/dev/null", "is not a regular file"],
    ["/proc/m.circle", "cannot be written"],
  ])("%s", async (path, text) => {
    const writing = writeModel(small(), path, { dialect: "circle" });
    await expect(writing).rejects.toBeInstanceOf(MinmaxqError);
    await expect(writing).rejects.toThrow(text);
  });
});

test("files past 2 GiB and 4 GiB", async () => {
  // The deferred bytes are not written, so the file has holes and takes no room on the disk.
  const lengths = [2 ** 31 + 5, 2 ** 31 + 1000, 3];
  const contents = lengths.map((length) => ({ deferred: true, length }) as const);
  const model: Model = {
    buffers: [{}, ...contents.map((data) => ({ data }))],
    subgraphs: [{ tensors: [{ name: "end", type: TensorType.UINT8, shape: Int32Array.of(3), buffer: 3 }] }],
  };
  const path = join(folder, "huge.circle");
  const fill: Fill = (target, placed) => {
    for (const { content, offset } of placed) {
      target.write(Uint8Array.of(1, 2, 3), offset);
      target.write(Uint8Array.of(4), offset + content.length - 1);
    }
  };
  await writeModel(model, path, { dialect: "circle", fill });
  const opened = openModel(path);
  expect(opened.external).toBe(true);
  expect(opened.source.size).toBeGreaterThan(2 ** 32);
  const ranges = opened.model.buffers!.slice(1).map(({ data }) => data as Exclude<typeof data, Deferred | undefined>);
  expect(ranges.map((range) => range!.length)).toEqual(lengths);
  expect(ranges[1]!.offset).toBeGreaterThan(2 ** 31);
  expect(ranges[2]!.offset).toBeGreaterThan(2 ** 32);
  for (const range of ranges) {
    expect(range!.offset % 16).toBe(0);
    const last = readRange({ ...range!, offset: range!.offset + range!.length - 1, length: 1 });
    expect(last).toEqual(Uint8Array.of(4));
  }

  // What lies there can be copied into another file.
  const copy = join(folder, "copy.circle");
  opened.model.buffers!.splice(1, 2, {}, {});
  await writeModel(opened.model, copy, { dialect: "circle" });
  const copied = openModel(copy);
  expect(copied.external).toBe(false);
  expect(bytesAt(copied.model, 3)).toEqual(Uint8Array.of(1, 2, 4));
  copied.close();
  opened.close();

  // Cut, it is refused.
  truncateSync(path, ranges[2]!.offset + 2);
  expect(() => openModel(path)).toThrow("buffers[3]: has 3 bytes at byte");
});
