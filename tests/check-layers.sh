#!/bin/sh
# Arrows between rooms run one way: agent -> dns -> kv -> base, agent -> gossip, watcher -> base.
# Reads the #include lines of every source; prints what breaks the rule. Cores (files that are
# not *_io.[ch]) outside agent/ include neither libevent nor libcurl.
set -eu
cd "${MUSTER_SRC:-$(dirname "$0")/..}"
bad=0

check() { # room, rooms it may include
	room=$1
	allowed=$2
	[ -d "$room" ] || return 0
	found=$(grep -rnE '^#include "[a-z]+/' "$room" --include='*.[ch]' |
		grep -vE "#include \"($allowed)/" || true)
	if [ -n "$found" ]; then
		echo "$room/ may include only: $allowed"
		echo "$found"
		bad=1
	fi
}

check base 'base'
check kv 'kv|base'
check dns 'dns|kv|base'
check gossip 'gossip|base'
check watcher 'watcher|base'
check agent 'agent|dns|kv|gossip|watcher|base'

for room in base kv dns gossip watcher; do
	[ -d "$room" ] || continue
	found=$(find "$room" -name '*.[ch]' ! -name '*_io.[ch]' -exec \
		grep -nHE '#include <(event2?/|curl/|sys/socket\.h|poll\.h|sys/epoll)' {} + |
		grep -v '^base/addr' || true)
	if [ -n "$found" ]; then
		echo "cores do no I/O:"
		echo "$found"
		bad=1
	fi
done
[ $bad = 0 ] && echo "layers: 1 passed, 0 failed"
exit $bad
