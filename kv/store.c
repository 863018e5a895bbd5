/* kv/store.c -- the store: life, reading, and what this agent writes itself.
 *
 * Parts: members; life; single writes; packed writes; external records with what hangs on them;
 * masks. What others are told is in store_news.c, what comes from them in store_remote.c. Every
 * call that changes records makes one catalog step, so all it does carries one index.
 */
#include "kv/store.h"

#include <assert.h>
#include <stdlib.h>

#include "base/mem.h"
#include "kv/store_priv.h"

#define SCRATCH_KEEP (64 * 1024) /* bytes of packing room that are kept between calls */

/* Members. */

static int
store_member_cmp(const struct store_member *a, const struct store_member *b)
{
	return uuid_cmp(&a->id, &b->id);
}

RB_GENERATE(store_members, store_member, link, store_member_cmp)

struct store_member *
store_member_find(const struct store *s, const struct uuid *id)
{
	struct store_member *at = RB_ROOT(&s->members);

	while (at != NULL) {
		int d = uuid_cmp(id, &at->id);

		if (d == 0)
			return at;
		at = d < 0 ? RB_LEFT(at, link) : RB_RIGHT(at, link);
	}
	return NULL;
}

struct store_member *
store_member_next(const struct store *s, struct store_member *m)
{
	if (m != NULL)
		return RB_NEXT(store_members, &s->members, m);
	m = RB_ROOT(&s->members);
	while (m != NULL && RB_LEFT(m, link) != NULL)
		m = RB_LEFT(m, link);
	return m;
}

struct store_member *
store_member_add(struct store *s, const struct uuid *id, enum member_state state)
{
	struct store_member *m = mem_new(struct store_member);

	m->id = *id;
	m->state = state;
	s->gone_count += state == MEMBER_GONE;
	m->owner = state == MEMBER_GONE ? NULL : owner_new(id, &s->config.limits);
	m->until = m->gone_until = NSEC_NEVER;
	RB_INSERT(store_members, &s->members, m);
	return m;
}

/* Life. */

/* 12 bits that differ between agents as their ids do. */
static uint16_t
index_tag(const struct uuid *id)
{
	return (uint16_t)(id->b[0] << 4 | id->b[15] >> 4);
}

struct store *
store_new(const struct store_config *config, struct now now)
{
	struct store *s = mem_new(struct store);
	struct catalog_step step;

	s->config = *config;
	s->due = NSEC_NEVER;
	s->baseline = true;
	buf_init(&s->scratch, RECORD_BODY_MAX);
	index_init(&s->index, index_tag(&config->self), config->index_ceiling);
	s->watches = watches_new();
	watch_floor_raise(s->watches, index_next(&s->index, now.wall_ms));
	s->self = store_member_add(s, &config->self, MEMBER_ALIVE)->owner;
	if (!uuid_zero(&config->cluster))
		s->cluster = store_member_add(s, &config->cluster, MEMBER_ALIVE)->owner;
	s->catalog = catalog_new(s->watches, &s->index);
	owner_epoch_begin(s->self, config->epoch);
	if (config->cluster_writer && s->cluster != NULL)
		owner_epoch_begin(s->cluster, config->epoch);
	step = catalog_step(s->catalog, now.wall_ms);
	if (s->cluster != NULL)
		catalog_cluster_add(&step, s->cluster);
	catalog_agent_set(&step, s->self, AGENT_ALIVE);
	return s;
}

void
store_free(struct store *s)
{
	struct store_member *m;

	if (s == NULL)
		return;
	catalog_free(s->catalog);
	watches_free(s->watches);
	while ((m = RB_ROOT(&s->members)) != NULL) {
		RB_REMOVE(store_members, &s->members, m);
		owner_free(m->owner);
		free(m);
	}
	buf_done(&s->scratch);
	free(s);
}

struct catalog *
store_catalog(const struct store *s)
{
	return s->catalog;
}

struct watches *
store_watches(const struct store *s)
{
	return s->watches;
}

struct index_clock *
store_index(const struct store *s)
{
	return &((struct store *)(uintptr_t)s)->index;
}

const struct owner *
store_owner(const struct store *s, const struct uuid *id)
{
	const struct store_member *m = store_member_find(s, id);

	return m == NULL ? NULL : m->owner;
}

bool
store_has_unknown(const struct store *s)
{
	return s->unknown_bytes > 0;
}

struct store_stats
store_stats(const struct store *s)
{
	return s->stats;
}

/* Single writes. */

/* The baseline of a writer is complete: nobody is told of its records, but of its hash. */
static void
baseline_told(struct store *s, struct owner *o, struct store_news *news)
{
	owner_baseline_end(o);
	*news = (struct store_news){ 1, SIZE_MAX, true, owner_digest(o).hash };
	s->version++;
}

