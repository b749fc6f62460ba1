/** What a command is. */
import type { Output } from "../base/output.ts";
import type { Described } from "../manual/described.ts";
import type { OptionName } from "../options/table.ts";
import type { Given, OptionValues } from "../options/values.ts";

export interface Command {
  readonly name: string;
  readonly summary: string;
  /** Names of the positional arguments as help shows them; in brackets where one may be left out. */
  readonly positionals: readonly string[];
  /** Rows of the option table. */
  readonly options: readonly OptionName[];
  /** Options of the table that this command demands though others do not. */
  readonly demands?: readonly OptionName[];
  /** Commands below it, which are named by two words ("data pack"); then it does nothing itself. */
  readonly subcommands?: readonly Command[];
  /** Lines below the help: examples. */
  readonly examples: readonly string[];
  /** What its results mean, below the examples of its help: a paragraph, or a word and its meaning. */
  readonly notes?: readonly (string | readonly [term: string, text: string])[];
  /** `describe` gives the tables of all commands, for commands that are about these. */
  run(
    positionals: readonly string[],
    options: OptionValues,
    output: Output,
    given?: Given,
    describe?: () => Promise<Described>,
  ): Promise<void>;
}
