#!/bin/sh
# The manual pages say what the tables say, and man can read them.
set -eu
muster=$PWD/muster
src=${MUSTER_SRC:-$(dirname "$0")/..}
MUSTER_SRC=$src "$src/man/refresh.sh" --check "$muster"
if command -v man >/dev/null && command -v groff >/dev/null; then
	for page in "$src"/man/*.[578]; do
		warnings=$(LC_ALL=C.UTF-8 MANROFFSEQ='' MANWIDTH=100 man --warnings -E UTF-8 -l -Tutf8 -Z \
			"$page" 2>&1 >/dev/null)
		[ -z "$warnings" ] || { echo "$page: $warnings"; exit 1; }
	done
fi
echo "man: 1 passed, 0 failed"
