/** Numbers about samples, for people: least, largest, mean, standard deviation, and the first values. */
import { type DataSet, elementOf, type InputSpec, patternOf } from "./inputs.ts";
import { pictureAxes } from "./media-plan.ts";

export interface Statistics {
  readonly min: number;
  readonly max: number;
  readonly mean: number;
  /** Of all values, divided by their number. */
  readonly std: number;
}

export interface InputStatistics extends Statistics {
  /** The first values of the first sample. */
  readonly first: readonly number[];
  /** By channel, where the input is a picture of three. */
  readonly channels?: readonly Statistics[];
}

const FIRST = 8;

/** Reads little-endian bytes as numbers, by NumPy's codes. */
const READERS: Readonly<Record<string, (buffer: ArrayBuffer) => Iterable<number | bigint>>> = {
  f4: (buffer) => new Float32Array(buffer),
  f8: (buffer) => new Float64Array(buffer),
  i1: (buffer) => new Int8Array(buffer),
  i2: (buffer) => new Int16Array(buffer),
  i4: (buffer) => new Int32Array(buffer),
  i8: (buffer) => new BigInt64Array(buffer),
  u1: (buffer) => new Uint8Array(buffer),
  u2: (buffer) => new Uint16Array(buffer),
  u4: (buffer) => new Uint32Array(buffer),
  u8: (buffer) => new BigUint64Array(buffer),
  b1: (buffer) => new Uint8Array(buffer),
};

/** An input's bytes as numbers; undefined for types that are none (complex, float16). */
export function numbersOf(bytes: Uint8Array, input: InputSpec): Float64Array | undefined {
  const read = READERS[elementOf(input).numpy];
  return read && Float64Array.from(read(bytes.slice().buffer), Number);
}

/** Sums by Welford's rule, which loses nothing where values lie far from 0. */
class Sums {
  private count = 0;
  private mean = 0;
  private squares = 0;
  private min = Number.POSITIVE_INFINITY;
  private max = Number.NEGATIVE_INFINITY;

  add(value: number): void {
    this.count++;
    const off = value - this.mean;
    this.mean += off / this.count;
    this.squares += off * (value - this.mean);
    if (value < this.min) this.min = value;
    if (value > this.max) this.max = value;
  }

  get result(): Statistics {
    return { min: this.min, max: this.max, mean: this.mean, std: Math.sqrt(this.squares / this.count) };
  }
}

/** Looks at all samples. Null for inputs whose type has no numbers. */
export async function statisticsOf(
  inputs: readonly InputSpec[],
  data: DataSet,
  onProgress: (done: number, total: number) => void,
): Promise<(InputStatistics | null)[]> {
  const looked = inputs.map((input) => {
    const axes = pictureAxes(patternOf(input));
    const planar = axes?.planar === true;
    const count = axes && patternOf(input).length > 2 ? patternOf(input).at(planar ? -3 : -1)! : 1;
    const channels = count === 3 ? [new Sums(), new Sums(), new Sums()] : [];
    return { all: new Sums(), channels, planar, first: undefined as readonly number[] | undefined };
  });
  const known = inputs.map(() => true);
  let done = 0;
  for await (const record of data.records()) {
    for (const [i, input] of inputs.entries()) {
      const values = numbersOf(record[i]!, input);
      const { all, channels, planar } = looked[i]!;
      known[i] = values !== undefined;
      if (!values) continue;
      looked[i]!.first ??= Array.from(values.subarray(0, FIRST));
      const area = values.length / 3;
      for (let at = 0; at < values.length; at++) {
        all.add(values[at]!);
        if (channels.length > 0) channels[planar ? Math.floor(at / area) : at % 3]!.add(values[at]!);
      }
    }
    onProgress(++done, data.count);
  }
  return looked.map(({ all, channels, first = [] }, i) =>
    known[i]
      ? { ...all.result, first, ...(channels.length > 0 && { channels: channels.map(({ result }) => result) }) }
      : null,
  );
}
