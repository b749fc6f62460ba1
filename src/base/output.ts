/** What a command says while it works: the terminal, a batch's process and the tests each have their own. */
export interface Output {
  /** A line of the result, on stdout. */
  print(line: string): void;
  /** A line about the work (progress, warnings), on stderr. */
  tell(line: string): void;
  /** Progress of something with a known total; call with done = total at the end. */
  progress(what: string): (done: number, total: number) => void;
}
