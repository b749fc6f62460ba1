/**
 * Tensors between parts (parts.ts): what one part gives of every record and a later one reads. In shared memory while there is room,
 * else in files of the system's folder for temporary files (TMPDIR); one per tensor, removed when it will not be read any more.
 */
import { closeSync, openSync, readSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { MinmaxqError, reasonOf } from "../base/errors.ts";
import { TEMPORARY_FOLDER } from "../base/platform.ts";
import { removeTemporary, temporaryPath } from "../base/temporary.ts";
import { writeAll } from "../model/bytes.ts";

/** Where a tensor's values are: `bytes` of each record, one after the other. Can be sent to Workers. */
export interface SpilledTensor {
  readonly tensor: number;
  readonly bytes: number;
  /** One of both. */
  readonly memory?: SharedArrayBuffer;
  readonly path?: string;
}

/** Makes and removes the places; in the main thread. */
export class Spill {
  private readonly places = new Map<number, SpilledTensor>();
  private used = 0;

  /** `room`: bytes that may stay in memory at a time. */
  constructor(
    private readonly records: number,
    private readonly room: number,
  ) {}

  /** A place for a tensor of `bytes` a record. Throws MinmaxqError when there can be no file. */
  add(tensor: number, bytes: number): SpilledTensor {
    const all = bytes * this.records;
    const fits = this.used + all <= this.room;
    if (fits) this.used += all;
    const place = fits ? { tensor, bytes, memory: new SharedArrayBuffer(all) } : { tensor, bytes, path: newFile() };
    this.places.set(tensor, place);
    return place;
  }

  of(tensor: number): SpilledTensor {
    return this.places.get(tensor)!;
  }

  /** The tensor will not be read any more. */
  drop(tensor: number): void {
    const place = this.places.get(tensor);
    this.places.delete(tensor);
    if (place?.path !== undefined) removeTemporary(place.path);
    if (place?.memory !== undefined) this.used -= place.memory.byteLength;
  }

  close(): void {
    for (const tensor of [...this.places.keys()]) this.drop(tensor);
  }
}

function newFile(): string {
  const path = temporaryPath(join(tmpdir(), "minmaxq-tensor"));
  try {
    closeSync(openSync(path, "wx", 0o600));
  } catch (error) {
    removeTemporary(path);
    throw new MinmaxqError(
      `${tmpdir()}: takes no files (${reasonOf(error)}); the model is run in parts, and tensors between them are kept there: name another folder in ${TEMPORARY_FOLDER}`,
      { cause: error },
    );
  }
  return path;
}

/** Reads and writes places; in a Worker. */
export class SpillAccess {
  private readonly files = new Map<string, number>();

  /** Fills `target` with what a record's tensor was. */
  read(place: SpilledTensor, record: number, target: Uint8Array): void {
    const at = record * place.bytes;
    if (place.memory !== undefined) return target.set(new Uint8Array(place.memory, at, place.bytes));
    const fd = this.open(place.path!);
    for (let done = 0; done < place.bytes; ) {
      const count = readSync(fd, target, done, place.bytes - done, at + done);
      if (count === 0) throw new MinmaxqError(`${place.path}: a temporary file was cut short by another program`);
      done += count;
    }
  }

  /** Throws MinmaxqError when the disk is full. */
  write(place: SpilledTensor, record: number, bytes: Uint8Array): void {
    const at = record * place.bytes;
    if (place.memory !== undefined) return new Uint8Array(place.memory, at, place.bytes).set(bytes);
    const fd = this.open(place.path!);
    try {
      writeAll(fd, bytes, at);
    } catch (error) {
      throw new MinmaxqError(
        `${tmpdir()}: tensors between parts of the model cannot be written (${reasonOf(error)}); free some space, name a larger disk in ${TEMPORARY_FOLDER}, or give more memory or fewer samples`,
        { cause: error },
      );
    }
  }

  close(): void {
    for (const fd of this.files.values()) closeSync(fd);
  }

  private open(path: string): number {
    const fd = this.files.get(path) ?? openSync(path, "r+");
    this.files.set(path, fd);
    return fd;
  }
}
