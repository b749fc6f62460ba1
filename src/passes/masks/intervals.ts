/**
 * What tensors hold, as intervals: a mask is an interval of its own, far from the rest.
 *
 *     ADD(x: −5…5, constant 0 or −1e9)   →   −1e9−5 … −1e9+5   and   −5 … 5
 *
 * A range alone is one interval, and does not tell where the mask ends. Intervals come from constants' values, recorded
 * ranges, and the arithmetic between them.
 */
import { isConstant, type Node } from "../../graph/graph.ts";
import { fusedActivation } from "../../graph/options.ts";
import { hasRange } from "../../graph/quantparam.ts";
import { FLT_MAX } from "../../rules/arithmetic.ts";
import type { OperatorRow } from "../../rules/operators.ts";
import type { Constant } from "../../weights/constant.ts";
import type { Context } from "../context.ts";

/** [lowest, highest]; ±infinity is possible. */
export type Interval = readonly [low: number, high: number];

/** Ascending and apart from each other; never empty. */
export type Intervals = readonly Interval[];

/** A mask is this much wider than what it is added to: of 256 steps, 4 or fewer would be left for the rest. */
export const MASK_RATIO = 64;

/** Width that is granted to the rest before it is compared: a softmax tells values of one number apart so far. */
const MARGIN = 20;

/** More intervals of one tensor are joined where they are closest. */
const MOST = 16;

/** Constants with more elements count as everything between their extremes: they are no masks. */
export const LARGEST_CONSTANT = 1 << 24;

/** Numbers of this size are no results of a model, but stand for infinity. */
export const ENDLESS = 1e30;

export const lowest = (values: Intervals): number => values[0]![0];
export const highest = (values: Intervals): number => values.at(-1)![1];

/** Sorted, overlapping ones joined, and the closest ones where there are many. */
export function joined(list: readonly Interval[]): Intervals {
  const sorted = list.toSorted((a, b) => a[0] - b[0] || a[1] - b[1]);
  let result: [number, number][] = [];
  for (const [low, high] of sorted) {
    const last = result.at(-1);
    if (last && low <= last[1]) last[1] = Math.max(last[1], high);
    else result.push([low, high]);
  }
  if (result.length <= MOST) return result;
  const gaps = result.slice(1).map(([low], i) => low - result[i]![1]);
  const least = gaps.toSorted((a, b) => b - a)[MOST - 1]!;
  const apart: [number, number][] = [result[0]!];
  for (const [i, each] of result.slice(1).entries()) {
    if (gaps[i]! > least) apart.push(each);
    else apart.at(-1)![1] = each[1];
  }
  result = apart;
  return result;
}

/** Looks up what tensors hold, each once. */
export class Holdings {
  private readonly known = new Map<Node, Intervals | null>();
  private readonly constants = new Map<Constant, Intervals | null>();

  /** `passedOver`: inputs with −FLT_MAX in a sample, which their ranges say nothing of. */
  constructor(
    private readonly context: Context,
    private readonly passedOver: ReadonlySet<Node>,
  ) {}

  /** What a FLOAT32 tensor holds; null when that is not known. */
  of(node: Node | null | undefined): Intervals | null {
    if (!node || (node.dtype !== "FLOAT32" && node.kind !== "output")) return null;
    let values = this.known.get(node);
    if (values === undefined) {
      // A loop through a variable ends here.
      this.known.set(node, recordedOf(node));
      values = this.look(node);
      this.known.set(node, values);
    }
    return values;
  }

  private look(node: Node): Intervals | null {
    if (isConstant(node)) return this.ofConstant(node.constant);
    if (node.kind === "output") return this.of(node.inputs[0]);
    // A result holds what its operator passes on.
    const operator = node.kind === "result" ? node.inputs[0]! : node;
    if (this.passedOver.has(node)) return joined([[-FLT_MAX, -FLT_MAX], ...(recordedOf(node) ?? [])]);
    if (operator.kind !== "operator") return recordedOf(node);
    return this.computed(operator) ?? recordedOf(node);
  }

  /** Null where the recorded range says as much. */
  private computed(node: Node): Intervals | null {
    const { row } = node;
    if (fusedActivation(node) !== "NONE") return null;
    const operands = valuesPassed(node)
      .map((index) => this.of(node.inputs[index]))
      .filter((each) => each !== null);
    if (row.passes) return operands.length === valuesPassed(node).length ? informative(joined(operands.flat())) : null;
    if (row.negates) {
      const operand = this.of(node.inputs[0]);
      return operand && informative(negated(operand));
    }
    if (row.shiftsRows) {
      const operand = this.of(node.inputs[0]);
      return operand && shifted(operand, Math.log(node.shape.at(-1) || 1));
    }
    // Operands of all other operators are not looked at: weights are large.
    if (!row.elementwise && !row.arithmetic) return null;
    const a = this.of(node.inputs[0]);
    const b = this.of(node.inputs[1]);
    if (!a || !b) return null;
    if (row.elementwise) {
      const choose = row.elementwise === "max" ? Math.max : Math.min;
      return informative(pairs(a, b, (p, q) => [choose(p[0], q[0]), choose(p[1], q[1])]));
    }
    return row.arithmetic ? arithmetic(row.arithmetic, a, b) : null;
  }

