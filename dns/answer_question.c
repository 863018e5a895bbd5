/* dns/answer_question.c -- a name below the domain taken apart.
 *
 * From the right: the domain, perhaps a datacenter, one of the words service, node, addr, query;
 * what stands before it is the name. Letters' case does not matter anywhere. Other datacenters are
 * not known here, so names in them do not exist; .addr does not look at it.
 */
#include "dns/answer_impl.h"

/* Labels joined by dots into *text, which moves on. */
static struct str
join(char **text, const struct str *labels, size_t count)
{
	char *start = *text;

	for (size_t i = 0; i < count; i++) {
		if (i > 0)
			*(*text)++ = '.';
		memcpy(*text, labels[i].p, labels[i].n);
		*text += labels[i].n;
	}
	return str_mem(start, (size_t)(*text - start));
}

static bool
starts_with_underscore(struct str label)
{
	return label.n > 0 && label.p[0] == '_';
}

/* [TAG.]NAME, where the tag may hold dots, or _NAME._TAG, where "tcp" is no tag (RFC 2782). */
static void
ask_service(const struct str *labels, size_t count, struct ask *out)
{
	char *text = out->text;

	if (count == 2 && starts_with_underscore(labels[0]) && starts_with_underscore(labels[1])) {
		out->service = str_skip(labels[0], 1);
		out->tag = str_skip(labels[1], 1);
		if (str_eq_nocase(out->tag, STR("tcp")))
			out->tag = STR_NONE;
	} else {
		out->service = labels[count - 1];
		out->tag = join(&text, labels, count - 1);
	}
	out->kind = ASK_SERVICE;
}

static void
ask_node(const struct str *labels, size_t count, struct ask *out)
{
	char *text = out->text;

	out->node = join(&text, labels, count);
	out->kind = ASK_NODE;
}

/* In lower case, as Consul looks for it: a template shows the name as it is given to it. */
static void
ask_query(const struct str *labels, size_t count, struct ask *out)
{
	char *text = out->text;

	out->query = join(&text, labels, count);
	for (char *c = out->text; c < text; c++)
		*c = chr_lower(*c);
	out->kind = ASK_QUERY;
}

static enum ask_kind
kind_of(struct str label)
{
	if (str_eq_nocase(label, STR("service")))
		return ASK_SERVICE;
	if (str_eq_nocase(label, STR("node")))
		return ASK_NODE;
	if (str_eq_nocase(label, STR("addr")))
		return ASK_ADDR;
	if (str_eq_nocase(label, STR("query")))
		return ASK_QUERY;
	return ASK_NONE;
}

/* Words that have a meaning where a service mesh exists: nothing is there. */
static bool
is_reserved(struct str label)
{
	return str_eq_nocase(label, STR("connect")) || str_eq_nocase(label, STR("ingress"));
}

/* `inside` counts the labels above the domain. */
static void
ask_labels(const struct dns_responder *r, const struct str *labels, size_t inside, bool srv,
    struct ask *out)
{
	enum ask_kind kind = ASK_NONE;
	size_t at = inside, after; /* labels before the word, and where those behind it begin */

	out->service = out->tag = out->node = out->hex = out->query = STR_NONE;
	for (;;) {
		if (at == 0)
			return;
		after = at--;
		kind = kind_of(labels[at]);
		if (kind != ASK_NONE)
			break;
		if (is_reserved(labels[at]))
			return;
		if (srv && starts_with_underscore(labels[at])) {
			kind = ASK_SERVICE; /* the word may be left out */
			at++;
			break;
		}
	}
	if (at == 0)
		return;
	if (kind == ASK_ADDR) {
		if (at != 1)
			return;
		out->hex = labels[0];
		out->kind = ASK_ADDR;
		return;
	}
	if (inside - after > 1)
		return;
	if (inside - after == 1 && !str_eq_nocase(labels[after], r->config->datacenter))
		return;
	if (kind == ASK_SERVICE)
		ask_service(labels, at, out);
	else if (kind == ASK_QUERY)
		ask_query(labels, at, out);
	else
		ask_node(labels, at, out);
}

bool
ask_read(const struct dns_responder *r, const struct name *name, bool srv, struct ask *out)
{
	struct str labels[NAME_LABELS_MAX], of_domain[NAME_LABELS_MAX];
	size_t count = name_labels(name, labels);
	const struct name *domain = NULL;

	out->kind = ASK_NONE;
	out->self = name;
	if (name_ends(name, &r->domain))
		domain = &r->domain;
	if (r->alt_domain.n > (domain == NULL ? 0 : domain->n) && name_ends(name, &r->alt_domain))
		domain = &r->alt_domain;
	if (domain == NULL)
		return false;
	ask_labels(r, labels, count - name_labels(domain, of_domain), srv, out);
	return true;
}
