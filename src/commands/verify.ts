/** `minmaxq verify`: what a quantized model is, and everything in it that breaks the rules of its operators. */

import { FileError } from "../base/errors.ts";
import { counted } from "../base/text.ts";
import { throwProblems } from "../driver/phases.ts";
import { verify as run } from "../driver/quantize.ts";
import { schemesText } from "../driver/verify-phases.ts";
import { targetNamed } from "../rules/targets.ts";
import { printFitted } from "../terminal/table.ts";
import { documentText } from "../views/json.ts";
import { verifyLine, verifyWarnings } from "../views/summary.ts";
import type { Command } from "./command.ts";

export const verify: Command = {
  name: "verify",
  summary: "check a quantized model and list all problems",
  positionals: ["model"],
  options: ["target", "customOperators", "json"],
  examples: ["minmaxq verify model.q8.circle", "minmaxq verify model.q8.circle --target onert"],
  async run([input], options, output) {
    const report = await run({ model: input!, target: targetNamed(options.target, options.customOperators) }, output);
    const { problems } = report;
    if (options.json) output.print(documentText("verify", report));
    if (options.json && problems.length > 0) throw new FileError(input!, counted(problems.length, "problem"));
    const held = schemesText(report.schemes);
    throwProblems(input!, problems, held && `held to ${held}: `);
    if (!options.json) printFitted(output, [verifyLine(report), ...verifyWarnings(report)]);
  },
};
