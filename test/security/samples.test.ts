/** Hostile samples: what would unpack to gigabytes, or take hours, is refused by what it declares, before memory is used. */
import { beforeAll, describe, expect, test } from "bun:test";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { crc32, deflateRawSync, deflateSync } from "node:zlib";
import { convolution, write } from "../cli/models.ts";
import { cleanUpAfterwards, folder } from "../cli/support.ts";
import { model } from "../helpers/models.ts";
import { SMALL } from "../media/pictures.ts";
import { harm, run } from "./support.ts";

cleanUpAfterwards();

const cwd = folder();
const at = (name: string) => join(cwd, name);
/** Bytes of a run that has unpacked nothing: the executable with LiteRT not yet loaded. */
const LITTLE = 200e6;

const OPEN = { shapeSignature: Int32Array.of(1, -1, -1, 2) };

beforeAll(async () => {
  await write(convolution(), at("conv.tflite"));
  const open = model(["x"], ["y"], (graph) =>
    graph
      .tensor("x", [1, 1, 1, 2], "FLOAT32", OPEN)
      .tensor("y", [1, 1, 1, 2], "FLOAT32", OPEN)
      .operator("ABS", ["x"], ["y"]),
  );
  await write(open, at("open.tflite"));
  const picture = model(["x"], ["y"], (graph) =>
    graph.tensor("x", [1, 8, 8, 3]).tensor("y", [1, 8, 8, 3]).operator("ABS", ["x"], ["y"]),
  );
  await write(picture, at("picture.tflite"));
});

/** Runs and expects a refusal in words of ours, soon and with little memory. */
async function refuses(name: string, of: string, says: string): Promise<void> {
  for (const words of [
    ["quantize", of, "--data", name, "-o", "out.tflite"],
    ["data", "show", of, "--data", name],
  ]) {
    const ended = await run([...words, ...(of === "picture.tflite" ? ["--scale", "0..1"] : [])], cwd);
    expect([words.join(" "), harm(ended, [1]), ended.err]).toEqual([
      words.join(" "),
      undefined,
      expect.stringContaining(says),
    ]);
    expect(ended.peak).toBeLessThan(LITTLE);
    expect(ended.seconds).toBeLessThan(20);
  }
}

function npyHeader(shape: string): Buffer {
  const text = `{'descr': '<f4', 'fortran_order': False, 'shape': ${shape}, }`;
  const padded = `${text}${" ".repeat(63 - ((10 + text.length) % 64))}\n`;
  const length = Buffer.alloc(2);
  length.writeUInt16LE(padded.length);
  return Buffer.concat([Buffer.from("\x93NUMPY\x01\x00", "latin1"), length, Buffer.from(padded)]);
}

/** A zip of one deflated entry `x.npy` that says that it has `size` bytes; zip64 (APPNOTE 4.5.3). */
function zipOf(packed: Buffer, size: number, crc = 0, method = 8): Buffer {
  const name = Buffer.from("x.npy");
  const extra = Buffer.alloc(20);
  extra.writeUInt16LE(1, 0);
  extra.writeUInt16LE(16, 2);
  extra.writeBigUInt64LE(BigInt(size), 4);
  extra.writeBigUInt64LE(BigInt(packed.length), 12);
  const local = Buffer.alloc(30);
  local.writeUInt32LE(0x04034b50, 0);
  local.writeUInt16LE(method, 8);
  local.writeUInt32LE(crc, 14);
  local.fill(0xff, 18, 26);
  local.writeUInt16LE(name.length, 26);
  local.writeUInt16LE(extra.length, 28);
  const central = Buffer.alloc(46);
  central.writeUInt32LE(0x02014b50, 0);
  central.writeUInt16LE(method, 10);
  central.writeUInt32LE(crc, 16);
  central.fill(0xff, 20, 28);
  central.writeUInt16LE(name.length, 28);
  central.writeUInt16LE(extra.length, 30);
  const end = Buffer.alloc(22);
  end.writeUInt32LE(0x06054b50, 0);
  end.writeUInt16LE(1, 8);
  end.writeUInt16LE(1, 10);
  end.writeUInt32LE(central.length + name.length + extra.length, 12);
  end.writeUInt32LE(local.length + name.length + extra.length + packed.length, 16);
  return Buffer.concat([local, name, extra, packed, central, name, extra, end]);
}

