/** What a command is. */
import type { OptionName, OptionValues } from "../options/table.ts";

export interface Output {
  /** A line of the result, on stdout. */
  print(line: string): void;
  /** A line about the work (progress, warnings), on stderr. */
  tell(line: string): void;
  /** Progress of something with a known total; call with done = total at the end. */
  progress(what: string): (done: number, total: number) => void;
}

/** Options of the command line as they were written; an option without a value is `true`. */
export type Given = ReadonlyMap<OptionName, readonly (string | true)[]>;

export interface Command {
  readonly name: string;
  readonly summary: string;
  /** Names of the positional arguments as help shows them. */
  readonly positionals: readonly string[];
  /** Rows of the option table. */
  readonly options: readonly OptionName[];
  /** Options of the table that this command demands though others do not. */
  readonly demands?: readonly OptionName[];
  /** Lines below the help: examples. */
  readonly examples: readonly string[];
  run(positionals: readonly string[], options: OptionValues, output: Output, given?: Given): Promise<void>;
}
