/* agent/agent_tls.c -- what the options say of TLS, for the HTTP API and for the server port. */
#include "agent/agent_priv.h"

static struct tls_config
tls_config(const struct options *o)
{
	return (struct tls_config){
		.ca_file = o->ca_file,
		.ca_path = o->ca_path,
		.cert_file = o->cert_file,
		.key_file = o->key_file,
		.min_version = o->tls_min_version,
		.cipher_suites = o->tls_cipher_suites,
		.prefer_server_ciphers = o->tls_prefer_server_cipher_suites,
	};
}

int
agent_tls_https(const struct options *o, struct ssl_ctx_st **out, struct err *err)
{
	struct tls_config config = tls_config(o);

	config.verify_peer = o->verify_incoming || o->verify_incoming_https;
	*out = NULL;
	return o->cert_file.n == 0 ? 0 : tls_server_new(&config, out, err);
}

int
agent_tls_servers(const struct options *o, struct server_net_tls *out, struct err *err)
{
	struct tls_config config = tls_config(o);
	int rc = 0;

	*out = (struct server_net_tls){ .required = o->verify_incoming || o->verify_incoming_rpc };
	config.verify_peer = out->required;
	if (o->cert_file.n > 0)
		rc = tls_server_new(&config, &out->in, err);
	config.verify_peer = true;
	if (rc == 0 && (o->verify_outgoing || o->verify_server_hostname))
		rc = tls_client_new(&config, &out->out, err);
	if (o->verify_server_hostname)
		out->name = o->tls_server_name;
	if (rc < 0)
		tls_unref(out->in);
	return rc;
}

/* Both or neither. */
int
agent_tls_reload(struct agent *a, const struct options *fresh, struct err *err)
{
	struct server_net_tls servers;
	struct ssl_ctx_st *https;
	int rc = agent_tls_https(fresh, &https, err);

	if (rc < 0)
		return rc;
	rc = agent_tls_servers(fresh, &servers, err);
	if (rc == 0) {
		/* what the name is made of does not change without a restart */
		servers.name =
		    fresh->verify_server_hostname ? a->options->tls_server_name : STR_NONE;
		if (https != NULL)
			http_server_tls(a->http, https);
		server_net_tls(a->net, &servers);
		tls_unref(servers.in);
		tls_unref(servers.out);
	}
	tls_unref(https);
	return rc;
}
