/* agent/local/local_restore.c -- what was registered through the API, to the journal and back.
 *
 *     service     u8 version, packed service_info
 *     check       u8 version, u8 flags, u8 status, varint length, output, packed check_def
 *     coordinate  the body of its record: where this node was in the network
 *
 * Of the first two only entries of LOCAL_API are kept: config files and Docker tell theirs anew (what became of
 * their checks is in local_remember.c). A check that was
 * registered for one of Docker's services waits a while for it to come back.
 */
#include "agent/local/local_private.h"

#include <stdlib.h>

#include "base/cursor.h"
#include "base/log.h"
#include "base/mem.h"

#define KEPT_VERSION 1
#define KEPT_WITH 1 /* flags: came inside a service's registration */
#define KEPT_REPORTED 2
#define WAITING_MAX (10 * NSEC_MIN) /* for its service */

/* ---- to the journal ---- */

int
keep_service(struct stage *s, struct err *err)
{
	struct journal *j = s->local->config.journal;
	struct buf value;
	int rc;

	if (j == NULL)
		return 0;
	if (s->source != LOCAL_API)
		return keep_nothing(s->local, JOURNAL_SERVICE, s->info->id, err);
	buf_init(&value, RECORD_BODY_MAX + 1);
	buf_addc(&value, KEPT_VERSION);
	buf_add(&value, buf_str(&s->body));
	rc = journal_put(j, JOURNAL_SERVICE, s->info->id, buf_str(&value), err);
	buf_done(&value);
	return rc;
}

int
keep_check(struct local *l, const struct check_def *def, enum check_status status,
    struct str output, bool with_service, bool reported, struct err *err)
{
	struct buf value;
	uint8_t head[3 + 10];
	struct writer w = wr_of(head, sizeof head);
	int rc;

	if (l->config.journal == NULL)
		return 0;
	buf_init(&value, JOURNAL_VALUE_MAX);
	wr_u8(&w, KEPT_VERSION);
	wr_u8(&w, (uint8_t)((with_service ? KEPT_WITH : 0) | (reported ? KEPT_REPORTED : 0)));
	wr_u8(&w, (uint8_t)status);
	wr_varint(&w, output.n);
	buf_add(&value, wr_done(&w));
	buf_add(&value, output);
	check_def_pack(&value, def);
	if (value.full)
		rc = err_set(err, ERR_LIMIT, "a check of more than %d bytes", JOURNAL_VALUE_MAX);
	else
		rc = journal_put(l->config.journal, JOURNAL_CHECK, def->id, buf_str(&value), err);
	buf_done(&value);
	return rc;
}

int
keep_coordinate(struct local *l, struct str body, struct err *err)
{
	if (l->config.journal == NULL)
		return 0;
	return journal_put(l->config.journal, JOURNAL_COORDINATE, STR_NONE, body, err);
}

int
keep_nothing(struct local *l, enum local_journal_kind kind, struct str id, struct err *err)
{
	if (l->config.journal == NULL)
		return 0;
	return journal_delete(l->config.journal, (uint16_t)kind, id, err);
}

int
keep_no_check(struct local *l, struct str id, struct err *err)
{
	int rc = keep_nothing(l, JOURNAL_CHECK, id, err);

	return rc < 0 ? rc : keep_nothing(l, JOURNAL_STATE, id, err);
}

/* ---- back ---- */

static int
restore_service(struct local *l, struct now now, struct str value, struct err *err)
{
	struct service_info info;
	struct reader r = rd_of(value);
	struct arena arena;
	int rc;

	if (rd_u8(&r) != KEPT_VERSION)
		return err_set(err, ERR_INPUT, "kept by another version");
	arena_init(&arena, STAGE_ARENA_MAX);
	rc = service_unpack(&arena, rd_str(&r, rd_left(&r)), &info, err);
	if (rc == 0)
		rc = local_service_put(l, now, &info, NULL, 0, false, LOCAL_API, err);
	arena_done(&arena);
	return rc;
}

static int
restore_check_read(struct arena *arena, struct str value, struct staged_check *c, struct err *err)
{
	struct reader r = rd_of(value);
	uint8_t version = rd_u8(&r), flags = rd_u8(&r), status = rd_u8(&r);

	*c = (struct staged_check){ 0 };
	c->output = rd_str(&r, rd_varint(&r));
	if (version != KEPT_VERSION)
		return err_set(err, ERR_INPUT, "kept by another version");
	if (!rd_ok(&r) || status > CHECK_CRITICAL)
		return err_set(err, ERR_INPUT, "malformed");
	c->with_service = (flags & KEPT_WITH) != 0;
	c->reported = (flags & KEPT_REPORTED) != 0;
	c->status = (enum check_status)status;
	return check_def_unpack(arena, rd_str(&r, rd_left(&r)), &c->def, err);
}

static void
restore_wait(
    struct local *l, struct now now, struct str id, struct str service_id, struct str value)
{
	struct local_waiting *w = mem_alloc(sizeof *w + id.n + service_id.n + value.n);
	char *p = w->bytes;

	w->id = str_mem(p, id.n);
	w->service_id = str_mem(p + id.n, service_id.n);
	w->value = str_mem(p + id.n + service_id.n, value.n);
	memcpy(p, id.p, id.n);
	memcpy(p + id.n, service_id.p, service_id.n);
	memcpy(p + id.n + service_id.n, value.p, value.n);
	LIST_INSERT_HEAD(&l->waiting, w, link);
	l->waiting_until = now.mono + WAITING_MAX;
}

