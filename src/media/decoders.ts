/**
 * The decoders of JPEG (mozjpeg), PNG (the Rust crate `png`) and WebP (libwebp), as WebAssembly in this thread: the builds of @jsquash, below
 * their wrappers, which fetch by URL. They use neither threads nor SIMD, so their bytes are the same everywhere.
 *
 * An instance that failed is thrown away, because nothing is known of its memory; and so is one that has grown large, because
 * WebAssembly's memory never shrinks.
 */
import jpegWasm from "@jsquash/jpeg/codec/dec/mozjpeg_dec.wasm" with { type: "file" };
// @ts-expect-error: types of what it would be as a module lie beside it.
import pngWasm from "@jsquash/png/codec/pkg/squoosh_png_bg.wasm" with { type: "file" };
import webpWasm from "@jsquash/webp/codec/dec/webp_dec.wasm" with { type: "file" };
import { decodeBmp } from "./bmp.ts";
import { MediaError } from "./error.ts";
import type { PictureHeader } from "./header.ts";
import type { PictureFormat } from "./kinds.ts";
import type { Pixels } from "./resize.ts";

/** What decoders give: RGBA. */
interface Decoded {
  readonly width: number;
  readonly height: number;
  readonly data: Uint8Array | Uint8ClampedArray;
}

interface Decoder {
  /** Gives nothing, or throws anything at all, for data that cannot be decoded. */
  decode(bytes: Uint8Array): Decoded | null | undefined;
  memory(): WebAssembly.Memory | undefined;
}

/** Bytes of WebAssembly memory that are kept from picture to picture. */
const KEPT = 128 * 2 ** 20;

/** Decoders of one run, made when they are needed. */
export class Decoders {
  private readonly modules = new Map<string, WebAssembly.Module>();
  private readonly made = new Map<PictureFormat, Decoder>();

  /** The picture as it is stored, RGBA. Throws MediaError where it cannot be decoded. */
  async decode(bytes: Uint8Array, { format, width, height }: PictureHeader): Promise<Pixels> {
    if (format === "BMP") return decodeBmp(bytes);
    const decoder = this.made.get(format) ?? (await this.make(format));
    let decoded: Decoded | null | undefined;
    try {
      decoded = decoder.decode(bytes);
    } catch {
      // What they say is about themselves: "unreachable", "unwrap_throw failed".
    }
    if (!decoded || (decoder.memory()?.buffer.byteLength ?? 0) > KEPT) this.made.delete(format);
    const size = (decoded?.width ?? 0) * (decoded?.height ?? 0);
    if (!decoded || size === 0 || decoded.data.length !== size * 4)
      throw new MediaError(`is damaged: its ${format} data cannot be decoded`);
    if (decoded.width !== width || decoded.height !== height)
      throw new MediaError(`is damaged: it says ${width}×${height} pixels and has ${decoded.width}×${decoded.height}`);
    const { data } = decoded;
    return { width, height, channels: 4, data: new Uint8Array(data.buffer, data.byteOffset, data.byteLength) };
  }

  private async make(format: Exclude<PictureFormat, "BMP">): Promise<Decoder> {
    const decoder = await MAKERS[format]((path) => this.module(path));
    this.made.set(format, decoder);
    return decoder;
  }

  private async module(path: string): Promise<WebAssembly.Module> {
    const module = this.modules.get(path) ?? new WebAssembly.Module(await Bun.file(path).bytes());
    this.modules.set(path, module);
    return module;
  }
}

type Compile = (path: string) => Promise<WebAssembly.Module>;

const MAKERS: Readonly<Record<Exclude<PictureFormat, "BMP">, (compile: Compile) => Promise<Decoder>>> = {
  JPEG: async (compile) =>
    // `false`: it is not turned, which is done here for all formats.
    emscripten((await import("@jsquash/jpeg/codec/dec/mozjpeg_dec.js")).default, await compile(jpegWasm), false),
  WebP: async (compile) =>
    emscripten((await import("@jsquash/webp/codec/dec/webp_dec.js")).default, await compile(webpWasm)),
  PNG: async (compile) => rust(await compile(pngWasm)),
};

/** An instance of a module that Emscripten made, with the glue that it came with. */
async function emscripten(
  factory: EmscriptenFactory,
  module: WebAssembly.Module,
  ...more: unknown[]
): Promise<Decoder> {
  let memory: WebAssembly.Memory | undefined;
  const glue = await factory({
    noInitialRun: true,
    print: () => {},
    printErr: () => {},
    instantiateWasm(imports, done) {
      const instance = new WebAssembly.Instance(module, imports);
      memory = Object.values(instance.exports).find((each) => each instanceof WebAssembly.Memory);
      done(instance);
      return instance.exports;
    },
  });
  return { decode: (bytes) => glue.decode(bytes, ...more), memory: () => memory };
}

interface RustExports {
  readonly memory: WebAssembly.Memory;
  __wbindgen_malloc(size: number, align: number): number;
  __wbindgen_free(at: number, size: number, align: number): void;
  decode(at: number, size: number): number;
}

/**
 * An instance of the PNG decoder. Its own glue makes one instance a process, which a broken file leaves unusable; what it needs of the glue
 * is one function that takes the pixels.
 */
function rust(module: WebAssembly.Module): Decoder {
  let taken: Decoded | undefined;
  const take = (at: number, size: number, width: number, height: number) => {
    const data = new Uint8Array(exports.memory.buffer, at >>> 0, size >>> 0).slice();
    exports.__wbindgen_free(at, size, 1);
    taken = { width: width >>> 0, height: height >>> 0, data };
    return 0;
  };
  const refuse = () => {
    throw new MediaError("is damaged");
  };
  const wanted = WebAssembly.Module.imports(module);
  const glue = wanted.map(({ name }) => [name, /^__wbg_newwithownedu8clampedarray/.test(name) ? take : refuse]);
  const instance = new WebAssembly.Instance(module, { wbg: Object.fromEntries(glue) });
  const exports = instance.exports as unknown as RustExports;
  return {
    decode(bytes) {
      taken = undefined;
      const at = exports.__wbindgen_malloc(bytes.length, 1) >>> 0;
      new Uint8Array(exports.memory.buffer).set(bytes, at);
      exports.decode(at, bytes.length);
      return taken;
    },
    memory: () => exports.memory,
  };
}
