/* agent/http/api_acl.c -- access control: there is none, and its endpoints say so in Consul's
 * words.
 *
 * One row per path of Consul's, so that what it does not know is not found here either. They are
 * not in the table of routes: there they would make every other request slower to place.
 */
#include "agent/http/api_handlers.h"

#define READ_WRITE (HTTP_GET | HTTP_PUT | HTTP_DELETE)

static const struct {
	const char *path; /* below /v1/acl/; one that ends in '/' begins others */
	unsigned methods;
} acl_paths[] = {
	{ "auth-method", HTTP_PUT },
	{ "auth-method/", READ_WRITE },
	{ "auth-methods", HTTP_GET },
	{ "authorize", HTTP_POST },
	{ "binding-rule", HTTP_PUT },
	{ "binding-rule/", READ_WRITE },
	{ "binding-rules", HTTP_GET },
	{ "bootstrap", HTTP_PUT },
	{ "clone/", HTTP_PUT },
	{ "create", HTTP_PUT },
	{ "destroy/", HTTP_PUT },
	{ "info/", HTTP_GET },
	{ "list", HTTP_GET },
	{ "login", HTTP_POST },
	{ "logout", HTTP_POST },
	{ "policies", HTTP_GET },
	{ "policy", HTTP_PUT },
	{ "policy/", READ_WRITE },
	{ "policy/name/", HTTP_GET },
	{ "replication", HTTP_GET },
	{ "role", HTTP_PUT },
	{ "role/", READ_WRITE },
	{ "role/name/", HTTP_GET },
	{ "roles", HTTP_GET },
	{ "rules/translate", HTTP_POST },
	{ "rules/translate/", HTTP_GET },
	{ "token", HTTP_PUT },
	{ "token/", READ_WRITE },
	{ "token/self", HTTP_GET },
	{ "tokens", HTTP_GET },
	{ "update", HTTP_PUT },
};

/* What may be done there: as in the table of routes the longest row counts. 0: nothing is. */
static unsigned
methods_at(struct str path)
{
	unsigned methods = 0;
	size_t best = 0;

	for (size_t i = 0; i < sizeof acl_paths / sizeof acl_paths[0]; i++) {
		struct str row = str_of(acl_paths[i].path);
		bool prefix = row.p[row.n - 1] == '/';

		if ((prefix ? str_starts(path, row) : str_eq(path, row)) && row.n > best) {
			best = row.n;
			methods = acl_paths[i].methods;
		}
	}
	return methods;
}

void
api_acl(struct api *api, const struct http_request *req, struct http_reply *reply)
{
	unsigned methods = methods_at(req->tail);

	(void)api;
	if (methods == 0) {
		reply->status = 404;
	} else if ((methods & req->method) == 0) {
		reply_error(
		    reply, 405, "method " STR_FMT " not allowed", STR_ARG(req->method_text));
		reply_header(reply, STR("Allow"),
		    arena_fmt(req->arena, "OPTIONS%s%s%s%s", methods & HTTP_GET ? ",GET" : "",
			methods & HTTP_PUT ? ",PUT" : "", methods & HTTP_POST ? ",POST" : "",
			methods & HTTP_DELETE ? ",DELETE" : ""));
	} else {
		reply_error(reply, 401, "ACL support disabled");
	}
}

/* Tokens of the agent itself. */
void
api_acl_disabled(struct api *api, const struct http_request *req, struct http_reply *reply)
{
	(void)api;
	(void)req;
	reply_error(reply, 401, "ACL support disabled");
}
