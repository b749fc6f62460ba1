/** `minmaxq diff`: what two models have differently; exit codes are those of `diff`. */
import { Answered, MinmaxqError } from "../base/errors.ts";
import { checkInput } from "../driver/paths.ts";
import { diffReport } from "../inspect/diff.ts";
import { type OpenedModel, openModel } from "../model/index.ts";
import { coloursFor, columnsOf } from "../terminal/streams.ts";
import { diffLines } from "../views/diff.ts";
import { documentText } from "../views/json.ts";
import type { Command } from "./command.ts";

/** Models that cannot be compared: 1 would say that they differ. */
class Trouble extends MinmaxqError {
  override readonly exitCode = 2;
}

export const diff: Command = {
  name: "diff",
  summary: "say what two models have differently: structure, parameters, values",
  positionals: ["first", "second"],
  options: ["json"],
  examples: [
    "minmaxq diff before.circle after.circle",
    "minmaxq diff a.tflite b.tflite --json | jq '.parameters[].name'",
  ],
  notes: ["Exit codes: 0 the same, 1 different, 2 a model cannot be read."],
  async run([first, second], options, output) {
    const paths = [first!, second!] as const;
    const opened: OpenedModel[] = [];
    try {
      for (const path of paths) {
        checkInput(path);
        opened.push(openModel(path));
      }
      const report = diffReport(paths, [opened[0]!, opened[1]!]);
      const look = { colours: coloursFor(1), width: columnsOf(1) };
      for (const line of options.json ? [documentText("diff", report)] : diffLines(report, look)) output.print(line);
      if (!report.equal) throw new Answered(1);
    } catch (error) {
      if (!(error instanceof MinmaxqError)) throw error;
      throw new Trouble(error.message, { code: error.code, cause: error });
    } finally {
      for (const each of opened) each.close();
    }
  },
};
