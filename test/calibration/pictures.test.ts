/** Pictures and sounds as records: values by the rules of media-plan.ts worked out by hand, and everything that is refused. */
import { afterAll, describe, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openDataSet } from "../../src/calibration/dataset.ts";
import type { InputSpec } from "../../src/calibration/inputs.ts";
import type { KnownInput, MediaSettings } from "../../src/calibration/media-plan.ts";
import { packSamples } from "../../src/calibration/pack.ts";
import { statisticsOf } from "../../src/calibration/statistics.ts";
import { encodePng } from "../../src/media/png.ts";
import { wav } from "../media/sounds.ts";
import { all, bytesOf, file, floats, messageOf, npy, spec } from "./support.ts";

const made: string[] = [];
afterAll(() => {
  for (const path of made) rmSync(path, { recursive: true });
});
function folder(): string {
  made.push(mkdtempSync(join(tmpdir(), "minmaxq-pictures-")));
  return made.at(-1)!;
}

/** 2×2: red, green, blue, and a colour. */
const RGB = [255, 0, 0, 0, 255, 0, 0, 0, 255, 51, 102, 204];
const PNG = encodePng(2, 2, Uint8Array.from(RGB));
const X = spec("x", "FLOAT32", [1, 2, 2, 3]);
const PLANAR = spec("x", "FLOAT32", [1, 3, 2, 2]);
const SCALE: MediaSettings = { scale: [0, 255] };

function open(location: string, inputs: InputSpec[] = [X], settings: MediaSettings = SCALE, known: KnownInput[] = []) {
  return openDataSet(location, inputs, { media: { settings, known } });
}

async function one(input: InputSpec, settings: MediaSettings, known: KnownInput = {}): Promise<number[]> {
  const data = await open(file(folder(), "a.png", PNG), [input], settings, [known]);
  const [[bytes]] = (await all(data)) as [[Uint8Array]];
  const types = { FLOAT32: Float32Array, UINT8: Uint8Array, INT8: Int8Array, INT16: Int16Array, INT32: Int32Array };
  return [...new types[input.dtype as keyof typeof types](bytes.slice().buffer)];
}

