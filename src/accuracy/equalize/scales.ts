/**
 * Which factors a group gets. Candidates divide each channel by (its range / the largest range)^α; the one with the least predicted noise is
 * moved on channel by channel while that lowers the noise.
 */

import type { Node } from "../../graph/graph.ts";
import { channelsOf, type Group } from "./groups.ts";
import { type NoiseFacts, predictedNoise } from "./noise.ts";
import type { ChannelStatistics } from "./statistics.ts";
import type { Walked } from "./walk.ts";

export const ALPHAS = [0, 0.25, 0.5, 0.75, 1] as const;

/** Smaller ranges count as this share of the largest: what hardly moves must not decide anything. */
const LEAST_RANGE = 1e-3;
/** A value so close to a limit may be beyond it on other samples. */
const REACHES = 0.998;
/** A step of refinement, and how many rounds of them. */
const STEP = 2 ** 0.25;
const ROUNDS = 3;
/** Work that refining one group may be, in elements looked at. */
const WORK = 4e7;

/** Factors by channel that stands for others (ChannelSets.root); absent = 1. What is read is multiplied, what is given divided. */
export type Scales = ReadonlyMap<number, number>;

export interface Chosen {
  readonly scales: Scales;
  readonly alpha: number;
  /** Predicted noise without and with these factors. */
  readonly before: number;
  readonly after: number;
}

/** The bounds that limits of functions set: the least factor with which no recorded value reaches a limit. 1 = the channel has to stay. */
export function leastFactors(
  { roots, limited }: Group,
  { sets }: Walked,
  statistics: ReadonlyMap<Node, ChannelStatistics>,
): Float64Array {
  const places = new Map(roots.map((root, place) => [root, place]));
  const least = new Float64Array(roots.length);
  for (const { tensor, limits } of limited) {
    const known = statistics.get(tensor.node);
    for (const [c, channel] of channelsOf(tensor).entries()) {
      const place = places.get(sets.root(channel));
      if (place === undefined) continue;
      const share = Math.max(
        limits.high === undefined ? 0 : (known?.max[c] ?? limits.high) / limits.high,
        limits.low === undefined ? 0 : (known?.min[c] ?? limits.low) / limits.low,
      );
      least[place] = Math.max(least[place]!, Math.min(1, share / REACHES));
    }
  }
  return least;
}

/** Factors for a group; `least`: the bounds of leastFactors. */
export function chooseScales(group: Group, facts: NoiseFacts, least: Float64Array): Chosen {
  const ranges = rangesOf(facts);
  const widest = ranges.reduce((a, b) => Math.max(a, b), 0);
  const within = (factor: number, place: number) =>
    least[place]! >= 1 ? 1 : Math.max(least[place]!, Math.min(1 / LEAST_RANGE, factor));
  const before = predictedNoise(facts, new Float64Array(facts.channels).fill(1));
  let best = { s: new Float64Array(facts.channels).fill(1), noise: before, alpha: 0 };
  if (widest > 0)
    for (const alpha of ALPHAS) {
      const s = ranges.map((range, place) => within(Math.max(range / widest, LEAST_RANGE) ** alpha, place));
      const noise = predictedNoise(facts, s);
      if (noise < best.noise) best = { s, noise, alpha };
    }
  const after = refine(facts, best.s, best.noise, ranges, within);
  if (isFree(facts, least)) center(best.s, within);
  const scales = new Map<number, number>();
  for (const [place, root] of group.roots.entries()) if (best.s[place] !== 1) scales.set(root, best.s[place]!);
  return { scales, alpha: best.alpha, before, after };
}

/** No channel has to keep the factor 1; then all may have another factor together, which changes no noise. */
function isFree({ tensors }: NoiseFacts, least: Float64Array): boolean {
  const stays = tensors.some(({ places, min, max }) =>
    places.some((place, c) => place < 0 && (min[c] !== 0 || max[c] !== 0)),
  );
  return !stays && least.every((each) => each < 1);
}

/** Makes the geometric mean 1, so that weights stay about as large as they were. */
function center(s: Float64Array, within: (factor: number, place: number) => number): void {
  const mean = Math.exp(s.reduce((sum, factor) => sum + Math.log(factor), 0) / s.length);
  for (const place of s.keys()) s[place] = within(s[place]! / mean, place);
}

/** The farthest value from 0 of each channel, over all tensors that have it. */
function rangesOf({ channels, tensors }: NoiseFacts): Float64Array {
  const ranges = new Float64Array(channels);
  for (const { places, min, max } of tensors)
    for (const [c, place] of places.entries())
      if (place >= 0) ranges[place] = Math.max(ranges[place]!, -min[c]!, max[c]!);
  return ranges;
}

/** Moves `s` while that lowers the noise; gives the noise then. Many channels move in blocks of like range, so that the work has a bound. */
function refine(
  facts: NoiseFacts,
  s: Float64Array,
  noise: number,
  ranges: Float64Array,
  within: (factor: number, place: number) => number,
): number {
  const each =
    facts.tensors.reduce((sum, { places }) => sum + places.length, 0) +
    facts.consumers.reduce((sum, { peaks }) => sum + peaks.length, 0);
  const size = Math.max(1, Math.ceil((2 * ROUNDS * facts.channels * each) / WORK));
  const order = [...ranges.keys()].sort((a, b) => ranges[b]! - ranges[a]! || a - b);
  let least = noise;
  for (let round = 0; round < ROUNDS; round++) {
    let moved = false;
    for (let from = 0; from < order.length; from += size) {
      const block = order.slice(from, from + size);
      for (const step of [STEP, 1 / STEP]) {
        const old = block.map((place) => s[place]!);
        for (const place of block) s[place] = within(s[place]! * step, place);
        const now = predictedNoise(facts, s);
        if (now < least) {
          least = now;
          moved = true;
          break;
        }
        for (const [i, place] of block.entries()) s[place] = old[i]!;
      }
    }
    if (!moved) break;
  }
  return least;
}
