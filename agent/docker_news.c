/* agent/docker_news.c -- news about containers into local services and checks.
 *
 * In order: a check's definition from the rules' texts; service; removal; states of checks. A
 * service that the agent refuses (a check it cannot read, scripts that are switched off) is
 * one warning and is not there, as registrator's registration would have failed at Consul.
 */
#include "agent/docker_news.h"

#include "agent/duration.h"
#include "base/log.h"
#include "base/mem.h"
#include "watcher/registration.h"

static int
docker_news_span(struct str text, nsec *out, struct err *err)
{
	return text.n == 0 ? 0 : duration_parse(text, out, err);
}

int
docker_news_check(
    const struct rules_check *from, struct str args[1], struct check_def *out, struct err *err)
{
	struct check_def d = {
		.status = from->status,
		.http = from->http,
		.method = from->method,
		.tcp = from->tcp,
		.grpc = from->grpc,
		.grpc_use_tls = from->grpc_use_tls,
		.tls_skip_verify = from->tls_skip_verify,
	};
	enum check_status status;
	int rc = docker_news_span(from->interval, &d.interval, err);

	if (rc == 0)
		rc = docker_news_span(from->timeout, &d.timeout, err);
	if (rc == 0)
		rc = docker_news_span(from->ttl, &d.ttl, err);
	if (rc == 0)
		rc = docker_news_span(from->deregister_after, &d.deregister_after, err);
	if (rc == 0 && d.status.n > 0 && !check_status_parse(d.status, &status))
		rc = err_set(
		    err, ERR_INPUT, "Status for checks must 'passing', 'warning', 'critical'");
	if (rc < 0)
		return rc;
	if (from->script.n > 0) { /* one word, as registrator sends it */
		args[0] = from->script;
		d.args = args;
		d.arg_count = 1;
	}
	*out = d;
	return 0;
}

/* An address in the other family is one of TaggedAddresses; local.c adds those of the address
 * itself. */
static size_t
docker_news_tagged(const struct rules_service *s, struct tagged_address out[2])
{
	bool v6 = str_find(s->address_other, ':') < s->address_other.n;

	if (s->address_other.n == 0)
		return 0;
	out[0] = out[1] = (struct tagged_address){ STR_NONE, s->address_other, s->port_other };
	out[0].tag = v6 ? STR("lan_ipv6") : STR("lan_ipv4");
	out[1].tag = v6 ? STR("wan_ipv6") : STR("wan_ipv4");
	return 2;
}

/* Rules' pairs and entity's pairs are two types of one shape: rooms do not share them. */
static struct pair *
docker_news_meta(const struct rules_service *s)
{
	struct pair *meta = s->meta_count == 0 ? NULL : mem_alloc(s->meta_count * sizeof *meta);

	for (size_t i = 0; i < s->meta_count; i++)
		meta[i] = (struct pair){ s->meta[i].key, s->meta[i].value };
	return meta;
}

/* The check that came with an earlier form of the service and is not asked for any more. */
static void
docker_news_drop_check(struct local *local, struct now now, struct str service_id)
{
	char id[RECORD_KEY_MAX];
	int n = snprintf(id, sizeof id, "service:" STR_FMT, STR_ARG(service_id));
	const struct local_check *check;

	if (n < 0 || (size_t)n >= sizeof id)
		return;
	check = local_check_find(local, str_mem(id, (size_t)n));
	if (check != NULL && check->source == LOCAL_DOCKER)
		local_check_remove(local, now, str_mem(id, (size_t)n), NULL);
}

static void
docker_news_service(struct local *local, struct now now, const struct docker_news *news)
{
	const struct rules_service *s = &news->service;
	struct service_info info = {
		.id = s->id,
		.name = s->name,
		.tags = s->tags,
		.tag_count = s->tag_count,
		.address = s->address,
		.port = s->port,
		.meta_count = s->meta_count,
		.weight_passing = 1,
		.weight_warning = 1,
		.tags_set = s->tag_count > 0,
		.meta_set = s->meta_count > 0,
	};
	struct tagged_address tagged[2];
	struct check_def check;
	struct str args[1];
	struct err err = { 0 };
	int rc = s->check.present ? docker_news_check(&s->check, args, &check, &err) : 0;

	info.meta = docker_news_meta(s);
	info.tagged = tagged;
	info.tagged_count = docker_news_tagged(s, tagged);
	info.tagged_set = info.tagged_count > 0;
	if (rc == 0)
		rc = local_service_put(local, now, &info, s->check.present ? &check : NULL,
		    s->check.present ? 1 : 0, false, LOCAL_DOCKER, &err);
	if (rc >= 0 && !s->check.present)
		docker_news_drop_check(local, now, s->id);
	free(info.meta);
	if (rc < 0)
		log_warn("docker", "service refused id=" STR_FMT " container=%.12s: %s",
		    STR_ARG(s->id), news->container.n >= 12 ? news->container.p : "", err.text);
	else if (rc > 0)
		log_info("docker",
		    "service registered id=" STR_FMT " name=" STR_FMT " address=" STR_FMT
		    " port=%u",
		    STR_ARG(s->id), STR_ARG(s->name), STR_ARG(s->address), s->port);
}

