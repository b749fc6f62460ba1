/**
 * Cutting a tensor into pieces that fit in memory and still are [outer, channels, inner] each.
 *
 *     [1, 512, 3·3·256], at most 1 Mi elements   →   455 whole channels, then 57
 *     [9, 64, 1], everything fits                →   one piece
 */
import type { ChannelLayout } from "./constant.ts";

/** Elements first … first+count−1 of a tensor: `channels` channels from `channel` on, runs of `inner` elements. */
export interface Piece {
  readonly first: number;
  readonly count: number;
  readonly channel: number;
  readonly channels: number;
  readonly inner: number;
}

/** Pieces of at most `limit` elements (or one element per channel), in storage order. */
export function piecesOf(layout: ChannelLayout, limit: number): Piece[] {
  const { outer, channels, inner } = layout;
  const row = channels * inner;
  const pieces: Piece[] = [];
  if (row === 0 || outer === 0) return pieces;
  if (row <= limit) {
    if (outer === 1) return [{ first: 0, count: row, channel: 0, channels, inner }];
    const rows = Math.floor(limit / row);
    for (let o = 0; o < outer; o += rows) {
      const count = Math.min(rows, outer - o) * row;
      pieces.push({ first: o * row, count, channel: 0, channels, inner });
    }
    return pieces;
  }
  for (let o = 0; o < outer; o++) {
    if (inner <= limit) {
      const together = Math.floor(limit / inner);
      for (let channel = 0; channel < channels; channel += together) {
        const some = Math.min(together, channels - channel);
        pieces.push({ first: o * row + channel * inner, count: some * inner, channel, channels: some, inner });
      }
    } else {
      for (let channel = 0; channel < channels; channel++) {
        for (let at = 0; at < inner; at += limit) {
          const count = Math.min(limit, inner - at);
          pieces.push({ first: o * row + channel * inner + at, count, channel, channels: 1, inner: count });
        }
      }
    }
  }
  return pieces;
}

/**
 * A piece in blocks of at most `limit` elements that are whole channels each, or parts of one channel where these may be `cut`;
 * the piece itself where neither is possible.
 *
 *     first 0, 8 channels of 100, at most 300 elements   →   3 channels, 3, 2
 */
export function blocksOf(piece: Piece, limit: number, cut: boolean): Piece[] {
  const { first, count, channel, channels, inner } = piece;
  if (channels === 1 && cut && count > limit) {
    const parts = Math.ceil(count / limit);
    return Array.from({ length: parts }, (_, i) => {
      const size = Math.min(limit, count - i * limit);
      return { first: first + i * limit, count: size, channel, channels, inner: size };
    });
  }
  const together = Math.floor(limit / inner);
  if (count <= limit || together === 0 || count !== channels * inner) return [piece];
  const blocks: Piece[] = [];
  for (let done = 0; done < channels; done += together) {
    const some = Math.min(together, channels - done);
    blocks.push({ first: first + done * inner, count: some * inner, channel: channel + done, channels: some, inner });
  }
  return blocks;
}

/** Whether every channel lies in one piece, so that a piece can be scanned and encoded in one read. */
export function piecesAreIndependent(layout: ChannelLayout, limit: number): boolean {
  const { outer, channels, inner } = layout;
  return outer * channels * inner <= limit || (outer === 1 && inner <= limit);
}

/**
 * A piece that was cut along other channels, in parts of whole channels of `layout`, of whole runs of one channel, or within a run:
 * elements 3…11 of [*, 2, 4] are 3 (channel 0), 4…7 (channel 1) and 8…11 (channel 0). One part when they agree.
 */
export function* partsOf({ first, count }: Piece, { channels, inner }: ChannelLayout): Generator<Piece> {
  const row = channels * inner;
  const end = first + count;
  for (let at = first; at < end; ) {
    const inRow = at % row;
    const channel = Math.floor(inRow / inner);
    const left = end - at;
    let part: Piece;
    if (inRow === 0 && left >= row) {
      part = { first: at, count: left - (left % row), channel: 0, channels, inner };
    } else if (inRow % inner === 0 && left >= inner) {
      const together = Math.min(Math.floor(left / inner), channels - channel);
      part = { first: at, count: together * inner, channel, channels: together, inner };
    } else {
      const run = Math.min(inner - (inRow % inner), left);
      part = { first: at, count: run, channel, channels: 1, inner: run };
    }
    yield part;
    at += part.count;
  }
}
