/* agent/local/local_input.c -- what a registration may say, and what Consul fills in.
 *
 * Texts are Consul's. ERR_INPUT: its HTTP handler says so (400). ERR_REFUSED: its agent does,
 * later (500). Slices that are made here live in the stage's arena.
 */
#include "agent/local/local_private.h"

#include "agent/meta.h"
#include "base/addr.h"

/* ---- services ---- */

static int
input_weights(const struct service_info *info, struct err *err)
{
	const int32_t most = 65535; /* SRV has 16 bits */

	if (info->weight_passing < 1)
		return err_set(err, ERR_INPUT, "Invalid Weights: Passing must be greater than 0");
	if (info->weight_warning < 0)
		return err_set(
		    err, ERR_INPUT, "Invalid Weights: Warning must be greater or equal than 0");
	if (info->weight_passing > most || info->weight_warning > most)
		return err_set(
		    err, ERR_INPUT, "Invalid Weights: DNS Weight must be between 0 and 65535");
	return 0;
}

static int
input_meta(const struct service_info *info, struct err *err)
{
	if (info->meta_count > META_PAIRS_MAX)
		return err_set(err, ERR_INPUT,
		    "Invalid Service Meta: Node metadata cannot contain more than %d key/value "
		    "pairs",
		    META_PAIRS_MAX);
	for (size_t i = 0; i < info->meta_count; i++) {
		struct str key = info->meta[i].key, value = info->meta[i].value;
		const char *fault = meta_fault(key, value, false);

		if (fault != NULL)
			return err_set(err, ERR_INPUT,
			    "Invalid Service Meta: Couldn't load metadata pair ('" STR_FMT
			    "', '" STR_FMT "'): %s",
			    STR_ARG(key), STR_ARG(value), fault);
	}
	return 0;
}

/* 4 or 6 by what Go calls such an address (a mapped one is IPv4), 0: none. */
static int
address_version(struct str text)
{
	static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };
	struct addr a;

	if (text.n > 0 && text.p[0] == '[')
		return 0;
	if (!addr_parse_ip(text, &a))
		return 0;
	return a.family == ADDR_V4 || memcmp(a.bytes, mapped, sizeof mapped) == 0 ? 4 : 6;
}

static const struct {
	struct str tag;
	int version;
} tag_versions[] = {
	{ { "lan_ipv4", 8 }, 4 },
	{ { "wan_ipv4", 8 }, 4 },
	{ { "lan_ipv6", 8 }, 6 },
	{ { "wan_ipv6", 8 }, 6 },
};
#define TAG_VERSIONS (sizeof tag_versions / sizeof tag_versions[0])

static const struct tagged_address *
tagged_find(const struct service_info *info, struct str tag)
{
	for (size_t i = 0; i < info->tagged_count; i++)
		if (str_eq(info->tagged[i].tag, tag))
			return &info->tagged[i];
	return NULL;
}

static int
input_tagged(const struct service_info *info, struct err *err)
{
	for (size_t i = 0; i < TAG_VERSIONS; i++) {
		const struct tagged_address *a = tagged_find(info, tag_versions[i].tag);

		if (a != NULL && address_version(a->address) != tag_versions[i].version)
			return err_set(err, ERR_REFUSED,
			    "Service tagged address \"" STR_FMT "\" must be a valid ipv%d address",
			    STR_ARG(a->tag), tag_versions[i].version);
	}
	return 0;
}

/* An address of its own is also the tagged one of its version, for lan and for wan. */
static int
tagged_add(struct stage *s, struct service_info *info, struct err *err)
{
	int version = address_version(info->address);
	struct tagged_address *all;
	size_t n = info->tagged_count;

	if (version == 0)
		return 0;
	all = arena_array(&s->arena, struct tagged_address, n + 2);
	if (all == NULL)
		return err_set(err, ERR_LIMIT, "too many tagged addresses");
	if (n > 0)
		memcpy(all, info->tagged, n * sizeof *all);
	for (size_t i = 0; i < TAG_VERSIONS; i++) {
		struct str tag = tag_versions[i].tag;
		size_t at = n;

		if (tag_versions[i].version != version || tagged_find(info, tag) != NULL)
			continue;
		while (at > 0 && str_cmp(all[at - 1].tag, tag) > 0) {
			all[at] = all[at - 1];
			at--;
		}
		all[at] = (struct tagged_address){ tag, info->address, info->port };
		n++;
	}
	info->tagged = all;
	info->tagged_count = n;
	info->tagged_set = true;
	return 0;
}