describe("values", () => {
  const f32 = (values: number[]) => values.map(Math.fround);
  const bytes = (of: (byte: number, channel: number) => number) => f32(RGB.map((byte, i) => of(byte, i % 3)));
  test("by --scale", async () => {
    expect(await one(X, { scale: [0, 255] })).toEqual(RGB);
    expect(await one(X, { scale: [0, 1] })).toEqual(bytes((byte) => byte / 255));
    expect(await one(X, { scale: [-1, 1] })).toEqual(bytes((byte) => -1 + (byte * 2) / 255));
  });
  test("by --mean and --std, one or one per channel, of bytes or of scaled ones", async () => {
    expect(await one(X, { mean: [127.5], std: [127.5] })).toEqual(bytes((byte) => (byte - 127.5) / 127.5));
    const [mean, std] = [
      [0.485, 0.456, 0.406],
      [0.229, 0.224, 0.225],
    ];
    expect(await one(X, { scale: [0, 1], mean, std })).toEqual(bytes((byte, c) => (byte / 255 - mean[c]!) / std[c]!));
    expect(await one(X, { mean: [103.5, 116, 123] })).toEqual(bytes((byte, c) => byte - [103.5, 116, 123][c]!));
  });
  test("by the model's metadata, unless it is said otherwise", async () => {
    const known = { normalization: { mean: [0], std: [255] } };
    expect(await one(X, {}, known)).toEqual(bytes((byte) => byte / 255));
    expect(await one(X, { scale: [0, 255] }, known)).toEqual(RGB);
    expect(await one(X, {}, { range: [-1, 1] })).toEqual(bytes((byte) => -1 + (byte * 2) / 255));
  });
  test("planes, bgr, grey", async () => {
    const planes = [255, 0, 0, 51, 0, 255, 0, 102, 0, 0, 255, 204];
    expect(await one(PLANAR, SCALE)).toEqual(planes);
    expect(await one(spec("x", "FLOAT32", [3, 2, 2]), SCALE)).toEqual(planes);
    expect(await one(X, { ...SCALE, channels: "bgr" })).toEqual([0, 0, 255, 0, 255, 0, 255, 0, 0, 204, 102, 51]);
    // (19595 · 51 + 38470 · 102 + 7471 · 204 + 32768) >> 16 = 98.
    const gray = [76, 150, 29, 98];
    for (const shape of [
      [1, 2, 2, 1],
      [1, 1, 2, 2],
      [2, 2, 1],
      [2, 2],
    ])
      expect(await one(spec("x", "FLOAT32", shape), SCALE)).toEqual(gray);
    expect(await one(X, { ...SCALE, channels: "gray" })).toEqual(gray.flatMap((v) => [v, v, v]));
  });
  test("of integer inputs: bytes, or by their scale what is said", async () => {
    const typed = (dtype: string) => spec("x", dtype, [1, 2, 2, 3]);
    const quant = { scale: 2 / 255, zeroPoint: 0 };
    expect(await one(typed("UINT8"), {}, { quant })).toEqual(RGB);
    expect(await one(typed("INT8"), {}, { quant })).toEqual(RGB.map((byte) => byte - 128));
    expect(await one(typed("INT32"), {})).toEqual(RGB);
    // 0…1 in steps of 2/255: byte / 2, halves away from 0; −1…1: ±127.5 away from 0, and held to the type.
    expect(await one(typed("UINT8"), { scale: [0, 1] }, { quant })).toEqual(
      RGB.map((byte) => Math.floor(byte / 2 + 0.5)),
    );
    const away = (v: number) => Math.sign(v) * Math.floor(Math.abs(v) + 0.5);
    const held = RGB.map((byte) => Math.max(-128, Math.min(127, away(byte - 127.5))));
    expect(
      await one(typed("INT8"), { mean: [127.5], std: [127.5] }, { quant: { scale: 1 / 127.5, zeroPoint: 0 } }),
    ).toEqual(held);
    expect(await one(typed("INT16"), { scale: [0, 255] }, { quant: { scale: 0.5, zeroPoint: 0 } })).toEqual(
      RGB.map((byte) => 2 * byte),
    );
    // Metadata are for floats: apps give bytes to uint8 inputs.
    expect(await one(typed("UINT8"), {}, { quant, normalization: { mean: [0], std: [255] } })).toEqual(RGB);
  });
  test("a size that the model leaves open is the picture's own", async () => {
    const where = folder();
    file(where, "0.png", PNG);
    file(where, "1.png", encodePng(3, 1, new Uint8Array(9)));
    const data = await open(where, [{ ...X, shape: [1, 1, 1, 3], signature: [-1, -1, -1, 3] }]);
    expect([0, 1].map((record) => data.shapes!(record))).toEqual([[[1, 2, 2, 3]], [[1, 1, 3, 3]]]);
    expect((await all(data)).map(([bytes]) => bytes!.length)).toEqual([48, 36]);
  });
});

describe("what is said", () => {
  test("number, size, channels, where the scale comes from", async () => {
    const where = folder();
    file(where, "0.png", PNG);
    const data = await open(where, [X], { resize: "crop" }, [
      { normalization: { mean: [0, 0, 0], std: [255, 255, 255] } },
    ]);
    expect(data.said).toEqual([
      {
        kind: "note",
        code: "pictures",
        text: `input "x": 1 picture of 2×2, rgb, 0…1 (the model's metadata: mean 0, std 255)`,
      },
    ]);
    const small = await open(
      where,
      [spec("x", "FLOAT32", [1, 1, 5, 3])].map((s) => ({ ...s, shape: [1, 4, 5, 3] })),
      { resize: "crop", scale: [0, 1] },
    );
    expect(small.said![0]!.text).toBe('input "x": 1 picture cropped to 5×4, rgb, 0…1 (--scale 0..1)');
    expect(data.prepared).toBe(true);
  });
});

