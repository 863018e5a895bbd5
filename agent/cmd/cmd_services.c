/* agent/cmd/cmd_services.c -- muster services: register and deregister, by flags or by files. */
#include <stdio.h>
#include <stdlib.h>

#include "agent/cmd/client.h"
#include "agent/cmd/commands.h"
#include "agent/cmd/pair.h"
#include "agent/definition.h"
#include "agent/hcl.h"
#include "base/json.h"

#define PATH_BYTES_MAX (16 * 1024)

struct services_flags {
	struct client_flags client;
	const char *id, *name, *address, *port, *kind;
	struct flag_list meta, tag, tagged;
};

static const struct flag register_flags[] = {
	{ "address", "ADDRESS", offsetof(struct services_flags, address),
	    .help = "Address of the service; the node's unless given." },
	{ "id", "ID", offsetof(struct services_flags, id),
	    .help = "Id of the service; its name unless given." },
	{ "kind", "KIND", offsetof(struct services_flags, kind),
	    .help = "Kind of the service, such as connect-proxy; kept and shown, nothing acts on "
	            "it." },
	{ "meta", "KEY=VALUE...", offsetof(struct services_flags, meta),
	    .help = "Meta data; may be repeated." },
	{ "name", "NAME", offsetof(struct services_flags, name), .help = "Name of the service." },
	{ "port", "PORT", offsetof(struct services_flags, port), .help = "Port of the service." },
	{ "tag", "TAG...", offsetof(struct services_flags, tag),
	    .help = "A tag; may be repeated." },
	{ "tagged-address", "NAME=ADDRESS[:PORT]...", offsetof(struct services_flags, tagged),
	    .help = "A further address under a name; may be repeated." },
	{ 0 },
};

static const struct flag deregister_flags[] = {
	{ "id", "ID", offsetof(struct services_flags, id), .help = "Id of the service." },
	{ 0 },
};

/* ---- one service ---- */

/* Files have names in either case. */
static struct str
service_member(const json_t *service, const char *name)
{
	const char *key;
	json_t *value;

	json_object_foreach ((json_t *)(uintptr_t)service, key, value)
		if (str_eq_nocase(str_of(key), str_of(name)))
			return json_text(value);
	return STR_NONE;
}

static int
service_put(const struct call *call, const json_t *service)
{
	char *body = json_dumps(service, JSON_COMPACT);
	struct err err = { 0 };
	int rc = http_client_ask(
	    call->client, "PUT", STR("/v1/agent/service/register"), str_of(body), NULL, &err);

	free(body);
	if (rc < 0) {
		fprintf(stderr, "Error registering service \"" STR_FMT "\": %s\n",
		    STR_ARG(service_member(service, "Name")), err.text);
		return 1;
	}
	printf("Registered service: " STR_FMT "\n", STR_ARG(service_member(service, "Name")));
	return 0;
}

static int
service_remove(const struct call *call, struct str id)
{
	struct err err = { 0 };
	struct buf path;
	int rc;

	buf_init(&path, PATH_BYTES_MAX);
	buf_add(&path, STR("/v1/agent/service/deregister/"));
	path_add(&path, id);
	rc = http_client_ask(call->client, "PUT", buf_str(&path), STR_NONE, NULL, &err);
	buf_done(&path);
	if (rc < 0) {
		fprintf(stderr, "Error deregistering service \"" STR_FMT "\": %s\n", STR_ARG(id),
		    err.text);
		return 1;
	}
	printf("Deregistered service: " STR_FMT "\n", STR_ARG(id));
	return 0;
}

/* ---- files ---- */

/* The services of a file as the API takes them: one list, the caller's. */
static int
file_services(const char *path, json_t **out, struct err *err)
{
	struct str name = str_of(path);
	json_t *root = NULL, *list = json_array(), *value;
	struct buf text, word;
	const char *key;
	int rc;

	buf_init(&text, PAIR_DATA_MAX);
	buf_init(&word, PATH_BYTES_MAX);
	buf_add(&word, STR("@"));
	buf_add(&word, name);
	buf_addc(&word, '\0');
	if (strcmp(path, "-") == 0)
		rc = pair_data(path, &text, err);
	else
		rc = pair_data(word.p, &text, err);
	if (rc == 0)
		rc = str_ends(name, STR(".hcl")) ? hcl_read(name, buf_str(&text), &root, err)
						 : json_read(buf_str(&text), &root, err);
	json_object_foreach (root, key, value)
		if (str_eq_nocase(str_of(key), STR("service")) ||
		    str_eq_nocase(str_of(key), STR("services")))
			definition_services(list, value);
	if (rc == 0 && json_array_size(list) == 0)
		rc = err_set(err, ERR_INPUT, "%s defines no service", path);
	json_decref(root);
	buf_done(&word);
	buf_done(&text);
	*out = list;
	return rc;
}

static struct str
service_id(const json_t *service)
{
	struct str id = service_member(service, "ID");

	return id.n > 0 ? id : service_member(service, "Name");
}

