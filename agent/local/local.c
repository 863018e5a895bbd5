/* agent/local/local.c -- the public calls on this agent's own services and checks.
 *
 * Each call prepares a stage (local_stage.c) or walks the trees. Lists hang off services so that a
 * service finds its checks; everything is found by id.
 */
#include "agent/local/local_private.h"

#include <stdlib.h>

#include "base/addr.h"
#include "base/mem.h"

/* ---- trees ---- */

int
local_service_cmp(const struct local_service *a, const struct local_service *b)
{
	return str_cmp(a->info.id, b->info.id);
}

int
local_check_cmp(const struct local_check *a, const struct local_check *b)
{
	return str_cmp(a->def.id, b->def.id);
}

RB_GENERATE(local_services, local_service, link, local_service_cmp)
RB_GENERATE(local_checks, local_check, link, local_check_cmp)

static struct local_service *
service_find(const struct local *l, struct str id)
{
	struct local_service key = { .info.id = id };

	return RB_FIND(local_services, (struct local_services *)(uintptr_t)&l->services, &key);
}

static struct local_check *
check_find(const struct local *l, struct str id)
{
	struct local_check key = { .def.id = id };

	return RB_FIND(local_checks, (struct local_checks *)(uintptr_t)&l->checks, &key);
}

const struct local_service *
local_service_find(const struct local *l, struct str id)
{
	return service_find(l, id);
}

const struct local_check *
local_check_find(const struct local *l, struct str id)
{
	return check_find(l, id);
}

const struct local_service *
local_service_next(const struct local *l, const struct local_service *s)
{
	if (s == NULL)
		return RB_MIN(local_services, (struct local_services *)(uintptr_t)&l->services);
	return RB_NEXT(local_services, &l->services, (struct local_service *)(uintptr_t)s);
}

const struct local_check *
local_check_next(const struct local *l, const struct local_check *c)
{
	if (c == NULL)
		return RB_MIN(local_checks, (struct local_checks *)(uintptr_t)&l->checks);
	return RB_NEXT(local_checks, &l->checks, (struct local_check *)(uintptr_t)c);
}

/* ---- memory ---- */

struct local *
local_new(const struct local_config *config)
{
	struct local *l = mem_new(struct local);

	l->config = *config;
	RB_INIT(&l->services);
	RB_INIT(&l->checks);
	RB_INIT(&l->due);
	LIST_INIT(&l->waiting);
	STAILQ_INIT(&l->news);
	RB_INIT(&l->remembered);
	return l;
}

void
local_news_add(struct local *l, struct local_check *c)
{
	struct local_news *n;

	if (c->told)
		return;
	c->told = true;
	n = mem_alloc(sizeof *n + c->def.id.n);
	n->n = c->def.id.n;
	memcpy(n->id, c->def.id.p, n->n);
	STAILQ_INSERT_TAIL(&l->news, n, link);
}

bool
local_check_news_next(struct local *l, struct str *id)
{
	struct local_check *c;

	free(l->told);
	l->told = STAILQ_FIRST(&l->news);
	if (l->told == NULL)
		return false;
	STAILQ_REMOVE_HEAD(&l->news, link);
	*id = str_mem(l->told->id, l->told->n);
	c = check_find(l, *id);
	if (c != NULL)
		c->told = false;
	return true;
}

void
local_check_drop(struct local *l, struct local_check *c)
{
	state_due_clear(l, c);
	if (check_type_runs(c->def.type))
		local_news_add(l, c);
	RB_REMOVE(local_checks, &l->checks, c);
	if (c->service != NULL)
		LIST_REMOVE(c, of_service);
	free((char *)(uintptr_t)c->output.p);
	free(c->memory);
	free(c);
}

void
local_service_drop(struct local *l, struct local_service *s)
{
	while (!LIST_EMPTY(&s->checks))
		local_check_drop(l, LIST_FIRST(&s->checks));
	RB_REMOVE(local_services, &l->services, s);
	l->service_count--;
	free(s->memory);
	blob_unref(s->body);
	free(s);
}