describe("refused", () => {
  const photos = () => {
    const where = folder();
    file(where, "0.png", PNG);
    return where;
  };
  const said = async (inputs: InputSpec[], settings: MediaSettings, known?: KnownInput[], location = photos()) =>
    messageOf(() => open(location, inputs, settings, known));

  test("a float input of which nothing says the numbers", async () => {
    const message = await said([X], {});
    expect(message).toContain(
      '--scale is missing: nothing in the model says which numbers pictures become for model input "x"',
    );
    expect(message).not.toContain("itself");
    expect(await said([X], {}, [{ scaled: true }])).toContain("models do that want 0..255");
  });
  test("inputs that take no pictures", async () => {
    expect(await said([spec("x", "FLOAT32", [1, 784])], SCALE)).toContain("takes no pictures");
    expect(await said([spec("x", "FLOAT32", [4, 2, 2, 3])], SCALE)).toContain("takes no pictures");
    expect(await said([spec("x", "FLOAT32", [1, 2, 2, 4])], SCALE)).toContain("takes no pictures");
    expect(await said([spec("x", "BOOL", [1, 2, 2, 3])], SCALE)).toContain("an input of FLOAT32");
    expect(await said([X, { ...X, name: "y" }], SCALE)).toContain('one picture cannot feed 2 model inputs ("x", "y")');
  });
  test("options that do not fit", async () => {
    expect(await said([X], { mean: [1, 2] })).toContain("--mean 1,2: has 2 values");
    expect(await said([X], { std: [0.229] })).toContain("add --scale 0..1");
    expect(await said([spec("x", "FLOAT32", [1, 2, 2, 1])], { ...SCALE, channels: "bgr" })).toContain(
      "has one channel",
    );
    expect(await said([spec("x", "UINT8", [1, 2, 2, 3])], { scale: [0, 1] })).toContain("so it gets bytes");
  });
  test("options of pictures with arrays; --skip-bad with one file", async () => {
    const path = file(folder(), "x.npy", npy("<f4", [1, 2, 2, 3], new Uint8Array(48)));
    expect(await said([X], SCALE, [], path)).toContain("--scale: does nothing with");
    expect(await said([X], { channels: "bgr" }, [], path)).toContain("--channels: does nothing with");
    expect(await said([X], { skipBad: true }, [], path)).toContain("--skip-bad: does nothing with");
    expect((await open(path, [X], {})).count).toBe(1);
  });
  test("pictures where nothing takes them (the fronts), with a hint", async () => {
    const where = photos();
    expect(await messageOf(() => openDataSet(where, [X], { format: "dir" }))).toContain(
      "is a PNG picture, and raw bytes are read here",
    );
    expect(await messageOf(() => openDataSet(join(where, "0.png"), [X]))).toContain("minmaxq data pack");
  });
});

