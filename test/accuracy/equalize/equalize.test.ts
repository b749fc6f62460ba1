/** Equalization: groups with known answers, the same float function in LiteRT, bytes that come back, noise against a naive oracle. */
import { describe, expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { acceptGroups, helps } from "../../../src/accuracy/equalize/accept.ts";
import { Equalized } from "../../../src/accuracy/equalize/apply.ts";
import { channelsOf, findGroups } from "../../../src/accuracy/equalize/groups.ts";
import { equalizeGraph } from "../../../src/accuracy/equalize/index.ts";
import { type NoiseFacts, predictedNoise } from "../../../src/accuracy/equalize/noise.ts";
import { NoiseState } from "../../../src/accuracy/equalize/noise-state.ts";
import { chooseScales, leastFactors } from "../../../src/accuracy/equalize/scales.ts";
import { channelStatistics } from "../../../src/accuracy/equalize/statistics.ts";
import { trialOf } from "../../../src/accuracy/equalize/trial.ts";
import { lookAtRecords } from "../../../src/calibration/looks.ts";
import { isHeldOut, judges } from "../../../src/calibration/moments/moments.ts";
import type { Node } from "../../../src/graph/graph.ts";
import { type Model, openModel } from "../../../src/model/index.ts";
import { exportWorkspace, workspace } from "../../../src/passes/workspace.ts";
import { DEFAULT_SCHEME, SCHEMES } from "../../../src/rules/schemes.ts";
import { fillConstants } from "../../../src/weights/fill.ts";
import { model } from "../../helpers/models.ts";
import { everyRole, Net, numbers } from "./models.ts";
import { bytesOf, openInMemory, outputsOf, outputsOfModel, relativeError, samples } from "./open.ts";

const SHARED = join(import.meta.dir, "../../../../shared/models");

/** Names of the tensors of each group. */
async function groupsOf(from: Model) {
  const space = await openInMemory(from);
  const found = findGroups(space.graphs[0]!, space.context.scanner);
  return found.groups.map(({ tensors }) => tensors.map(({ node }) => node.name).sort());
}

const options = (type: string, value: object = {}) => ({ type, value }) as never;

/** x ─▶ conv a ─▶ … ─▶ conv y, with `between` making a tensor of 4 channels in between. */
function chain(between: (net: Net, a: string) => string, outputs = ["y"]): Model {
  return model(["x"], outputs, (g) => {
    const net = new Net(g);
    g.tensor("x", [1, 8, 8, 3]);
    const last = between(net, net.conv("x", 3, "a", 4, 8));
    net.conv(last, 4, "y", 2, 8);
  });
}

describe("groups", () => {
  test("a residual is one group, a depthwise layer ends it", async () => {
    const from = chain((net, a) => {
      const d = net.depthwise(a, 4, "d", 8);
      const b = net.conv(d, 4, "b", 4, 8);
      return net.op("ADD", [a, b], "sum", [1, 8, 8, 4], options("AddOptions"));
    });
    expect(await groupsOf(from)).toEqual([["a", "b", "sum"], ["d"]]);
  });

  test("a function that is not homogeneous, an output and an input end it", async () => {
    expect(await groupsOf(chain((net, a) => net.op("LOGISTIC", [a], "l", [1, 8, 8, 4])))).toEqual([]);
    expect(await groupsOf(chain((_, a) => a, ["y", "a"]))).toEqual([]);
    expect(await groupsOf(chain((_, a) => a))).toEqual([["a"]]);
  });

  test("two tensors that are multiplied are left alone", async () => {
    const from = chain((net, a) => {
      const b = net.conv("x", 3, "b", 4, 8);
      return net.op("MUL", [a, b], "product", [1, 8, 8, 4], options("MulOptions"));
    });
    expect(await groupsOf(from)).toEqual([]);
  });

  test("a channel PAD and a CONCATENATION map channels one by one", async () => {
    const from = model(["x"], ["y"], (g) => {
      const net = new Net(g);
      g.tensor("x", [1, 8, 8, 3]);
      net.conv("x", 3, "a", 2, 8);
      net.op("PAD", ["a", net.ints([0, 0, 0, 0, 0, 0, 1, 1], [4, 2])], "p", [1, 8, 8, 4]);
      net.op("LOGISTIC", ["x"], "l", [1, 8, 8, 3]);
      net.op("CONCATENATION", ["p", "l"], "j", [1, 8, 8, 7], options("ConcatenationOptions", { axis: -1 }));
      net.conv("j", 7, "y", 2, 8);
    });
    const space = await openInMemory(from);
    const { groups, walked } = findGroups(space.graphs[0]!, space.context.scanner);
    expect(groups.length).toBe(1);
    const of = (name: string) => {
      const tensor = groups[0]!.tensors.find(({ node }) => node.name === name)!;
      return channelsOf(tensor).map((channel) => groups[0]!.roots.indexOf(walked.sets.root(channel)));
    };
    // −1: zeros of the PAD, and what comes from LOGISTIC.
    expect(of("a")).toEqual([0, 1]);
    expect(of("p")).toEqual([-1, 0, 1, -1]);
    expect(of("j")).toEqual([-1, 0, 1, -1, -1, -1, -1]);
  });

  test("every role is covered: all tensors but inputs and outputs", async () => {
    const from = everyRole();
    const space = await openInMemory(from);
    const found = findGroups(space.graphs[0]!, space.context.scanner);
    const covered = new Set(found.groups.flatMap(({ tensors }) => tensors.map(({ node }) => node.name)));
    const all = found.tensors.map(({ name }) => name).filter((name) => name !== "x" && name !== "y");
    expect(all.filter((name) => !covered.has(name))).toEqual([]);
  });
});

describe("the float function", () => {
  test("is the same with any factors, and bytes come back when they are taken out", async () => {
    const from = everyRole();
    const space = await openInMemory(from);
    const data = await samples(from, 3);
    const before = await bytesOf(space);
    const expected = await outputsOf(space, data);
    const channels = findGroups(space.graphs[0]!, space.context.scanner);
    // A channel that reaches a limit has to stay, others may be divided by no less than what keeps them below it.
    const { model: tables, nodes } = exportWorkspace(space);
    const { sets } = channels.walked;
    const known = await channelStatistics(tables, data, nodes[0]!, (node) => sets.tensors.get(node), {
      fill: fillConstants,
    });
    const random = numbers(5000, 7);
    const bounds: number[] = [];
    const scales = channels.groups.map((group) => {
      const least = leastFactors(group, channels.walked, known!.all, 2);
      if (group.limited.length > 0) bounds.push(...least);
      return new Map(
        group.roots.flatMap((root, i) =>
          least[i]! >= 1 ? [] : [[root, Math.max(least[i]!, 2 ** (4 * random[root]!))] as const],
        ),
      );
    });
    expect(bounds.some((bound) => bound > 0 && bound < 1)).toBe(true);
    const equalized = new Equalized(channels, scales, space.context.scanner);
    const all = new Set(channels.groups.keys());
    equalized.set(all);
    expect(await bytesOf(space)).not.toEqual(before);
    expect(relativeError(expected, await outputsOf(space, data))).toBeLessThan(1e-5);
    for (const group of all) {
      equalized.set(new Set([group]));
      expect(relativeError(expected, await outputsOf(space, data))).toBeLessThan(1e-5);
    }
    equalized.set(new Set());
    expect(await bytesOf(space)).toEqual(before);
  }, 60_000);

  test("a constant that others read, too, is theirs as it was", async () => {
    const from = model(["x"], ["y", "z"], (g) => {
      const net = new Net(g);
      g.tensor("x", [1, 8, 8, 4]);
      const weights = net.weights([4, 1, 1, 4]);
      const conv = options("Conv2DOptions", { padding: 0, strideW: 1, strideH: 1 });
      for (const [input, name] of [
        ["x", "a"],
        ["a", "y"],
        ["x", "z"],
      ] as const) {
        g.tensor(name, [1, 8, 8, 4]);
        g.operator("CONV_2D", [input, weights, net.weights([4])], [name], conv);
      }
    });
    const space = await openInMemory(from);
    const data = await samples(from, 2);
    const expected = await outputsOf(space, data);
    const channels = findGroups(space.graphs[0]!, space.context.scanner);
    const scales = channels.groups.map(({ roots }) => new Map(roots.map((root, i) => [root, 0.25 + i])));
    expect(scales.length).toBe(1);
    new Equalized(channels, scales, space.context.scanner).set(new Set([0]));
    expect(relativeError(expected, await outputsOf(space, data))).toBeLessThan(1e-5);
  });

  for (const name of ["face_detection_short_range", "hand_landmark_lite"]) {
    const path = join(SHARED, `${name}.tflite`);
    test.skipIf(!existsSync(path))(
      `${name} computes the same`,
      async () => {
        const opened = openModel(path);
        const space = workspace(opened, { ...DEFAULT_SCHEME, scheme: SCHEMES.int8 });
        const data = await samples(opened.model, 3);
        const expected = await outputsOf(space, data);
        const done = await equalizeGraph(space, 0, data, { trials: 0, fill: fillConstants });
        expect(done!.covered).toBeGreaterThan(50);
        expect(relativeError(expected, await outputsOf(space, data))).toBeLessThan(1e-5);
        const changed = space.graphs[0]!.nodes.filter(({ changes }) => changes.length > 0);
        expect(changed.length).toBeGreaterThan(100);
        opened.close();
      },
      120_000,
    );
  }
});

test("a trial rounds weights unless it is to leave them float", async () => {
  const from = chain((_, a) => a);
  const space = await openInMemory(from);
  const data = await samples(from, 2);
  const expected = await outputsOf(space, data);
  const found = async (floatWeights: boolean) => {
    const { model: trial } = trialOf(space, 0, () => undefined, floatWeights);
    return relativeError(expected, await outputsOfModel(trial, data));
  };
  expect(await found(true)).toBe(0);
  expect(await found(false)).toBeGreaterThan(1e-4);
  // The graph is as it was.
  expect(relativeError(expected, await outputsOf(space, data))).toBe(0);
});

describe("statistics", () => {
  test("are those of a naive look at each tensor, with any number of workers", async () => {
    const from = everyRole();
    const space = await openInMemory(from);
    const data = await samples(from, 9);
    const { sets } = findGroups(space.graphs[0]!, space.context.scanner).walked;
    const { model: tables, nodes } = exportWorkspace(space);
    const gather = (workers: number) =>
      channelStatistics(tables, data, nodes[0]!, (node) => sets.tensors.get(node), { workers, fill: fillConstants });
    const [one, two] = [(await gather(1))!, (await gather(2))!];
    for (const [node, each] of one.all) expect(two.all.get(node)).toEqual(each);
    // All values of all tensors, and the definition.
    const values = new Map<number, Float32Array[]>();
    const looks = new Map([...nodes[0]!.entries()].map(([tensor]) => [tensor, { channels: 0, inner: 1, whole: true }]));
    await lookAtRecords(tables, data, {
      looks,
      fill: fillConstants,
      take: (_record, tensor, looked) => values.set(tensor, [...(values.get(tensor) ?? []), looked.values!]),
    });
    let seen = 0;
    for (const [tensor, node] of nodes[0]!.entries()) {
      const known = one.fit.get(node);
      const lies = sets.tensors.get(node);
      if (!known || !lies) continue;
      seen++;
      const by = Array.from({ length: lies.channels }, () => [] as number[]);
      for (const [record, list] of values.get(tensor)!.entries())
        if (!isHeldOut(record, 9))
          for (const [i, value] of list.entries()) by[Math.floor(i / lies.inner) % lies.channels]!.push(value);
      for (const [c, list] of by.entries()) {
        expect(known.min[c]).toBe(Math.min(...list));
        expect(known.max[c]).toBe(Math.max(...list));
        expect(known.meanSquare[c]!).toBeCloseTo(list.reduce((sum, value) => sum + value * value, 0) / list.length, 6);
      }
    }
    expect(seen).toBeGreaterThan(20);
  }, 60_000);

  test("a quarter is held out, of four samples or more", () => {
    const held = (count: number) => Array.from({ length: count }, (_, i) => i).filter((i) => isHeldOut(i, count));
    expect([3, 4, 8, 16].map(held)).toEqual([[], [1, 3], [3, 7], [3, 7, 11, 15]]);
    expect([3, 4, 12].map(judges)).toEqual([[], [0, 1, 2, 3], [0, 1, 2, 3, 4, 5, 7, 11]]);
  });
});

describe("predicted noise", () => {
  const facts = (perChannel: boolean): NoiseFacts => {
    const channels = 5;
    const abs = (count: number, seed: number) =>
      Float64Array.from(numbers(count, seed), (value) => Math.abs(value) + 0.01);
    return {
      channels,
      tensors: [3, 4].map((seed) => ({
        places: Int32Array.of(0, 1, 2, 3, 4, -1),
        min: abs(6, seed).map((value) => -value * (seed - 3)),
        max: abs(6, seed + 10).map((value, c) => value * 3 ** c),
        norms: abs(6, seed + 20),
        rounding: { levels: 255, symmetric: seed === 4 },
      })),
      consumers: [
        {
          places: Int32Array.of(4, 3, 2, 1, 0, -1),
          peaks: Float32Array.from(abs(6 * 7, 30)),
          readers: 7,
          squares: abs(6, 31),
          rounding: { levels: 127, perChannel },
        },
      ],
      producers: perChannel
        ? []
        : [{ places: Int32Array.of(0, 1, 2, 3, 4, -1), peaks: abs(6, 40), norms: abs(6, 41), square: 2, levels: 127 }],
    };
  };

  /** The formulas of the text, written down once more without anything that is fast. */
  function naive({ tensors, consumers, producers }: NoiseFacts, s: readonly number[]): number {
    const factor = (place: number) => (place === -1 ? 1 : s[place]!);
    const sum = (list: number[]) => list.reduce((a, b) => a + b, 0);
    const activations = tensors.map((t) => {
      const list = [...t.places];
      const low = Math.min(0, ...list.map((place, c) => t.min[c]! / factor(place)));
      const high = Math.max(0, ...list.map((place, c) => t.max[c]! / factor(place)));
      const step = (t.rounding.symmetric ? 2 * Math.max(-low, high) : high - low) / t.rounding.levels;
      return sum(list.map((place, c) => (step ** 2 / 12) * factor(place) ** 2 * t.norms[c]!));
    });
    const weights = consumers.map((w) => {
      const list = [...w.places];
      const rows = Array.from({ length: w.peaks.length / list.length }, (_, row) =>
        Math.max(...list.map((place, c) => w.peaks[row * list.length + c]! * factor(place))),
      );
      const steps = rows.map((row) => (w.rounding.perChannel ? row : Math.max(...rows)) / w.rounding.levels);
      return sum(
        steps.map((step) => (step ** 2 / 12) * sum(list.map((place, c) => w.squares[c]! / factor(place) ** 2))),
      );
    });
    const given = producers.map((p) => {
      const list = [...p.places];
      const step = Math.max(...list.map((place, o) => p.peaks[o]! / factor(place))) / p.levels;
      return sum(list.map((place, o) => (step ** 2 / 12) * factor(place) ** 2 * p.norms[o]! * p.square));
    });
    return sum([...activations, ...weights, ...given]);
  }

  test.each([true, false])(
    "is the text's, also where one factor after the other moves (per channel: %p)",
    (perChannel) => {
      const given = facts(perChannel);
      const s = Float64Array.of(1, 1, 1, 1, 1);
      const state = new NoiseState(given, s);
      const random = numbers(200, 50);
      for (let i = 0; i < 100; i++) {
        const place = i % 5;
        const factor = 2 ** (2 * random[i]!);
        const moved = [...s];
        moved[place] = factor;
        const noise = naive(given, moved);
        expect(Math.abs(state.try(place, factor) / noise - 1)).toBeLessThan(1e-12);
        expect(Math.abs(predictedNoise(given, moved) / noise - 1)).toBeLessThan(1e-12);
        if (random[100 + i]! > 0) state.take();
      }
    },
  );

  test("never rises, and channels that have to stay do", () => {
    const given = facts(true);
    const group = {
      number: 0,
      tensors: [],
      roots: [10, 11, 12, 13, 14],
      producers: [],
      consumers: [],
      beside: [],
      limited: [],
    };
    const chosen = chooseScales(group, given, Float64Array.of(0, 1, 0.5, 0, 0));
    expect(chosen.after).toBeLessThan(chosen.before);
    expect(chosen.scales.has(11)).toBe(false);
    expect(chosen.scales.get(12) ?? 1).toBeGreaterThanOrEqual(0.5);
    const s = group.roots.map((root) => chosen.scales.get(root) ?? 1);
    expect(Math.abs(naive(given, s) / chosen.after - 1)).toBeLessThan(1e-9);
  });
});

test("a channel keeps as much room below its limit as it has above what was recorded", () => {
  const node = {} as Node;
  const tensor = { node, first: 0, channels: 4 };
  const group = { roots: [0, 1, 2, 3], limited: [{ tensor, limits: { high: 6 } }] };
  const sets = { root: (channel: number) => channel };
  const statistics = new Map([
    [node, { min: new Float64Array(4), max: Float64Array.of(0, 1.5, 3, 5), meanSquare: new Float64Array(4) }],
  ]);
  // Divided by its factor, twice the largest value is the limit at most.
  expect([...leastFactors(group as never, { sets } as never, statistics, 2)]).toEqual([0, 0.5, 1, 1]);
});

describe("what is kept", () => {
  test("a step helps where the mean rises and no output falls", () => {
    expect(helps([20, 10], [22.2, 10])).toBe(true);
    expect(helps([20, 10], [21.9, 10])).toBe(false);
    expect(helps([20, 10], [25, 9.4])).toBe(false);
    expect(helps([Number.POSITIVE_INFINITY, 10], [Number.POSITIVE_INFINITY, 12.5])).toBe(true);
  });

  test("groups that hurt are left out, those that help are kept", async () => {
    const gains = [2, 4, -8, 2, 6, 2, 2, 2];
    const trial = async (groups: ReadonlySet<number>) => [
      20 + [...groups].reduce((sum, group) => sum + gains[group]!, 0),
    ];
    const all = [...gains.keys()];
    const found = await acceptGroups(all, trial, 20);
    expect([...found.groups].sort()).toEqual([0, 1, 3, 4, 5, 6, 7]);
    expect([found.before, found.after]).toEqual([[20], [40]]);
    const short = await acceptGroups(all, trial, 2);
    expect([short.groups.size, short.trials]).toEqual([8, 2]);
    const none = await acceptGroups(all, async (groups) => [20 - groups.size], 8);
    expect([none.groups.size, none.trials]).toEqual([0, 8]);
  });
});
