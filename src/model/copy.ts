/** Copies contents from their sources to their places with few, large writes. */
import { type Content, isDeferred, rangeOf } from "./bytes.ts";
import type { FileLayout } from "./layout.ts";

/** Bytes of the window at most: large enough that system calls do not count. */
const WINDOW = 4 << 20;
/** Bytes before a content at most: those up to its alignment, and its length. */
const GAP = 32;

/**
 * Writes all contents that are ByteRanges, the gaps between contents (zeros) and the length prefixes. A window slides over the file:
 * pieces are read straight into it and it is written when it is full. Deferred contents are left alone, but for those whose bytes
 * were `kept`.
 */
export async function copyContents(
  layout: FileLayout,
  kept: ReadonlyMap<Content, Uint8Array>,
  write: (bytes: Uint8Array, offset: number) => void,
): Promise<void> {
  const isCopied = (content: Content) => !isDeferred(content) || kept.has(content);
  const most = layout.places.reduce((sum, { content }) => sum + GAP + (isCopied(content) ? content.length : 0), 0);
  const window = new Uint8Array(Math.min(WINDOW, most));
  const view = new DataView(window.buffer);
  let start = layout.metadata;
  let used = 0;
  let windows = 0;
  const flush = () => {
    if (used > 0) write(window.subarray(0, used), start);
    start += used;
    used = 0;
  };
  for (const { content, offset, prefixed } of layout.places) {
    const gap = offset - (start + used);
    if (used + gap > window.length) flush();
    window.fill(0, used, used + gap);
    used += gap;
    if (prefixed) view.setUint32(used - 4, content.length, true);
    const bytes = kept.get(content);
    const range = bytes ? rangeOf(bytes) : content;
    if (isDeferred(range)) {
      flush();
      start += content.length;
      continue;
    }
    for (let done = 0; done < content.length; ) {
      if (used === window.length) {
        flush();
        // Ctrl-C is seen between windows.
        if (++windows % 16 === 0) await new Promise((resume) => setImmediate(resume));
      }
      const count = Math.min(content.length - done, window.length - used);
      range.source.readInto(window.subarray(used, used + count), range.offset + done);
      used += count;
      done += count;
    }
  }
  flush();
}
