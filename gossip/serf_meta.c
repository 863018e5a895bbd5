/* gossip/serf_meta.c -- muster's tags in, out, and whose tags keep us out of a pool. */
#include "gossip/serf_meta.h"

#include <inttypes.h>
#include <stdio.h>

#define READ_BYTES (16 * 1024)
#define TAGS_MAX 64 /* that we write; two bytes of a meta hold no more than 256 */

struct tags {
	struct serf_tag at[TAGS_MAX];
	size_t count;
};

static void
tag_add(struct tags *t, const char *key, struct str value)
{
	if (t->count < TAGS_MAX)
		t->at[t->count++] = (struct serf_tag){ str_of(key), value };
}

#define RAFT_TEXT_MAX (12 + 1 + 16 + 1 + UUID_TEXT_LEN + 1 + 1 + 1)

static void
raft_write(const struct serf_raft *r, char out[RAFT_TEXT_MAX])
{
	char cluster[UUID_TEXT_LEN + 1];

	snprintf(out, RAFT_TEXT_MAX, "%u.%" PRIx64 ".%s.%d", r->version, r->id,
	    uuid_format(&r->cluster, cluster), r->formed);
}

static bool
hex_u64(struct str s, uint64_t *out)
{
	uint64_t n = 0;

	if (s.n == 0 || s.n > 16)
		return false;
	for (size_t i = 0; i < s.n; i++) {
		char c = s.p[i];

		if (!chr_digit(c) && !(c >= 'a' && c <= 'f'))
			return false;
		n = n << 4 | (uint64_t)(chr_digit(c) ? c - '0' : c - 'a' + 10);
	}
	*out = n;
	return true;
}

/* What is broken counts as no tag at all. A newer version may say more behind the last dot. */
static void
raft_read(struct str s, struct serf_raft *out)
{
	struct str version = str_cut(&s, '.'), id = str_cut(&s, '.'), cluster = str_cut(&s, '.');
	struct str formed = str_cut(&s, '.');
	struct serf_raft r = { 0 };
	uint64_t n = 0;

	if (!str_u64(version, 1000000, &n) || !hex_u64(id, &r.id) ||
	    !uuid_parse(cluster, &r.cluster))
		return;
	r.version = (unsigned)n;
	r.formed = str_eq(formed, STR("1"));
	*out = r;
}

int
serf_meta_write(struct writer *w, const struct serf_meta *m, struct err *err)
{
	char port[8], expect[12], muster[12], raft[RAFT_TEXT_MAX];
	struct tags t = { .count = 0 };

	snprintf(port, sizeof port, "%u", m->port);
	snprintf(expect, sizeof expect, "%u", m->expect);
	snprintf(muster, sizeof muster, "%u", m->muster);
	tag_add(&t, "role", m->server ? STR("consul") : STR("node"));
	tag_add(&t, "dc", m->dc);
	tag_add(&t, "segment", STR(""));
	tag_add(&t, "id", m->id);
	tag_add(&t, "vsn", STR("2"));
	tag_add(&t, "vsn_min", STR("2"));
	tag_add(&t, "vsn_max", STR("3"));
	tag_add(&t, "build", m->build);
	tag_add(&t, "acls", STR("0"));
	tag_add(&t, "mu", str_of(muster));
	if (m->server)
		tag_add(&t, "port", str_of(port));
	if (m->server && m->expect > 0)
		tag_add(&t, "expect", str_of(expect));
	if (m->server && m->bootstrap)
		tag_add(&t, "bootstrap", STR("1"));
	if (m->cluster.n > 0)
		tag_add(&t, "cluster", m->cluster);
	if (m->server && m->raft.version > 0) {
		raft_write(&m->raft, raft);
		tag_add(&t, "raft", str_of(raft));
	}
	if (m->name.n > 0)
		tag_add(&t, "name", m->name);
	for (size_t i = 0; i < m->more_count; i++)
		if (t.count < TAGS_MAX)
			t.at[t.count++] = m->more[i];
	serf_tags_write(w, t.at, t.count);
	if (w->full)
		return err_set(err, ERR_LIMIT,
		    "the tags take more than %d bytes, or one stands twice", WIRE_META_MAX);
	return 0;
}

