#!/usr/bin/env bash
# Builds and runs every suite and prints each one's counts; exits non-zero when anything failed.
#   ./test.sh            the Release build, in build/release
#   ./test.sh --preset asan   another preset; --only REGEX runs the suites whose name matches, --jobs N so many at a time
set -uo pipefail
cd "$(dirname "$0")"

preset=release only=. jobs=1
while [ $# -gt 0 ]; do
  case "$1" in
    --preset) preset=$2; shift 2 ;;
    --only) only=$2; shift 2 ;;
    --jobs) jobs=$2; shift 2 ;;
    *) echo "usage: ./test.sh [--preset NAME] [--only REGEX] [--jobs N]"; exit 2 ;;
  esac
done

echo "== packages"
cmake/install_packages.sh || exit 1
echo "== build ($preset)"
cmake --preset "$preset" >/dev/null || exit 1
targets=(); [ "$only" = . ] || targets=(--target $(cmake --build "build/$preset" --target help | sed -n 's/^\([a-z_0-9]*_test\): .*/\1/p' | grep -E "$only"))
nice cmake --build "build/$preset" "${targets[@]}" | tail -1
[ "${PIPESTATUS[0]}" -eq 0 ] || { echo "the build failed"; cmake --build "build/$preset" "${targets[@]}" | tail -40; exit 1; }

passed=0 failed=0 skipped=0
logs=$(mktemp -d); trap 'rm -rf "$logs"' EXIT

# Adds what a suite printed: GoogleTest's closing lines, or 'N passed, N failed[, N skipped]'.
count() {
  local name=$1 status=$2 ms=$3 log=$4 p f s
  p=$(sed -n 's/^\[  PASSED  \] \([0-9]*\) test.*/\1/p; s/^\([0-9]*\) passed, [0-9]* failed.*/\1/p' "$log" | tail -1)
  f=$(sed -n 's/^\[  FAILED  \] \([0-9]*\) test.*/\1/p; s/^[0-9]* passed, \([0-9]*\) failed.*/\1/p' "$log" | tail -1)
  s=$(sed -n 's/^\[  SKIPPED \] \([0-9]*\) test.*/\1/p; s/^[0-9]* passed, [0-9]* failed, \([0-9]*\) skipped.*/\1/p' "$log" | tail -1)
  p=${p:-0} f=${f:-0} s=${s:-0}
  [ "$status" -eq 0 ] || [ "$f" -gt 0 ] || f=1
  passed=$((passed + p)) failed=$((failed + f)) skipped=$((skipped + s))
  printf '%-32s %5d passed %4d failed %4d skipped %8d ms\n' "$name" "$p" "$f" "$s" "$ms"
  [ "$status" -eq 0 ] || tail -60 "$log"
}

# In the background: what it prints goes to $logs/N, its status and milliseconds then to $logs/N.end.
run_suite() {
  local number=$1; shift
  local start=${EPOCHREALTIME/./}
  timeout 900 "$@" >"$logs/$number" 2>&1 </dev/null
  echo "$? $(( (${EPOCHREALTIME/./} - start) / 1000 ))" >"$logs/$number.tmp" && mv "$logs/$number.tmp" "$logs/$number.end"
}

# Runs the named programs, $1 at a time, and counts them in their order. The folder of the build is each one's argument.
run_all() {
  local at_a_time=$1 next=0 counted=0 status ms; shift
  rm -f "$logs"/*
  while [ $counted -lt $# ]; do
    while [ $next -lt $# ] && [ $(jobs -rp | wc -l) -lt "$at_a_time" ]; do
      next=$((next + 1))
      run_suite "$next" "${!next}" "build/$preset/bin" &
    done
    wait -n
    while [ $counted -lt $next ] && [ -f "$logs/$((counted + 1)).end" ]; do
      counted=$((counted + 1))
      read -r status ms <"$logs/$counted.end"
      count "$(basename "${!counted}")" "$status" "$ms" "$logs/$counted"
    done
  done
}

chosen() {
  local program
  for program in "$@"; do [ -x "$program" ] && [[ $(basename "$program") =~ $only ]] && echo "$program"; done
}

echo "== suites"
run_all "$jobs" $(chosen build/"$preset"/bin/*_test)
# Checks of whole processes measure time and memory, which a sanitizer and a neighbour change.
[ "$preset" != release ] || run_all 1 $(chosen tests/*/*_check)

echo
[ "$skipped" -eq 0 ] && echo "$passed passed, $failed failed" || echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
