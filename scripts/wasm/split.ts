/**
 * Cuts a WebAssembly module in two: what runs in most processes, and the rest, which is compiled when something of it is called.
 *
 * LiteRT is 9 MB of code, of which a model runs a tenth, and an engine reads all of it before the first call. Functions keep their numbers
 * and their code, byte for byte; where a function is not in a part, its place has a few instructions that call it in the other part,
 * through a table that both share:
 *
 *     first part                            table                 rest
 *     f0: its code                  ◀────── f0 ◀──────────────── f0: call the table's 0
 *     f1: load the rest if there
 *         is nothing yet, then
 *         call the table's 1  ────────────▶ (empty, then f1) ──▶ f1: its code
 *                                           load (put there by src/calibration/litert.ts)
 *
 * Memory, globals and the module's own table are the first part's; the rest imports them.
 */
import { FIRST, LOADER as NAMES, TABLE } from "../../src/calibration/litert-parts.ts";
import {
  CHANGING_I32,
  joined,
  KIND,
  leb,
  listed,
  type Module,
  named,
  Reader,
  readModule,
  SECTION,
  signed,
  sized,
  tableOf,
  writeSections,
} from "./binary.ts";

/** The first part, with the functions that `isWanted` (by their place among those that the module defines), and the rest. */
export function split(
  file: Uint8Array,
  isWanted: (place: number) => boolean,
): { first: Uint8Array<ArrayBuffer>; rest: Uint8Array<ArrayBuffer> } {
  const module = readModule(file);
  const { sections, types } = module;
  const { load, section: typeSection } = loaderType(module);
  const table = module.tables.length + importsOf(module, KIND.table).length;
  const places = types.map((_, place) => place);
  const through = (place: number) => [...signed(place), ...CALL_THROUGH(types[place]!, table)];
  const first = new Map(sections);
  first.set(SECTION.type, typeSection);
  first.set(SECTION.table, more(sections.get(SECTION.table), [tableOf(types.length + 1)]));
  first.set(SECTION.export, more(sections.get(SECTION.export), shared(module, table)));
  first.set(SECTION.element, more(sections.get(SECTION.element), fills(module, table, isWanted)));
  first.set(
    SECTION.code,
    codeOf(places, (place) =>
      isWanted(place)
        ? module.bodies[place]!
        : [
            0,
            ...[CONSTANT, ...signed(place), TABLE_GET, ...leb(table), IS_NULL, IF, NOTHING],
            ...[CONSTANT, ...signed(types.length), ...CALL_THROUGH(load, table), END],
            ...parametersOf(module, place),
            ...[CONSTANT, ...through(place), END],
          ],
    ),
  );
  const rest = new Map([
    [SECTION.type, typeSection],
    [SECTION.import, listed([...importsAgain(module), ...sharedAgain(module, types.length + 1)])],
    [SECTION.function, sections.get(SECTION.function)!],
    [SECTION.element, listed(fills(module, table, (place) => !isWanted(place)))],
    [
      SECTION.code,
      codeOf(places, (place) =>
        isWanted(place) ? [0, ...parametersOf(module, place), CONSTANT, ...through(place), END] : module.bodies[place]!,
      ),
    ],
  ] as const);
  return { first: writeSections(first), rest: writeSections(rest) };
}

/** The same module with a global for each function, `split:called N`, that becomes 1 when it is called. */
export function observed(file: Uint8Array): Uint8Array<ArrayBuffer> {
  const module = readModule(file);
  const { sections, globals, bodies } = module;
  const before = globals.length + importsOf(module, KIND.global).length;
  const all = new Map(sections);
  all.set(
    SECTION.global,
    more(
      sections.get(SECTION.global),
      bodies.map(() => [...CHANGING_I32, CONSTANT, 0, END]),
    ),
  );
  all.set(
    SECTION.export,
    more(
      sections.get(SECTION.export),
      bodies.map((_, place) => [...named(calledName(place)), KIND.global, ...leb(before + place)]),
    ),
  );
  all.set(
    SECTION.code,
    codeOf([...bodies.keys()], (place) => {
      const body = bodies[place]!;
      const reader = new Reader(body);
      reader.list(() => [reader.number(), reader.byte()]);
      return joined([
        body.subarray(0, reader.at),
        [CONSTANT, 1, GLOBAL_SET, ...leb(before + place)],
        body.subarray(reader.at),
      ]);
    }),
  );
  return writeSections(all);
}