/* 1: it is there; 0: waits for its service. */
static int
restore_check(struct local *l, struct now now, struct str value, struct err *err)
{
	struct staged_check c;
	struct stage s;
	int rc;

	stage_init(&s, l, now, LOCAL_API);
	rc = restore_check_read(&s.arena, value, &c, err);
	if (rc == 0)
		rc = check_def_validate(&c.def, l->config.scripts_enabled, err);
	if (rc != 0)
		goto out;
	if (c.def.service_id.n > 0) {
		const struct local_service *service = local_service_find(l, c.def.service_id);

		if (service == NULL) {
			restore_wait(l, now, c.def.id, c.def.service_id, value);
			goto out;
		}
		s.service = (struct local_service *)(uintptr_t)service;
	}
	c.old = (struct local_check *)(uintptr_t)local_check_find(l, c.def.id);
	s.checks = &c;
	s.check_count = 1;
	rc = stage_carry_out(&s, err);
	rc = rc < 0 ? rc : 1;
out:
	stage_done(&s);
	return rc;
}

/* Copies of one kind's entries: putting them back may touch the journal. */
static struct str *
restore_copies(const struct local *l, enum local_journal_kind want, size_t *count)
{
	struct str *copies = NULL, key, value;
	size_t cursor = 0, room = 0;
	uint16_t kind;

	*count = 0;
	while (journal_next(l->config.journal, &cursor, &kind, &key, &value)) {
		if (kind != want)
			continue;
		copies = mem_grow(copies, *count, &room, sizeof *copies);
		copies[(*count)++] = str_mem(str_dup(value), value.n);
	}
	return copies;
}

static void
restore_coordinate(struct local *l, struct now now)
{
	size_t cursor = 0;
	uint16_t kind;
	struct str key, value;
	struct err err = { 0 };

	while (journal_next(l->config.journal, &cursor, &kind, &key, &value))
		if (kind == JOURNAL_COORDINATE &&
		    store_put(l->config.store, now, &l->config.self, RECORD_COORDINATE, STR_NONE,
			value, &err) < 0)
			log_warn("local", "not restored kind=coordinate error=%s", err.text);
}

static size_t
restore_kind(struct local *l, struct now now, enum local_journal_kind kind)
{
	size_t count, restored = 0;
	struct str *copies = restore_copies(l, kind, &count);

	for (size_t i = 0; i < count; i++) {
		struct err err = { 0 };
		int rc = kind == JOURNAL_SERVICE ? restore_service(l, now, copies[i], &err)
						 : restore_check(l, now, copies[i], &err);

		if (rc < 0)
			log_warn("local", "not restored kind=%s error=%s",
			    kind == JOURNAL_SERVICE ? "service" : "check", err.text);
		restored += rc > 0;
		free((char *)(uintptr_t)copies[i].p);
	}
	free(copies);
	return restored;
}

int
local_restore(struct local *l, struct now now, struct err *err)
{
	size_t services, checks, waiting = 0;
	const struct local_waiting *w;

	(void)err;
	if (l->config.journal == NULL)
		return 0;
	services = restore_kind(l, now, JOURNAL_SERVICE);
	checks = restore_kind(l, now, JOURNAL_CHECK);
	remember_restore(l, now);
	restore_coordinate(l, now);
	LIST_FOREACH (w, &l->waiting, link)
		waiting++;
	if (services + checks + waiting > 0)
		log_info("local", "restored services=%zu checks=%zu waiting_for_their_service=%zu",
		    services, checks, waiting);
	return 0;
}

/* ---- checks that wait for their service ---- */

void
restore_waiting(struct local *l, struct now now, struct str service_id)
{
	struct local_waiting *w, *next;

	for (w = LIST_FIRST(&l->waiting); w != NULL; w = next) {
		struct err err = { 0 };

		next = LIST_NEXT(w, link);
		if (!str_eq(w->service_id, service_id))
			continue;
		LIST_REMOVE(w, link);
		if (local_check_find(l, w->id) == NULL && restore_check(l, now, w->value, &err) < 0)
			log_warn("local", "not restored check=" STR_FMT " error=%s", STR_ARG(w->id),
			    err.text);
		free(w);
	}
}

void
restore_waiting_drop(struct local *l, struct str service_id, struct str check_id)
{
	struct local_waiting *w, *next;

	for (w = LIST_FIRST(&l->waiting); w != NULL; w = next) {
		next = LIST_NEXT(w, link);
		if (!str_eq(w->id, check_id) && !str_eq(w->service_id, service_id))
			continue;
		LIST_REMOVE(w, link);
		keep_nothing(l, JOURNAL_CHECK, w->id, NULL);
		free(w);
	}
}

void
restore_waiting_expire(struct local *l, struct now now)
{
	struct local_waiting *w;

	while (now.mono >= l->waiting_until && (w = LIST_FIRST(&l->waiting)) != NULL) {
		log_info("local",
		    "check forgotten, its service did not come back check=" STR_FMT
		    " service=" STR_FMT,
		    STR_ARG(w->id), STR_ARG(w->service_id));
		LIST_REMOVE(w, link);
		keep_nothing(l, JOURNAL_CHECK, w->id, NULL);
		free(w);
	}
}
