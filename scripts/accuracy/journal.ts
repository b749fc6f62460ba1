/**
 * Rows as they are measured, in a folder that outlives a run that was stopped: the same command goes on behind them. They are of one executable;
 * another one begins anew.
 */
import { appendFileSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";

export class Journal {
  private readonly path: string;
  private readonly rows = new Map<string, unknown>();

  /** `key`: what all rows depend on. */
  constructor(
    readonly folder: string,
    key: string,
  ) {
    this.path = join(folder, "rows.jsonl");
    const lines = existsSync(this.path) ? readFileSync(this.path, "utf8").split("\n") : [];
    if (lines[0] !== key) {
      rmSync(folder, { recursive: true, force: true });
      mkdirSync(folder, { recursive: true });
      writeFileSync(this.path, `${key}\n`);
      return;
    }
    // What was being written when the run was stopped has no end.
    for (const line of lines.slice(1, -1)) {
      const [name, row] = JSON.parse(line) as [string, unknown];
      this.rows.set(name, row);
    }
  }

  get size(): number {
    return this.rows.size;
  }

  /** The row of a name: that of before, or a new one. */
  once<T>(name: string, measure: () => T): T {
    if (this.rows.has(name)) return this.rows.get(name) as T;
    const row = measure();
    this.rows.set(name, row);
    appendFileSync(this.path, `${JSON.stringify([name, row])}\n`);
    return row;
  }

  /** All is measured. */
  remove(): void {
    rmSync(this.folder, { recursive: true, force: true });
  }
}
