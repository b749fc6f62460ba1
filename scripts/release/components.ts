/**
 * THE COMPONENTS: what is in an executable and in no package of node_modules, one row each. Third-party notices and the SBOM are made of them
 * and of the packages that the bundle holds (bundle.ts). Where it is known from: Bun's own list of what it links (its LICENSE.md), names of
 * source files in LiteRT's WebAssembly, the licences that come with h5wasm and @jsquash.
 */

/** What a component is a part of: the runtime, or a package's WebAssembly. */
export type Whole =
  | "bun"
  | "@litertjs/core"
  | "h5wasm"
  | "@jsquash/jpeg"
  | "@jsquash/png"
  | "@jsquash/webp"
  | "minmaxq";

export interface ComponentRow {
  readonly name: string;
  readonly within: Whole;
  /** SPDX expression. */
  readonly license: string;
  /** Files of licenses/ without ".txt"; by default the identifiers of `license`. */
  readonly texts?: readonly string[];
  readonly copyright: string;
  readonly home: string;
}

const row = (
  within: Whole,
  name: string,
  license: string,
  copyright: string,
  home: string,
  texts?: readonly string[],
) => ({ name, within, license, copyright, home, ...(texts && { texts }) }) satisfies ComponentRow;

const LLVM = "Apache-2.0 WITH LLVM-exception";

