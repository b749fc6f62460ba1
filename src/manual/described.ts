/** What completions and man pages are made of: the tables of commands, fronts and options as plain data. */

/** What may stand for a value. */
export type Value =
  | { readonly kind: "choices"; readonly choices: readonly string[] }
  /** Files with one of these endings; any file where there is none. */
  | { readonly kind: "files"; readonly endings: readonly string[] }
  | { readonly kind: "folders" }
  /** Names of commands and fronts. */
  | { readonly kind: "commands" }
  /** Nothing that could be offered. */
  | { readonly kind: "free" };

export interface DescribedOption {
  /** "--output". */
  readonly long: string;
  /** "-o". */
  readonly short?: string;
  readonly help: string;
  /** What the value is called, and what may stand there; one for each word that follows. Absent: it takes none. */
  readonly value?: { readonly name: string; readonly words: number; readonly of: Value };
}

export interface DescribedCommand {
  readonly name: string;
  readonly summary: string;
  readonly positionals: readonly { readonly name: string; readonly isOptional: boolean; readonly of: Value }[];
  /** Its own, then those of every command. */
  readonly options: readonly DescribedOption[];
  /** Lines of a shell. */
  readonly examples: readonly string[];
  /** A tool of ONE under its own name. */
  readonly isFront: boolean;
}

export interface Described {
  readonly program: string;
  readonly description: string;
  readonly version: string;
  readonly commands: readonly DescribedCommand[];
  /** Options that every command takes. */
  readonly common: readonly DescribedOption[];
}

/** The words of an option: "-o", "--output". */
export function wordsOf({ short, long }: DescribedOption): string[] {
  return short === undefined ? [long] : [short, long];
}
