/** What a row of the option table can say. */

export interface OptionRow {
  /** As commander wants it: "-o, --output <path>". */
  readonly flags: string;
  readonly help: string;
  /** Text → value; throws InvalidArgumentError with a sentence. Its type is the value's (values.ts); without it a text, or true. */
  // biome-ignore lint/suspicious/noExplicitAny: repeatable options get what they gave before
  readonly parse?: ((text: string, before?: any) => any) & {
    /** The words that it takes, where they are few. */
    readonly choices?: readonly string[];
  };
  readonly default?: unknown;
  /** What the default is, where the value alone does not say it. */
  readonly defaultText?: string;
  readonly required?: true;
  /** What is told of a value as it was written, where it may be meant otherwise. */
  readonly remark?: (text: string) => string | undefined;
  /** Another option without which this one does nothing. */
  readonly needs?: string;
  /** On the command line of `batch` it holds for a list's jobs, too, which may have what it needs. */
  readonly ofEntries?: true;
  /** The value is the path of a file that is read or written, or names samples: a file, a folder, or the word `random`. */
  readonly file?: "read" | "samples" | "written";
  /** In a job list it may be an array: as if given so often, or separated by commas. */
  readonly many?: "repeated" | "commas";
  /** The result is the same with any value: how fast or with how much memory it is made. Anything else counts into a batch's key. */
  readonly sameResult?: true;
  /** It says how the command runs, not what becomes of a model: no option of a job of a batch. */
  readonly ofCommand?: true;
}
