/* agent/cmd/cmd_snapshot_inspect.c -- muster snapshot inspect: what is in a snapshot's file. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "agent/cmd/columns.h"
#include "agent/cmd/commands.h"
#include "agent/cmd/flags.h"
#include "agent/cmd/pair.h"
#include "agent/cmd/snapshot_read.h"
#include "base/json.h"
#include "base/mem.h"

#define NAMES_BYTES_MAX ((size_t)1024 * 1024 * 1024)
#define TEXT_BYTES_MAX (256 * 1024 * 1024)

struct inspect_flags {
	bool kvdetails;
	const char *kvdepth, *kvfilter, *format;
};

static const struct inspect_flags inspect_initial = {
	.kvdepth = "2", .kvfilter = "", .format = "pretty"
};

static const struct flag inspect_flags[] = {
	{ "kvdetails", NULL, offsetof(struct inspect_flags, kvdetails),
	    "Show how much the keys under each prefix take." },
	{ "kvdepth", "NUMBER", offsetof(struct inspect_flags, kvdepth),
	    "With -kvdetails: how many parts of a key make the prefix. Default: 2." },
	{ "kvfilter", "PREFIX", offsetof(struct inspect_flags, kvfilter),
	    "With -kvdetails: only keys that begin so." },
	{ "format", "pretty|json", offsetof(struct inspect_flags, format),
	    "For people (default), or for programs." },
	{ 0 },
};

struct share { /* what one kind, or one prefix, takes */
	struct str name;
	uint64_t count, bytes;
};

struct shares {
	struct share *list;
	size_t count, room;
};

struct inspected {
	struct arena arena; /* texts */
	struct snapshot_head head;
	struct shares kinds, prefixes;
	uint64_t bytes; /* of the file */
};

static const char *
kind_name(enum snap_kind kind)
{
	switch (kind) {
	case SNAP_HEAD:
		return "Head";
	case SNAP_SESSION:
		return "Session";
	case SNAP_ENTRY:
		return "KVS";
	case SNAP_TOMBSTONE:
		return "Tombstone";
	case SNAP_CLOSED:
		return "LockDelay";
	case SNAP_AGENT:
		return "AgentResults";
	case SNAP_AUTOPILOT:
		return "Autopilot";
	case SNAP_STAGED:
		return "Restore";
	case SNAP_EXTERNALS:
		return "ExternalHead";
	case SNAP_EXTERNAL:
		return "External";
	case SNAP_QUERY:
		return "PreparedQuery";
	case SNAP_END:
	case SNAP_KINDS:
		break;
	}
	return "Unknown";
}

static void
shares_add(struct shares *s, struct share one)
{
	s->list = mem_grow(s->list, s->count, &s->room, sizeof s->list[0]);
	s->list[s->count++] = one;
}

static int
by_name(const void *a, const void *b)
{
	const struct share *x = a, *y = b;

	return str_cmp(x->name, y->name);
}

static int
by_size(const void *a, const void *b)
{
	const struct share *x = a, *y = b;

	if (x->bytes != y->bytes)
		return x->bytes < y->bytes ? 1 : -1;
	return by_name(a, b);
}

/* One row for each name, the largest first. */
static void
shares_sum(struct shares *s)
{
	size_t n = 0;

	if (s->count == 0)
		return;
	qsort(s->list, s->count, sizeof s->list[0], by_name);
	for (size_t i = 0; i < s->count; i++) {
		if (n > 0 && str_eq(s->list[n - 1].name, s->list[i].name)) {
			s->list[n - 1].count += s->list[i].count;
			s->list[n - 1].bytes += s->list[i].bytes;
		} else {
			s->list[n++] = s->list[i];
		}
	}
	s->count = n;
	qsort(s->list, s->count, sizeof s->list[0], by_size);
}

/* The first `depth` parts of a key between slashes. */
static struct str
key_prefix(struct str key, uint64_t depth)
{
	size_t n = 0;

	for (; n < key.n; n++)
		if (key.p[n] == '/' && --depth == 0)
			break;
	return str_head(key, n);
}