describe("folders, patterns, lists", () => {
  function mixture() {
    const where = folder();
    file(where, "b.png", PNG);
    file(where, "a.jpg", PNG);
    file(where, "broken.png", PNG.slice(0, 40));
    file(where, "empty.jpg", "");
    file(where, "page.webp", "<html>");
    file(where, "x.gif", "GIF89a");
    file(where, "y.heic", "ftyp");
    file(where, "z.bmp", "BM");
    return where;
  }
  test("all wrong files are named, at most five, and how many more", async () => {
    const where = mixture();
    const message = await messageOf(() => open(where));
    expect(message.split("\n")[0]).toBe(
      `${where}: files that cannot be used (--skip-bad leaves them out): 6 problems, the first ones (6):`,
    );
    expect(message).toContain("broken.png: is damaged");
    expect(message).toContain("page.webp: is no picture");
    expect(message).toContain("x.gif: is a .gif file, which is not read; convert it to PNG or JPEG");
    expect(message).toContain("… and 1 more");
  });
  test("--skip-bad leaves them out and says which; a name's ending does not matter to what is in a picture", async () => {
    const where = mixture();
    const data = await open(where, [X], { ...SCALE, skipBad: true });
    expect(data.count).toBe(2);
    expect(await all(data)).toEqual([[floats(...RGB)], [floats(...RGB)]]);
    const warning = data.said!.find(({ code }) => code === "samples-left-out")!;
    expect(warning.text).toStartWith("6 of 8 samples left out (--skip-bad): ");
    expect(warning.text).toEndWith(" and 1 more");
    const none = folder();
    file(none, "a.png", "");
    expect(await messageOf(() => open(none, [X], { ...SCALE, skipBad: true }))).toContain("a.png: is no picture");
  });
  test("other kinds in a folder of pictures", async () => {
    const where = folder();
    file(where, "a.png", PNG);
    file(where, "notes.txt", "notes");
    const text = `${where}: holds 1 picture (e.g. "a.png") and 1 other file (e.g. "notes.txt"); a folder holds one kind: move the others away, or leave them out by --skip-bad`;
    expect(await messageOf(() => open(where))).toBe(text);
    const data = await open(where, [X], { ...SCALE, skipBad: true });
    expect([data.count, data.said!.at(-1)!.text]).toEqual([
      1,
      `1 of 2 samples left out (--skip-bad): ${join(where, "notes.txt")}: is neither picture nor sound`,
    ]);
    file(where, "x.npy", npy("<f4", [1, 2, 2, 3], new Uint8Array(48)));
    expect(await messageOf(() => open(where, [X], { ...SCALE, skipBad: true }))).toContain("holds 1 picture");
  });
  test("patterns; folders in a folder", async () => {
    const where = folder();
    mkdirSync(join(where, "cats"));
    mkdirSync(join(where, "dogs"));
    file(join(where, "cats"), "1.png", PNG);
    file(join(where, "dogs"), "0.png", encodePng(2, 2, new Uint8Array(12)));
    file(join(where, "dogs"), "notes.txt", "");
    const zeros = floats(...RGB.map(() => 0));
    expect(await all(await open(join(where, "**/*.png")))).toEqual([[floats(...RGB)], [zeros]]);
    expect(await all(await open(join(where, "dogs/?.{png,jpg}")))).toEqual([[zeros]]);
    expect(await messageOf(() => open(join(where, "*.png")))).toContain("no file has such a name");
    expect(await messageOf(() => open(where))).toContain("holds folders alone (cats, dogs)");
    symlinkSync(join(where, "cats/1.png"), join(where, "dogs/link.png"));
    expect((await open(join(where, "dogs/*.png"))).count).toBe(2);
    file(where, "[1].png", PNG);
    expect((await open(join(where, "[1].png"))).count).toBe(1);
  });
  test("several inputs: numbered files, or lists, of any kinds", async () => {
    const B = spec("b", "INT32", [1]);
    const where = folder();
    file(where, "p_0.png", PNG);
    file(where, "p_1.npy", npy("<i4", [1], bytesOf(Int32Array.of(7))));
    const wanted = [[floats(...RGB), bytesOf(Int32Array.of(7))]];
    expect(await all(await open(where, [X, B]))).toEqual(wanted);
    const list = file(folder(), "l.txt", `${join(where, "p_0.png")} ${join(where, "p_1.npy")}\n`);
    expect(await all(await open(list, [X, B]))).toEqual(wanted);
    expect(await messageOf(() => open(join(where, "p_0.png"), [X, B]))).toContain(
      "one picture cannot feed 2 model inputs",
    );
  });
});