/* Every service of the files, until one is refused. */
static int
files_run(const struct call *call, bool add)
{
	int code = 0;

	for (int i = 0; i < call->count && code == 0; i++) {
		struct err err = { 0 };
		json_t *list = NULL;

		if (file_services(call->words[i], &list, &err) < 0) {
			fprintf(stderr, "Error reading %s: %s\n", call->words[i], err.text);
			code = 1;
		}
		for (size_t k = 0; k < json_array_size(list) && code == 0; k++) {
			const json_t *s = json_array_get(list, k);

			code = add ? service_put(call, s) : service_remove(call, service_id(s));
		}
		json_decref(list);
	}
	return code;
}

/* ---- flags ---- */

static json_t *
text_value(struct str s)
{
	return json_stringn(s.p == NULL ? "" : s.p, s.n);
}

/* "NAME=VALUE" taken apart; false: there is no '='. */
static bool
word_split(const char *word, struct str *name, struct str *value)
{
	*value = str_of(word);
	*name = str_cut(value, '=');
	return value->p != NULL;
}

static bool
tagged_add(json_t *to, const char *word)
{
	struct str name, value;
	size_t colon;
	uint64_t port = 0;
	json_t *one;

	if (!word_split(word, &name, &value))
		return false;
	colon = str_find_last(value, ':');
	if (colon < value.n && str_find(value, ':') == colon) { /* no IPv6 address */
		if (!str_u64(str_skip(value, colon + 1), UINT16_MAX, &port))
			return false;
		value = str_head(value, colon);
	}
	one = json_object();
	json_object_set_new(one, "Address", text_value(value));
	json_object_set_new(one, "Port", json_integer((json_int_t)port));
	json_object_setn_new(to, name.p, name.n, one);
	return true;
}

/* NULL: `why` says what is wrong. */
static json_t *
flags_service(const struct services_flags *f, const char **why)
{
	json_t *s = json_object(), *meta = json_object(), *tags = json_array(),
	       *tagged = json_object();
	struct str name, value;
	uint64_t port = 0;

	*why = NULL;
	if (f->port != NULL && !str_u64(str_of(f->port), UINT16_MAX, &port))
		*why = "-port is a number from 0 to 65535";
	for (size_t i = 0; i < f->meta.count; i++)
		if (word_split(f->meta.words[i], &name, &value))
			json_object_setn_new(meta, name.p, name.n, text_value(value));
		else
			*why = "-meta is of the form KEY=VALUE";
	for (size_t i = 0; i < f->tag.count; i++)
		json_array_append_new(tags, text_value(str_of(f->tag.words[i])));
	for (size_t i = 0; i < f->tagged.count; i++)
		if (!tagged_add(tagged, f->tagged.words[i]))
			*why = "-tagged-address is of the form NAME=ADDRESS or NAME=ADDRESS:PORT";
	json_object_set_new(s, "Name", text_value(str_of(f->name)));
	if (f->id != NULL)
		json_object_set_new(s, "ID", text_value(str_of(f->id)));
	if (f->kind != NULL)
		json_object_set_new(s, "Kind", text_value(str_of(f->kind)));
	if (f->address != NULL)
		json_object_set_new(s, "Address", text_value(str_of(f->address)));
	json_object_set_new(s, "Port", json_integer((json_int_t)port));
	json_object_set_new(s, "Meta", meta);
	json_object_set_new(s, "Tags", tags);
	json_object_set_new(s, "TaggedAddresses", tagged);
	if (*why == NULL)
		return s;
	json_decref(s);
	return NULL;
}

static int
register_run(const struct call *call)
{
	const struct services_flags *f = call->flags;
	const char *why;
	json_t *service;
	int code;

	if (call->count > 0 && (f->name != NULL || f->id != NULL))
		return usage_wrong(&services_register_usage, "files and flags exclude each other");
	if (call->count > 0)
		return files_run(call, true);
	if (f->name == NULL || f->name[0] == '\0')
		return usage_wrong(
		    &services_register_usage, "it takes the -name of a service, or files");
	service = flags_service(f, &why);
	if (service == NULL)
		return usage_wrong(&services_register_usage, why);
	code = service_put(call, service);
	json_decref(service);
	return code;
}

static int
deregister_run(const struct call *call)
{
	const struct services_flags *f = call->flags;

	if (call->count > 0 && f->id != NULL)
		return usage_wrong(&services_deregister_usage, "files and -id exclude each other");
	if (call->count > 0)
		return files_run(call, false);
	if (f->id == NULL || f->id[0] == '\0')
		return usage_wrong(
		    &services_deregister_usage, "it takes the -id of a service, or files");
	return service_remove(call, str_of(f->id));
}

const struct usage services_register_usage = {
	.name = "services register",
	.takes = "-name NAME [FLAG...] | FILE...",
	.text =
	    "Registers a service with the agent, or all services of config files in JSON or HCL; "
	    "\"-\" is JSON from standard input. Exit status: 0; 1: one was refused, and those "
	    "after it were not tried.",
	.flags = register_flags,
	.size = sizeof(struct services_flags),
	.words_max = -1,
	.client = true,
	.run = register_run,
};

const struct usage services_deregister_usage = {
	.name = "services deregister",
	.takes = "-id ID | FILE...",
	.text =
	    "Takes a service out of the agent, or all services of config files. Exit status: 0; "
	    "1: the agent refused.",
	.flags = deregister_flags,
	.size = sizeof(struct services_flags),
	.words_max = -1,
	.client = true,
	.run = deregister_run,
};
