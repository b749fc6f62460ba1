/** What differs between two models, as lines: + only in the second, - only in the first, ~ in both and not the same. */
import { counted } from "../base/text.ts";
import type { Difference, DiffReport } from "../inspect/diff.ts";
import { shortNumber } from "../model/text.ts";
import { plain, shortened, type Width, wrapped } from "../terminal/table.ts";
import type { Look } from "./inspect.ts";

const SIGNS = { added: "+", removed: "-", changed: "~" } as const;

export function diffLines(report: DiffReport, { colours, width }: Look): string[] {
  const { first, second, structure, parameters, values } = report;
  if (report.equal) return wrapped(`${first} and ${second} are the same model`, width, "  ");
  const lines: string[] = wrapped(`${colours.bold(first)} and ${colours.bold(second)}:`, width, "  ");
  const severalGraphs = [...structure, ...parameters, ...values].some(({ subgraph }) => (subgraph ?? 0) > 0);
  for (const [title, list] of Object.entries({ structure, parameters, values })) {
    if (list.length === 0) continue;
    lines.push(colours.bold(title));
    for (const each of list) {
      const colour = { added: colours.green, removed: colours.red, changed: colours.yellow }[each.change];
      lines.push(
        ...wrapped(`  ${colour(SIGNS[each.change])} ${differenceText(each, severalGraphs, width)}`, width, "      "),
      );
    }
  }
  const counts = [structure, parameters, values].map(
    (list, i) => `${list.length} of ${["structure", "parameters", "values"][i]}`,
  );
  const all = structure.length + parameters.length + values.length;
  lines.push(...wrapped(`${counted(all, "difference")}: ${counts.join(", ")}`, width, "  "));
  return lines;
}

function differenceText(difference: Difference, severalGraphs: boolean, width: Width): string {
  const { what, subgraph, name, field, before, after, change, elements, largest, sqnr } = difference;
  const where = severalGraphs && subgraph !== undefined && what !== "subgraph" ? ` in subgraph ${subgraph}` : "";
  const room = width && Math.max(24, width - 24);
  // Lists of names are broken between names; a name is not, so it loses its middle.
  const short = (text: string) =>
    plain(text)
      .split(" ")
      .map((word) => shortened(word, room))
      .join(" ");
  const subject = [what, short(name)].filter(Boolean).join(" ") + where;
  if (elements !== undefined) {
    const decibels = sqnr !== undefined && Number.isFinite(sqnr) ? ` (${sqnr.toFixed(1)} dB)` : "";
    return `${subject}: ${counted(elements, "element")}, at most ${shortNumber(largest!)} apart${decibels}`;
  }
  if (change !== "changed") return [`${subject}`, short(before ?? after ?? "")].filter(Boolean).join(": ");
  if (before === undefined) return what === "order" ? `${subject} in another order` : `${subject}: ${field}`;
  const [old, now] = [before, after ?? ""].map((text) => short(text) || "nothing");
  return `${subject}: ${field === "operator" || field === "type" ? "" : `${field} `}${old} → ${now}`;
}
