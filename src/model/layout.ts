/** Where everything lies in a file: the tables first, then the contents, each at a multiple of 16 bytes. */
import { type Content, isDeferred } from "./bytes.ts";
import type { Encoded } from "./encode.ts";

const ALIGNMENT = 16;

/** A content and its place. */
export interface Place {
  readonly content: Content;
  /** First byte of the data in the file. */
  readonly offset: number;
  /** The data is a vector: its length stands in the 4 bytes before. */
  readonly prefixed: boolean;
}

export interface Layout {
  /** Bytes of the tables' part. */
  readonly metadata: number;
  /** Bytes of the whole file. */
  readonly size: number;
  /** Ascending, not overlapping. Equal contents have one place. */
  readonly places: readonly Place[];
  /** The place of each of the encoder's references, in their order. */
  readonly targets: readonly Place[];
}

/** Lays a file out: vectors behind the tables (they belong to the FlatBuffer), then what lies outside. */
export function layOut(encoded: Encoded): Layout {
  const places: Place[] = [];
  const targets: Place[] = new Array(encoded.references.length);
  const keys = new Map<string, Map<unknown, Place>>();
  let end = encoded.bytes.length;
  for (const kind of ["vector", "offset"] as const) {
    const prefixed = kind === "vector";
    for (const [i, reference] of encoded.references.entries()) {
      if (reference.kind !== kind) continue;
      const { content } = reference;
      // Buffers that share bytes in the source share them in the file.
      const group = `${kind} ${isDeferred(content) ? "" : `${content.offset} ${content.length}`}`;
      const identity = isDeferred(content) ? content : content.source;
      const known = keys.get(group) ?? new Map<unknown, Place>();
      keys.set(group, known);
      let place = known.get(identity);
      if (!place) {
        const offset = Math.ceil((end + (prefixed ? 4 : 0)) / ALIGNMENT) * ALIGNMENT;
        place = { content, offset, prefixed };
        known.set(identity, place);
        places.push(place);
        end = offset + content.length;
      }
      targets[i] = place;
    }
  }
  return { metadata: encoded.bytes.length, size: end, places, targets };
}

/** Writes the places into the gaps that the encoder left. */
export function patch(encoded: Encoded, layout: Layout): void {
  const view = new DataView(encoded.bytes.buffer, encoded.bytes.byteOffset, encoded.bytes.byteLength);
  for (const [i, reference] of encoded.references.entries()) {
    const { offset } = layout.targets[i]!;
    if (reference.kind === "vector") view.setUint32(reference.at, offset - 4 - reference.at, true);
    else view.setBigUint64(reference.at, BigInt(offset), true);
  }
}