static void
docker_news_remove(struct local *local, struct now now, const struct docker_news *news)
{
	const struct local_service *s = local_service_find(local, news->service.id);
	struct err err = { 0 };

	if (s == NULL || s->source != LOCAL_DOCKER) /* refused, or somebody else's by now */
		return;
	if (local_service_remove(local, now, news->service.id, &err) < 0)
		log_warn("docker", "cannot deregister id=" STR_FMT ": %s",
		    STR_ARG(news->service.id), err.text);
	else
		log_info("docker", "service deregistered id=" STR_FMT, STR_ARG(news->service.id));
}

static void
docker_news_state(struct local *local, struct now now, const struct docker_news *news)
{
	static const enum check_status states[] = { CHECK_PASSING, CHECK_WARNING, CHECK_CRITICAL };
	enum check_status status = news->check_status >= 0 && news->check_status <= 2
				       ? states[news->check_status]
				       : CHECK_CRITICAL;
	struct check_def check = {
		.id = news->check_id,
		.name = news->check_name,
		.service_id = news->service.id,
		.type = CHECK_STATE,
		.status = check_status_text(status),
		.output = news->text,
	};
	struct err err = { 0 };
	int rc;

	if (local_service_find(local, news->service.id) == NULL) /* it was refused */
		return;
	if (local_check_find(local, news->check_id) != NULL)
		rc = local_check_set(local, now, news->check_id, status, news->text, false, &err);
	else
		rc = local_check_put(local, now, &check, LOCAL_DOCKER, &err);
	if (rc < 0)
		log_warn("docker", "cannot set check id=" STR_FMT ": %s", STR_ARG(news->check_id),
		    err.text);
	else if (rc > 0)
		log_info("docker", "check id=" STR_FMT " status=" STR_FMT, STR_ARG(news->check_id),
		    STR_ARG(check.status));
}

void
docker_news_apply(struct local *local, struct now now, const struct docker_news *news)
{
	switch (news->kind) {
	case DOCKER_NEWS_SERVICE:
		docker_news_service(local, now, news);
		break;
	case DOCKER_NEWS_REMOVE:
		docker_news_remove(local, now, news);
		break;
	case DOCKER_NEWS_CHECK:
		docker_news_state(local, now, news);
		break;
	case DOCKER_NEWS_CHECK_REMOVE:
		local_check_remove(local, now, news->check_id, NULL);
		break;
	case DOCKER_NEWS_SYNCED:
	case DOCKER_NEWS_AWAY:
	case DOCKER_NEWS_WARN:
		break;
	}
}

/* Of "HOST:CONTAINER:PORT" or "HOST:CONTAINER:PORT:udp" what stands before PORT. */
static struct str
docker_news_prefix(struct str id, struct str host)
{
	size_t container = host.n + 1;

	return str_head(id, container + str_find(str_skip(id, container), ':') + 1);
}

/* Does the engine run the container? */
static bool
docker_news_runs(const struct local *local, struct str prefix)
{
	const struct local_service *s = NULL;

	while ((s = local_service_next(local, s)) != NULL)
		if (s->source == LOCAL_DOCKER && str_starts(s->info.id, prefix))
			return true;
	return false;
}

void
docker_news_cleanup(struct local *local, struct now now, struct str host)
{
	const struct local_service *s = local_service_next(local, NULL), *next;
	struct err err;
	char *id;

	for (; s != NULL; s = next) {
		next = local_service_next(local, s);
		if (s->source != LOCAL_API || !registration_id_is_of(s->info.id, host) ||
		    docker_news_runs(local, docker_news_prefix(s->info.id, host)))
			continue;
		id = str_dup(s->info.id); /* s goes */
		if (local_service_remove(local, now, str_of(id), &err) < 0)
			log_warn("docker", "cannot deregister id=%s: %s", id, err.text);
		else
			log_info("docker", "service without container deregistered id=%s", id);
		free(id);
	}
}
