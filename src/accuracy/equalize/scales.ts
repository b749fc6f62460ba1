/**
 * Which factors a group gets. Candidates divide each channel by (its range / the largest range)^α; the one with the least predicted noise is
 * moved on channel by channel while that lowers the noise.
 */

import type { Node } from "../../graph/graph.ts";
import { channelsOf, type Group } from "./groups.ts";
import { type NoiseFacts, predictedNoise } from "./noise.ts";
import { NoiseState } from "./noise-state.ts";
import type { ChannelStatistics } from "./statistics.ts";
import type { Walked } from "./walk.ts";

export const ALPHAS = [0, 0.25, 0.5, 0.75, 1] as const;

/** Smaller ranges count as this share of the largest: what hardly moves must not decide anything. */
const LEAST_RANGE = 1e-3;
/**
 * So many times a channel's largest recorded value stays below its limit, because other inputs go beyond what was recorded, and a limit cuts
 * that off. Where no group helps with the first, the next is tried.
 */
export const HEADROOMS = [2, 1] as const;
/** A step of refinement, and how many rounds of them. */
const STEP = 2 ** 0.25;
const ROUNDS = 2;
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
  headroom: number,
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
      least[place] = Math.max(least[place]!, Math.min(1, share * headroom));
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
  const after = refine(facts, best.s, ranges, within);
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

/** Moves `s` channel by channel while that lowers the noise, those of wide range first; gives the noise then. */
function refine(
  facts: NoiseFacts,
  s: Float64Array,
  ranges: Float64Array,
  within: (factor: number, place: number) => number,
): number {
  const state = new NoiseState(facts, s);
  const order = [...ranges.keys()].sort((a, b) => ranges[b]! - ranges[a]! || a - b);
  let least = state.noise;
  for (let round = 0; round < ROUNDS; round++) {
    let moved = false;
    for (const place of order)
      for (const step of [STEP, 1 / STEP]) {
        const factor = within(s[place]! * step, place);
        if (factor === s[place]) continue;
        const noise = state.try(place, factor);
        if (noise >= least) continue;
        state.take();
        least = noise;
        moved = true;
        break;
      }
    if (!moved) break;
  }
  return least;
}
