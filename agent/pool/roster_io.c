/* agent/pool/roster_io.c -- the roster: a short list, its file in JSON.
 *
 *     {"clocks": {"member": 7, "event": 2, "query": 1}, "left": false,
 *      "members": [{"id": "…", "name": "web-1", "address": "10.0.0.1:8301"}]}
 *
 * In order: the list; reading; writing. The list is an array in order of age: it is short, and
 * changes when members come and go.
 */
#include "agent/pool/roster_io.h"

#include <stdlib.h>
#include <string.h>

#include "agent/durable_io.h"
#include "base/json.h"
#include "base/mem.h"

#define ROSTER_FILE "roster"
#define ROSTER_FILE_MAX (2 * 1024 * 1024) /* bytes: 1,024 names of 255 bytes, each byte escaped */

struct entry {
	struct uuid id;
	char *name; /* owned */
	size_t name_len;
	struct addr addr;
};

struct roster {
	char *folder;          /* owned; NULL: memory only */
	struct entry *entries; /* owned; newest first */
	size_t count, cap;
	struct serf_clocks clocks;
	bool left, changed;
	nsec due, not_before; /* changed: when it is written; and the earliest time of the next */
};

/* ---- the list ---- */

static bool
roster_id_none(const struct uuid *id)
{
	static const struct uuid none;

	return uuid_eq(id, &none);
}

static void
roster_drop(struct roster *r, size_t i)
{
	free(r->entries[i].name);
	r->count--;
	memmove(r->entries + i, r->entries + i + 1, (r->count - i) * sizeof r->entries[0]);
}

static bool
roster_same(const struct entry *e, const struct roster_member *m)
{
	if (!roster_id_none(&e->id) && !roster_id_none(&m->id))
		return uuid_eq(&e->id, &m->id);
	return str_eq(str_mem(e->name, e->name_len), m->name);
}

static bool
roster_addr_eq(const struct addr *a, const struct addr *b)
{
	return a->port == b->port && addr_eq_ip(a, b);
}

/* True when there was one. */
static bool
roster_remove(struct roster *r, const struct roster_member *m, bool address_too)
{
	size_t before = r->count;

	for (size_t i = r->count; i > 0; i--) {
		const struct entry *e = &r->entries[i - 1];

		if (roster_same(e, m) || (address_too && roster_addr_eq(&e->addr, &m->addr)))
			roster_drop(r, i - 1);
	}
	return r->count < before;
}

static void
roster_put(struct roster *r, size_t at, const struct roster_member *m)
{
	r->entries = mem_grow(r->entries, r->count, &r->cap, sizeof *r->entries);
	memmove(r->entries + at + 1, r->entries + at, (r->count - at) * sizeof r->entries[0]);
	r->entries[at] = (struct entry){ m->id, str_dup(m->name), m->name.n, m->addr };
	r->count++;
}

static void
roster_changed(struct roster *r, nsec now)
{
	if (r->changed)
		return;
	r->changed = true;
	r->due = now + ROSTER_SETTLE;
	if (r->due < r->not_before)
		r->due = r->not_before;
}

void
roster_seen(struct roster *r, nsec now, const struct roster_member *m)
{
	const struct entry *first = r->entries;

	if (m->addr.family == ADDR_NONE || m->name.n > ROSTER_NAME_MAX)
		return;
	if (r->count > 0 && uuid_eq(&first->id, &m->id) && roster_same(first, m) &&
	    roster_addr_eq(&first->addr, &m->addr) &&
	    str_eq(str_mem(first->name, first->name_len), m->name))
		return;
	roster_remove(r, m, true);
	if (r->count == ROSTER_MEMBERS_MAX)
		roster_drop(r, r->count - 1);
	roster_put(r, 0, m);
	roster_changed(r, now);
}

void
roster_forget(struct roster *r, nsec now, const struct roster_member *m)
{
	if (roster_remove(r, m, false))
		roster_changed(r, now);
}

void
roster_clocks_set(struct roster *r, nsec now, struct serf_clocks clocks)
{
	if (clocks.member == r->clocks.member && clocks.event == r->clocks.event &&
	    clocks.query == r->clocks.query)
		return;
	r->clocks = clocks;
	roster_changed(r, now);
}

void
roster_leaving(struct roster *r)
{
	r->left = r->changed = true;
	r->due = r->not_before;
}

size_t
roster_count(const struct roster *r)
{
	return r->count;
}

struct roster_member
roster_at(const struct roster *r, size_t i)
{
	const struct entry *e = &r->entries[i];

	return (struct roster_member){ e->id, str_mem(e->name, e->name_len), e->addr };
}

size_t
roster_addrs(const struct roster *r, struct addr *out, size_t max)
{
	size_t n = r->count < max ? r->count : max;

	for (size_t i = 0; i < n; i++)
		out[i] = r->entries[i].addr;
	return n;
}

struct serf_clocks
roster_clocks(const struct roster *r)
{
	return r->clocks;
}

/* ---- reading ---- */