describe("sounds", () => {
  const pcm = (...values: number[]) => bytesOf(Int16Array.from(values));
  const sound = (...values: number[]) => wav(pcm(...values));
  const S = spec("s", "FLOAT32", [1, 3]);
  async function of(bytes: Uint8Array, input = S, settings: MediaSettings = {}, known: KnownInput = {}) {
    const data = await open(file(folder(), "a.wav", bytes), [input], settings, [known]);
    return { values: (await all(data))[0]![0]!, text: data.said![0]!.text };
  }
  test("−1…1; longer ones are cut, shorter ones filled up, and it is said", async () => {
    expect(await of(sound(16384, -32768, 0))).toEqual({
      values: floats(0.5, -1, 0),
      text: 'input "s": 1 sound of 16000 Hz, −1…1, as sounds are (--scale for another range)',
    });
    const long = await of(sound(16384, 0, -16384, 5));
    expect(long.values).toEqual(floats(0.5, 0, -0.5));
    expect(long.text).toContain("1 cut to the first 3 samples");
    const short = await of(sound(16384));
    expect(short.values).toEqual(floats(0.5, 0, 0));
    expect(short.text).toContain("1 filled up with silence");
  });
  test("another range; integers by their scale", async () => {
    expect((await of(sound(16384, -32768, 0), S, { scale: [0, 255] })).values).toEqual(floats(191.25, 0, 127.5));
    const quant = { scale: 1 / 128, zeroPoint: 0 };
    expect((await of(sound(16384, -32768, 0), { ...S, dtype: "INT8" }, {}, { quant })).values).toEqual(
      bytesOf(Int8Array.of(64, -128, 0)),
    );
  });
  test("refused: another rate than the metadata want, no input for it", async () => {
    const known = { sound: { rate: 44100, channels: 1 } };
    expect(await messageOf(() => of(sound(1), S, {}, known))).toContain(
      "has 16000 Hz, and the model's metadata want 44100",
    );
    expect(await messageOf(() => of(sound(1), X))).toContain("takes no sounds");
    expect(await messageOf(() => of(wav(pcm()), S))).toContain("is empty");
  });
  test("several rates are warned of", async () => {
    const where = folder();
    file(where, "0.wav", sound(1));
    file(where, "1.wav", wav(pcm(1), { rate: 8000 }));
    expect((await open(where, [S], {})).said![0]).toMatchObject({ kind: "warning", code: "sounds-of-several-rates" });
  });
});

describe("pack and statistics", () => {
  test("what is packed is what was fed", async () => {
    const where = folder();
    file(where, "0.png", PNG);
    file(where, "1.png", encodePng(2, 2, new Uint8Array(12).fill(9)));
    const data = await open(where, [X], { scale: [0, 1] });
    for (const name of ["s.npy", "s.npz"]) {
      const path = join(folder(), name);
      await packSamples(path, [X], data, () => {});
      const again = await openDataSet(path, [X]);
      expect([again.count, await all(again)]).toEqual([2, await all(data)]);
    }
  });
  test("least, largest, mean, deviation, by channel", async () => {
    const data = await open(file(folder(), "a.png", encodePng(2, 1, Uint8Array.of(1, 10, 100, 3, 30, 100))), [
      { ...X, shape: [1, 1, 2, 3], signature: [1, -1, -1, 3] },
    ]);
    const input = { ...X, shape: [1, 1, 2, 3], signature: [1, -1, -1, 3] };
    const [found] = await statisticsOf([input], data, () => {});
    expect(found!.channels).toEqual([
      { min: 1, max: 3, mean: 2, std: 1 },
      { min: 10, max: 30, mean: 20, std: 10 },
      { min: 100, max: 100, mean: 100, std: 0 },
    ]);
    expect(found).toMatchObject({ min: 1, max: 100, first: [1, 10, 100, 3, 30, 100] });
    expect(found!.mean).toBeCloseTo(244 / 6, 10);
  });
});
