/**
 * Choices whose files were made as the result is written, and what a target asks of them: to hold on the samples of the search and on those
 * that check. A bar that not even the last level for all layers reaches is lowered to what that reaches.
 */
import { type Choice, costOf } from "./front.ts";
import { allowedBy, byGoal, isTarget, meets, type Proven, withinReach } from "./goal.ts";
import type { Search } from "./search.ts";

export class Proofs {
  private readonly proven = new Map<string, Proven>();
  private high: Proven | undefined;

  constructor(private readonly search: Search) {}

  /** Makes and measures a choice. `late`: also when the time is over. */
  async of(choice: Choice, late = false): Promise<Proven> {
    const { task, table } = this.search;
    const found = { ...(await task.candidates.prove(choice, late)), choice, cost: costOf(table, choice) };
    this.proven.set(choice.join(""), found);
    return found;
  }

  /** The last level for all layers: what bars are lowered to. */
  async begin(highest: Choice): Promise<void> {
    this.high = await this.of(highest);
  }

  has(choice: Choice): boolean {
    return this.proven.has(choice.join(""));
  }

  get(choice: Choice): Proven | undefined {
    return this.proven.get(choice.join(""));
  }

  /** By output: the larger of its noises on both parts of the samples, as a share of what it may have there. */
  excesses({ noises, checked }: Proven): number[] {
    const { goal } = this.search.task;
    const wanted = allowedBy(goal, noises.length);
    const { high } = this;
    const [onSearch, onCheck] = high
      ? [withinReach(wanted, high.noises), withinReach(wanted, high.checked)]
      : [wanted, wanted];
    const over = (noise: number, allowed: number) => (noise === 0 ? 0 : noise / allowed);
    return noises.map((noise, i) => Math.max(over(noise, onSearch[i]!), over(checked[i]!, onCheck[i]!)));
  }

  /** The largest excess of those outputs whose bars are the target's own. */
  nearest(proven: Proven): number {
    const wanted = allowedBy(this.search.task.goal, proven.noises.length);
    const { high = proven } = this;
    const own = this.excesses(proven).filter((_, i) => Math.max(high.noises[i]!, high.checked[i]!) <= wanted[i]!);
    return Math.max(0, ...own);
  }

  /** By how much the worse of both scores is below what is wanted; 0 or less: it is not. */
  shortfall({ score = Number.NaN, checkScore = Number.NaN }: Proven): number {
    const { value } = this.search.task.goal;
    const { score: most = value, checkScore: mostChecked = value } = this.high ?? {};
    const short = Math.max(Math.min(value, most) - score, Math.min(value, mostChecked) - checkScore);
    return Number.isNaN(short) ? Number.POSITIVE_INFINITY : short;
  }

  holds(proven: Proven): boolean {
    const { goal } = this.search.task;
    if (!isTarget(goal)) return meets(goal, proven, this.search.whole);
    return goal.kind === "metric" ? this.shortfall(proven) <= 0 : Math.max(...this.excesses(proven)) <= 1;
  }

  /** The best of all that holds. */
  best(): Proven | undefined {
    const { goal } = this.search.task;
    return [...this.proven.values()].filter((proven) => this.holds(proven)).sort(byGoal(goal))[0];
  }
}
