/* kv/raft_core_config.c -- the servers of a configuration.
 *
 * On disk and on the wire it has libraft's encoding: a byte 1, the count, then of each server
 * its id, its address with a NUL and its role; numbers of 8 bytes, low byte first; zeros up to a
 * multiple of 8. Our address is the agent's id, a dot, and the Raft id in hex: libraft wants
 * addresses to differ, and an agent with a new log is a new server (RULES 9).
 */
#include <inttypes.h>
#include <stdio.h>

#include "kv/raft_core_priv.h"

char *
core_address(const struct uuid *agent, uint64_t id, char out[CORE_ADDRESS_SIZE])
{
	char text[UUID_TEXT_LEN + 1];

	snprintf(out, CORE_ADDRESS_SIZE, "%s.%" PRIx64, uuid_format(agent, text), id);
	return out;
}

bool
core_address_parse(struct str s, uint64_t id, struct uuid *out)
{
	char again[CORE_ADDRESS_SIZE];
	struct uuid agent;

	if (s.n <= UUID_TEXT_LEN || !uuid_parse(str_head(s, UUID_TEXT_LEN), &agent) ||
	    !str_eq(s, str_of(core_address(&agent, id, again))))
		return false;
	*out = agent;
	return true;
}

static uint64_t
rd_le64(struct reader *r)
{
	uint64_t v = 0;

	for (unsigned i = 0; i < 8; i++)
		v |= (uint64_t)rd_u8(r) << (8 * i);
	return v;
}

bool
core_config_valid(struct str s)
{
	struct reader r = rd_of(s);
	uint64_t ids[RAFT_CORE_SERVERS_MAX], count, voters = 0;

	if (s.n > CORE_CONFIG_MAX || rd_u8(&r) != 1)
		return false;
	count = rd_le64(&r);
	if (count == 0 || count > RAFT_CORE_SERVERS_MAX)
		return false;
	for (uint64_t i = 0; i < count; i++) {
		struct str address;
		struct uuid agent;
		uint8_t role;

		ids[i] = rd_le64(&r);
		address = str_mem(r.base + r.pos, rd_left(&r));
		address.n = str_find(address, '\0');
		rd_take(&r, address.n + 1);
		role = rd_u8(&r);
		if (!rd_ok(&r) || ids[i] == 0 || (role != RAFT_VOTER && role != RAFT_STANDBY) ||
		    !core_address_parse(address, ids[i], &agent))
			return false;
		voters += role == RAFT_VOTER;
		for (uint64_t j = 0; j < i; j++)
			if (ids[j] == ids[i])
				return false;
	}
	return rd_ok(&r) && voters > 0;
}

int
core_config_decode(struct str s, struct raft_configuration *out)
{
	char room[CORE_CONFIG_MAX];
	struct raft_buffer buf = { room, s.n };

	if (s.n > sizeof room)
		return RAFT_MALFORMED;
	memcpy(room, s.p, s.n);
	return raft_configuration_decode(&buf, out);
}

const struct raft_server *
core_server(const struct raft_core *c, uint64_t id)
{
	for (unsigned i = 0; i < c->raft.configuration.n; i++)
		if (c->raft.configuration.servers[i].id == id)
			return &c->raft.configuration.servers[i];
	return NULL;
}

bool
core_is_voter(const struct raft_core *c, uint64_t id)
{
	const struct raft_server *s = core_server(c, id);

	return s != NULL && s->role == RAFT_VOTER;
}

size_t
core_voters(const struct raft_core *c)
{
	size_t n = 0;

	for (unsigned i = 0; i < c->raft.configuration.n; i++)
		n += c->raft.configuration.servers[i].role == RAFT_VOTER;
	return n;
}

bool
core_sole_voter(const struct raft_core *c)
{
	return core_is_voter(c, c->config.id) && core_voters(c) == 1;
}

size_t
raft_core_servers(const struct raft_core *c, struct raft_core_server out[RAFT_CORE_SERVERS_MAX])
{
	size_t n = 0;

	for (unsigned i = 0; i < c->raft.configuration.n && n < RAFT_CORE_SERVERS_MAX; i++) {
		const struct raft_server *s = &c->raft.configuration.servers[i];
		struct raft_core_server one = { .id = s->id };
		size_t at = n++;

		core_address_parse(str_of(s->address), s->id, &one.agent);
		one.role = s->role == RAFT_VOTER ? RAFT_CORE_VOTER : RAFT_CORE_NON_VOTER;
		for (; at > 0 && out[at - 1].id > one.id; at--)
			out[at] = out[at - 1];
		out[at] = one;
	}
	return n;
}

bool
raft_core_entry_is_config(const struct raft_log_entry *e)
{
	return e->type == RAFT_CHANGE;
}

bool
raft_core_config_read(
    struct str bytes, struct raft_core_server out[RAFT_CORE_SERVERS_MAX], size_t *count)
{
	struct reader r = rd_of(bytes);
	uint64_t n;

	if (!core_config_valid(bytes))
		return false;
	rd_u8(&r);
	n = rd_le64(&r);
	for (uint64_t i = 0; i < n; i++) {
		struct raft_core_server *s = &out[i];
		struct str address;

		s->id = rd_le64(&r);
		address = str_mem(r.base + r.pos, rd_left(&r));
		address.n = str_find(address, '\0');
		rd_take(&r, address.n + 1);
		core_address_parse(address, s->id, &s->agent);
		s->role = rd_u8(&r) == RAFT_VOTER ? RAFT_CORE_VOTER : RAFT_CORE_NON_VOTER;
	}
	*count = (size_t)n;
	return true;
}

int
raft_core_config_entry(uint64_t index, uint64_t term, const struct raft_core_server *list,
    size_t count, struct buf *bytes, struct raft_log_entry *out, struct err *err)
{
	struct raft_configuration servers;
	struct raft_buffer encoded = { 0 };
	char address[CORE_ADDRESS_SIZE];
	size_t at = bytes->n;
	int rc = 0;

	raft_configuration_init(&servers);
	for (size_t i = 0; i < count && rc == 0; i++)
		rc = raft_configuration_add(&servers, list[i].id,
		    core_address(&list[i].agent, list[i].id, address),
		    list[i].role == RAFT_CORE_VOTER ? RAFT_VOTER : RAFT_STANDBY);
	if (rc == 0)
		rc = raft_configuration_encode(&servers, &encoded);
	if (rc == 0)
		buf_add(bytes, str_mem(encoded.base, encoded.len));
	raft_free(encoded.base);
	raft_configuration_close(&servers);
	if (rc != 0 || !core_config_valid(str_mem(bytes->p + at, bytes->n - at)))
		return err_set(err, ERR_INPUT, "no configuration: a server twice, or no voter");
	*out = (struct raft_log_entry){ index, term, RAFT_CHANGE,
		str_mem(bytes->p + at, bytes->n - at) };
	return 0;
}

struct raft_log_entry
raft_core_first_entry(const struct raft_core_config *config, struct buf *bytes)
{
	const struct raft_core_server self = { config->id, config->agent, RAFT_CORE_VOTER };
	struct raft_log_entry e = { 0 };

	(void)raft_core_config_entry(1, 1, &self, 1, bytes, &e, NULL);
	return e;
}
