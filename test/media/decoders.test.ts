/** Decoders, and files that want to harm: what is decoded is Pillow's; what cannot be is a MediaError, whatever the bytes. */
import { describe, expect, test } from "bun:test";
import { Decoders } from "../../src/media/decoders.ts";
import { MediaError } from "../../src/media/error.ts";
import { orientationOf } from "../../src/media/exif.ts";
import { readHeader } from "../../src/media/header.ts";
import { encodePng } from "../../src/media/png.ts";
import { SMALL } from "./pictures.ts";

const bytesOf = (base64: string) => new Uint8Array(Buffer.from(base64, "base64"));
const named = (name: string) => bytesOf(SMALL.find((each) => each.name === name)!.base64);

async function decode(bytes: Uint8Array, decoders = new Decoders()) {
  return decoders.decode(bytes, readHeader(bytes));
}

async function refusal(bytes: Uint8Array, decoders?: Decoders): Promise<string | undefined> {
  try {
    await decode(bytes, decoders);
    return undefined;
  } catch (error) {
    if (!(error instanceof MediaError)) throw error;
    return error.message;
  }
}

describe("decoded as Pillow does", () => {
  for (const { name, base64, width, height, first, last, sum } of SMALL)
    test(name, async () => {
      const found = await decode(bytesOf(base64));
      const rgb = found.data.filter((_, i) => i % 4 < 3);
      expect([found.width, found.height]).toEqual([width, height]);
      expect([...rgb.subarray(0, 9)]).toEqual([...first]);
      expect([...rgb.subarray(-3)]).toEqual([...last]);
      expect(rgb.reduce((total, value) => total + value, 0)).toBe(sum);
    });
});

test("a picture that was written is read again", async () => {
  const rgb = Uint8Array.from({ length: 7 * 5 * 3 }, (_, i) => (i * 91) % 256);
  const found = await decode(encodePng(7, 5, rgb));
  expect(found.data.filter((_, i) => i % 4 < 3)).toEqual(rgb);
});

describe("BMP", () => {
  const bmp = (bits: number, packing: number, rest: number[], height = 1) => {
    const bytes = new Uint8Array(54 + rest.length);
    const view = new DataView(bytes.buffer);
    bytes.set(Buffer.from("BM"));
    view.setUint32(10, 54 + (packing === 3 ? 12 : 0), true);
    view.setUint32(14, 40, true);
    view.setInt32(18, 2, true);
    view.setInt32(22, height, true);
    view.setUint16(26, 1, true);
    view.setUint16(28, bits, true);
    view.setUint32(30, packing, true);
    bytes.set(rest, 54);
    return bytes;
  };
  // Two pixels; 5-5-5 bits: red, then white. Values from the format: 31 of 31 is 255.
  test("16 bits", async () =>
    expect([...(await decode(bmp(16, 0, [0, 0x7c, 0xff, 0x7f]))).data]).toEqual([255, 0, 0, 255, 255, 255, 255, 255]));
  test("16 bits with masks 5-6-5", async () => {
    const masks = [0, 0xf8, 0, 0, 0xe0, 7, 0, 0, 0x1f, 0, 0, 0];
    expect([...(await decode(bmp(16, 3, [...masks, 0xe0, 7, 0x1f, 0]))).data]).toEqual([
      0, 255, 0, 255, 0, 0, 255, 255,
    ]);
  });
  test("32 bits, from above", async () =>
    expect([...(await decode(bmp(32, 0, [3, 2, 1, 0, 6, 5, 4, 0], -1))).data]).toEqual([1, 2, 3, 255, 4, 5, 6, 255]));
  test("packed", async () => expect(await refusal(bmp(8, 1, [0, 0, 0, 0]))).toContain("is a packed BMP"));
  test("of no known depth", async () => expect(await refusal(bmp(7, 0, [0, 0, 0, 0]))).toContain("7 bits a pixel"));
});

