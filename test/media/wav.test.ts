/** WAV files made by hand after the format; integers stand for n / 2^(bits − 1). */
import { describe, expect, test } from "bun:test";
import { MediaError } from "../../src/media/error.ts";
import { readWav } from "../../src/media/wav.ts";
import { wav } from "./sounds.ts";

const raw = (array: ArrayBufferView) => new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
const valuesOf = (bytes: Uint8Array) => {
  const sound = readWav(bytes);
  return Array.from({ length: sound.length }, (_, i) => sound.at(i));
};
const refusal = (bytes: Uint8Array) => {
  try {
    readWav(bytes);
    return undefined;
  } catch (error) {
    if (!(error instanceof MediaError)) throw error;
    return error.message;
  }
};

test.each([
  [8, 1, Uint8Array.of(0, 128, 192), [-1, 0, 0.5]],
  [16, 1, raw(Int16Array.of(-32768, 0, 16384)), [-1, 0, 0.5]],
  [24, 1, Uint8Array.of(0, 0, 0x80, 0, 0, 0, 0, 0, 0x40), [-1, 0, 0.5]],
  [32, 1, raw(Int32Array.of(-(2 ** 31), 0, 2 ** 30)), [-1, 0, 0.5]],
  [32, 3, raw(Float32Array.of(-1.5, 0, 0.5)), [-1.5, 0, 0.5]],
  [64, 3, raw(Float64Array.of(-1, 0, 0.1)), [-1, 0, 0.1]],
])("%i bits, format %i", (bits, code, data, values) => expect(valuesOf(wav(data, { bits, code }))).toEqual(values));

test("the mean of two channels", () =>
  expect(valuesOf(wav(raw(Int16Array.of(16384, -16384, 16384, 0)), { channels: 2 }))).toEqual([0, 0.25]));

test("a recorder that did not know the size", () =>
  expect(valuesOf(wav(raw(Int16Array.of(16384, 0)), { size: 0xffffffff }))).toEqual([0.5, 0]));

describe("refused", () => {
  const data = raw(Int16Array.of(1, 2));
  test("packed", () => expect(refusal(wav(data, { code: 85 }))).toContain("a packed format (85)"));
  test("12 bits", () => expect(refusal(wav(data, { bits: 12 }))).toContain("12 bits a sample"));
  test("cut", () => expect(refusal(wav(data).slice(0, 46))).toContain("ends too early"));
  test("no channels", () => expect(refusal(wav(data, { channels: 0 }))).toContain("0 channels"));
  test("something else", () =>
    expect(refusal(new Uint8Array(Buffer.from("no sound at all, really")))).toContain("is no WAV"));
  test("cut or changed anywhere: told or taken, never a crash", () => {
    const whole = wav(data);
    for (let i = 0; i < whole.length; i++) {
      refusal(whole.slice(0, i));
      for (const value of [0, 1, 127, 255]) {
        const copy = whole.slice();
        copy[i] = value;
        if (refusal(copy) === undefined) valuesOf(copy);
      }
    }
    expect(valuesOf(whole)).toEqual([1 / 32768, 2 / 32768]);
  });
});
