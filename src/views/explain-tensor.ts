/** Why a tensor is as it is, in words. */
import type { Explanation } from "../inspect/explain.ts";
import type { TensorDetails } from "../inspect/tensor.ts";
import type { Why } from "../inspect/why.ts";
import { shortNumber } from "../model/text.ts";
import { labelled, plain } from "../terminal/table.ts";
import { detailLines, INDENT, type Look } from "./inspect.ts";

/** Names that are listed; --json has all. */
const MOST = 8;

export interface Explained {
  readonly details: TensorDetails;
  readonly explanation: Explanation;
  /** Of the file that --from names; null where that says nothing of the tensor. */
  readonly why?: Why | null;
}

export function explanationLines({ details, explanation, why }: Explained, look: Look): string[] {
  const { values: _, ...rest } = details;
  const lines = detailLines(rest, look);
  const say = (label: string, text: string) => lines.push(...labelled(`  ${label}`, plain(text), look.width, INDENT));
  const { scheme, text, holds, tied } = explanation;
  if (scheme) say("scheme", scheme);
  const step = details.stands && details.facts.scale?.[0];
  if (step) say("steps", `of ${shortNumber(step)}: the largest error of a rounding is ${shortNumber(step / 2)}`);
  const check =
    holds === undefined ? "" : holds ? " The numbers are so." : " The numbers are not so: something else set them.";
  say("rule", text + check);
  if (tied.length > 0)
    say("tied to", `${tied.slice(0, MOST).join(", ")}${tied.length > MOST ? ` and ${tied.length - MOST} more` : ""}`);
  if (why === undefined) {
    if (details.facts.scale && !details.facts.constant)
      say(
        "how it came",
        "to its range is not in the file; 'quantize --explain why.json' writes it, and --from why.json shows it here",
      );
  } else if (why === null) say("how it came", "to it is not in the file of --from; is that of this model?");
  else {
    for (const [at, link] of (why.chain ?? []).entries()) say(at === 0 ? "chain" : "", `${at + 1}. ${link}`);
    if (why.range?.min.length === 1)
      say("range", `${shortNumber(why.range.min[0]!)} … ${shortNumber(why.range.max[0]!)}`);
    if (why.float) say("stays float", why.float.because);
  }
  return lines;
}
