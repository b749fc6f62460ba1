/** Many problems of one kind as one error: data sets have thousands of files, and people do not read thousands of lines. */
import { MinmaxqError, Problems } from "../base/errors.ts";
import { FEW } from "../base/text.ts";

/**
 * Throws one MinmaxqError for all `lines` (the first few, and how many more there are); does nothing when there are none. `subject`: the file
 * that they are about, else the model.
 */
export function throwAll(lines: readonly string[], summary: string, subject?: string): void {
  const problems = new Problems(subject);
  for (const line of lines.slice(0, FEW)) problems.add(line);
  if (lines.length > FEW) problems.add(`… and ${lines.length - FEW} more`);
  problems.throwIfAny(lines.length > FEW ? `${summary}: ${lines.length} problems, the first ones` : summary);
}

/** Runs `check`, and gives the lines of the MinmaxqError it throws instead of throwing it. */
export function collect<T>(lines: string[], check: () => T): T | undefined {
  try {
    return check();
  } catch (error) {
    if (!(error instanceof MinmaxqError)) throw error;
    lines.push(error.message);
    return undefined;
  }
}

/** The same for a check that may take a while. */
export async function collectLater<T>(lines: string[], check: () => T | Promise<T>): Promise<T | undefined> {
  try {
    return await check();
  } catch (error) {
    if (!(error instanceof MinmaxqError)) throw error;
    lines.push(error.message);
    return undefined;
  }
}
