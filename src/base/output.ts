/** What a command says while it works: the terminal, a batch's process and the tests each have their own. */
export interface Output {
  /** A line of the result, on stdout. */
  print(line: string): void;
  /** A line about the work (progress, warnings), on stderr. */
  tell(line: string): void;
  /** Progress of something with a known total; call with done = total at the end. */
  progress(what: string, unit?: Unit): Progress;
}

/** What is counted. */
export type Unit = "samples" | "tensors" | "operators" | "layers" | "bytes";

/** `part`: which part of the work this is, where it comes in parts: "part 2 of 3". A total of 1 is work of which nothing more is known. */
export type Progress = (done: number, total: number, part?: string) => void;
