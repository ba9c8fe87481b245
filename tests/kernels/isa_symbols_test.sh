#!/bin/sh
# isa_symbols_test.sh LIBRARY: no file compiled for one instruction set may define a weak function. The linker keeps one copy of
# such a function for the whole program, and a copy with AVX-512 in it would end every process on a host without it.
set -eu
weak=$(nm -A -C --defined-only "$1" | grep -E '_(avx[0-9a-z]*)\.cc\.o:' | grep -E ' [Ww] ' || true)
count=$(nm -A --defined-only "$1" | grep -cE '_(avx[0-9a-z]*)\.cc\.o:' || true)
[ "$count" -gt 0 ] || { echo "no instruction-set file found in $1"; exit 1; }
[ -z "$weak" ] || { echo "weak functions in instruction-set files:"; echo "$weak"; exit 1; }
