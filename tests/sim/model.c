/* tests/sim/model.c -- see model.h. Parts: what versions mean; into a store; as lines. */
#include "tests/sim/model.h"

#include <assert.h>
#include <stdio.h>

/* What versions mean. */

static const char *const model_names[] = { "web", "db", "cache", "api", "queue" };
#define MODEL_NAMES (sizeof model_names / sizeof model_names[0])

enum check_status
model_status(unsigned version)
{
	static const enum check_status states[] = { CHECK_PASSING, CHECK_PASSING, CHECK_WARNING,
		CHECK_CRITICAL };

	return states[version % 4];
}

static void
id_of(char out[16], const char *what, size_t i)
{
	snprintf(out, 16, "%s%zu", what, i);
}

/* Into a store. */

static void
done(int rc, const struct err *err)
{
	if (rc < 0)
		fprintf(stderr, "model: %s\n", err->text);
	assert(rc >= 0);
}

static void
service_put(const struct model_ids *ids, struct now now, size_t i, unsigned version)
{
	char id[16], tag[16];
	struct str tags[] = { STR_NONE };
	struct service_info info = {
		.tags = tags,
		.tag_count = 1,
		.tags_set = true,
		.weight_passing = 1,
		.weight_warning = 1,
		.port = (int32_t)(version % 60000) + 1,
	};
	struct err err = { 0 };

	id_of(id, "s", i);
	if (version == 0) {
		store_remove_service(ids->store, now, ids->self, STR_NONE, str_of(id));
		return;
	}
	snprintf(tag, sizeof tag, "v%u", version);
	tags[0] = str_of(tag);
	info.id = str_of(id);
	info.name = str_of(model_names[version % MODEL_NAMES]);
	done(store_put_service(ids->store, now, ids->self, &info, &err), &err);
}

static void
check_put(const struct model_ids *ids, struct now now, size_t i, unsigned version)
{
	char id[16], service[16];
	struct check_info info = { .name = STR("it answers"), .type = STR("tcp") };
	struct err err = { 0 };

	id_of(id, "c", i);
	id_of(service, "s", i);
	if (version == 0) {
		store_remove_check(ids->store, now, ids->self, STR_NONE, str_of(id));
		return;
	}
	info.id = str_of(id);
	info.service_id = str_of(service);
	info.status = check_status_text(model_status(version));
	done(store_put_check(ids->store, now, ids->self, &info, &err), &err);
}

static void
note_put(const struct model_ids *ids, struct now now, size_t i, unsigned version)
{
	char id[16], body[16];
	struct err err = { 0 };

	id_of(id, "x", i);
	if (version == 0) {
		store_remove(ids->store, now, ids->self, MODEL_NOTE_KIND, str_of(id));
		return;
	}
	snprintf(body, sizeof body, "%u", version);
	done(store_put(ids->store, now, ids->self, MODEL_NOTE_KIND, str_of(id), str_of(body), &err),
	    &err);
}

void
model_load(const struct model *m, const struct model_ids *ids, struct now now)
{
	char text[UUID_TEXT_LEN + 1];
	struct node_info node = {
		.id = str_of(uuid_format(ids->self, text)),
		.name = str_of(ids->node),
		.address = str_of(ids->address),
		.datacenter = STR("dc1"),
	};
	struct err err = { 0 };

	done(store_put_node(ids->store, now, ids->self, &node, &err), &err);
	for (size_t i = 0; i < m->extent && i < MODEL_SERVICES; i++)
		if (m->services[i] != 0)
			service_put(ids, now, i, m->services[i]);
	for (size_t i = 0; i < m->extent && i < MODEL_CHECKS; i++)
		if (m->checks[i] != 0)
			check_put(ids, now, i, m->checks[i]);
	for (size_t i = 0; i < m->extent && i < MODEL_NOTES; i++)
		if (m->notes[i] != 0)
			note_put(ids, now, i, m->notes[i]);
}

static unsigned
version_next(struct model *m, size_t i, bool there)
{
	if (i >= m->extent)
		m->extent = i + 1;
	return there ? ++m->version : 0;
}