describe(".npz", () => {
  test("five gigabytes in five megabytes", async () => {
    const count = 40_000_000;
    const header = npyHeader(`(${count}, 4, 4, 2)`);
    // One megabyte of zeros over and over: what deflate makes of the first is repeated, the end is the last one's.
    const piece = deflateRawSync(Buffer.alloc(1 << 20), { finishFlush: 2 });
    const pieces = Array.from({ length: (count * 128) / 2 ** 20 }, () => piece);
    const packed = Buffer.concat([
      deflateRawSync(header, { finishFlush: 2 }),
      ...pieces,
      deflateRawSync(Buffer.alloc(0)),
    ]);
    writeFileSync(at("bomb.npz"), zipOf(packed, header.length + count * 128));
    await refuses("bomb.npz", "conv.tflite", "as decompression bombs do");
  });

  test("one sample of 800 MB, where the model leaves its size open", async () => {
    const header = npyHeader("(1, 10000, 10000, 2)");
    const piece = deflateRawSync(Buffer.alloc(1 << 20), { finishFlush: 2 });
    const packed = Buffer.concat([
      deflateRawSync(header, { finishFlush: 2 }),
      ...Array.from({ length: 763 }, () => piece),
      deflateRawSync(Buffer.alloc(0)),
    ]);
    writeFileSync(at("large.npz"), zipOf(packed, header.length + 800_000_000));
    await refuses("large.npz", "open.tflite", "as decompression bombs do");
  });

  test("more bytes than deflate can make, and more than are stored", async () => {
    const header = npyHeader("(4000000000000, 4, 4, 2)");
    writeFileSync(at("lie.npz"), zipOf(deflateRawSync(header), header.length + 4e12 * 128));
    await refuses("lie.npz", "conv.tflite", "more bytes than the file can hold");
    writeFileSync(at("stored.npz"), zipOf(header, header.length + 4e12 * 128, 0, 0));
    await refuses("stored.npz", "conv.tflite", "more bytes than the file can hold");
  });

  test("a real one of repeated values is read", async () => {
    const header = npyHeader("(1000, 4, 4, 2)");
    const whole = Buffer.concat([header, Buffer.alloc(128_000)]);
    writeFileSync(at("zeros.npz"), zipOf(deflateRawSync(whole), whole.length, crc32(whole)));
    const { code } = await run(["data", "show", "conv.tflite", "--data", "zeros.npz"], cwd);
    expect(code).toBe(0);
  });
});

test("HDF5: a dataset that was never written, of 20 GB", async () => {
  const h5 = await import("h5wasm/node");
  await h5.ready;
  const made = new h5.File(at("empty.h5"), "w");
  const record = made.create_group("value").create_group("0");
  record.create_dataset({
    name: "0",
    data: new Float32Array(2),
    shape: [1, 1, 1, 2],
    maxshape: [1, null, null, 2],
    chunks: [1, 1, 1, 2],
  } as never);
  (record.get("0") as unknown as { resize(shape: number[]): void }).resize([1, 50000, 50000, 2]);
  made.close();
  await refuses("empty.h5", "open.tflite", "more than LiteRT's memory");
});

function png(width: number, height: number, rows: number, more: readonly (readonly [string, Buffer])[] = []): Buffer {
  const chunk = (kind: string, data: Buffer) => {
    const body = Buffer.concat([Buffer.from(kind), data]);
    const [length, sum] = [Buffer.alloc(4), Buffer.alloc(4)];
    length.writeUInt32BE(data.length);
    sum.writeUInt32BE(crc32(body) >>> 0);
    return Buffer.concat([length, body, sum]);
  };
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  header.set([8, 2, 0, 0, 0], 8);
  const data = deflateSync(Buffer.alloc(Math.min(rows * (1 + 3 * width), 400e6)), { level: 9 });
  const start = Buffer.from("\x89PNG\r\n\x1a\n", "latin1");
  return Buffer.concat([
    start,
    chunk("IHDR", header),
    ...more.map(([kind, bytes]) => chunk(kind, bytes)),
    chunk("IDAT", data),
    chunk("IEND", Buffer.alloc(0)),
  ]);
}

