/** The observer of channels (looks.ts): what is kept of a record's tensors. */
import { FLT_MAX } from "../rules/arithmetic.ts";

/** What is wanted of a tensor. Element i is of channel ⌊i / inner⌋ mod channels; 0 channels: nothing of them. */
export interface Look {
  readonly channels: number;
  readonly inner: number;
  readonly whole: boolean;
}

/** What a record says of a tensor. */
export interface Looked {
  /** Least value, largest value, sum of squares of each channel: `[least of channel 0, largest, sum, least of channel 1 …]`. */
  readonly channels: Float64Array;
  /** Elements of each channel. */
  readonly count: number;
  /** All values, where they are wanted. */
  readonly values?: Float32Array;
}

/** Numbers that are kept of a channel. */
export const OF_CHANNEL = 3;

/** What a record has shown of one tensor. */
export class Seen {
  private channels: Float64Array;
  private count = 0;
  private parts: Float32Array[] = [];

  constructor(private readonly look: Look) {
    this.channels = fresh(look.channels);
  }

  see(values: Float32Array): void {
    const { channels, inner, whole } = this.look;
    if (whole) this.parts.push(values.slice());
    if (channels === 0) return;
    addTo(this.channels, values, channels, inner);
    this.count += values.length / channels;
  }

  take(): Looked {
    const { whole, channels } = this.look;
    const looked = { channels: this.channels, count: this.count, ...(whole && { values: joined(this.parts) }) };
    this.channels = fresh(channels);
    this.count = 0;
    this.parts = [];
    return looked;
  }
}

/** Adds values to what is kept of channels. NaN, infinities and ±FLT_MAX (what masks are filled with) are passed over. */
export function addTo(kept: Float64Array, values: Float32Array, channels: number, inner: number): void {
  if (inner === 1) return addPixels(kept, values, channels);
  let c = 0;
  for (let from = 0; from < values.length; from += inner) {
    const at = OF_CHANNEL * c;
    let [least, largest, sum] = [kept[at]!, kept[at + 1]!, kept[at + 2]!];
    for (let i = from; i < from + inner; i++) {
      const value = values[i]!;
      if (!(value > -FLT_MAX && value < FLT_MAX)) continue;
      if (value < least) least = value;
      if (value > largest) largest = value;
      sum += value * value;
    }
    kept[at] = least;
    kept[at + 1] = largest;
    kept[at + 2] = sum;
    if (++c === channels) c = 0;
  }
}

/** The same where channels lie beside each other, which most do: a plain loop is three times as fast. */
function addPixels(kept: Float64Array, values: Float32Array, channels: number): void {
  for (let from = 0; from < values.length; from += channels) {
    const end = Math.min(channels, values.length - from);
    for (let c = 0, at = 0; c < end; c++, at += OF_CHANNEL) {
      const value = values[from + c]!;
      if (!(value > -FLT_MAX && value < FLT_MAX)) continue;
      if (value < kept[at]!) kept[at] = value;
      if (value > kept[at + 1]!) kept[at + 1] = value;
      kept[at + 2] = kept[at + 2]! + value * value;
    }
  }
}

function fresh(channels: number): Float64Array {
  const kept = new Float64Array(OF_CHANNEL * channels);
  for (let at = 0; at < kept.length; at += OF_CHANNEL) {
    kept[at] = Number.POSITIVE_INFINITY;
    kept[at + 1] = Number.NEGATIVE_INFINITY;
  }
  return kept;
}

function joined(parts: readonly Float32Array[]): Float32Array {
  if (parts.length === 1) return parts[0]!;
  const all = new Float32Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}