void
model_service(struct model *m, const struct model_ids *ids, struct now now, size_t i, bool there)
{
	m->services[i] = version_next(m, i, there);
	if (ids->store != NULL)
		service_put(ids, now, i, m->services[i]);
}

void
model_check(struct model *m, const struct model_ids *ids, struct now now, size_t i, bool there)
{
	m->checks[i] = version_next(m, i, there);
	if (ids->store != NULL)
		check_put(ids, now, i, m->checks[i]);
}

void
model_note(struct model *m, const struct model_ids *ids, struct now now, size_t i, bool there)
{
	m->notes[i] = version_next(m, i, there);
	if (ids->store != NULL)
		note_put(ids, now, i, m->notes[i]);
}

/* As lines. In order of number, so both sides have one order. */

void
model_show(const struct model *m, const char *node, const char *address, struct buf *out)
{
	buf_addf(out, "node %s %s\n", node, address);
	for (size_t i = 0; i < m->extent && i < MODEL_SERVICES; i++)
		if (m->services[i] != 0)
			buf_addf(out, "s%zu %s v%u\n", i, model_names[m->services[i] % MODEL_NAMES],
			    m->services[i]);
	for (size_t i = 0; i < m->extent && i < MODEL_CHECKS; i++)
		if (m->checks[i] != 0)
			buf_addf(out, "c%zu " STR_FMT "\n", i,
			    STR_ARG(check_status_text(model_status(m->checks[i]))));
	for (size_t i = 0; i < m->extent && i < MODEL_NOTES; i++)
		if (m->notes[i] != 0)
			buf_addf(out, "x%zu %u\n", i, m->notes[i]);
}

void
model_shown(const struct model *m, const struct catalog_node *node, const struct owner *owner,
    struct buf *out)
{
	struct owner_record record;
	size_t services = 0, checks = 0, notes = 0;
	char id[16];

	buf_addf(out, "node " STR_FMT " " STR_FMT "\n", STR_ARG(node->info.name),
	    STR_ARG(node->info.address));
	for (size_t i = 0; i < m->extent && i < MODEL_SERVICES; i++) {
		const struct catalog_service *s;

		id_of(id, "s", i);
		s = catalog_service_find(node, str_of(id));
		if (s == NULL)
			continue;
		services++;
		buf_addf(out, "%s " STR_FMT " " STR_FMT "\n", id, STR_ARG(s->info.name),
		    STR_ARG(s->info.tag_count == 1 ? s->info.tags[0] : STR("?")));
	}
	for (size_t i = 0; i < m->extent && i < MODEL_CHECKS; i++) {
		const struct catalog_check *c;

		id_of(id, "c", i);
		c = catalog_check_find(node, str_of(id));
		if (c == NULL)
			continue;
		checks++;
		buf_addf(out, "%s " STR_FMT "\n", id, STR_ARG(c->info.status));
	}
	for (size_t i = 0; owner != NULL && i < m->extent && i < MODEL_NOTES; i++) {
		id_of(id, "x", i);
		if (!owner_find(owner, MODEL_NOTE_KIND, str_of(id), &record) || record.gone)
			continue;
		notes++;
		buf_addf(out, "%s " STR_FMT "\n", id, STR_ARG(blob_str(record.body)));
	}
	if (services != node->service_count)
		buf_addf(out, "%zu services\n", node->service_count);
	if (checks + 1 != node->check_count) /* serfHealth is the catalog's own */
		buf_addf(out, "%zu checks\n", node->check_count);
	if (owner != NULL && owner_count(owner) != 1 + services + checks + notes)
		buf_addf(out, "%zu records\n", owner_count(owner));
}

uint64_t
model_services(const struct model *m)
{
	uint64_t services = 0;

	for (size_t i = 0; i < m->extent && i < MODEL_SERVICES; i++)
		services |= (uint64_t)(m->services[i] != 0) << i;
	return services;
}

size_t
model_missing(uint64_t services, const struct catalog_node *node)
{
	size_t missing = 0;
	char id[16];

	for (size_t i = 0; i < MODEL_SERVICES && services >> i != 0; i++) {
		id_of(id, "s", i);
		missing += (services >> i & 1) != 0 &&
			   (node == NULL || catalog_service_find(node, str_of(id)) == NULL);
	}
	return missing;
}
