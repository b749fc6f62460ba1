/** A ZIP behind a model (associated files that its metadata name) is kept, byte for byte; ../shared/cases/03. */
import { describe, expect, test } from "bun:test";
import { existsSync, mkdtempSync, readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { unzipSync, zipSync } from "fflate";
import { MemoryBytes, rangeOf, readRange } from "../../src/model/bytes.ts";
import {
  type Model,
  type OpenedModel,
  openModel,
  readModel,
  serializeModel,
  writeModel,
} from "../../src/model/index.ts";
import { readZipDirectory } from "../../src/model/zip.ts";
import { model, recorded } from "../helpers/models.ts";

const FILES = { "labels.txt": Buffer.from("cat\ndog\n"), "meta.json": Buffer.from('{"a":1}') };
const ZIP = zipSync(FILES, { level: 0 });

const small = (): Model =>
  model(["x"], ["y"], (graph) =>
    graph
      .tensor("x", [2, 4], "FLOAT32", recorded(-1, 1))
      .tensor("y", [2, 4], "FLOAT32", recorded(-1, 1))
      .constant("c", [2, 4], Float32Array.of(1, 2, 3, 4, 5, 6, 7, 8))
      .operator("ADD", ["x", "c"], ["y"]),
  );

/** The ZIP with offsets that count from the beginning of a file in which it stands behind `before` bytes, as Python's zipfile appends. */
function counted(before: number): Uint8Array {
  const zip = ZIP.slice();
  const view = new DataView(zip.buffer);
  const end = zip.length - 22;
  let at = view.getUint32(end + 16, true);
  view.setUint32(end + 16, at + before, true);
  for (; at < end; at += 46 + view.getUint16(at + 28, true) + view.getUint16(at + 30, true))
    view.setUint32(at + 42, view.getUint32(at + 42, true) + before, true);
  return zip;
}

const read = (...parts: Uint8Array[]): OpenedModel => readModel(new MemoryBytes(new Uint8Array(Buffer.concat(parts))));

describe("an archive behind a model", () => {
  for (const external of [false, true]) {
    for (const from of ["file", "archive"]) {
      test(`is found and written again (weights ${external ? "behind" : "in"} the tables, offsets from the ${from}'s beginning)`, async () => {
        const bytes = await serializeModel(small(), { dialect: "tflite", external });
        const zip = from === "file" ? counted(bytes.length) : ZIP;
        const { model: opened, archive } = read(bytes, zip);
        expect(archive).toMatchObject({ offset: bytes.length, length: zip.length });
        // In another format, with weights at the other place: the model has another size.
        const again = await serializeModel(opened, { dialect: "circle", external: !external, archive });
        expect(again.length).not.toBe(bytes.length + zip.length);
        expect(Buffer.from(again.subarray(-zip.length))).toEqual(Buffer.from(zip));
        expect(Buffer.from(readRange(read(again).archive!))).toEqual(Buffer.from(zip));
      });
    }
  }

  test("is named by its directory as fflate unpacks it", () => {
    const directory = readZipDirectory(new MemoryBytes(new Uint8Array([...Array(100).fill(7), ...counted(100)])));
    if (typeof directory === "string") throw new Error(directory);
    expect(directory.start).toBe(100);
    const sizes = Object.entries(unzipSync(ZIP)).map(([name, bytes]) => [name, bytes.length]);
    expect(directory.entries.map(({ name, size }) => [name, size])).toEqual(sizes as never);
  });

  test("is what python's zipfile still opens", async () => {
    const python = Bun.which("python3");
    if (!python) return;
    const path = join(mkdtempSync(join(tmpdir(), "archive-")), "m.circle");
    const bytes = await serializeModel(small(), { dialect: "tflite" });
    const large = new Uint8Array(1000);
    // Offsets of a file that was larger: the model shrinks when it is quantized.
    const { archive } = read(bytes, counted(bytes.length + large.length));
    await writeModel(small(), path, { dialect: "circle", archive });
    const script =
      "import sys, zipfile; z = zipfile.ZipFile(sys.argv[1]); print([(n, z.read(n)) for n in z.namelist()])";
    const { stdout } = Bun.spawnSync([python, "-c", script, path]);
    expect(stdout.toString().trim()).toBe(`[('labels.txt', b'cat\\ndog\\n'), ('meta.json', b'{"a":1}')]`);
  });
});

describe("no archive", () => {
  test.each([false, true])("is a zip that is the model's last buffer (behind the tables: %p)", async (external) => {
    const made = small();
    const buffer = made.buffers!.push({ data: rangeOf(ZIP) }) - 1;
    const bytes = await serializeModel({ ...made, metadata: [{ name: "m", buffer }] }, { dialect: "tflite", external });
    expect(Buffer.from(bytes.subarray(-ZIP.length))).toEqual(Buffer.from(ZIP));
    expect(read(bytes).archive).toBeUndefined();
  });

  test.each([
    ["nothing", new Uint8Array()],
    ["zeros", new Uint8Array(500)],
    ["a zip cut off", ZIP.subarray(20)],
  ])("is %s behind the model", async (_, behind) => {
    expect(read(await serializeModel(small(), { dialect: "tflite" }), behind).archive).toBeUndefined();
  });
});

const CASE = "../shared/cases/03-metadata-associated-files-lost/meta.tflite";
const MODELS = ["selfie_segmentation", "hand_landmark_lite"].map((name) => `../shared/models/${name}.tflite`);

test.each([CASE, ...MODELS].filter(existsSync))("%s keeps what stands behind it", async (path) => {
  const opened = openModel(path);
  const file = readFileSync(path);
  // The first local header behind the model: nothing in these models looks like one.
  const zip = file.subarray(file.indexOf("PK\x03\x04"));
  const out = join(mkdtempSync(join(tmpdir(), "archive-")), "out.circle");
  await writeModel(opened.model, out, { dialect: "circle", archive: opened.archive });
  opened.close();
  expect(readFileSync(out).subarray(-zip.length).equals(zip)).toBe(true);
});