export const COMPONENTS: readonly ComponentRow[] = [
  row("minmaxq", "bun", "MIT", "Oven and the Bun contributors", "https://github.com/oven-sh/bun"),
  row(
    "minmaxq",
    "ColorBrewer (colours of visq's files)",
    "Apache-2.0",
    "2002 Cynthia Brewer, Mark Harrower, and The Pennsylvania State University",
    "https://colorbrewer2.org",
  ),
  row(
    "bun",
    "JavaScriptCore and WebCore (WebKit)",
    "LGPL-2.1-or-later AND BSD-2-Clause",
    "Apple Inc. and the WebKit contributors; the source that Bun links: https://github.com/oven-sh/WebKit",
    "https://webkit.org",
    ["LGPL-2.1", "LGPL-2.0", "BSD-2-Clause"],
  ),
  row(
    "bun",
    "BoringSSL",
    "Apache-2.0 AND ISC AND MIT AND BSD-3-Clause",
    "Google Inc., the OpenSSL authors, Eric Young and others",
    "https://boringssl.googlesource.com/boringssl",
  ),
  row("bun", "Brotli", "MIT", "2009, 2010, 2013-2016 by the Brotli Authors", "https://github.com/google/brotli"),
  row(
    "bun",
    "libarchive",
    "BSD-2-Clause",
    "2003-2018 Tim Kientzle and others",
    "https://github.com/libarchive/libarchive",
  ),
  row("bun", "lol-html", "BSD-3-Clause", "2019, Cloudflare, Inc.", "https://github.com/cloudflare/lol-html"),
  row("bun", "ls-hpack", "MIT", "2018-2022 LiteSpeed Technologies Inc", "https://github.com/litespeedtech/ls-hpack"),
  row("bun", "ls-qpack", "MIT", "2018-2022 LiteSpeed Technologies Inc", "https://github.com/litespeedtech/ls-qpack"),
  row(
    "bun",
    "lsquic",
    "MIT AND BSD-3-Clause",
    "2017-2022 LiteSpeed Technologies Inc; parts 2014-2015 the Chromium Authors",
    "https://github.com/litespeedtech/lsquic",
  ),
  row(
    "bun",
    "mimalloc",
    "MIT",
    "2018-2025 Microsoft Corporation, Daan Leijen",
    "https://github.com/microsoft/mimalloc",
  ),
  row(
    "bun",
    "picohttpparser",
    "MIT",
    "2009-2014 Kazuho Oku, Tokuhiro Matsuno, Daisuke Murase, Shigeo Mitsunari",
    "https://github.com/h2o/picohttpparser",
  ),
  row("bun", "Zstandard", "BSD-3-Clause", "Meta Platforms, Inc. and affiliates", "https://github.com/facebook/zstd"),
  row("bun", "simdutf", "Apache-2.0", "the simdutf authors", "https://github.com/simdutf/simdutf"),
  row(
    "bun",
    "TinyCC",
    "LGPL-2.1-or-later",
    "2001-2004 Fabrice Bellard and contributors",
    "https://github.com/tinycc/tinycc",
    ["LGPL-2.1"],
  ),
  row("bun", "uSockets", "Apache-2.0", "2018 Alex Hultman and contributors", "https://github.com/uNetworking/uSockets"),
  row(
    "bun",
    "uWebSockets",
    "Apache-2.0",
    "2018 Alex Hultman and contributors",
    "https://github.com/uNetworking/uWebSockets",
  ),
  row(
    "bun",
    "zlib-ng",
    "Zlib",
    "1995-2024 Jean-loup Gailly and Mark Adler, and the zlib-ng authors",
    "https://github.com/zlib-ng/zlib-ng",
  ),
  row(
    "bun",
    "c-ares",
    "MIT",
    "1998 Massachusetts Institute of Technology; 2007-2024 Daniel Stenberg and contributors",
    "https://github.com/c-ares/c-ares",
  ),
  row("bun", "ICU", "Unicode-3.0", "2016-2025 Unicode, Inc.", "https://github.com/unicode-org/icu"),
  row(
    "bun",
    "base64",
    "BSD-2-Clause",
    "2005-2007 Nick Galbreath, 2015-2018 Wojciech Muła, 2016-2017 Matthieu Darbois, 2013-2022 Alfred Klomp",
    "https://github.com/aklomp/base64",
  ),
  row(
    "bun",
    "libuv (in the Windows executable)",
    "MIT",
    "2015-present libuv project contributors",
    "https://github.com/libuv/libuv",
  ),
  row("bun", "libdeflate", "MIT", "2016 Eric Biggers, 2024 Google LLC", "https://github.com/ebiggers/libdeflate"),
  row(
    "bun",
    "libjpeg-turbo",
    "BSD-3-Clause AND IJG AND Zlib",
    "2009-2024 D. R. Commander; 1991-2020 Thomas G. Lane, Guido Vollbeding",
    "https://github.com/libjpeg-turbo/libjpeg-turbo",
  ),
  row("bun", "libspng", "BSD-2-Clause", "2018-2023 Randy", "https://github.com/randy408/libspng"),
  row("bun", "libwebp", "BSD-3-Clause", "2010, Google Inc.", "https://github.com/webmproject/libwebp"),
  row("bun", "Highway", "Apache-2.0", "Google LLC", "https://github.com/google/highway"),
  row("bun", "uucode", "MIT", "2025 Jacob Sandlund", "https://github.com/jacobsandlund/uucode"),
  row(
    "bun",
    "TigerBeetle (parts of its I/O)",
    "Apache-2.0",
    "TigerBeetle, Inc.",
    "https://github.com/tigerbeetle/tigerbeetle",
  ),
  row("bun", "LLVM libc++abi", LLVM, "the LLVM project's contributors", "https://github.com/llvm/llvm-project"),
  row(
    "bun",
    "esbuild (Bun's transpiler is a port of it)",
    "MIT",
    "2020 Evan Wallace",
    "https://github.com/evanw/esbuild",
  ),
  row(
    "bun",
    "Node.js modules for browsers (acorn, assert, browserify-zlib, buffer, constants-browserify, crypto-browserify, domain-browser, events, https-browserify, os-browserify, path-browserify, process, punycode, querystring-es3, stream-browserify, stream-http, string_decoder, timers-browserify, tty-browserify, url, util, vm-browserify)",
    "MIT",
    "their authors",
    "https://www.npmjs.com",
  ),
  row(
    "@litertjs/core",
    "LiteRT and TensorFlow Lite",
    "Apache-2.0",
    "Google LLC and the TensorFlow authors",
    "https://github.com/google-ai-edge/LiteRT",
  ),
  row("@litertjs/core", "ML Drift", "Apache-2.0", "Google LLC", "https://github.com/google-ai-edge/ml-drift"),
  row(
    "@litertjs/core",
    "XNNPACK",
    "BSD-3-Clause",
    "Facebook, Inc. and its affiliates; 2019-2025 Google LLC",
    "https://github.com/google/XNNPACK",
  ),
  row(
    "@litertjs/core",
    "pthreadpool, cpuinfo, FP16, FXdiv",
    "BSD-2-Clause AND MIT",
    "Facebook Inc., Georgia Institute of Technology, Marat Dukhan, Google LLC",
    "https://github.com/google/pthreadpool",
  ),
  row(
    "@litertjs/core",
    "Eigen",
    "MPL-2.0",
    "the Eigen authors; source: https://gitlab.com/libeigen/eigen",
    "https://eigen.tuxfamily.org",
  ),
  row(
    "@litertjs/core",
    "gemmlowp",
    "Apache-2.0",
    "2015-2018 the gemmlowp authors",
    "https://github.com/google/gemmlowp",
  ),
  row("@litertjs/core", "ruy", "Apache-2.0", "2019-2020 Google LLC", "https://github.com/google/ruy"),
  row("@litertjs/core", "FarmHash", "MIT", "2014 Google, Inc.", "https://github.com/google/farmhash"),
  row(
    "@litertjs/core",
    "KissFFT",
    "BSD-3-Clause",
    "2003-2010 Mark Borgerding",
    "https://github.com/mborgerding/kissfft",
  ),
  row(
    "@litertjs/core",
    "fft2d",
    "ISC",
    "1996-2001 Takuya Ooura: free to use, copy, modify and distribute for any purpose",
    "https://www.kurims.kyoto-u.ac.jp/~ooura/fft.html",
    [],
  ),
  row("@litertjs/core", "FlatBuffers", "Apache-2.0", "Google Inc.", "https://github.com/google/flatbuffers"),
  row("@litertjs/core", "Abseil", "Apache-2.0", "the Abseil authors", "https://github.com/abseil/abseil-cpp"),
  row(
    "@litertjs/core",
    "Protocol Buffers",
    "BSD-3-Clause",
    "2008 Google Inc.",
    "https://github.com/protocolbuffers/protobuf",
  ),
  row(
    "@litertjs/core",
    "Emscripten's runtime, musl",
    "MIT AND NCSA",
    "2010-2025 the Emscripten authors; 2005-2020 Rich Felker and others",
    "https://github.com/emscripten-core/emscripten",
    ["MIT", "NCSA"],
  ),
  row(
    "@litertjs/core",
    "LLVM libc++, libc++abi, compiler-rt",
    LLVM,
    "the LLVM project's contributors",
    "https://github.com/llvm/llvm-project",
  ),
  row(
    "h5wasm",
    "HDF5",
    "BSD-3-Clause",
    "2006 The HDF Group; 1998-2006 the Board of Trustees of the University of Illinois (its text is in h5wasm's)",
    "https://github.com/HDFGroup/hdf5",
    [],
  ),
  row("h5wasm", "zlib", "Zlib", "1995-2024 Jean-loup Gailly and Mark Adler", "https://zlib.net"),
  row(
    "h5wasm",
    "Emscripten's runtime, musl",
    "MIT AND NCSA",
    "2010-2025 the Emscripten authors; 2005-2020 Rich Felker and others",
    "https://github.com/emscripten-core/emscripten",
    ["MIT", "NCSA"],
  ),
  row(
    "@jsquash/jpeg",
    "mozjpeg",
    "BSD-3-Clause AND IJG AND Zlib",
    "1991-2017 the libjpeg-turbo project and others; 2014 Mozilla Corporation",
    "https://github.com/mozilla/mozjpeg",
  ),
  row("@jsquash/webp", "libwebp", "BSD-3-Clause", "2010, Google Inc.", "https://github.com/webmproject/libwebp"),
  row(
    "@jsquash/png",
    "png, fdeflate, flate2, miniz_oxide, crc32fast, wasm-bindgen and Rust's library",
    "MIT",
    "the image-rs developers, Alex Crichton, Frommi, Sam Rijs and the Rust project's developers (each also under Apache-2.0)",
    "https://github.com/image-rs/image-png",
  ),
  row(
    "minmaxq",
    "AssemblyScript's standard library (in the kernels)",
    "Apache-2.0",
    "2020 Daniel Wirtz and the AssemblyScript authors",
    "https://www.assemblyscript.org",
  ),
];

/** The files of licenses/ that a row's licence has its text in. */
export function textsOf({ license, texts }: ComponentRow): readonly string[] {
  return (
    texts ??
    license.split(/ (?:AND|OR|WITH) /).map((each) => each.replace(/[()]/g, "").replace(/-(?:only|or-later)$/, ""))
  );
}
