/* watcher/registration.c -- see registration.h. */
#include "watcher/registration.h"

#include "base/json.h"

static void
write_text(struct jw *w, const char *key, struct str value)
{
	if (value.n > 0)
		jw_kstr(w, key, value);
}

static void
write_check(struct jw *w, const struct rules_check *k)
{
	jw_key(w, STR("Check"));
	jw_object(w);
	write_text(w, "HTTP", k->http);
	write_text(w, "Method", k->method);
	write_text(w, "TCP", k->tcp);
	write_text(w, "GRPC", k->grpc);
	write_text(w, "TTL", k->ttl);
	if (k->script.n > 0) { /* one word, as registrator sends it */
		jw_key(w, STR("ScriptArgs"));
		jw_array(w);
		jw_str(w, k->script);
		jw_array_end(w);
	}
	if (k->grpc_use_tls)
		jw_kbool(w, "GRPCUseTLS", true);
	if (k->tls_skip_verify)
		jw_kbool(w, "TLSSkipVerify", true);
	write_text(w, "Status", k->status);
	write_text(w, "Interval", k->interval);
	write_text(w, "Timeout", k->timeout);
	write_text(w, "DeregisterCriticalServiceAfter", k->deregister_after);
	jw_object_end(w);
}

/* The address in the other family; those of the first one Consul adds by itself. */
static void
write_tagged(struct jw *w, const struct rules_service *s)
{
	bool six = str_find(s->address_other, ':') < s->address_other.n;
	const char *const tags[] = { six ? "lan_ipv6" : "lan_ipv4", six ? "wan_ipv6" : "wan_ipv4" };

	jw_key(w, STR("TaggedAddresses"));
	jw_object(w);
	for (size_t i = 0; i < 2; i++) {
		jw_key(w, str_of(tags[i]));
		jw_object(w);
		jw_kstr(w, "Address", s->address_other);
		jw_ku64(w, "Port", s->port_other);
		jw_object_end(w);
	}
	jw_object_end(w);
}

void
registration_write(struct buf *out, const struct rules_service *s)
{
	struct jw w;

	jw_init(&w, out, false);
	jw_object(&w);
	write_text(&w, "ID", s->id);
	write_text(&w, "Name", s->name);
	if (s->tag_count > 0) {
		jw_key(&w, STR("Tags"));
		jw_array(&w);
		for (size_t i = 0; i < s->tag_count; i++)
			jw_str(&w, s->tags[i]);
		jw_array_end(&w);
	}
	if (s->port != 0)
		jw_ku64(&w, "Port", s->port);
	write_text(&w, "Address", s->address);
	if (s->address_other.n > 0)
		write_tagged(&w, s);
	if (s->meta_count > 0) {
		jw_key(&w, STR("Meta"));
		jw_object(&w);
		for (size_t i = 0; i < s->meta_count; i++) {
			jw_key(&w, s->meta[i].key);
			jw_str(&w, s->meta[i].value);
		}
		jw_object_end(&w);
	}
	if (s->check.present)
		write_check(&w, &s->check);
	jw_object_end(&w);
}

void
registration_key(struct buf *out, struct str prefix, const struct rules_service *s)
{
	if (prefix.n > 0)
		buf_addf(out, STR_FMT "/", STR_ARG(prefix));
	buf_add(out, s->name);
	buf_addc(out, '/');
	buf_add(out, s->id);
}

void
registration_value(struct buf *out, const struct rules_service *s)
{
	bool six = str_find(s->address, ':') < s->address.n;

	buf_addf(out, six ? "[" STR_FMT "]:%u" : STR_FMT ":%u", STR_ARG(s->address), s->port);
}

static bool
is_name_byte(char c)
{
	char low = chr_lower(c);

	return (low >= 'a' && low <= 'z') || chr_digit(c) || c == '_' || c == '.' || c == '-';
}

/* A container's name as Docker takes it. */
static bool
is_container_name(struct str s)
{
	if (s.n < 2 || !is_name_byte(s.p[0]) || s.p[0] == '_' || s.p[0] == '.' || s.p[0] == '-')
		return false;
	for (size_t i = 1; i < s.n; i++)
		if (!is_name_byte(s.p[i]))
			return false;
	return true;
}

bool
registration_id_is_of(struct str id, struct str host)
{
	struct str name;
	uint64_t port;

	if (host.n == 0 || !str_starts(id, host) || id.n == host.n || id.p[host.n] != ':')
		return false;
	id = str_skip(id, host.n + 1);
	name = str_cut(&id, ':');
	if (id.p == NULL || !is_container_name(name))
		return false;
	return str_u64(str_cut(&id, ':'), UINT16_MAX, &port) &&
	       (id.p == NULL || str_eq(id, STR("udp")));
}
