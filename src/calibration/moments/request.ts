/** What is to be gathered of a run, by the model's tensors, and how it comes back. */
import type { RecordMoments, Wanted } from "./gather.ts";
import { type Taps, vectorLength } from "./taps.ts";

/** What an operator reads of a tensor. */
export interface MomentWish {
  readonly subgraph: number;
  readonly tensor: number;
  readonly taps: Taps;
  /** Vectors that are taken of each record. */
  readonly vectors: number;
  /** Told of each record in the order of the records: how many vectors there were, their mean, those that were taken. */
  take(record: number, count: number, mean: Float64Array, vectors: Float32Array): void;
}

export interface MomentRequest {
  readonly wishes: readonly MomentWish[];
  /** Bytes that the main thread keeps of it, and of what is kept beside it; where memory is limited they are not to be had for the run. */
  readonly heldBytes?: number;
  /** Told when a set of samples begins, also when it begins anew because LiteRT cannot run the model as a whole. */
  begin(run: number, records: number): void;
}

/** Bytes that a Worker has of a wish: its sums, and the vectors of one record while those of the record before are on their way. */
function wishBytes({ taps, vectors }: MomentWish): number {
  return vectorLength(taps) * (2 * 8 + 2 * 4 * vectors);
}

/** The same of all wishes. */
export function momentBytes({ wishes }: Pick<MomentRequest, "wishes">): number {
  return wishes.reduce((sum, wish) => sum + wishBytes(wish), 0);
}

/** The same by tensor of the subgraph that is run. */
export function momentBytesBy({ wishes }: Pick<MomentRequest, "wishes">): ReadonlyMap<number, number> {
  const by = new Map<number, number>();
  for (const wish of wishes) if (wish.subgraph === 0) by.set(wish.tensor, (by.get(wish.tensor) ?? 0) + wishBytes(wish));
  return by;
}

/** The wishes that are for the observed tensors of a part of a run: what its Workers are told, and where their answers go. */
export function wantedOf(
  { wishes }: MomentRequest,
  observed: readonly { readonly tensor: number; readonly subgraph?: number }[],
): { readonly wanted: Wanted[]; take(record: number, moments: RecordMoments): void } | undefined {
  const places = new Map(observed.map(({ tensor, subgraph = 0 }, place) => [`${subgraph} ${tensor}`, place]));
  const own = wishes.flatMap((wish, seed) => {
    const place = places.get(`${wish.subgraph} ${wish.tensor}`);
    return place === undefined ? [] : [{ wish, wanted: { place, taps: wish.taps, vectors: wish.vectors, seed } }];
  });
  if (own.length === 0) return undefined;
  return {
    wanted: own.map(({ wanted }) => wanted),
    take(record, { counts, means, vectors }) {
      let at = 0;
      for (const [i, { wish }] of own.entries()) {
        const length = vectorLength(wish.taps);
        if (counts[i]! > 0) wish.take(record, counts[i]!, means.subarray(at, at + length), vectors[i]!);
        at += length;
      }
    },
  };
}
