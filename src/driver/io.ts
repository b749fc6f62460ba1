/** What the driver says while it works; a command prints it, a job sends it to its parent. */
import type { Output } from "../base/output.ts";

export type Io = Pick<Output, "tell" | "progress">;

/** Says nothing. */
export const SILENT: Io = { tell: () => {}, progress: () => () => {} };