void
local_free(struct local *l)
{
	struct local_waiting *w;
	struct str id;

	if (l == NULL)
		return;
	while (!RB_EMPTY(&l->services))
		local_service_drop(l, RB_ROOT(&l->services));
	while (!RB_EMPTY(&l->checks))
		local_check_drop(l, RB_ROOT(&l->checks));
	while ((w = LIST_FIRST(&l->waiting)) != NULL) {
		LIST_REMOVE(w, link);
		free(w);
	}
	while (local_check_news_next(l, &id))
		;
	remember_done(l);
	free(l);
}

/* ---- the node ---- */

int
local_node_set(struct local *l, struct now now, const struct node_info *info, struct err *err)
{
	struct node_info node = *info;
	struct pair tagged[4];
	struct addr a;
	struct buf body;
	int rc;

	if (!node.tagged_set && node.address.n > 0) {
		bool v6 = addr_parse_ip(node.address, &a) && a.family == ADDR_V6;

		tagged[0] = (struct pair){ STR("lan"), node.address };
		tagged[1] = (struct pair){ v6 ? STR("lan_ipv6") : STR("lan_ipv4"), node.address };
		tagged[2] = (struct pair){ STR("wan"), node.address };
		tagged[3] = (struct pair){ v6 ? STR("wan_ipv6") : STR("wan_ipv4"), node.address };
		node.tagged = tagged;
		node.tagged_count = 4;
		node.tagged_set = true;
	}
	node.meta_set = true; /* Consul shows {} for its own nodes */
	buf_init(&body, RECORD_BODY_MAX);
	node_pack(&body, &node);
	if (body.full)
		rc = err_set(err, ERR_LIMIT, "node meta: more than %d bytes", RECORD_BODY_MAX);
	else
		rc = store_put(l->config.store, now, &l->config.self, RECORD_NODE, STR_NONE,
		    buf_str(&body), err);
	buf_done(&body);
	return rc;
}

bool
local_coordinate(const struct local *l, struct coordinate_info *out)
{
	struct owner_record r;

	return owner_find(store_owner(l->config.store, &l->config.self), RECORD_COORDINATE,
		   STR_NONE, &r) &&
	       !r.gone && coordinate_unpack(blob_str(r.body), out, NULL) == 0;
}

/* Nobody waits for it to be on disk: a coordinate that is lost is reckoned anew. */
int
local_coordinate_put(
    struct local *l, struct now now, const struct coordinate_info *info, struct err *err)
{
	struct buf body;
	int rc, kept;

	buf_init(&body, RECORD_BODY_MAX);
	coordinate_pack(&body, info);
	rc = store_put(l->config.store, now, &l->config.self, RECORD_COORDINATE, STR_NONE,
	    buf_str(&body), err);
	kept = rc > 0 ? keep_coordinate(l, buf_str(&body), err) : 0;
	if (kept < 0)
		rc = kept;
	buf_done(&body);
	return rc;
}

/* ---- putting ---- */

static int
service_stage(struct stage *s, const struct service_info *info, struct service_info *filled,
    const struct check_def *checks, struct err *err)
{
	const struct local *l = s->local;
	int rc = input_service(s, info, filled, err);

	if (rc != 0)
		return rc;
	if (s->check_count > LOCAL_CHECKS_MAX)
		return err_set(
		    err, ERR_LIMIT, "more than %d checks in one registration", LOCAL_CHECKS_MAX);
	s->info = filled;
	s->service = service_find(l, filled->id);
	if (s->service == NULL && l->config.services_max > 0 &&
	    l->service_count >= l->config.services_max)
		return err_set(err, ERR_LIMIT, "this agent has its limit of %zu services",
		    l->config.services_max);
	s->checks = arena_array(&s->arena, struct staged_check, s->check_count);
	for (size_t i = 0; i < s->check_count; i++) {
		rc = input_check(s, &checks[i], filled, i, s->check_count, &s->checks[i], err);
		if (rc != 0)
			return rc;
	}
	return stage_carry_out(s, err);
}