export const calledName = (place: number): string => `split:called ${place}`;

// Instructions.
const [IF, END, CALL_INDIRECT, LOCAL_GET, GLOBAL_SET, TABLE_GET, CONSTANT, IS_NULL] = [
  0x04, 0x0b, 0x11, 0x20, 0x24, 0x25, 0x41, 0xd1,
] as const;
/** The type of a block without results. */
const NOTHING = 0x40;
const CALL_THROUGH = (type: number, table: number) => [CALL_INDIRECT, ...leb(type), ...leb(table)];

/** The type of a function without parameters and results, added where there is none. */
function loaderType({ sections }: Module): { load: number; section: Uint8Array } {
  const section = sections.get(SECTION.type)!;
  return { load: new Reader(section).number(), section: more(section, [[0x60, 0, 0]]) };
}

function codeOf(places: readonly number[], body: (place: number) => Uint8Array | readonly number[]): Uint8Array {
  return listed(places.map((place) => sized(body(place))));
}

/** A section's list with more in it. */
function more(section: Uint8Array | undefined, parts: readonly (Uint8Array | readonly number[])[]): Uint8Array {
  if (!section) return listed(parts);
  const reader = new Reader(section);
  const count = reader.number();
  return joined([leb(count + parts.length), section.subarray(reader.at), ...parts]);
}

function parametersOf({ types, parameters }: Module, place: number): number[] {
  return Array.from({ length: parameters[types[place]!]! }, (_, i) => [LOCAL_GET, ...leb(i)]).flat();
}

function importsOf({ imports }: Module, kind: number) {
  return imports.filter((each) => each.kind === kind);
}

/** Segments that put functions into their places of the shared table: one for each row of neighbours. */
function fills(module: Module, table: number, isThere: (place: number) => boolean): number[][] {
  const before = importsOf(module, KIND.function).length;
  const segments: number[][] = [];
  for (let start = 0; start < module.types.length; start++) {
    if (!isThere(start)) continue;
    let end = start;
    while (end < module.types.length && isThere(end)) end++;
    const functions = Array.from({ length: end - start }, (_, i) => leb(before + start + i));
    segments.push([
      ...[2, ...leb(table), CONSTANT, ...signed(start), END, 0],
      ...leb(functions.length),
      ...functions.flat(),
    ]);
    start = end;
  }
  return segments;
}

/** Things of the first part that the rest needs, in the order that keeps their numbers: kind, type in the file, name. */
function ownThings({ tables, memories, globals }: Module) {
  const things = (kind: number, word: string, types: readonly Uint8Array[]) =>
    types.map((type, i) => ({ kind, type, name: `split:${word} ${i}`, number: i }));
  return [
    ...things(KIND.table, "table", tables),
    ...things(KIND.memory, "memory", memories),
    ...things(KIND.global, "global", globals),
  ];
}

/** Exports of the first part for the rest. */
function shared(module: Module, table: number): number[][] {
  const own = ownThings(module).map(({ kind, name, number }) => {
    const before = importsOf(module, kind).length;
    return [...named(name), kind, ...leb(before + number)];
  });
  return [...own, [...named(TABLE), KIND.table, ...leb(table)]];
}

function importsAgain({ imports }: Module): Uint8Array[] {
  return imports.map(({ module, name, kind, description }) =>
    joined([named(module), named(name), [kind], description]),
  );
}

function sharedAgain(module: Module, size: number): Uint8Array[] {
  const own = ownThings(module).map(({ kind, type, name }) => joined([named(FIRST), named(name), [kind], type]));
  return [...own, joined([named(FIRST), named(TABLE), [KIND.table], tableOf(size)])];
}

/** A module whose only function is the one that it imports: only functions of a module can be in a table. */
export const LOADER: Uint8Array<ArrayBuffer> = writeSections(
  new Map([
    [SECTION.type, listed([[0x60, 0, 0]])],
    [SECTION.import, listed([[...named(NAMES.module), ...named(NAMES.name), KIND.function, 0]])],
    [SECTION.export, listed([[...named(NAMES.name), KIND.function, 0]])],
  ]),
);
