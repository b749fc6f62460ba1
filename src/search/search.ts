/** One search: its task, and what was tried of it. */
import type { Graph } from "../graph/graph.ts";
import type { Noises } from "./bench.ts";
import type { Candidates } from "./candidates.ts";
import type { CostKind } from "./costs.ts";
import { type Choice, costOf, predict, type Table } from "./front.ts";
import { allowedBy, byGoal, type Found, type Goal, isTarget, meets, withinReach } from "./goal.ts";
import type { Measured } from "./state.ts";
import type { Limit } from "./unreachable.ts";

export interface Task {
  readonly model: string;
  readonly graph: Graph;
  readonly candidates: Candidates;
  readonly goal: Goal;
  readonly cost: CostKind;
  /** What limits each output that has more noise than is allowed although all layers have the most bits. */
  limits(high: Noises, allowed: Noises): Promise<readonly Limit[]>;
}

/** What was tried, and what it came to. */
export class Search {
  table!: Table;
  /** What quick files have to reach: the task's goal, or what stands for it in them (promise.ts). */
  goal: Goal;
  private readonly tried = new Map<string, Found>();

  /** `high`: what quick files reach with the last level for all layers; nothing better is asked of them. */
  constructor(
    readonly task: Task,
    private readonly high: Measured,
  ) {
    this.goal = this.within(task.goal);
  }

  /** A target as quick files can reach it. */
  within(goal: Goal): Goal {
    const { noises, score } = this.high;
    switch (goal.kind) {
      case "sqnr":
        return { ...goal, allowed: withinReach(allowedBy(goal, noises.length), noises) };
      case "metric":
        return { ...goal, value: Math.min(goal.value, score ?? goal.value) };
      default:
        return goal;
    }
  }

  /** The last level for all. */
  get highest(): Choice {
    const { units, levels } = this.task.candidates.init;
    return units.map(() => levels.length - 1);
  }

  get whole(): number {
    return costOf(this.table, this.highest);
  }

  /** Measures a choice. `scored`: the user's program is asked where there is one; by default where the goal is its score or a budget. */
  async try(choice: Choice, scored = true): Promise<Found> {
    const measured = await this.task.candidates.measure(choice, scored);
    const found = { ...measured, choice, cost: costOf(this.table, choice) };
    this.tried.set(choice.join(""), found);
    return found;
  }

  meets(found: Found): boolean {
    return meets(this.goal, found, this.whole);
  }

  /** The better of two results that meet the goal. */
  isBetter(a: Found, than: Found): boolean {
    return byGoal(this.goal)(a, than) < 0;
  }

  /** All that was tried and meets the goal, the best first. */
  ranked(): Found[] {
    return [...this.tried.values()].filter((found) => this.meets(found)).sort(byGoal(this.goal));
  }

  best(): Found | undefined {
    return this.ranked()[0];
  }

  /**
   * The end of the choices that will do, which get more costly along the list: the first where a target is to be met, the last where a
   * budget is to be used. By halving, so that few are run; begins where the prediction says.
   */
  async along(choices: readonly Choice[]): Promise<Found | undefined> {
    const target = isTarget(this.goal);
    let [from, to] = [0, choices.length - 1];
    let best: Found | undefined;
    let at = this.guess(choices);
    while (from <= to) {
      const found = await this.try(choices[at]!);
      const good = this.meets(found);
      if (good) best = found;
      // A target is met to the right, a budget is kept to the left.
      if (good === target) to = at - 1;
      else from = at + 1;
      at = Math.floor((from + to) / 2);
    }
    return best;
  }

  private guess(choices: readonly Choice[]): number {
    const { kind } = this.goal;
    const good = (choice: Choice) => {
      const cost = costOf(this.table, choice);
      const noises = predict(this.table, choice);
      return meets(this.goal, { choice, cost, noises, bytes: 0 }, this.whole);
    };
    if (kind === "metric" || kind === "size") return Math.floor((choices.length - 1) / 2);
    const at = kind === "sqnr" ? choices.findIndex(good) : choices.findLastIndex(good);
    return at < 0 ? choices.length - 1 : at;
  }
}