int
local_service_put(struct local *l, struct now now, const struct service_info *info,
    const struct check_def *checks, size_t check_count, bool replace_checks,
    enum local_source source, struct err *err)
{
	struct service_info filled;
	struct stage s;
	int rc;

	stage_init(&s, l, now, source);
	s.check_count = check_count;
	s.replace_checks = replace_checks;
	rc = service_stage(&s, info, &filled, checks, err);
	if (rc >= 0)
		restore_waiting(l, now, s.service->info.id);
	stage_done(&s);
	return rc;
}

int
local_check_put(struct local *l, struct now now, const struct check_def *def,
    enum local_source source, struct err *err)
{
	struct staged_check c;
	struct stage s;
	int rc;

	stage_init(&s, l, now, source);
	rc = input_check(&s, def, NULL, 0, 1, &c, err);
	if (rc == 0 && def->service_id.n > 0) {
		s.service = service_find(l, def->service_id);
		if (s.service == NULL)
			rc = err_set(err, ERR_REFUSED, "ServiceID \"" STR_FMT "\" does not exist",
			    STR_ARG(def->service_id));
	}
	if (rc == 0) {
		s.checks = &c;
		s.check_count = 1;
		rc = stage_carry_out(&s, err);
	}
	stage_done(&s);
	return rc;
}

/* ---- removing ---- */

static int
service_forget(struct local *l, const struct local_service *s, struct err *err)
{
	struct journal *j = l->config.journal;
	struct local_check *c;
	int rc;

	if (j == NULL)
		return 0;
	journal_begin(j);
	rc = keep_nothing(l, JOURNAL_SERVICE, s->info.id, err);
	LIST_FOREACH (c, &s->checks, of_service)
		if (rc >= 0)
			rc = keep_no_check(l, c->def.id, err);
	if (rc >= 0)
		return journal_commit(j, err);
	journal_abort(j);
	return rc;
}

int
local_service_remove(struct local *l, struct now now, struct str id, struct err *err)
{
	struct local_service *s = service_find(l, id);
	struct watch_key key = { WATCH_AGENT_SERVICE, id };
	struct local_check *c;
	struct change change;
	int rc;

	if (id.n == 0)
		return err_set(err, ERR_REFUSED, "ServiceID missing");
	restore_waiting_drop(l, id, STR_NONE);
	if (s == NULL)
		return err_set(err, ERR_NOT_FOUND,
		    "Unknown service ID \"" STR_FMT
		    "\". Ensure that the service ID is passed, not the service name.",
		    STR_ARG(id));
	rc = service_forget(l, s, err);
	if (rc < 0)
		return rc;
	change_begin(&change, l->config.store, &l->config.self, now);
	LIST_FOREACH (c, &s->checks, of_service)
		change_remove(&change, RECORD_CHECK, c->def.id);
	change_remove(&change, RECORD_SERVICE, s->info.id);
	change_done(&change);
	watch_touch(store_watches(l->config.store), key,
	    index_next(store_index(l->config.store), now.wall_ms), false);
	local_service_drop(l, s);
	return 1;
}

int
local_check_remove(struct local *l, struct now now, struct str id, struct err *err)
{
	struct local_check *c = check_find(l, id);
	int rc;

	if (id.n == 0)
		return err_set(err, ERR_REFUSED, "CheckID missing");
	restore_waiting_drop(l, STR_NONE, id);
	if (c == NULL)
		return err_set(err, ERR_NOT_FOUND,
		    "Unknown check ID \"" STR_FMT
		    "\". Ensure that the check ID is passed, not the check name.",
		    STR_ARG(id));
	rc = keep_no_check(l, id, err);
	if (rc < 0)
		return rc;
	store_remove(l->config.store, now, &l->config.self, RECORD_CHECK, c->def.id);
	local_check_drop(l, c);
	return 1;
}
