#!/bin/sh
# man/refresh.sh [--check] MUSTER: writes the generated parts of the manual pages, and of the shell's
# completion, anew. They stand between '.\" table: NAME' and '.\" end of table' (in the shell '#') and
# come from 'MUSTER tables NAME'.
# With --check nothing is written; a page that is stale is named and the exit status is 1.
set -eu
check=
[ "${1:-}" = --check ] && check=yes && shift
muster=$1
cd "${MUSTER_SRC:-$(dirname "$0")/..}"
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
stale=0
for page in man/muster.8 man/muster-docker.7 man/muster.conf.5 man/muster-api.7 completion/muster; do
	awk -v muster="$muster" '
		/^(\.\\"|#) table: / {
			print
			command = muster " tables " $3
			while ((command | getline line) > 0)
				print line
			if (close(command) != 0)
				exit 1
			inside = 1
			next
		}
		/^(\.\\"|#) end of table/ { inside = 0 }
		!inside { print }
	' "$page" >"$out/page"
	cmp -s "$page" "$out/page" && continue
	if [ -n "$check" ]; then
		echo "$page is stale: man/refresh.sh build/muster writes it anew"
		diff "$page" "$out/page" | head -n 20
		stale=1
	else
		cat "$out/page" >"$page"
	fi
done
exit $stale
