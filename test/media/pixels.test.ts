/** Orientation, grey, size: expected numbers are Pillow 11.3's (ImageOps.exif_transpose, convert("L"), resize with BILINEAR). */
import { describe, expect, test } from "bun:test";
import { fitted, oriented, type Pixels, resized } from "../../src/media/resize.ts";

const gray = (rows: number[][]): Pixels => ({
  width: rows[0]!.length,
  height: rows.length,
  channels: 1,
  data: Uint8Array.from(rows.flat()),
});
const rowsOf = ({ width, height, data }: Pixels) =>
  Array.from({ length: height }, (_, y) => [...data.subarray(y * width, (y + 1) * width)]);

describe("orientation", () => {
  const stored = Uint8Array.from([1, 2, 3, 4, 5, 6].flatMap((v) => [v, v, v, 255]));
  test.each([
    [1, [1, 2, 3], [4, 5, 6]],
    [2, [3, 2, 1], [6, 5, 4]],
    [3, [6, 5, 4], [3, 2, 1]],
    [4, [4, 5, 6], [1, 2, 3]],
    [5, [1, 4], [2, 5], [3, 6]],
    [6, [4, 1], [5, 2], [6, 3]],
    [7, [6, 3], [5, 2], [4, 1]],
    [8, [3, 6], [2, 5], [1, 4]],
  ] as [number, ...number[][]][])("%i", (orientation, ...rows) =>
    expect(rowsOf(oriented({ width: 3, height: 2, channels: 4, data: stored }, orientation, "gray", 1))).toEqual(rows),
  );
});

test("channels: rgb, bgr, grey once and three times", () => {
  const colours = [
    [255, 0, 0],
    [0, 255, 0],
    [0, 0, 255],
    [12, 200, 99],
    [255, 255, 255],
  ];
  const data = Uint8Array.from(colours.flatMap((colour) => [...colour, 7]));
  const of = (channels: "rgb" | "bgr" | "gray", count: number) => [
    ...oriented({ width: 5, height: 1, channels: 4, data }, 1, channels, count).data,
  ];
  expect(of("rgb", 3)).toEqual(colours.flat());
  expect(of("bgr", 3)).toEqual(colours.flatMap((colour) => [...colour].reverse()));
  expect(of("gray", 1)).toEqual([76, 150, 29, 132, 255]);
  expect(of("gray", 3)).toEqual([76, 150, 29, 132, 255].flatMap((v) => [v, v, v]));
});

describe("size", () => {
  const small = gray([
    [10, 200, 30, 40],
    [50, 60, 255, 80],
    [90, 0, 110, 120],
  ]);
  test.each([
    [
      2,
      2,
      [
        [90, 94],
        [65, 119],
      ],
    ],
    [
      8,
      2,
      [
        [25, 56, 117, 140, 123, 100, 70, 55],
        [75, 62, 36, 58, 129, 150, 120, 105],
      ],
    ],
    [
      3,
      6,
      [
        [67, 115, 37],
        [64, 126, 61],
        [57, 147, 108],
        [56, 132, 128],
        [61, 81, 121],
        [63, 55, 117],
      ],
    ],
    [4, 1, [[50, 83, 149, 80]]],
  ])("%i×%i", (width, height, rows) => expect(rowsOf(resized(small, width, height))).toEqual(rows));

  test("much smaller: every pixel counts", () => {
    const big = {
      width: 17,
      height: 13,
      channels: 1,
      data: Uint8Array.from({ length: 17 * 13 }, (_, i) => (i * 37) % 256),
    };
    expect(rowsOf(resized(big, 5, 4))).toEqual([
      [117, 124, 121, 128, 120],
      [134, 122, 133, 125, 134],
      [128, 126, 131, 128, 138],
      [116, 122, 124, 125, 128],
    ]);
  });

  test("crop cuts the odd pixel from the right and from below, fit puts it there", () => {
    const wide = gray([[1, 2, 3, 4, 5, 6]]);
    expect(rowsOf(fitted(wide, 3, 1, "crop"))).toEqual([[2, 3, 4]]);
    expect(rowsOf(fitted(gray([[1], [2], [3], [4]]), 1, 1, "crop"))).toEqual([[2]]);
    expect(rowsOf(fitted(gray([[9]]), 4, 1, "fit"))).toEqual([[0, 9, 0, 0]]);
    expect(rowsOf(fitted(gray([[7, 8]]), 2, 4, "fit"))).toEqual([
      [0, 0],
      [7, 8],
      [0, 0],
      [0, 0],
    ]);
    expect(rowsOf(fitted(gray([[7, 8]]), 2, 2, "stretch"))).toEqual([
      [7, 8],
      [7, 8],
    ]);
  });
});