static bool
roster_clock_read(const json_t *clocks, const char *name, uint64_t *out)
{
	int64_t v = json_member_int(clocks, name, -1);

	if (v < 0 || (uint64_t)v > SERF_LTIME_MAX)
		return false;
	*out = (uint64_t)v;
	return true;
}

static bool
roster_member_read(struct roster *r, const json_t *v)
{
	struct str id = json_member_str(v, "id");
	struct roster_member m = { .name = json_member_str(v, "name") };

	if ((id.n > 0 && !uuid_parse(id, &m.id)) || m.name.n > ROSTER_NAME_MAX ||
	    !addr_parse(json_member_str(v, "address"), 0, &m.addr) || m.addr.port == 0)
		return false;
	if (r->count < ROSTER_MEMBERS_MAX)
		roster_put(r, r->count, &m);
	return true;
}

static int
roster_parse(struct roster *r, struct str text, struct err *err)
{
	json_t *root = NULL, *members, *clocks, *item;
	size_t i;
	int rc = json_read(text, &root, err);
	bool good = true;

	if (rc < 0)
		return rc;
	members = json_object_get(root, "members");
	clocks = json_object_get(root, "clocks");
	good = json_is_array(members) && roster_clock_read(clocks, "member", &r->clocks.member) &&
	       roster_clock_read(clocks, "event", &r->clocks.event) &&
	       roster_clock_read(clocks, "query", &r->clocks.query);
	json_array_foreach (members, i, item)
		good = good && roster_member_read(r, item);
	r->left = json_member_bool(root, "left");
	json_decref(root);
	return good ? 0 : err_set(err, ERR_INPUT, "must hold clocks and members");
}

static void
roster_empty(struct roster *r)
{
	while (r->count > 0)
		roster_drop(r, r->count - 1);
}

struct roster *
roster_open(const char *folder, bool after_leave, struct err *damage)
{
	struct roster *r = mem_new(struct roster);
	struct err err = { 0 };
	struct buf text;
	int rc;

	if (folder == NULL)
		return r;
	r->folder = str_dup(str_of(folder));
	buf_init(&text, ROSTER_FILE_MAX);
	rc = durable_load(folder, ROSTER_FILE, &text, &err);
	if (rc == 0 && (rc = roster_parse(r, buf_str(&text), &err)) < 0) {
		err_wrap(&err, "%s/%s is damaged", folder, ROSTER_FILE);
		r->clocks = (struct serf_clocks){ 0 };
		r->left = false;
		roster_empty(r);
	}
	buf_done(&text);
	if (rc < 0 && rc != ERR_NOT_FOUND && damage != NULL)
		*damage = err;
	if (r->left && !after_leave)
		roster_empty(r);
	r->changed = r->left; /* that life is over */
	r->left = false;
	return r;
}

/* ---- writing ---- */

static void
roster_print(const struct roster *r, struct buf *out)
{
	struct jw w;

	jw_init(&w, out, true);
	jw_object(&w);
	jw_key(&w, STR("clocks"));
	jw_object(&w);
	jw_ku64(&w, "member", r->clocks.member);
	jw_ku64(&w, "event", r->clocks.event);
	jw_ku64(&w, "query", r->clocks.query);
	jw_object_end(&w);
	jw_kbool(&w, "left", r->left);
	jw_key(&w, STR("members"));
	jw_array(&w);
	for (size_t i = 0; i < r->count; i++) {
		const struct entry *e = &r->entries[i];
		char id[UUID_TEXT_LEN + 1], addr[ADDR_TEXT_MAX];

		jw_object(&w);
		if (!roster_id_none(&e->id))
			jw_kstr(&w, "id", str_of(uuid_format(&e->id, id)));
		jw_kstr(&w, "name", str_mem(e->name, e->name_len));
		jw_kstr(&w, "address", str_of(addr_format(&e->addr, addr)));
		jw_object_end(&w);
	}
	jw_array_end(&w);
	jw_object_end(&w);
	buf_addc(out, '\n');
}

static int
roster_write(struct roster *r, struct err *err)
{
	struct buf text;
	int rc = 0;

	if (r->folder == NULL || !r->changed)
		return 0;
	buf_init(&text, ROSTER_FILE_MAX);
	roster_print(r, &text);
	rc = text.full ? err_set(err, ERR_MEMORY, "the roster is too large")
		       : durable_store(r->folder, ROSTER_FILE, 0644, buf_str(&text), err);
	buf_done(&text);
	return rc;
}

nsec
roster_deadline(const struct roster *r)
{
	return r->changed && r->folder != NULL ? r->due : NSEC_NEVER;
}

int
roster_tick(struct roster *r, nsec now, struct err *err)
{
	int rc;

	if (roster_deadline(r) > now)
		return 0;
	rc = roster_write(r, err);
	r->changed = rc < 0;
	r->not_before = r->due = now + ROSTER_INTERVAL;
	return rc;
}

int
roster_close(struct roster *r, struct err *err)
{
	int rc;

	if (r == NULL)
		return 0;
	rc = roster_write(r, err);
	roster_empty(r);
	free(r->entries);
	free(r->folder);
	free(r);
	return rc;
}