describe("pictures", () => {
  test("PNG of 4 billion pixels, and of 100 million in 300 KB", async () => {
    writeFileSync(at("huge.png"), png(65535, 65535, 1));
    await refuses("huge.png", "picture.tflite", "more than 100 million");
    writeFileSync(at("flat.png"), png(10000, 10000, 10000));
    await refuses("flat.png", "picture.tflite", "as decompression bombs do");
  });

  test("PNG with a gigabyte of zeros for a profile, a text, or behind its pixels", async () => {
    const zeros = deflateSync(Buffer.alloc(2 ** 30), { level: 9 });
    const named = Buffer.concat([Buffer.from("x\0\0"), zeros]);
    writeFileSync(at("profile.png"), png(8, 8, 8, [["iCCP", named]]));
    writeFileSync(at("text.png"), png(8, 8, 8, [["zTXt", named]]));
    writeFileSync(at("more.png"), png(8, 8, 16_000_000));
    for (const name of ["profile.png", "text.png", "more.png"]) {
      const ended = await run(["data", "show", "picture.tflite", "--data", name, "--scale", "0..1"], cwd);
      expect([name, harm(ended)]).toEqual([name, undefined]);
      expect(ended.peak).toBeLessThan(300e6);
    }
  });

  const progressive = Buffer.from(SMALL.find(({ name }) => name === "progressive JPEG")!.base64, "base64");
  /** The same picture, which says that it has 10000 × 10000 pixels. */
  const enlarged = () => {
    const large = Buffer.from(progressive);
    const frame = large.indexOf(Buffer.of(0xff, 0xc2));
    large.writeUInt16BE(10000, frame + 5);
    large.writeUInt16BE(10000, frame + 7);
    return large;
  };

  test("JPEG of 100 million pixels in a few bytes, and of thousands of scans", async () => {
    writeFileSync(at("few.jpg"), enlarged());
    await refuses("few.jpg", "picture.tflite", "as decompression bombs do");
    const scan = progressive.subarray(progressive.lastIndexOf(Buffer.of(0xff, 0xda)), -2);
    const scans = Array.from({ length: 2000 }, () => scan);
    writeFileSync(at("scans.jpg"), Buffer.concat([progressive.subarray(0, -2), ...scans, Buffer.of(0xff, 0xd9)]));
    await refuses("scans.jpg", "picture.tflite", "scans, as decompression bombs do");
  });

  test("WebP that says 16384 × 16384 and has a few bytes", async () => {
    const lossless = Buffer.alloc(40);
    lossless.write("RIFF", 0);
    lossless.writeUInt32LE(32, 4);
    lossless.write("WEBPVP8L", 8);
    lossless.writeUInt32LE(20, 16);
    lossless.set([0x2f, 0xff, 0xff, 0xff, 0x0f], 20);
    writeFileSync(at("huge.webp"), lossless);
    await refuses("huge.webp", "picture.tflite", "more than 100 million");
    // 5000 × 5000: 25 million pixels in forty bytes.
    lossless.writeUInt32LE(4999 | (4999 << 14), 21);
    writeFileSync(at("flat.webp"), lossless);
    await refuses("flat.webp", "picture.tflite", "as decompression bombs do");
  });
});

test("zip entries are never written: names that lead out of a folder are names alone", async () => {
  mkdirSync(at("inner"));
  const header = npyHeader("(2, 4, 4, 2)");
  const whole = Buffer.concat([header, Buffer.alloc(256)]);
  const bytes = zipOf(deflateRawSync(whole), whole.length, crc32(whole));
  const hostile = Buffer.from(bytes.toString("latin1").replaceAll("x.npy", "../xy"), "latin1");
  writeFileSync(join(at("inner"), "slip.npz"), hostile);
  const before = [...new Bun.Glob("**").scanSync({ cwd, onlyFiles: false })].sort();
  const ended = await run(["data", "show", "../conv.tflite", "--data", "slip.npz"], at("inner"));
  expect([ended.code, ended.err]).toEqual([0, ""]);
  expect([...new Bun.Glob("**").scanSync({ cwd, onlyFiles: false })].sort()).toEqual(before);
});
