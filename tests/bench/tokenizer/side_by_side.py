#!/usr/bin/env python3
"""Text to ids beside Hugging Face tokenizers, one thread each, on this host: are the ids equal, how many times as fast.

Usage: side_by_side.py TOKENIZER_BENCH MODEL_DIR [TEXT_FILE...]
Without files: 1 MB each of English prose, code, mixed scripts and noise, made here from a fixed seed. Needs the Python package
`tokenizers` (in a virtual environment); says so and exits 77 where it is absent. Exits 1 where ids differ.
"""

import os
import random
import subprocess
import sys
import tempfile
import time

RUNS = 5
BYTES = 1_000_000


def prose(rng):
    words = open(__file__, encoding="utf-8").read().split()
    words += "once upon a time there was the king and his three sons who went into forest to find water of life".split()
    words += ["".join(rng.choice("etaoinshrdlucmfwypvbgk") for _ in range(rng.randint(2, 11))) for _ in range(4000)]
    return "".join(rng.choice(words) + rng.choice(["", "", ",", ".", "!\n\n", ";"]) + " " for _ in range(BYTES // 6))


def code(rng):
    line = lambda: "    " * rng.randint(0, 3) + rng.choice(["if (x_%d != %d) {", "return foo.bar_%d(%d);", "auto y%d = a[%d];  // ok"])
    return "\n".join(line() % (rng.randint(0, 99), rng.randint(0, 99999)) for _ in range(BYTES // 30)) + "\n"


def scripts(rng):
    spans = [(0x20, 0x7E), (0x400, 0x45F), (0x5D0, 0x5EA), (0x627, 0x64A), (0x905, 0x939), (0xE01, 0xE3A), (0x3041, 0x3096),
             (0x4E00, 0x9FA5), (0xAC00, 0xD7A3), (0x1F600, 0x1F64F)]
    words = []
    for _ in range(BYTES // 16):
        low, high = rng.choice(spans)
        words.append("".join(chr(rng.randint(low, high)) for _ in range(rng.randint(1, 8))))
    return " ".join(words)


def noise(rng):
    letters = [c for c in range(0x3100) if not 0xD800 <= c < 0xE000] + list(range(0x1F300, 0x1F5FF)) + [0x20, 0x0A, 0x0D, 0x09, 0x31] * 900
    return "".join(chr(rng.choice(letters)) for _ in range(BYTES // 2))


def made_texts(folder):
    for make in (prose, code, scripts, noise):
        text = make(random.Random(7)).encode()[:BYTES].decode(errors="ignore")
        path = os.path.join(folder, make.__name__)
        with open(path, "w", encoding="utf-8", newline="") as file:
            file.write(text)
        yield path


def compare(tokenizer, bench, model, path, folder):
    text = open(path, encoding="utf-8", newline="").read()
    ways = (lambda: tokenizer.encode(text, add_special_tokens=False), lambda: tokenizer.encode_batch_fast([text], add_special_tokens=False))
    best = min(timed(way) for way in ways for _ in range(RUNS))
    theirs = tokenizer.encode(text, add_special_tokens=False).ids
    ids_file = os.path.join(folder, "ids")
    printed = subprocess.run([bench, model, path, ids_file], check=True, capture_output=True, text=True).stdout.split()
    ours = [int(line) for line in open(ids_file)]
    rate = len(text.encode()) / 1e6 / best
    mine = float(printed[printed.index("encode_mb_s") + 1])
    print(f"{os.path.basename(path):10} ids {'equal' if ours == theirs else 'DIFFERENT'}  {len(ours)} ids  atoll {mine:.2f} MB/s"
          f"  tokenizers {rate:.2f} MB/s  ratio {mine / rate:.1f}")
    return ours == theirs


def timed(work):
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def main():
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    os.environ["RAYON_NUM_THREADS"] = "1"
    try:
        import tokenizers
    except ImportError:
        print("SKIPPED: the Python package tokenizers is not installed; nothing was compared")
        sys.exit(77)
    bench, model, files = sys.argv[1], sys.argv[2], sys.argv[3:]
    tokenizer = tokenizers.Tokenizer.from_file(os.path.join(model, "tokenizer.json"))
    print(f"Hugging Face tokenizers {tokenizers.__version__}, {model}")
    with tempfile.TemporaryDirectory() as folder:
        equal = [compare(tokenizer, bench, model, path, folder) for path in files or made_texts(folder)]
    sys.exit(0 if all(equal) else 1)


main()
