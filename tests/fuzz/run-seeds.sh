#!/bin/sh
# Runs every fuzz target that was built over its seeds: tests/fuzz/fuzz_NOUN over seeds/NOUN/.
# Works for targets driven by replay_main.c and by libFuzzer alike (-runs=0: seeds only).
set -u
src=${MUSTER_SRC:-$(dirname "$0")/../..}
passed=0
failed=0
for target in tests/fuzz/fuzz_*; do
	[ -f "$target" ] && [ -x "$target" ] || continue
	if "$target" -runs=0 "$src/tests/fuzz/seeds/${target##*/fuzz_}"; then
		passed=$((passed + 1))
	else
		echo "$target failed"
		failed=$((failed + 1))
	fi
done
echo "fuzz seeds: $passed passed, $failed failed"
[ $failed = 0 ] && [ $passed -gt 0 ]
