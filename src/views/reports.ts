/** Files that show a Report, by the options that ask for them. */
import type { Report } from "../driver/report.ts";
import { reportsOf } from "../options/settings.ts";
import type { OptionName } from "../options/table.ts";
import type { OptionValues } from "../options/values.ts";
import { writeExplanation } from "./explain.ts";

type Write = (path: string, report: Report) => Promise<void>;

const WRITERS: Partial<Record<OptionName, Write>> = {
  explain: writeExplanation,
};

/** Writes all that the options ask for; `place` may have each written elsewhere first. Throws a MinmaxqError. */
export async function writeReports(
  options: OptionValues,
  report: Report,
  place = (path: string, write: (path: string) => Promise<void>) => write(path),
): Promise<void> {
  for (const { name, path } of reportsOf(options)) await place(path, (where) => WRITERS[name]!(where, report));
}
