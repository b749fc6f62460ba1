/** Commander's help in our columns: no word is broken, and examples can be copied. */
import { Help, type Command as Program } from "commander";
import type { Command } from "../commands/command.ts";
import { commandLines, items, paragraph } from "../terminal/columns.ts";

/** Exit codes, at the end of the program's help. */
const EXIT_CODES =
  "Exit codes: 0 done, 1 the model or data is wrong, 2 the command line is wrong, 130 stopped by Ctrl-C.";

/** Help of a command, or of the whole program, in `columns`. */
export class ColumnHelp extends Help {
  constructor(
    private readonly columns: number,
    /** What stands at the end, by command: lines of a shell, and what results mean. */
    private readonly ends: ReadonlyMap<string, Pick<Command, "examples" | "notes">>,
  ) {
    super();
  }

  override formatHelp(program: Program, helper: Help): string {
    const section = (title: string, rows: readonly (readonly [string, string])[]) =>
      rows.length === 0 ? [] : ["", title, ...items(rows, this.columns)];
    const { examples, notes = [] } = this.ends.get(nameOf(program)) ?? {};
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
      ...(notes.length > 0 ? [""] : []),
      ...noteLines(notes, this.columns),
      ...(program.parent ? [] : ["", ...paragraph(EXIT_CODES, this.columns)]),
      "",
    ].join("\n");
  }
}

/** "data show": a command of several is known by both words. */
function nameOf(program: Program): string {
  const { parent } = program;
  return parent?.parent ? `${nameOf(parent)} ${program.name()}` : program.name();
}

/** Paragraphs; words and their meanings between them side by side. */
function noteLines(notes: NonNullable<Command["notes"]>, columns: number): string[] {
  const rows = notes.filter((note) => typeof note !== "string");
  const terms = items(rows, columns);
  const before = notes.findIndex((note) => typeof note !== "string");
  const texts = notes.map((note) => (typeof note === "string" ? paragraph(note, columns) : []));
  return before < 0 ? texts.flat() : [...texts.slice(0, before).flat(), ...terms, ...texts.slice(before).flat()];
}
