/** What a job's process and its parent tell each other (JSON over an IPC channel). */
import type { Entry } from "./job.ts";
import type { Done } from "./outcome.ts";

/** The executable's first word for a job's process; no command of its own, so it is in no help. */
export const CHILD_WORD = "__job";

/** Parent → child, for each job; the next one when the child has reported of the one before. */
export interface Order {
  readonly entry: Entry;
  /** Where names without a folder are looked up. */
  readonly folder: string;
  /** Folders (real paths) outside which nothing may be opened; without it, anything may. */
  readonly roots?: readonly string[];
}

/** Child → parent. */
export type Report =
  | { readonly kind: "ready" }
  /** The order is there. */
  | { readonly kind: "begun" }
  | { readonly kind: "progress"; readonly what: string; readonly done: number; readonly total: number }
  /** `again`: the process can take another job. */
  | ({ readonly kind: "done"; readonly again?: boolean } & Done)
  /** `mayPass`: the machine's fault, so it is worth another try. */
  | { readonly kind: "failed"; readonly reason: string; readonly mayPass: boolean };