describe("orientation", () => {
  const exif = (little: boolean, tag = 0x112, type = 3, value = 6) => {
    const view = new DataView(new ArrayBuffer(26));
    view.setUint16(0, little ? 0x4949 : 0x4d4d);
    view.setUint16(2, 42, little);
    view.setUint32(4, 8, little);
    view.setUint16(8, 1, little);
    view.setUint16(10, tag, little);
    view.setUint16(12, type, little);
    view.setUint32(14, 1, little);
    view.setUint16(18, value, little);
    return new Uint8Array(view.buffer);
  };
  test.each([true, false])("little-endian: %p", (little) => {
    expect(orientationOf(exif(little))).toBe(6);
    expect(orientationOf(Uint8Array.from([...Buffer.from("Exif\0\0"), ...exif(little)]))).toBe(6);
  });
  test("none, or not readable", () => {
    expect(orientationOf(exif(true, 0x100))).toBeUndefined();
    expect(orientationOf(exif(true, 0x112, 4))).toBeUndefined();
    expect(orientationOf(exif(true, 0x112, 3, 9))).toBeUndefined();
    expect(orientationOf(exif(true).subarray(0, 15))).toBeUndefined();
    expect(orientationOf(new Uint8Array(0))).toBeUndefined();
  });
  test("in a JPEG's APP1", () => {
    const jpeg = named("JPEG");
    const data = Uint8Array.from([...Buffer.from("Exif\0\0"), ...exif(true)]);
    const segment = [0xff, 0xe1, 0, data.length + 2, ...data];
    expect(readHeader(Uint8Array.from([...jpeg.subarray(0, 2), ...segment, ...jpeg.subarray(2)])).orientation).toBe(6);
    expect(readHeader(jpeg).orientation).toBe(1);
  });
});

describe("refused by what they declare, before anything is decoded", () => {
  const patched = (bytes: Uint8Array, at: number, ...values: number[]) => {
    const copy = bytes.slice();
    copy.set(values, at);
    return copy;
  };
  const frame = (jpeg: Uint8Array) => jpeg.findIndex((byte, i) => byte === 0xff && jpeg[i + 1] === 0xc0);
  const header = (bytes: Uint8Array) => {
    try {
      readHeader(bytes);
      return "taken";
    } catch (error) {
      return (error as Error).message;
    }
  };
  const jpeg = named("JPEG");
  test("PNG", () => expect(header(patched(named("PNG"), 16, 0, 1, 0, 0, 0, 1, 0, 0))).toContain("65536×65536 pixels"));
  test("JPEG", () =>
    expect(header(patched(jpeg, frame(jpeg) + 5, 0xff, 0xff, 0xff, 0xff))).toContain(
      "65535×65535 pixels, more than 100",
    ));
  test("BMP", () => expect(header(patched(named("BMP"), 18, 0, 0, 1, 0, 0, 0, 1, 0))).toContain("65536×65536"));
  test("lossless WebP", () =>
    expect(header(patched(named("lossless WebP"), 21, 0xff, 0xff, 0xff, 0x0f))).toContain("16384×16384"));
  test("no pixels", () => expect(header(patched(named("PNG"), 16, 0, 0, 0, 0))).toContain("0×3 pixels"));
  test("four components", () => expect(header(patched(jpeg, frame(jpeg) + 9, 4))).toContain("CMYK"));
  test("12 bits", () => expect(header(patched(jpeg, frame(jpeg) + 4, 12))).toContain("12 bits a value"));
  test("a second frame", () => {
    const at = frame(jpeg);
    const twice = Uint8Array.from([...jpeg.subarray(0, at), ...jpeg.subarray(at, at + 19), ...jpeg.subarray(at)]);
    expect(header(twice)).toContain("is damaged");
  });
  test("no picture", () =>
    expect(header(new Uint8Array(Buffer.from("<html>no picture</html>")))).toContain("is no picture"));
});

describe("damage is told, never a crash", () => {
  for (const { name, base64 } of SMALL) {
    test(`${name}, cut anywhere`, async () => {
      const whole = bytesOf(base64);
      const decoders = new Decoders();
      // What is left of a PNG after its last data, or padding of a BMP row, is not missed.
      let refused = 0;
      for (let size = 0; size < whole.length; size += 3)
        if ((await refusal(whole.slice(0, size), decoders)) !== undefined) refused++;
      expect(refused).toBeGreaterThan(whole.length / 3 - 10);
      // And the decoder still works.
      expect(await refusal(whole, decoders)).toBeUndefined();
    });

    test(`${name}, changed anywhere`, async () => {
      const whole = bytesOf(base64);
      const decoders = new Decoders();
      for (let i = 0; i < whole.length; i += 5) {
        const copy = whole.slice();
        copy[i]! ^= 1 << (i % 8);
        await refusal(copy, decoders);
      }
      expect(await refusal(whole, decoders)).toBeUndefined();
    });
  }

  test("more data than a PNG declares are not unpacked", async () => {
    // 64 MiB of zeros in a picture of 2×2.
    const huge = encodePng(4096, 4096, new Uint8Array(4096 * 4096 * 3));
    new DataView(huge.buffer).setUint32(16, 2);
    new DataView(huge.buffer).setUint32(20, 2);
    expect((await decode(huge)).data.length).toBe(2 * 2 * 4);
  });
});