  private ofConstant(constant: Constant): Intervals | null {
    let values = this.constants.get(constant);
    if (values === undefined) {
      values = this.scan(constant);
      this.constants.set(constant, values);
    }
    return values;
  }

  private scan(constant: Constant): Intervals | null {
    const { scanner } = this.context;
    const { min, max, nans } = scanner.extremes(constant);
    if (nans > 0) return null;
    if (min === max || constant.count > LARGEST_CONSTANT) return [[min, max]];
    const distinct = new Set<number>();
    const values = scanner.unchecked(constant);
    for (const value of values) {
      distinct.add(value);
      if (distinct.size > 4096) return joined(points(values.toSorted()));
    }
    return joined(points(Float32Array.from(distinct).sort()));
  }
}

function points(values: Float32Array): Interval[] {
  const list: Interval[] = [];
  for (const value of values) if (list.at(-1)?.[1] !== value) list.push([value, value]);
  return list;
}

/** Operands whose values the result has. */
export function valuesPassed({ row, inputs }: Node): number[] {
  if (row.passes === undefined) return [];
  return row.passes === "all" ? [...inputs.keys()] : [...row.passes];
}

/** The recorded range, as one interval. */
export function recordedOf({ quant }: Node): Intervals | null {
  if (!hasRange(quant) || quant.min.length !== 1) return null;
  const [min, max] = [quant.min[0]!, quant.max[0]!];
  // Percentiles between an infinite and a finite minimum are NaN.
  return [[Number.isNaN(min) ? -Infinity : min, Number.isNaN(max) ? Infinity : max]];
}

/** Several intervals, or one that records pass over: else the recorded range is the tighter one. */
function informative(values: Intervals): Intervals | null {
  return values.length > 1 || Math.abs(lowest(values)) > ENDLESS || Math.abs(highest(values)) > ENDLESS ? values : null;
}

/** Each row's largest is in the highest interval; what is taken away is at most `more` above it. */
function shifted(values: Intervals, more: number): Intervals | null {
  const [low, high] = values.at(-1)!;
  return informative(joined(values.map(([from, to]): Interval => [from - high - more, Math.min(0, to - low)])));
}

function negated(values: Intervals): Intervals {
  return values.map(([low, high]) => [-high, -low] as const).reverse();
}

function pairs(a: Intervals, b: Intervals, combine: (p: Interval, q: Interval) => Interval): Intervals {
  return joined(a.flatMap((p) => b.map((q) => combine(p, q))));
}

function arithmetic(kind: NonNullable<OperatorRow["arithmetic"]>, a: Intervals, b: Intervals): Intervals | null {
  switch (kind) {
    case "add":
    case "sub": {
      const second = kind === "add" ? b : negated(b);
      const [left, right] = [ends(a, second), ends(second, a)];
      return informative(pairs(left, right, ([p, q], [r, s]) => [sum(p, r), sum(q, s)]));
    }
    case "mul":
      return informative(pairs(a, b, product));
    case "div":
      return lowest(b) > 0 || highest(b) < 0
        ? informative(pairs(a, b, (p, [low, high]) => product(p, [1 / high, 1 / low])))
        : null;
  }
}

/** A computed mask has a range, but takes on its ends only: what lies between them would leave nothing of the other operand. */
function ends(mask: Intervals, other: Intervals): Intervals {
  const [low, high] = other.at(-1)!;
  const most = MASK_RATIO * (high - low + MARGIN);
  return mask.flatMap(([from, to]): Interval[] =>
    to - from > most
      ? [
          [from, from],
          [to, to],
        ]
      : [[from, to]],
  );
}

/** Of −∞ and +∞: what a mask says. */
const sum = (p: number, q: number): number => (Number.isNaN(p + q) ? -Infinity : p + q);

function product([a, b]: Interval, [c, d]: Interval): Interval {
  // 0 · ∞ is 0 here: where the mask does not hold.
  const all = [a * c, a * d, b * c, b * d].map((each) => (Number.isNaN(each) ? 0 : each));
  return [Math.min(...all), Math.max(...all)];
}
