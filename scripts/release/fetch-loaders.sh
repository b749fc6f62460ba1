#!/usr/bin/env bash
# Gets what starts executables of other platforms on Debian (x64), into build/loaders; scripts/release/start.ts uses it.
#
#     scripts/release/fetch-loaders.sh         arm64 by qemu-user, musl
#     scripts/release/fetch-loaders.sh wine    Windows as well (some 600 MB)
#
# musl comes from Debian 13, because Debian 12's is older than the relocations of the C++ library that Alpine has; that library comes out of a
# wheel for Alpine, because Debian has none for musl. Needs root, apt-get and pip.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
OUT=$PWD/build/loaders
mkdir -p "$OUT"

install() { DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends "$@" >/dev/null; }

# musl_root MACHINE DEBIAN-ARCHITECTURE WHEEL-PLATFORM
musl_root() {
  local root=$OUT/musl-$1 work
  [ -e "$root/usr/lib/libstdc++.so.6" ] && return
  work=$(mktemp -d)
  chmod 755 "$work"
  mkdir -p "$work"/lists/partial "$work"/cache/archives/partial "$root/lib" "$root/usr/lib"
  local mirror
  mirror=$( (cat /etc/apt/sources.list /etc/apt/sources.list.d/*.sources 2>/dev/null || true) | grep -oE '^(URIs:|deb) +https?://[^ ]+/debian/?( |$)' | grep -oE 'https?://[^ ]+' | head -1)
  echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror trixie main" >"$work/sources.list"
  local apt=(apt-get -qq -o "Dir::Etc::sourcelist=$work/sources.list" -o Dir::Etc::sourceparts=- -o "Dir::State::lists=$work/lists"
    -o "Dir::Cache=$work/cache" -o "APT::Architecture=$2" -o "APT::Architectures=$2" -o APT::Sandbox::User=root)
  "${apt[@]}" update
  (cd "$work" && "${apt[@]}" download musl && dpkg-deb -x musl_*.deb files)
  cp "$work"/files/usr/lib/*-linux-musl/libc.so "$root/lib/ld-musl-$3.so.1"
  python3 -m pip download -q --disable-pip-version-check --no-deps --only-binary=:all: --platform "musllinux_1_2_$3" \
    --python-version 3.12 --implementation cp -d "$work/wheel" greenlet==3.5.6
  python3 -m zipfile -e "$work"/wheel/*.whl "$work/wheel/files"
  cp "$work"/wheel/files/greenlet.libs/* "$root/usr/lib/"
  (cd "$root/usr/lib" && ln -sf libstdc++-*.so.6.* libstdc++.so.6 && ln -sf libgcc_s-*.so.1 libgcc_s.so.1)
  rm -r "$work"
}

command -v qemu-aarch64 >/dev/null && [ -e /usr/aarch64-linux-gnu/lib/ld-linux-aarch64.so.1 ] || install qemu-user libc6-arm64-cross
musl_root x64 amd64 x86_64
musl_root arm64 arm64 aarch64

if [ "${1:-}" = wine ] && [ ! -e "$OUT/wine/bcryptprimitives.dll" ]; then
  install wine wine64 gcc-mingw-w64-x86-64
  mkdir -p "$OUT/wine"
  # Wine 8 lacks the one function that programs in Rust take random numbers from.
  cat >"$OUT/wine/random.c" <<'C'
#include <windows.h>
BOOLEAN NTAPI SystemFunction036(PVOID, ULONG);
__declspec(dllexport) BOOL WINAPI ProcessPrng(PBYTE bytes, SIZE_T count) { return SystemFunction036(bytes, (ULONG)count); }
C
  x86_64-w64-mingw32-gcc -shared -o "$OUT/wine/bcryptprimitives.dll" "$OUT/wine/random.c" -ladvapi32
  WINEPREFIX=${TMPDIR:-/tmp}/minmaxq-wine WINEDEBUG=-all wine-stable winecfg -v win10 >/dev/null 2>&1 || true
fi
echo "$OUT: $(ls "$OUT" | tr '\n' ' ')"
