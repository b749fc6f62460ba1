/** A contact sheet: the first samples of an input as a person sees them, side by side, as PNG. */
import { encodePng } from "../media/png.ts";
import { type Pixels, resized } from "../media/resize.ts";
import { type DataSet, type InputSpec, type Look, patternOf } from "./inputs.ts";
import { pictureAxes } from "./media-plan.ts";
import { numbersOf } from "./statistics.ts";

/** Most samples on a sheet, samples in a row, pixels of a side, pixels between two. */
const [MOST, IN_ROW, SIDE, GAP] = [64, 8, 192, 4];
const BACKGROUND = 40;

/** The first input that is a picture; −1 where none is. */
export function pictureInput(inputs: readonly InputSpec[]): number {
  return inputs.findIndex((input) => pictureAxes(patternOf(input)) !== undefined);
}

/** The sheet of input `position`, and how many samples are on it. `look`: which values are black and white. */
export async function sheetOf(
  inputs: readonly InputSpec[],
  position: number,
  data: DataSet,
  look: Look,
): Promise<{ png: Uint8Array; count: number }> {
  const pictures: Pixels[] = [];
  let record = 0;
  for await (const arrays of data.records()) {
    const shape = data.shapes?.(record++)[position] ?? inputs[position]!.shape;
    pictures.push(pictureOf(arrays[position]!, inputs[position]!, shape, look));
    if (pictures.length === MOST) break;
  }
  const columns = Math.min(IN_ROW, Math.ceil(Math.sqrt(pictures.length)));
  const rows = Math.ceil(pictures.length / columns);
  const cell = { width: Math.max(...pictures.map((p) => p.width)), height: Math.max(...pictures.map((p) => p.height)) };
  const width = columns * (cell.width + GAP) + GAP;
  const height = rows * (cell.height + GAP) + GAP;
  const rgb = new Uint8Array(width * height * 3).fill(BACKGROUND);
  for (const [i, picture] of pictures.entries()) {
    const left = GAP + (i % columns) * (cell.width + GAP);
    const top = GAP + Math.floor(i / columns) * (cell.height + GAP);
    for (let y = 0; y < picture.height; y++)
      rgb.set(
        picture.data.subarray(y * picture.width * 3, (y + 1) * picture.width * 3),
        ((top + y) * width + left) * 3,
      );
  }
  return { png: encodePng(width, height, rgb), count: pictures.length };
}

/** One sample as RGB, made smaller where it is large. */
function pictureOf(bytes: Uint8Array, input: InputSpec, shape: readonly number[], { low, high, bgr }: Look): Pixels {
  const { height: h, width: w, planar } = pictureAxes(patternOf(input))!;
  const [height, width] = [shape[h]!, shape[w]!];
  const area = height * width;
  const values = numbersOf(bytes, input) ?? new Float64Array(area);
  const count = values.length / area;
  const data = new Uint8Array(area * 3);
  for (let i = 0; i < area; i++)
    for (let c = 0; c < 3; c++) {
      const from = count === 1 ? 0 : bgr ? 2 - c : c;
      const value = values[planar ? from * area + i : i * count + from]!;
      const [black, white] = [low[from] ?? low[0]!, high[from] ?? high[0]!];
      // What is no number is black.
      data[i * 3 + c] = Math.min(255, Math.max(0, Math.round(((value - black) / (white - black)) * 255))) || 0;
    }
  const scale = Math.min(1, SIDE / Math.max(width, height));
  const side = (size: number) => Math.max(1, Math.round(size * scale));
  return resized({ width, height, channels: 3, data }, side(width), side(height));
}
