/**
 * What a thread has encoded and not yet written.
 *
 *     encoded block ─▶ slot ─ the turn ─▶ file
 *
 * A file takes one writer at a time (the system locks it), so threads that write whenever they have something spend a third of
 * their time waiting for each other. Here each gathers what lies together in slots of kernel memory and writes when it is
 * no other thread's turn; only when all slots are full it waits. Turns are manners, no lock: places do not overlap, so a
 * thread that has waited too long (the other one is gone) just writes.
 */
import { timed } from "../base/timings.ts";
import type { Block, KernelStream } from "./kernels.ts";

/** Bytes written at once: much smaller, and system calls count; much larger, and the cache is left. */
const SLOT = 1 << 20;
const SLOTS = 4;
/** Milliseconds. */
const LONGEST_WAIT = 1000;

/** Writes bytes at a position of the file. */
export type Write = (bytes: Uint8Array, offset: number) => void;

/** Whose turn it is to write; `state` is shared by all threads. */
export class Turn {
  constructor(private readonly state: Int32Array) {}

  take(): boolean {
    return Atomics.compareExchange(this.state, 0, 0, 1) === 0;
  }

  wait(): void {
    for (const until = performance.now() + LONGEST_WAIT; !this.take() && performance.now() < until; )
      timed("wait", () => Atomics.wait(this.state, 0, 1, LONGEST_WAIT));
  }

  pass(): void {
    Atomics.store(this.state, 0, 0);
    Atomics.notify(this.state, 0, 1);
  }
}

interface Slot {
  readonly block: Block;
  offset: number;
  length: number;
}

/** Where a thread's bytes go. */
export interface Sink {
  /** Takes bytes that belong at `offset` of the file; they are copied before this returns. */
  add(bytes: Uint8Array, offset: number): void;
  /** Kernel memory for bytes that belong at `offset`, to be filled before anything else is asked; null: there is none, add them. */
  room(length: number, offset: number): Block | null;
}

/** One thread's output; `end` writes what is left. */
export class PieceOutput implements Sink {
  private readonly free: Slot[];
  /** Slots that nothing is added to any more, in the order of their work. */
  private full: Slot[] = [];
  private open: Slot | undefined;
  private readonly size: number;

  /** `bytes` is how many will come at most, so that little work needs little memory. */
  constructor(
    private readonly stream: KernelStream,
    private readonly write: Write,
    private readonly turn: Turn,
    bytes: number,
  ) {
    this.size = Math.min(SLOT, bytes);
    this.free = Array.from({ length: bytes > SLOT ? SLOTS : 1 }, () => ({
      block: stream.reserve(this.size),
      offset: 0,
      length: 0,
    }));
  }

  add(bytes: Uint8Array, offset: number): void {
    const room = this.room(bytes.length, offset);
    if (room) room.bytes().set(bytes);
    else this.alone(() => timed("write piece", () => this.write(bytes, offset), bytes.length));
  }

  room(length: number, offset: number): Block | null {
    let { open } = this;
    if (open && (open.offset + open.length !== offset || open.length + length > this.size)) {
      this.full.push(open);
      this.open = open = undefined;
      this.flush(false);
    }
    if (length > this.size) {
      this.flush(true);
      return null;
    }
    if (!open) {
      if (this.free.length === 0) this.flush(true);
      open = this.free.pop()!;
      open.offset = offset;
      open.length = 0;
      this.open = open;
    }
    const room = this.stream.part(open.block, open.length, length);
    open.length += length;
    return room;
  }

  /** Writes everything. */
  end(): void {
    if (this.open) this.full.push(this.open);
    this.open = undefined;
    this.flush(true);
  }

  private flush(wait: boolean): void {
    if (this.full.length === 0) return;
    if (!wait && !this.turn.take()) return;
    const write = () => {
      for (const { block, offset, length } of this.full)
        timed("write piece", () => this.write(block.bytes().subarray(0, length), offset), length);
    };
    if (wait) this.alone(write);
    else this.passAfter(write);
    this.free.push(...this.full);
    this.full = [];
  }

  private alone(write: () => void): void {
    this.turn.wait();
    this.passAfter(write);
  }

  private passAfter(write: () => void): void {
    try {
      write();
    } finally {
      this.turn.pass();
    }
  }
}