static void
baselines_told(struct store *s)
{
	baseline_told(s, s->self, &s->self_news);
	if (s->cluster != NULL && owner_is_writer(s->cluster))
		baseline_told(s, s->cluster, &s->cluster_news);
}

/* The owner to write as; NULL: it is not ours. An agent that never writes external records stays
 * a mere reader of the virtual owner. */
static struct owner *
writer_of(struct store *s, const struct uuid *id)
{
	if (uuid_eq(id, &s->config.self))
		return s->self;
	if (s->cluster == NULL || s->cluster_taken || !uuid_eq(id, &s->config.cluster))
		return NULL;
	if (!owner_is_writer(s->cluster)) {
		owner_epoch_begin(s->cluster, s->config.epoch);
		s->version++;
		if (!s->baseline)
			baseline_told(s, s->cluster, &s->cluster_news);
	}
	return s->cluster;
}

static int
step_put(struct store *s, struct catalog_step *step, const struct uuid *id, uint16_t kind,
    struct str key, struct str body, struct err *err)
{
	struct owner *o = writer_of(s, id);
	struct owner_change change;
	int rc;

	if (o == NULL)
		return err_set(err, ERR_REFUSED, "only an owner writes its records");
	rc = owner_put(o, kind, key, body, &change, err);
	if (rc < 0)
		s->stats.refused++;
	if (rc > 0) {
		s->stats.applied++;
		s->version++;
		catalog_record_changed(step, id, kind, change.key);
		owner_change_done(&change);
	}
	return rc;
}

static int
step_remove(struct store *s, struct catalog_step *step, const struct uuid *id, uint16_t kind,
    struct str key)
{
	struct owner *o = writer_of(s, id);
	struct owner_change change;

	if (o == NULL || owner_remove(o, kind, key, &change) <= 0)
		return 0;
	s->stats.applied++;
	s->version++;
	catalog_record_changed(step, id, kind, change.key);
	owner_change_done(&change);
	return 1;
}

int
store_put(struct store *s, struct now now, const struct uuid *owner, uint16_t kind, struct str key,
    struct str body, struct err *err)
{
	struct catalog_step step = catalog_step(s->catalog, now.wall_ms);

	return step_put(s, &step, owner, kind, key, body, err);
}

int
store_remove(
    struct store *s, struct now now, const struct uuid *owner, uint16_t kind, struct str key)
{
	struct catalog_step step = catalog_step(s->catalog, now.wall_ms);

	return step_remove(s, &step, owner, kind, key);
}

void
store_baseline_end(struct store *s, struct now now)
{
	(void)now; /* numbers only: nothing shows differently */
	if (!s->baseline)
		return;
	s->baseline = false;
	baselines_told(s);
}

void
store_epoch_begin(struct store *s, struct now now, struct epoch epoch)
{
	struct catalog_step step = catalog_step(s->catalog, now.wall_ms);

	s->config.epoch = epoch;
	owner_epoch_begin(s->self, epoch);
	s->self_news = (struct store_news){ 0 };
	if (s->cluster != NULL && owner_is_writer(s->cluster)) {
		owner_epoch_begin(s->cluster, epoch);
		s->cluster_news = (struct store_news){ 0 };
	}
	s->version++;
	if (!s->baseline)
		baselines_told(s);
	catalog_epoch_changed(&step, &s->config.self);
}

/* Packed writes. */

static bool
is_cluster(const struct store *s, const struct uuid *owner)
{
	return s->cluster != NULL && uuid_eq(owner, &s->config.cluster);
}

/* Own records are keyed by id, external ones by node and id. */
static int
entity_key(const struct store *s, const struct uuid *owner, struct str node, struct str id,
    struct catalog_key *k, struct err *err)
{
	if (!is_cluster(s, owner)) {
		k->key = id;
		return 0;
	}
	if (node.n == 0)
		return err_set(err, ERR_INPUT, "an external record needs the name of its node");
	if (!catalog_external_key(k, node, id))
		return err_set(err, ERR_INPUT,
		    "node \"" STR_FMT "\": names are too long (%d bytes in all) or hold a NUL",
		    STR_ARG(node), RECORD_KEY_MAX - 1);
	return 0;
}

/* What was packed into the scratch room. */
static int
put_packed(struct store *s, struct now now, const struct uuid *owner, uint16_t kind, struct str key,
    struct err *err)
{
	int rc;

	if (s->scratch.full)
		rc = err_set(err, ERR_LIMIT, "a registration may have %d bytes", RECORD_BODY_MAX);
	else
		rc = store_put(s, now, owner, kind, key, buf_str(&s->scratch), err);
	if (s->scratch.room > SCRATCH_KEEP)
		buf_done(&s->scratch);
	return rc;
}

