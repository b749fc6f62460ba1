/** What the driver says while it works; a command prints it, a job sends it to its parent. */
export interface Io {
  /** A line about the work (a warning). */
  tell(line: string): void;
  /** Progress of something with a known total; called with done = total at the end. */
  progress(what: string): (done: number, total: number) => void;
}

/** Says nothing. */
export const SILENT: Io = { tell: () => {}, progress: () => () => {} };