static bool
address_is_any(struct str a)
{
	return str_eq(a, STR("0.0.0.0")) || str_eq(a, STR("::")) || str_eq(a, STR("[::]"));
}

int
input_service(
    struct stage *s, const struct service_info *info, struct service_info *out, struct err *err)
{
	int rc;

	*out = *info;
	out->node = STR_NONE;
	if (out->name.n == 0)
		return err_set(err, ERR_INPUT, "Missing service name");
	if (address_is_any(out->address))
		return err_set(err, ERR_INPUT, "Invalid service address");
	if (out->id.n == 0)
		out->id = out->name;
	if (out->weight_passing == 0 && out->weight_warning == 0)
		out->weight_passing = out->weight_warning = 1;
	if ((rc = input_weights(out, err)) != 0 || (rc = input_meta(out, err)) != 0 ||
	    (rc = input_tagged(out, err)) != 0)
		return rc;
	return tagged_add(s, out, err);
}

/* ---- checks ---- */

static int
input_defaults(struct stage *s, struct check_def *def, const struct service_info *service, size_t i,
    size_t count, struct err *err)
{
	if (service == NULL) {
		if (def->name.n == 0)
			return err_set(err, ERR_INPUT, "Missing check name");
		if (def->id.n == 0)
			def->id = def->name;
		return 0;
	}
	def->service_id = service->id;
	if (def->id.n == 0 && count == 1)
		def->id = arena_fmt(&s->arena, "service:" STR_FMT, STR_ARG(service->id));
	else if (def->id.n == 0)
		def->id =
		    arena_fmt(&s->arena, "service:" STR_FMT ":%zu", STR_ARG(service->id), i + 1);
	if (def->name.n == 0)
		def->name =
		    arena_fmt(&s->arena, "Service '" STR_FMT "' check", STR_ARG(service->name));
	return s->arena.full ? err_set(err, ERR_LIMIT, "too much in one registration") : 0;
}

/* Which status and output a check has once it is put: those it had, if they still count. */
static void
input_status(struct staged_check *c, bool given, enum check_status first, struct str output)
{
	const struct local_check *old = c->old;
	bool keep =
	    old != NULL && (c->with_service || (old->reported && old->def.type == c->def.type));

	if (c->def.type == CHECK_STATE)
		keep = old != NULL && !given;
	c->status = keep ? old->status : first;
	c->output = keep ? old->output : output;
	c->reported = keep && old->reported;
}

/* Before the restart this very check, told by the same Docker or config file, was so. */
static void
input_remembered(struct stage *s, struct staged_check *c)
{
	const struct local_remembered *r;

	if (c->old != NULL || s->source == LOCAL_API || c->def.type == CHECK_STATE)
		return;
	r = remember_of(s->local, &c->def);
	if (r == NULL)
		return;
	c->status = r->status;
	c->output = arena_dup(&s->arena, r->output);
	c->reported = true;
}

int
input_check(struct stage *s, const struct check_def *given, const struct service_info *service,
    size_t i, size_t count, struct staged_check *out, struct err *err)
{
	struct staged_check c = { .def = *given, .with_service = service != NULL };
	const struct local_config *config = &s->local->config;
	bool scripts = config->scripts_enabled ||
		       (config->local_scripts_enabled && s->source == LOCAL_CONFIG);
	enum check_status first = CHECK_CRITICAL;
	struct buf cut;
	struct str output;
	int rc;

	if (service == NULL && given->name.n == 0)
		return err_set(err, ERR_INPUT, "Missing check name");
	if (given->status.n > 0 && !check_status_parse(given->status, &first) && service == NULL)
		return err_set(err, ERR_INPUT, "Bad check status");
	if ((rc = check_def_validate(given, scripts, err)) != 0)
		return rc;
	if (given->status.n > 0 && !check_status_parse(given->status, &first))
		return err_set(
		    err, ERR_INPUT, "Status for checks must 'passing', 'warning', 'critical'");
	if ((rc = input_defaults(s, &c.def, service, i, count, err)) != 0)
		return rc;
	buf_init(&cut, CHECK_OUTPUT_MAX + 64);
	check_output_keep(&cut, given->output, check_output_max(given));
	output = arena_dup(&s->arena, buf_str(&cut));
	buf_done(&cut);
	c.def.type = check_def_type(given);
	c.def.status = c.def.output = STR_NONE;
	c.old =
	    RB_FIND(local_checks, &s->local->checks, &(struct local_check){ .def.id = c.def.id });
	input_status(&c, given->status.n > 0, first, output);
	input_remembered(s, &c);
	*out = c;
	return 0;
}