int
store_put_node(struct store *s, struct now now, const struct uuid *owner,
    const struct node_info *info, struct err *err)
{
	if (info->name.n == 0 || str_find(info->name, '\0') < info->name.n)
		return err_set(err, ERR_INPUT, "a node needs a name, and none with a NUL");
	buf_clear(&s->scratch);
	node_pack(&s->scratch, info);
	return put_packed(
	    s, now, owner, RECORD_NODE, is_cluster(s, owner) ? info->name : STR_NONE, err);
}

int
store_put_service(struct store *s, struct now now, const struct uuid *owner,
    const struct service_info *info, struct err *err)
{
	struct catalog_key k;
	int rc = entity_key(s, owner, info->node, info->id, &k, err);

	if (rc < 0)
		return rc;
	buf_clear(&s->scratch);
	service_pack(&s->scratch, info);
	return put_packed(s, now, owner, RECORD_SERVICE, k.key, err);
}

int
store_put_check(struct store *s, struct now now, const struct uuid *owner,
    const struct check_info *info, struct err *err)
{
	struct catalog_key k;
	int rc = entity_key(s, owner, info->node, info->id, &k, err);

	if (rc < 0)
		return rc;
	buf_clear(&s->scratch);
	check_pack(&s->scratch, info);
	return put_packed(s, now, owner, RECORD_CHECK, k.key, err);
}

int
store_remove_check(
    struct store *s, struct now now, const struct uuid *owner, struct str node, struct str id)
{
	struct catalog_key k;

	if (entity_key(s, owner, node, id, &k, NULL) < 0)
		return 0;
	return store_remove(s, now, owner, RECORD_CHECK, k.key);
}

/* External records with what hangs on them. */

static int
external_remove(
    struct store *s, struct catalog_step *step, uint16_t kind, struct str node, struct str id)
{
	struct catalog_key k;

	if (!catalog_external_key(&k, node, id))
		return 0;
	return step_remove(s, step, &s->config.cluster, kind, k.key);
}

/* Whether an external check is tied to a service; an empty id asks for none in particular. */
static bool
check_is_of(const struct store *s, struct str key, struct str service_id)
{
	struct owner_record r;
	struct check_info info;
	void *arrays;
	bool is;

	if (service_id.n == 0)
		return true;
	if (!owner_find(s->cluster, RECORD_CHECK, key, &r) ||
	    check_unpack_owned(&arrays, blob_str(r.body), &info, NULL) < 0)
		return false;
	is = str_eq(info.service_id, service_id);
	free(arrays);
	return is;
}

/* External checks of a node that do not show; all, or those of one service. */
static int
aside_remove(struct store *s, struct catalog_step *step, uint16_t kind, struct str node,
    struct str service_id)
{
	const struct catalog_aside *at, *next;
	struct catalog_key prefix;
	int any = 0;

	if (!catalog_external_key(&prefix, node, STR_NONE))
		return 0;
	for (at = catalog_aside_next(s->catalog, kind, prefix.key, NULL); at != NULL; at = next) {
		next = catalog_aside_next(s->catalog, kind, prefix.key, at);
		if (kind != RECORD_CHECK || check_is_of(s, at->key, service_id))
			any |= step_remove(s, step, &s->config.cluster, kind, at->key);
	}
	return any;
}

/* External checks that show on a node; all, or those of one service. */
static int
shown_checks_remove(
    struct store *s, struct catalog_step *step, struct str name, struct str service_id)
{
	struct catalog_node *node = catalog_node_find(s->catalog, name);
	struct catalog_check *check, *next;
	int any = 0;

	if (node == NULL)
		return 0;
	for (check = catalog_check_next(node, NULL); check != NULL; check = next) {
		next = catalog_check_next(node, check);
		if (check->external &&
		    (service_id.n == 0 || str_eq(check->info.service_id, service_id)))
			any |= external_remove(s, step, RECORD_CHECK, name, check->info.id);
	}
	return any;
}

static int
shown_services_remove(struct store *s, struct catalog_step *step, struct str name)
{
	struct catalog_node *node = catalog_node_find(s->catalog, name);
	struct catalog_service *service, *next;
	int any = 0;

	if (node == NULL)
		return 0;
	for (service = catalog_service_next(node, NULL); service != NULL; service = next) {
		next = catalog_service_next(node, service);
		if (service->external)
			any |= external_remove(s, step, RECORD_SERVICE, name, service->info.id);
	}
	return any;
}

int
store_remove_service(
    struct store *s, struct now now, const struct uuid *owner, struct str node, struct str id)
{
	struct catalog_step step = catalog_step(s->catalog, now.wall_ms);
	int any = 0;

