/** Models that are made to have one cause of loss, and samples for them. */

import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Model } from "../../src/model/index.ts";
import { bytesOf, npy } from "../calibration/support.ts";
import { type GraphBuilder, model } from "../helpers/models.ts";

/** Numbers between −1 and 1 that look like chance and are the same in every run (a multiplicative generator of Park and Miller). */
export function noise(count: number, seed = 1): Float32Array {
  let state = seed * 48271 + 12345;
  return Float32Array.from({ length: count }, () => {
    state = (state * 48271) % 2147483647;
    return (2 * state) / 2147483647 - 1;
  });
}

export const WIDTH = 16;

const identity = (size = 1) =>
  Float32Array.from({ length: WIDTH * WIDTH }, (_, i) => (i % (WIDTH + 1) === 0 ? size : 0));

export function dense(
  graph: GraphBuilder,
  from: string,
  to: string,
  weights: Float32Array,
  bias = new Float32Array(WIDTH),
) {
  return graph
    .constant(`${to}/w`, [WIDTH, WIDTH], weights)
    .constant(`${to}/b`, [WIDTH], bias)
    .tensor(to, [1, WIDTH])
    .operator("FULLY_CONNECTED", [from, `${to}/w`, `${to}/b`], [to], { type: "FullyConnectedOptions", value: {} });
}

/** The identity, but for its first element. */
const first = (size: number) => identity().with(0, size);

/**
 * x ─▶ up: the first channel × 100 ─▶ down: ÷ 100 ─▶ fc2 ─▶ fc3: in 8 bits `up` has nothing left for 15 of 16 channels. Each row has one
 * weight that is not 0, so rounding them per channel costs nothing.
 */
export function uneven(): Model {
  return model(["x"], ["fc3"], (graph) => {
    graph.tensor("x", [1, WIDTH]);
    dense(graph, "x", "up", first(100));
    dense(graph, "up", "down", first(1 / 100));
    dense(graph, "down", "fc2", identity());
    dense(graph, "fc2", "fc3", identity());
  });
}

/** One weight of a thousand, for an input that is 0 in all samples: with one scale for all rows the others have nothing left. */
export function unevenWeights(): Model {
  return model(["x"], ["fc"], (graph) => {
    graph.tensor("x", [1, WIDTH]);
    dense(graph, "x", "fc", noise(WIDTH * WIDTH, 7).with(0, 1000));
  });
}

/** Four layers of any weights: each loses by being rounded. */
export function noisy(): Model {
  return model(["x"], ["d"], (graph) => {
    graph.tensor("x", [1, WIDTH]);
    for (const [i, [from, to]] of [..."xabc"].map((from, i) => [from, "abcd"[i]!]).entries())
      dense(graph, from!, to!, noise(WIDTH * WIDTH, i + 20));
  });
}

/** A LOGISTIC of values about −8: results about 1/3000, steps of 1/256. */
export function smallLogistic(): Model {
  return model(["x"], ["p"], (graph) => {
    graph.tensor("x", [1, WIDTH]);
    dense(graph, "x", "fc", identity(0.5), new Float32Array(WIDTH).fill(-8));
    graph.tensor("p", [1, WIDTH]).operator("LOGISTIC", ["fc"], ["p"]);
  });
}

/** x − 100 for x about 100: a ten-thousandth of x is a hundredth, as large as all that is left. */
export function cancelling(): Model {
  return model(["x"], ["d"], (graph) => {
    graph
      .tensor("x", [1, WIDTH])
      .constant("hundred", [1, WIDTH], new Float32Array(WIDTH).fill(100))
      .tensor("d", [1, WIDTH])
      .operator("SUB", ["x", "hundred"], ["d"], { type: "SubOptions", value: {} });
  });
}

/** Writes `count` samples; `of` makes each from chance. Gives the path. */
export function samples(folder: string, count: number, of: (values: Float32Array, i: number) => Float32Array): string {
  const all = new Float32Array(count * WIDTH);
  for (let i = 0; i < count; i++) all.set(of(noise(WIDTH, i + 3), i), i * WIDTH);
  const path = join(folder, "samples.npy");
  writeFileSync(path, npy("<f4", [count, WIDTH], bytesOf(all)));
  return path;
}
