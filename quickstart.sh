#!/usr/bin/env bash
# Builds Atoll, starts a whole cluster on this machine with the bundled model and answers one prompt.
#   ./quickstart.sh          stays up until Ctrl-C
#   ./quickstart.sh --once   ends after the answer; exit 0 only if there was a good one
set -euo pipefail
cd "$(dirname "$0")"

once=no
for argument in "$@"; do
  case "$argument" in
    --once) once=yes ;;
    *) echo "usage: ./quickstart.sh [--once]"; exit 2 ;;
  esac
done

echo "== packages"
cmake/install_packages.sh
echo "== build (build/release)"
[ -f build/release/build.ninja ] || cmake --preset release >build-release.log 2>&1 || { cat build-release.log; exit 1; }
rm -f build-release.log
cmake --build build/release --target atoll atoll-router atoll-attention atoll-expert

atoll=build/release/bin/atoll
scratch=$(mktemp -d)
log=$scratch/log
: >"$log"  # read before the cluster writes to it
prompt="Once upon a time there was a little girl who lived near the forest."

stop() {
  [ -z "${cluster:-}" ] || { kill -TERM "$cluster" 2>/dev/null && wait "$cluster" 2>/dev/null || true; }
  rm -rf "$scratch"
}
trap stop EXIT
trap 'exit 130' INT TERM

echo "== start one router, one attention node and two expert nodes with checkpoints/tales"
"$atoll" up --model checkpoints/tales --attention 1 --experts 2 --listen 127.0.0.1:0 >"$log" 2>&1 &
cluster=$!
until address=$(sed -n 's/^ready //p' "$log") && [ -n "$address" ]; do
  kill -0 "$cluster" 2>/dev/null || { cat "$log"; echo "the cluster did not start"; exit 1; }
  sleep 0.1
done

echo "== $prompt"
"$atoll" generate --address "$address" --prompt "$prompt" --max-tokens 120 --temperature 0 --timing 2>"$scratch/timing" | tee "$scratch/answer" || {
  cat "$scratch/timing"; exit 1; }
cat "$scratch/timing"
grep -q '[^[:space:]]' "$scratch/answer" || { echo "the answer was empty"; exit 1; }
[ "$once" = no ] || exit 0

cat <<TRY

The cluster stays up until Ctrl-C. Try, in another terminal:
  $atoll chat --address $address
  $atoll generate --address $address --prompt "The old king" --max-tokens 60
  $atoll status --address $address --experts
TRY
wait "$cluster"
