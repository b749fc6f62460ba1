/** Constants that have to be computed while the file is written, as contents of the model's buffers. */
import type { Content } from "../model/index.ts";
import type { Constant } from "./constant.ts";

export interface PendingConstant {
  readonly deferred: true;
  /** Bytes in the file. */
  readonly length: number;
  readonly constant: Constant;
  /** For messages. */
  readonly name: string;
}

export function isPending(content: Content): content is Content & PendingConstant {
  return "deferred" in content && "constant" in content;
}

/** The contents that constants become in one file: always the same one for a constant, so that it can have its place before it is exported. */
export class PendingContents {
  private readonly contents = new Map<Constant, PendingConstant>();

  /** The content of a constant; `name` counts the first time. */
  of(constant: Constant, name: string): PendingConstant {
    let pending = this.contents.get(constant);
    if (!pending) {
      pending = { deferred: true, length: constant.length, constant, name };
      this.contents.set(constant, pending);
    }
    return pending;
  }
}
