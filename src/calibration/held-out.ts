/**
 * Samples that are held back: those that set the ranges say nothing of how well the ranges fit others.
 *
 *     share 0.5, 8 samples     0   1   2   3   4   5   6   7
 *     ranges                   x       x       x       x
 *     held                         x       x       x       x
 *     held, for a search           x               x
 *     held, for a check                    x               x
 *
 * They are spread evenly, so that folders in an order (one person after the other) are in both parts. Which they are follows from the
 * share and the number of samples alone.
 */
import { UsageError } from "../base/errors.ts";
import type { DataSet } from "./inputs.ts";

/** `rest`: those that are not held back. `search`, `check`: every other one of the held. */
export type Role = "rest" | "held" | "search" | "check";

export interface HeldBack {
  /** Of all samples, above 0 and below 1. */
  readonly share: number;
  readonly take: Role;
}

/** Places of the records that a role gets, of so many. */
export function placesOf(count: number, { share, take }: HeldBack): number[] {
  const rest: number[] = [];
  const held: number[] = [];
  // A hair more, so that a tenth of ten is one, whatever binary fractions make of it.
  const upTo = (records: number) => Math.floor(records * share + 1e-9);
  for (let i = 0; i < count; i++) (upTo(i + 1) > upTo(i) ? held : rest).push(i);
  if (take === "rest") return rest;
  if (take === "held") return held;
  return held.filter((_, i) => i % 2 === (take === "search" ? 0 : 1));
}

/** The records of a role, in their order. Throws a UsageError where it gets none; the data are closed then. */
export function withRole(data: DataSet, held: HeldBack): DataSet {
  const places = placesOf(data.count, held);
  if (places.length === 0) {
    data.close();
    const least = held.take === "search" || held.take === "check" ? 4 : 2;
    throw new UsageError(
      `${data.description}: too few samples to hold some back (a share of ${held.share}); give ${least} or more, or another --split`,
    );
  }
  return {
    ...data,
    count: places.length,
    ...(data.shapes && { shapes: (record: number) => data.shapes!(places[record]!) }),
    async *records() {
      let place = 0;
      let next = 0;
      for await (const record of data.records()) {
        if (place++ !== places[next]) continue;
        yield record;
        if (++next === places.length) return;
      }
    },
    close: () => data.close(),
  };
}
