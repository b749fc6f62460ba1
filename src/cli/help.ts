/** Commander's help in our columns: no word is broken, and examples can be copied. */
import { Help, type Command as Program } from "commander";
import { commandLines, items, paragraph } from "../base/columns.ts";

/** Exit codes, at the end of the program's help. */
const EXIT_CODES =
  "Exit codes: 0 done, 1 the model or data is wrong, 2 the command line is wrong, 130 stopped by Ctrl-C.";

/** Help of a command, or of the whole program, in `columns`. */
export class ColumnHelp extends Help {
  constructor(
    private readonly columns: number,
    /** Lines of a shell, by command. */
    private readonly examples: ReadonlyMap<string, readonly string[]>,
  ) {
    super();
  }

  override formatHelp(program: Program, helper: Help): string {
    const section = (title: string, rows: readonly (readonly [string, string])[]) =>
      rows.length === 0 ? [] : ["", title, ...items(rows, this.columns)];
    const examples = this.examples.get(program.name());
    return [
      ...paragraph(`Usage: ${helper.commandUsage(program)}`, this.columns),
      "",
      ...paragraph(helper.commandDescription(program), this.columns),
      ...section(
        "Options:",
        helper.visibleOptions(program).map((option) => [helper.optionTerm(option), helper.optionDescription(option)]),
      ),
      ...section(
        "Commands:",
        helper.visibleCommands(program).map((command) => [command.name(), helper.subcommandDescription(command)]),
      ),
      ...(examples ? ["", "Examples:", ...examples.flatMap((each) => commandLines(each, this.columns))] : []),
      ...(program.parent ? [] : ["", ...paragraph(EXIT_CODES, this.columns)]),
      "",
    ].join("\n");
  }
}
