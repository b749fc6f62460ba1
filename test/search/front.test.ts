/** The front of what is worth its cost, against all choices there are. */
import { describe, expect, test } from "bun:test";
import { type Choice, costOf, frontFor, frontOf, holds, predict, type Table } from "../../src/search/front.ts";
import { noise } from "./models.ts";

/** Chance: `units` units with `levels` levels at two outputs; noise falls and cost rises with the level. */
function table(units: number, levels: number, seed: number): Table {
  const chance = noise(units * levels * 4, seed).map(Math.abs);
  let next = 0;
  const falling = () => {
    const steps = Array.from({ length: levels - 1 }, () => chance[next++]!);
    return steps.map((_, i) => steps.slice(i).reduce((a, b) => a + b)).concat(0);
  };
  const added = Array.from({ length: units }, () => {
    const [a, b] = [falling(), falling()];
    return a.map((value, level) => [value, b[level]!]);
  });
  const costs = Array.from({ length: units }, () => falling().toReversed());
  return { least: [0.01, 0.02], added, costs };
}

function* choices(units: number, levels: number): Generator<Choice> {
  for (let n = 0; n < levels ** units; n++)
    yield Array.from({ length: units }, (_, unit) => Math.floor(n / levels ** unit) % levels);
}

describe.each([
  [6, 2],
  [5, 3],
])("%d units with %d levels", (units, levels) => {
  for (let seed = 1; seed <= 5; seed++) {
    const made = table(units, levels, seed);
    const weights = [1, 3];
    const front = frontOf(made, weights);
    const weighted = (choice: Choice) => predict(made, choice).reduce((sum, n, o) => sum + n * weights[o]!, 0);

    test(`cost rises and noise falls along the front (${seed})`, () => {
      for (const [i, point] of front.entries()) {
        expect(point.cost).toBeCloseTo(costOf(made, point.choice), 9);
        for (const [o, predicted] of predict(made, point.choice).entries())
          expect(point.predicted[o]).toBeCloseTo(predicted, 9);
        if (i === 0) continue;
        expect(point.cost).toBeGreaterThan(front[i - 1]!.cost);
        expect(weighted(point.choice)).toBeLessThan(weighted(front[i - 1]!.choice));
      }
    });

    test(`no other choice is below the line between two points (${seed})`, () => {
      // A Lagrange sweep gives the lower convex hull of all choices.
      for (const choice of choices(units, levels)) {
        const cost = costOf(made, choice);
        const right = front.findIndex((point) => point.cost >= cost - 1e-12);
        if (right <= 0) continue;
        const [a, b] = [front[right - 1]!, front[right]!];
        const part = (cost - a.cost) / (b.cost - a.cost);
        const line = weighted(a.choice) * (1 - part) + weighted(b.choice) * part;
        expect(weighted(choice)).toBeGreaterThan(line - 1e-9);
      }
    });
  }
});

test("an output that is left behind gets more weight", () => {
  // Unit 0 hurts the first output alone, unit 1 the second one: both have to be raised, unit 2 and 3 need not.
  const added = [
    [
      [9, 0],
      [0, 0],
    ],
    [
      [0, 0.5],
      [0, 0],
    ],
    [
      [0.2, 0],
      [0, 0],
    ],
    [
      [0, 0.01],
      [0, 0],
    ],
  ];
  const made: Table = { least: [0, 0], added, costs: added.map(() => [0, 1]) };
  const allowed = [0.3, 0.1];
  const point = frontFor(made, allowed).find(({ predicted }) => holds(predicted, allowed))!;
  expect(point.choice).toEqual([1, 1, 0, 0]);
});
