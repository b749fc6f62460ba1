/**
 * Pictures and sounds as records. Pictures are decoded once, while the data set is opened, so that every file that cannot be used is known before
 * anything runs, and no run over the samples decodes them again; what is kept are bytes in the size that the model wants. Sounds are hardly
 * packed and read anew.
 */
import { readFileSync } from "node:fs";
import { FileError, reasonOf } from "../base/errors.ts";
import { counted } from "../base/text.ts";
import { Decoders } from "../media/decoders.ts";
import { LARGEST_FILE, MediaError } from "../media/error.ts";
import { readHeader } from "../media/header.ts";
import { fitted, isOnSide, oriented } from "../media/resize.ts";
import { readWav, type Sound } from "../media/wav.ts";
import { fileSize } from "./chunks.ts";
import { type FileReader, type InputSpec, type Look, patternOf, type Said } from "./inputs.ts";
import { KeptBytes } from "./kept-bytes.ts";
import {
  type KnownInput,
  type MediaSettings,
  type PicturePlan,
  picturePlan,
  type SoundPlan,
  soundPlan,
} from "./media-plan.ts";

/** Bytes of a decoded picture from which its memory is given back at once. */
const LARGE = 16 * 2 ** 20;

export type MediaKind = "picture" | "sound";

/** What a caller tells of the model and the options. */
export interface MediaContext {
  readonly settings: MediaSettings;
  /** By input. */
  readonly known: readonly KnownInput[];
  /** Called while files are read. */
  readonly onProgress?: (done: number, total: number) => void;
}

interface Counts {
  pictures: number;
  turned: number;
  readonly sizes: Set<string>;
  sounds: number;
  readonly rates: Set<number>;
  longer: number;
  shorter: number;
}

/** Reads pictures and sounds for the inputs of a model. */
export class Media {
  private readonly decoders = new Decoders();
  private readonly kept = new KeptBytes();
  private readonly pictures = new Map<number, PicturePlan>();
  private readonly sounds = new Map<number, SoundPlan>();
  private readonly counts: readonly Counts[];

  constructor(
    private readonly inputs: readonly InputSpec[],
    private readonly context: MediaContext,
  ) {
    this.counts = inputs.map(() => ({
      pictures: 0,
      turned: 0,
      sizes: new Set(),
      sounds: 0,
      rates: new Set(),
      longer: 0,
      shorter: 0,
    }));
  }

  /** Throws where files of a kind cannot feed an input, whatever is in them; to be called before any is opened. */
  plan(kind: MediaKind, input: number): void {
    const [spec, known] = [this.inputs[input]!, this.context.known[input] ?? {}];
    if (kind === "picture") this.pictures.set(input, picturePlan(spec, known, this.context.settings));
    else this.sounds.set(input, soundPlan(spec, known, this.context.settings));
  }

  /** A file as an input's values. Throws FileError where it cannot be used. */
  async open(kind: MediaKind, path: string, input: number): Promise<FileReader> {
    try {
      return kind === "picture" ? await this.picture(path, input) : this.sound(path, input);
    } catch (error) {
      if (!(error instanceof MediaError)) throw error;
      throw new FileError(path, error.message, { cause: error });
    }
  }

  private async picture(path: string, input: number): Promise<FileReader> {
    // A run is to be stopped between two pictures.
    await new Promise((resume) => setImmediate(resume));
    const plan = this.pictures.get(input)!;
    const bytes = readWhole(path);
    const header = readHeader(bytes);
    const stored = await this.decoders.decode(bytes, header);
    const upright = oriented(stored, header.orientation, plan.channels, plan.count);
    const pixels = fitted(upright, plan.width ?? upright.width, plan.height ?? upright.height, plan.resize);
    const counts = this.counts[input]!;
    counts.pictures++;
    if (header.orientation > 1) counts.turned++;
    const turned = isOnSide(header.orientation);
    counts.sizes.add(turned ? `${header.height}×${header.width}` : `${header.width}×${header.height}`);
    // A decoded photograph is tens of megabytes, of which the collector does not see enough to hurry.
    if (stored.data.length > LARGE) Bun.gc(true);
    const { width, height } = pixels;
    const sizes = plan.planar ? [plan.count, height, width] : [height, width, plan.count];
    const rank = patternOf(this.inputs[input]!).length;
    const shape = rank === 2 ? [height, width] : rank === 3 ? sizes : [1, ...sizes];
    const read = this.kept.add(pixels.data);
    return { shape, read: () => encoded(read(), plan) };
  }

