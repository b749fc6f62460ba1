/**
 * Where everything lies in a file: the tables first, then the contents, each at a multiple of 16 bytes.
 *
 *     tables | contents                     as usual
 *     tables | spare | planned | others     where contents had to have their places before the tables were known
 *     … | contents | archive                a ZIP with associated files, where the model had one
 */
import { type Content, type Deferred, isDeferred } from "./bytes.ts";
import type { Encoded } from "./encode.ts";

const ALIGNMENT = 16;

/** FlatBuffers measure with 31 bits; files from here on keep their weights behind the FlatBuffer. */
export const FLATBUFFER_LIMIT = 2 ** 31 - 1;

/** A content and its place. */
export interface Place {
  readonly content: Content;
  /** First byte of the data in the file. */
  readonly offset: number;
  /** The data is a vector: its length stands in the 4 bytes before. */
  readonly prefixed: boolean;
}

export interface FileLayout {
  /** First byte behind the tables and what is kept for them. */
  readonly metadata: number;
  /** Bytes of the whole file. */
  readonly size: number;
  /** Ascending, not overlapping. Equal contents have one place. */
  readonly places: readonly Place[];
  /** The place of each of the encoder's references, in their order. */
  readonly targets: readonly Place[];
  /** Made after a plan. */
  readonly planned: boolean;
}

/** Contents with places before anything else is known: vectors, in this order, behind room for the tables. */
export interface ContentPlan {
  /** Bytes kept for the tables. */
  readonly room: number;
  /** First bytes. */
  readonly offsets: ReadonlyMap<Content, number>;
  readonly end: number;
}

/** Plans places behind `room` bytes. */
export function planContents(contents: readonly Deferred[], room: number): ContentPlan {
  const offsets = new Map<Content, number>();
  let end = room;
  for (const content of contents) {
    const offset = placeAfter(end, true);
    offsets.set(content, offset);
    end = offset + content.length;
  }
  return { room, offsets, end };
}

function placeAfter(end: number, prefixed: boolean): number {
  return Math.ceil((end + (prefixed ? 4 : 0)) / ALIGNMENT) * ALIGNMENT;
}

/** Lays a file out: vectors behind the tables (they belong to the FlatBuffer), then what lies outside. */
export function layOut(encoded: Encoded): FileLayout;
/** After a plan; undefined where tables do not find room or a planned content is none of the file's vectors. */
export function layOut(encoded: Encoded, plan: ContentPlan): FileLayout | undefined;
export function layOut(encoded: Encoded, plan?: ContentPlan): FileLayout | undefined {
  const { length } = encoded.bytes;
  if (plan && length > plan.room) return undefined;
  const places: Place[] = [];
  const targets: Place[] = new Array(encoded.references.length);
  const keys = new Map<string, Map<unknown, Place>>();
  const metadata = plan?.room ?? length;
  let end = plan?.end ?? length;
  let left = plan?.offsets.size ?? 0;
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
        const planned = prefixed ? plan?.offsets.get(content) : undefined;
        const offset = planned ?? placeAfter(end, prefixed);
        place = { content, offset, prefixed };
        known.set(identity, place);
        places.push(place);
        if (planned === undefined) end = offset + content.length;
        else left--;
      }
      targets[i] = place;
    }
  }
  if (left > 0) return undefined;
  if (plan) places.sort((a, b) => a.offset - b.offset);
  return { metadata, size: end, places, targets, planned: plan !== undefined };
}

/** The layout with an archive behind all that it has: no reference leads there. */
export function withArchive(layout: FileLayout, archive: Content): FileLayout {
  const place = { content: archive, offset: layout.size, prefixed: false };
  return { ...layout, size: layout.size + archive.length, places: [...layout.places, place] };
}

/** Writes the places into the gaps that the encoder left. */
export function patch(encoded: Encoded, layout: FileLayout): void {
  const view = new DataView(encoded.bytes.buffer, encoded.bytes.byteOffset, encoded.bytes.byteLength);
  for (const [i, reference] of encoded.references.entries()) {
    const { offset } = layout.targets[i]!;
    if (reference.kind === "vector") view.setUint32(reference.at, offset - 4 - reference.at, true);
    else view.setBigUint64(reference.at, BigInt(offset), true);
  }
}