static void
prefix_count(struct inspected *in, const struct inspect_flags *flags, uint64_t depth,
    const struct snapshot_record *r)
{
	struct shares *s = &in->prefixes;
	struct str prefix = key_prefix(r->key, depth);

	if (!str_starts(r->key, str_of(flags->kvfilter)))
		return;
	if (s->count > 0 && str_eq(s->list[s->count - 1].name, prefix)) {
		s->list[s->count - 1].count++;
		s->list[s->count - 1].bytes += r->bytes;
		return;
	}
	shares_add(s, (struct share){ arena_dup(&in->arena, prefix), 1, r->bytes });
}

static int
inspect_file(FILE *file, const struct inspect_flags *flags, uint64_t depth, struct inspected *in,
    struct err *err)
{
	struct snapshot_read *r = snapshot_read_new(file);
	struct share kinds[SNAP_KINDS] = { { .count = 0 } };
	struct snapshot_record record;
	int rc;

	while ((rc = snapshot_read_next(r, &record, err)) > 0) {
		kinds[record.kind].count++;
		kinds[record.kind].bytes += record.bytes;
		if (flags->kvdetails && record.kind == SNAP_ENTRY)
			prefix_count(in, flags, depth, &record);
	}
	if (rc == 0 && in->arena.full)
		rc = err_set(err, ERR_LIMIT, "the prefixes take too much memory");
	if (rc == 0) {
		const struct snapshot_head *head = snapshot_read_head(r);

		in->head = *head;
		in->head.node = arena_dup(&in->arena, head->node);
		in->head.datacenter = arena_dup(&in->arena, head->datacenter);
		in->head.build = arena_dup(&in->arena, head->build);
		in->bytes = (uint64_t)ftell(file);
	}
	for (enum snap_kind k = SNAP_SESSION; k < SNAP_KINDS; k++) {
		kinds[k].name = str_of(kind_name(k));
		if (kinds[k].count > 0)
			shares_add(&in->kinds, kinds[k]);
	}
	snapshot_read_free(r);
	shares_sum(&in->kinds);
	shares_sum(&in->prefixes);
	return rc;
}

static struct str
time_text(struct arena *arena, int64_t wall_ms)
{
	time_t sec = (time_t)(wall_ms / 1000);
	char text[40];
	struct tm tm;

	if (gmtime_r(&sec, &tm) == NULL || strftime(text, sizeof text, "%FT%TZ", &tm) == 0)
		return STR("-");
	return arena_dup(arena, str_of(text));
}

static struct str
size_text(struct arena *arena, uint64_t bytes)
{
	static const char *const units[] = { "B", "KB", "MB", "GB", "TB" };
	double n = (double)bytes;
	size_t unit = 0;

	while (n >= 1024 && unit + 1 < sizeof units / sizeof units[0]) {
		n /= 1024;
		unit++;
	}
	return arena_fmt(arena, unit == 0 ? "%.0f%s" : "%.1f%s", n, units[unit]);
}

static uint64_t
shares_bytes(const struct shares *s)
{
	uint64_t n = 0;

	for (size_t i = 0; i < s->count; i++)
		n += s->list[i].bytes;
	return n;
}

static void
shares_print(struct arena *arena, const char *what, const struct shares *s)
{
	struct columns table;
	struct buf out;

	columns_init(&table, 3);
	columns_add(&table, (struct str[]){ str_of(what), STR("Count"), STR("Size") });
	for (size_t i = 0; i < s->count; i++)
		columns_add(
		    &table, (struct str[]){ s->list[i].name,
				arena_fmt(arena, "%llu", (unsigned long long)s->list[i].count),
				size_text(arena, s->list[i].bytes) });
	columns_add(
	    &table, (struct str[]){ STR("Total"), STR(""), size_text(arena, shares_bytes(s)) });
	buf_init(&out, TEXT_BYTES_MAX);
	columns_write(&table, &out);
	putchar('\n');
	fwrite(out.p, 1, out.n, stdout);
	buf_done(&out);
	columns_done(&table);
}

static void
pretty_print(struct inspected *in, bool details)
{
	const struct snapshot_head *h = &in->head;
	char cluster[UUID_TEXT_LEN + 1];

	printf("%-12s%s\n", "Cluster", uuid_format(&h->cluster, cluster));
	printf("%-12s%llu\n", "Size", (unsigned long long)in->bytes);
	printf("%-12s%llu\n", "Index", (unsigned long long)h->index);
	printf("%-12s%llu\n", "RaftIndex", (unsigned long long)h->raft_index);
	printf("%-12s%d\n", "Version", SNAPSHOT_FILE_VERSION);
	printf("%-12s" STR_FMT "\n", "Taken", STR_ARG(time_text(&in->arena, h->wall_ms)));
	printf("%-12s" STR_FMT "\n", "Node", STR_ARG(h->node));
	printf("%-12s" STR_FMT "\n", "Datacenter", STR_ARG(h->datacenter));
	printf("%-12s" STR_FMT "\n", "Build", STR_ARG(h->build));
	shares_print(&in->arena, "Type", &in->kinds);
	if (details)
		shares_print(&in->arena, "Key Name", &in->prefixes);
}

