/** What a command is. */
import type { Output } from "../base/output.ts";
import type { OptionName } from "../options/table.ts";
import type { Given, OptionValues } from "../options/values.ts";

export interface Command {
  readonly name: string;
  readonly summary: string;
  /** Names of the positional arguments as help shows them. */
  readonly positionals: readonly string[];
  /** Rows of the option table. */
  readonly options: readonly OptionName[];
  /** Options of the table that this command demands though others do not. */
  readonly demands?: readonly OptionName[];
  /** Commands below it, which are named by two words ("data pack"); then it does nothing itself. */
  readonly subcommands?: readonly Command[];
  /** Lines below the help: examples. */
  readonly examples: readonly string[];
  /** Lines of the help below the examples: what its results mean. At most 80 columns. */
  readonly notes?: readonly string[];
  run(positionals: readonly string[], options: OptionValues, output: Output, given?: Given): Promise<void>;
}