  private sound(path: string, input: number): FileReader {
    const plan = this.sounds.get(input)!;
    const sound = readWav(readWhole(path));
    if (plan.rate !== undefined && plan.rate !== sound.rate)
      throw new MediaError(`has ${sound.rate} Hz, and the model's metadata want ${plan.rate}; convert it`);
    if (sound.length === 0) throw new MediaError("is empty: it has no sound");
    const length = plan.length ?? sound.length;
    const counts = this.counts[input]!;
    counts.sounds++;
    counts.rates.add(sound.rate);
    if (sound.length > length) counts.longer++;
    if (sound.length < length) counts.shorter++;
    const shape = patternOf(this.inputs[input]!).map((dim, axis) => (axis === plan.axis ? length : dim));
    return { shape, read: () => bytesOf(plan.encode(values(readWav(readWhole(path)), length))) };
  }

  /** How the values of pictures look, by input. */
  looks(): (Look | undefined)[] {
    return this.inputs.map((_, i) => {
      const { tables, channels } = this.pictures.get(i) ?? {};
      if (!tables) return undefined;
      const ends = (byte: number) => tables.map((table) => table[byte]!);
      return { low: ends(0), high: ends(255), bgr: channels === "bgr" };
    });
  }

  /** What was done, for people. */
  said(): Said[] {
    return this.inputs.flatMap((input, i) => [...this.saidOfPictures(input, i), ...this.saidOfSounds(input, i)]);
  }

  private saidOfPictures(input: InputSpec, i: number): Said[] {
    const plan = this.pictures.get(i);
    const { pictures, sizes, turned } = this.counts[i]!;
    if (!plan || pictures === 0) return [];
    const size = `${plan.width ?? "own"}×${plan.height ?? "own"}`;
    const changed = [...sizes].some((each) => each !== size);
    const how = { stretch: "stretched to", crop: "cropped to", fit: "fitted into" }[plan.resize];
    const open = plan.width === undefined || plan.height === undefined;
    const words = [
      `${counted(pictures, "picture")}${open ? " in their own size" : changed ? ` ${how} ${size}` : ` of ${size}`}`,
      ...(turned > 0 ? [`${turned} turned upright`] : []),
      plan.channels,
      plan.by,
    ];
    return [{ kind: "note", code: "pictures", text: `input "${input.name}": ${words.join(", ")}` }];
  }

  private saidOfSounds(input: InputSpec, i: number): Said[] {
    const plan = this.sounds.get(i);
    const { sounds, rates, longer, shorter } = this.counts[i]!;
    if (!plan || sounds === 0) return [];
    const words = [
      `${counted(sounds, "sound")} of ${[...rates].sort((a, b) => a - b).join(", ")} Hz`,
      ...(longer > 0 ? [`${longer} cut to the first ${plan.length} samples`] : []),
      ...(shorter > 0 ? [`${shorter} filled up with silence`] : []),
      plan.by,
    ];
    const text = `input "${input.name}": ${words.join(", ")}`;
    if (rates.size === 1) return [{ kind: "note", code: "sounds", text }];
    return [
      {
        kind: "warning",
        code: "sounds-of-several-rates",
        text: `${text}; convert them to the rate that the model wants`,
      },
    ];
  }

  close(): void {
    this.kept.close();
  }
}

function readWhole(path: string): Uint8Array {
  if (fileSize(path) > LARGEST_FILE)
    throw new MediaError(`is larger than ${LARGEST_FILE / 2 ** 20} MiB, which no picture or sound here may be`);
  try {
    return readFileSync(path);
  } catch (error) {
    throw new MediaError(`cannot be read (${reasonOf(error)})`);
  }
}

/** Pixels, row by row, as the input's bytes. */
function encoded(pixels: Uint8Array, { planar, count, tables }: PicturePlan): Uint8Array {
  const area = pixels.length / count;
  const out = new (tables[0]!.constructor as new (length: number) => (typeof tables)[0] & Uint8Array)(pixels.length);
  for (let c = 0; c < count; c++) {
    const table = tables[c]!;
    const [start, step] = planar ? [c * area, 1] : [c, count];
    for (let i = 0, to = start, from = c; i < area; i++, to += step, from += count) out[to] = table[pixels[from]!]!;
  }
  return bytesOf(out);
}

/** The first `length` samples, silence behind the last. */
function values(sound: Sound, length: number): number[] {
  return Array.from({ length }, (_, i) => (i < sound.length ? sound.at(i) : 0));
}

const bytesOf = (array: ArrayBufferView) => new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