static void
shares_json(struct jw *w, const char *key, const struct shares *s)
{
	jw_key(w, str_of(key));
	jw_array(w);
	for (size_t i = 0; i < s->count; i++) {
		jw_object(w);
		jw_kstr(w, "Name", s->list[i].name);
		jw_ku64(w, "Sum", s->list[i].bytes);
		jw_ku64(w, "Count", s->list[i].count);
		jw_object_end(w);
	}
	jw_array_end(w);
}

static void
json_print(struct inspected *in)
{
	const struct snapshot_head *h = &in->head;
	char cluster[UUID_TEXT_LEN + 1];
	struct buf out;
	struct jw w;

	buf_init(&out, TEXT_BYTES_MAX);
	jw_init(&w, &out, true);
	jw_object(&w);
	jw_key(&w, STR("Meta"));
	jw_object(&w);
	jw_kstr(&w, "Cluster", str_of(uuid_format(&h->cluster, cluster)));
	jw_ku64(&w, "Size", in->bytes);
	jw_ku64(&w, "Index", h->index);
	jw_ku64(&w, "RaftIndex", h->raft_index);
	jw_ku64(&w, "Version", SNAPSHOT_FILE_VERSION);
	jw_kstr(&w, "Taken", time_text(&in->arena, h->wall_ms));
	jw_kstr(&w, "Node", h->node);
	jw_kstr(&w, "Datacenter", h->datacenter);
	jw_kstr(&w, "Build", h->build);
	jw_object_end(&w);
	shares_json(&w, "Stats", &in->kinds);
	shares_json(&w, "StatsKV", &in->prefixes);
	jw_ku64(&w, "TotalSize", shares_bytes(&in->kinds));
	jw_ku64(&w, "TotalSizeKV", shares_bytes(&in->prefixes));
	jw_object_end(&w);
	buf_addc(&out, '\n');
	fwrite(out.p, 1, out.n, stdout);
	buf_done(&out);
}

static int
inspect_run(const struct call *call)
{
	const struct inspect_flags *flags = call->flags;
	bool json = str_eq(str_of(flags->format), STR("json"));
	struct inspected in = { .bytes = 0 };
	uint64_t depth = 0;
	struct err err = { 0 };
	FILE *file;
	int rc;

	if (!json && !str_eq(str_of(flags->format), STR("pretty")))
		return usage_wrong(&snapshot_inspect_usage, "-format is pretty or json");
	if (pair_number("kvdepth", flags->kvdepth, &depth, &err) < 0 || depth == 0)
		return usage_wrong(&snapshot_inspect_usage, "-kvdepth is a number from 1 on");
	file = fopen(call->words[0], "re");
	if (file == NULL) {
		fprintf(stderr, "Error opening snapshot file: %s: %m\n", call->words[0]);
		return 1;
	}
	arena_init(&in.arena, NAMES_BYTES_MAX);
	rc = inspect_file(file, flags, depth, &in, &err);
	if (rc < 0)
		fprintf(stderr, "Error reading snapshot: %s\n", err.text);
	else if (json)
		json_print(&in);
	else
		pretty_print(&in, flags->kvdetails);
	fclose(file);
	free(in.kinds.list);
	free(in.prefixes.list);
	arena_done(&in.arena);
	return rc < 0 ? 1 : 0;
}

const struct usage snapshot_inspect_usage = {
	.name = "snapshot inspect",
	.takes = "[FLAG...] FILE",
	.text = "Checks a snapshot's file and shows whence and when it is, and what takes how much "
		"of it. "
		"Asks no agent. Exit status: 0; 1: the file is broken or none.",
	.flags = inspect_flags,
	.size = sizeof(struct inspect_flags),
	.initial = &inspect_initial,
	.words_min = 1,
	.words_max = 1,
	.words_wrong = "it takes one FILE",
	.run = inspect_run,
};