static unsigned
tag_number(struct str value, unsigned max)
{
	uint64_t n = 0;

	return str_u64(value, max, &n) ? (unsigned)n : 0;
}

static void
tag_take(const struct serf_tag *t, struct serf_meta *out)
{
	if (str_eq(t->key, STR("role")))
		out->server = str_eq(t->value, STR("consul"));
	else if (str_eq(t->key, STR("dc")))
		out->dc = t->value;
	else if (str_eq(t->key, STR("id")))
		out->id = t->value;
	else if (str_eq(t->key, STR("build")))
		out->build = t->value;
	else if (str_eq(t->key, STR("cluster")))
		out->cluster = t->value;
	else if (str_eq(t->key, STR("raft")))
		raft_read(t->value, &out->raft);
	else if (str_eq(t->key, STR("name")))
		out->name = t->value;
	else if (str_eq(t->key, STR("port")))
		out->port = (uint16_t)tag_number(t->value, 65535);
	else if (str_eq(t->key, STR("expect")))
		out->expect = tag_number(t->value, 1000);
	else if (str_eq(t->key, STR("mu")))
		out->muster = tag_number(t->value, 1000000);
	else if (str_eq(t->key, STR("bootstrap")))
		out->bootstrap = str_eq(t->value, STR("1"));
}

int
serf_meta_read(struct arena *arena, struct str meta, struct serf_meta *out, struct err *err)
{
	struct serf_meta m = { 0 };
	struct serf_tag *tags;
	size_t count;
	int rc = serf_tags_read(arena, meta, &tags, &count, err);

	if (rc < 0)
		return rc;
	for (size_t i = 0; i < count; i++)
		tag_take(&tags[i], &m);
	*out = m;
	return 0;
}

static struct str
tag_value(const struct serf_tag *tags, size_t count, const char *key)
{
	for (size_t i = 0; i < count; i++)
		if (str_eq(tags[i].key, str_of(key)))
			return tags[i].value.p == NULL ? STR("") : tags[i].value;
	return STR_NONE;
}

/* Consul's role with a build, and without our mark. */
static int
tags_check(const struct swim_member *m, const struct serf_tag *tags, size_t count, struct str dc,
    struct err *err)
{
	struct str role = tag_value(tags, count, "role"), build = tag_value(tags, count, "build");
	struct str theirs = tag_value(tags, count, "dc");
	bool muster = tag_value(tags, count, "mu").p != NULL;
	char at[ADDR_TEXT_MAX];

	if (!muster && build.p != NULL &&
	    (str_eq(role, STR("consul")) || str_eq(role, STR("node"))))
		return err_set(err, ERR_REFUSED,
		    "\"" STR_FMT "\" at %s is a Consul %s, version " STR_FMT
		    ": muster does not join a pool of Consul agents, it replaces them; give "
		    "addresses of muster agents",
		    STR_ARG(m->name), addr_format(&m->addr, at),
		    str_eq(role, STR("consul")) ? "server" : "agent",
		    STR_ARG(str_head(build, str_find(build, ':'))));
	if (muster && !str_eq(theirs, dc))
		return err_set(err, ERR_REFUSED,
		    "\"" STR_FMT "\" at %s belongs to datacenter \"" STR_FMT
		    "\", this agent to \"" STR_FMT "\"",
		    STR_ARG(m->name), addr_format(&m->addr, at), STR_ARG(theirs), STR_ARG(dc));
	return 0;
}

int
serf_meta_check(const struct swim_member *m, struct str dc, struct err *err)
{
	struct serf_tag *tags;
	struct arena arena;
	size_t count;
	int rc = 0;

	arena_init(&arena, READ_BYTES);
	if (serf_tags_read(&arena, m->meta, &tags, &count, NULL) == 0)
		rc = tags_check(m, tags, count, dc, err);
	arena_done(&arena);
	return rc;
}