	if (!is_cluster(s, owner))
		return step_remove(s, &step, owner, RECORD_SERVICE, id);
	if (id.n > 0) {
		any |= shown_checks_remove(s, &step, node, id);
		any |= aside_remove(s, &step, RECORD_CHECK, node, id);
	}
	any |= external_remove(s, &step, RECORD_SERVICE, node, id);
	return any;
}

int
store_remove_node(struct store *s, struct now now, struct str node)
{
	struct catalog_step step = catalog_step(s->catalog, now.wall_ms);
	int any = 0;

	any |= shown_checks_remove(s, &step, node, STR_NONE);
	any |= shown_services_remove(s, &step, node);
	any |= aside_remove(s, &step, RECORD_CHECK, node, STR_NONE);
	any |= aside_remove(s, &step, RECORD_SERVICE, node, STR_NONE);
	any |= step_remove(s, &step, &s->config.cluster, RECORD_NODE, node);
	return any;
}

/* Masks. */

int
store_mask_make(const struct store *s, const struct uuid *owner, uint16_t kind, struct str key,
    struct buf *mask_key, struct buf *mask_body, struct err *err)
{
	const struct owner *o = store_owner(s, owner);
	char room[CATALOG_MASK_MAX];
	struct writer w = wr_of(room, sizeof room);
	struct owner_record r;
	struct catalog_key k;

	if (o == NULL || o == s->cluster || !owner_find(o, kind, key, &r) || r.gone)
		return 0;
	if (!catalog_mask_key(&k, owner, kind, key))
		return err_set(
		    err, ERR_LIMIT, "the key of a mask may have %d bytes", RECORD_KEY_MAX);
	catalog_mask_write(&w, &(struct catalog_mask){ owner_digest(o).epoch, r.number });
	buf_clear(mask_key);
	buf_add(mask_key, k.key);
	buf_clear(mask_body);
	buf_add(mask_body, wr_done(&w));
	return 1;
}

int
store_mask(struct store *s, struct now now, const struct uuid *owner, uint16_t kind, struct str key,
    struct err *err)
{
	struct buf mask_key, mask_body;
	int rc;

	buf_init(&mask_key, RECORD_KEY_MAX);
	buf_init(&mask_body, CATALOG_MASK_MAX);
	rc = store_mask_make(s, owner, kind, key, &mask_key, &mask_body, err);
	if (rc > 0)
		rc = store_put(s, now, &s->config.cluster, RECORD_MASK, buf_str(&mask_key),
		    buf_str(&mask_body), err);
	buf_done(&mask_key);
	buf_done(&mask_body);
	return rc;
}

/* Numbers and counters of epochs only rise, so what is behind them stays so. */
static bool
mask_ended(const struct store *s, struct str key)
{
	const struct owner *o = NULL;
	struct owner_record mask, r;
	struct catalog_mask hides;
	struct uuid id;
	struct str of;
	uint16_t kind;

	if (catalog_mask_key_read(key, &id, &kind, &of))
		o = store_owner(s, &id);
	if (o == NULL || !owner_find(s->cluster, RECORD_MASK, key, &mask) || mask.gone ||
	    !catalog_mask_read(blob_str(mask.body), &hides))
		return false;
	if (owner_digest(o).epoch.counter != hides.epoch.counter)
		return owner_digest(o).epoch.counter > hides.epoch.counter;
	return owner_find(o, kind, of, &r) && r.number > hides.number;
}

bool
store_mask_ended_next(const struct store *s, const void **cursor, struct str *mask_key)
{
	const struct catalog_aside *at = *cursor;

	while (s->cluster != NULL &&
	       (at = catalog_aside_next(s->catalog, RECORD_MASK, STR_NONE, at)) != NULL) {
		*cursor = at;
		if (!mask_ended(s, at->key))
			continue;
		*mask_key = at->key;
		return true;
	}
	return false;
}

size_t
store_assert_masked(struct store *s, struct now now)
{
	struct catalog_step step = catalog_step(s->catalog, now.wall_ms);
	const struct catalog_aside *mask = NULL;
	struct str of, prefix = str_mem(s->config.self.b, sizeof s->config.self.b);
	struct owner_change change;
	struct uuid id;
	size_t count = 0;
	uint16_t kind;

	if (s->baseline)
		return 0; /* its records have no numbers of their own yet */
	while ((mask = catalog_aside_next(s->catalog, RECORD_MASK, prefix, mask)) != NULL) {
		if (!catalog_mask_key_read(mask->key, &id, &kind, &of) ||
		    !catalog_masked(s->catalog, s->self, kind, of) ||
		    owner_assert(s->self, kind, of, &change) <= 0)
			continue;
		catalog_record_changed(&step, &id, kind, change.key);
		owner_change_done(&change);
		s->version++;
		count++;
	}
	return count;
}
