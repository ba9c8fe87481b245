#!/usr/bin/env bash
# Builds and runs every suite and prints each one's counts; exits non-zero when anything failed.
#   ./test.sh            the Release build, in build/release
#   ./test.sh --preset asan   another preset; --only REGEX runs the suites whose name matches
set -uo pipefail
cd "$(dirname "$0")"

preset=release only=.
while [ $# -gt 0 ]; do
  case "$1" in
    --preset) preset=$2; shift 2 ;;
    --only) only=$2; shift 2 ;;
    *) echo "usage: ./test.sh [--preset NAME] [--only REGEX]"; exit 2 ;;
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
log=$(mktemp); trap 'rm -f "$log"' EXIT

# Adds what a suite printed: GoogleTest's closing lines, or 'N passed, N failed[, N skipped]'.
count() {
  local name=$1 status=$2 ms=$3 p f s
  p=$(sed -n 's/^\[  PASSED  \] \([0-9]*\) test.*/\1/p; s/^\([0-9]*\) passed, [0-9]* failed.*/\1/p' "$log" | tail -1)
  f=$(sed -n 's/^\[  FAILED  \] \([0-9]*\) test.*/\1/p; s/^[0-9]* passed, \([0-9]*\) failed.*/\1/p' "$log" | tail -1)
  s=$(sed -n 's/^\[  SKIPPED \] \([0-9]*\) test.*/\1/p; s/^[0-9]* passed, [0-9]* failed, \([0-9]*\) skipped.*/\1/p' "$log" | tail -1)
  p=${p:-0} f=${f:-0} s=${s:-0}
  [ "$status" -eq 0 ] || [ "$f" -gt 0 ] || f=1
  passed=$((passed + p)) failed=$((failed + f)) skipped=$((skipped + s))
  printf '%-32s %5d passed %4d failed %4d skipped %8d ms\n' "$name" "$p" "$f" "$s" "$ms"
  [ "$status" -eq 0 ] || tail -60 "$log"
}

run_suite() {
  local name=$1; shift
  local start=${EPOCHREALTIME/./}
  timeout 900 "$@" >"$log" 2>&1 </dev/null
  local status=$?
  count "$name" $status $(( (${EPOCHREALTIME/./} - start) / 1000 ))
}

echo "== suites"
for suite in build/"$preset"/bin/*_test; do
  [ -x "$suite" ] && [[ $(basename "$suite") =~ $only ]] && run_suite "$(basename "$suite")" "$suite"
done
# Checks of whole processes measure time and memory, which a sanitizer changes.
for check in tests/*/*_check; do
  [ "$preset" = release ] && [ -x "$check" ] && [[ $(basename "$check") =~ $only ]] && run_suite "$(basename "$check")" "$check" "build/$preset/bin"
done

echo
[ "$skipped" -eq 0 ] && echo "$passed passed, $failed failed" || echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
