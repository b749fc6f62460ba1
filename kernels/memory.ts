/**
 * Memory of the kernels: one arena that is filled from below and emptied as a whole.
 *
 *     0        __heap_base            top                      end of memory
 *     | static | input | output | ... | free, grown on demand  |
 *
 * Why no allocator: a kernel's lists live for one call or one chunk. The host takes a mark, lets kernels allocate, and
 * releases back to the mark; nothing is ever freed singly. All lists start at multiples of 16, although no kernel needs
 * that (tensor data in a file starts anywhere).
 */

const PAGE: usize = 65536;
const ALIGNMENT: usize = 16;

let top: usize = (__heap_base + ALIGNMENT - 1) & ~(ALIGNMENT - 1);
const base: usize = top;

/** `size` bytes, not cleared. Traps when 4 GiB are not enough. */
export function reserve(size: usize): usize {
  const pointer = top;
  const end = (<u64>pointer + <u64>size + <u64>(ALIGNMENT - 1)) & ~(<u64>(ALIGNMENT - 1));
  const have = <u64>memory.size() * <u64>PAGE;
  if (end > have) {
    const pages = <i32>((end - have + <u64>(PAGE - 1)) / <u64>PAGE);
    if (memory.grow(pages) < 0) unreachable();
  }
  top = <usize>end;
  return pointer;
}

/** The present end of the arena, for `release`. */
export function mark(): usize {
  return top;
}

/** Frees everything that was reserved after `mark()` returned `position`. */
export function release(position: usize): void {
  if (position < base || position > top) unreachable();
  top = position;
}

/** Where the next list of elements goes instead of the arena; 0: into the arena. */
let placed: usize = 0;

/**
 * The next kernel's elements go to `pointer`, which the host has reserved: results of several calls then lie together, ready to be
 * written at once, without having been copied.
 */
export function place(pointer: usize): void {
  placed = pointer;
}

/** Memory for the elements of a result. All kernels that encode ask here. */
export function elementsResult(size: usize): usize {
  if (placed == 0) return reserve(size);
  const pointer = placed;
  placed = 0;
  return pointer;
}

/** Frees everything. Also the `cabi_post_*` of every kernel: a component's results are copied out by then. */
export function reset(): void {
  top = base;
}

/**
 * The canonical ABI's allocator; hosts of the component place argument lists with it. It never needs to free, since
 * `cabi_post_*` frees all.
 */
export function cabi_realloc(old: usize, oldSize: usize, _alignment: usize, size: usize): usize {
  if (size <= oldSize) return old;
  const pointer = reserve(size);
  if (oldSize > 0) memory.copy(pointer, old, oldSize);
  return pointer;
}

/** Traps unless `condition` holds: arguments that contradict each other are never half-computed. */
// @ts-ignore: decorator
@inline
export function demand(condition: bool): void {
  if (!condition) unreachable();
}

/** Result area of a function that returns one list: pointer and element count. */
export function listResult(pointer: usize, length: usize): usize {
  const area = reserve(8);
  store<u32>(area, <u32>pointer);
  store<u32>(area, <u32>length, 4);
  return area;
}

/** How many of the outermost dimension there are; traps when `length` is no multiple of channels * inner. */
export function outerOf(length: usize, channels: u32, inner: u32): usize {
  const row = <u64>channels * <u64>inner;
  demand(row > 0 && <u64>length % row == 0);
  return <usize>(<u64>length / row);
}
