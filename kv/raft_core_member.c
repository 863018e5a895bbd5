/* kv/raft_core_member.c -- servers are added, made voters, taken out; one at a time.
 *
 * A change is an entry of libraft's type CHANGE that holds the whole new configuration; servers
 * keep their places in it, for the leader's book of a server goes by its place. It is proposed
 * only once an entry of the own term is applied (Ongaro's fix of 2015 for changes of one server).
 * Who is added is a stand-by: it gets the log and has no vote. To become a voter its log must
 * have caught up; if it has not, libraft's CATCH_UP watches for that and says so through
 * raft_catch_up(), which is asked after every step.
 *
 * A server that was taken out gets nothing any more. Whoever it asks for a vote, or whether it is
 * one of them, tells it so: by the index of a committed configuration without it, which is newer
 * than all it knows. Its own log may tell as well.
 *
 * One of two voters that leads does not take itself out: libraft lets no server stand that its
 * own newest configuration does not name, so if it crashed with that entry on its disk alone, the
 * other could not win (its log is shorter) and it would not try. Leadership goes first.
 */
#include <inttypes.h>

#include "kv/raft_core_priv.h"

static int
change_check(struct raft_core *c, struct err *err)
{
	if (!core_leads(c) || raft_transferee(&c->raft) != 0)
		return err_set(err, ERR_REFUSED, "not the leader");
	if (!c->led_long)
		return err_set(err, ERR_STATE, "the leader has only just begun");
	if (c->change_waits || c->raft.configuration_uncommitted_index != 0)
		return err_set(err, ERR_CONFLICT, "the servers are being changed already");
	return 0;
}

static int
change_submit(struct raft_core *c, const struct raft_configuration *servers, struct err *err)
{
	struct raft_buffer encoded;
	uint64_t index = c->log.last + 1;
	int code;

	if (raft_configuration_encode(servers, &encoded) != 0)
		return err_set(err, ERR_MEMORY, "no memory for a configuration");
	c->change_index = index; /* before the step: a sole voter's disk may be memory */
	code = core_submit_entry(c, RAFT_CHANGE, encoded.base, encoded.len);
	raft_free(encoded.base);
	if (code == 0)
		return 0;
	c->change_index = 0;
	return err_set(
	    err, ERR_STATE, "the servers cannot be changed now: %s", raft_strerror(code));
}

static int
config_copy(
    const struct raft_core *c, uint64_t without, uint64_t voter, struct raft_configuration *out)
{
	int code = 0;

	raft_configuration_init(out);
	for (unsigned i = 0; i < c->raft.configuration.n && code == 0; i++) {
		const struct raft_server *s = &c->raft.configuration.servers[i];

		if (s->id != without)
			code = raft_configuration_add(
			    out, s->id, s->address, s->id == voter ? RAFT_VOTER : s->role);
	}
	return code;
}

static void
change_answer(struct raft_core *c, int code, const char *text)
{
	struct raft_core_action *a;

	if (!c->change_waits)
		return;
	if (c->change_request != 0) {
		a = core_say(c, RAFT_CORE_ANSWER);
		a->request = c->change_request;
		a->code = code;
		a->index = c->change_index;
		a->bytes = str_of(text); /* a literal */
	}
	c->change_waits = false;
	c->change_request = 0;
	c->change_index = 0;
	c->promotee = 0;
}

static void
change_begin(struct raft_core *c, uint64_t request)
{
	c->change_waits = true;
	c->change_request = request;
	c->change_index = 0;
	c->promotee = 0;
}

int
raft_core_add(struct raft_core *c, struct now now, uint64_t request, uint64_t id,
    const struct uuid *agent, struct err *err)
{
	struct raft_configuration servers;
	char address[CORE_ADDRESS_SIZE];
	int code;

	if ((code = change_check(c, err)) != 0)
		return code;
	core_begin(c, now);
	core_flush(c);
	if (id == 0 || core_server(c, id) != NULL)
		return err_set(err, ERR_CONFLICT, "%016" PRIx64 " is a server already", id);
	if (c->raft.configuration.n >= RAFT_CORE_SERVERS_MAX)
		return err_set(err, ERR_LIMIT, "at most %d servers", RAFT_CORE_SERVERS_MAX);
	if (config_copy(c, 0, 0, &servers) == 0 &&
	    raft_configuration_add(&servers, id, core_address(agent, id, address), RAFT_STANDBY) ==
		0) {
		change_begin(c, request);
		if ((code = change_submit(c, &servers, err)) != 0)
			c->change_waits = false;
	} else {
		code = err_set(err, ERR_MEMORY, "no memory for a configuration");
	}
	raft_configuration_close(&servers);
	core_settle(c);
	return code;
}

static int
promote_now(struct raft_core *c, uint64_t id, struct err *err)
{
	struct raft_configuration servers;
	int code;

	code = config_copy(c, 0, id, &servers) == 0
		   ? change_submit(c, &servers, err)
		   : err_set(err, ERR_MEMORY, "no memory for a configuration");
	raft_configuration_close(&servers);
	return code;
}

int
raft_core_promote(
    struct raft_core *c, struct now now, uint64_t request, uint64_t id, struct err *err)
{
	struct raft_event ev = { .type = RAFT_CATCH_UP };
	raft_index match;
	int code;

	if ((code = change_check(c, err)) != 0)
		return code;
	core_begin(c, now);
	core_flush(c);
	if (core_server(c, id) == NULL)
		return err_set(err, ERR_NOT_FOUND, "%016" PRIx64 " is no server", id);
	if (core_is_voter(c, id))
		return err_set(err, ERR_CONFLICT, "%016" PRIx64 " is a voter already", id);
	change_begin(c, request);
	if (raft_match_index(&c->raft, id, &match) == 0 && match == c->log.last) {
		if ((code = promote_now(c, id, err)) != 0)
			c->change_waits = false;
	} else {
		c->promotee = id;
		ev.catch_up.server_id = id;
		core_step(c, &ev);
	}
	core_settle(c);
	return code;
}

int
raft_core_remove(
    struct raft_core *c, struct now now, uint64_t request, uint64_t id, struct err *err)
{
	struct raft_configuration servers;
	int code;

	if ((code = change_check(c, err)) != 0)
		return code;
	core_begin(c, now);
	core_flush(c);
	if (core_server(c, id) == NULL)
		return err_set(err, ERR_NOT_FOUND, "%016" PRIx64 " is no server", id);
	if (core_is_voter(c, id) && core_voters(c) == 1)
		return err_set(err, ERR_REFUSED, "%016" PRIx64 " is the only voter", id);
	if (id == c->config.id && core_voters(c) == 2)
		return err_set(err, ERR_REFUSED,
		    "one of two voters cannot take itself out: "
		    "leadership has to be handed over before");
	change_begin(c, request);
	code = config_copy(c, id, 0, &servers) == 0
		   ? change_submit(c, &servers, err)
		   : err_set(err, ERR_MEMORY, "no memory for a configuration");
	if (code != 0)
		c->change_waits = false;
	raft_configuration_close(&servers);
	core_settle(c);
	return code;
}

/* Looks whether who is to become a voter has caught up. */
void
core_change_settle(struct raft_core *c)
{
	uint64_t id = c->promotee;
	int status;

	if (id == 0 || !core_leads(c) || raft_catch_up(&c->raft, id, &status) != 0)
		return;
	if (status == RAFT_CATCH_UP_RUNNING)
		return;
	c->promotee = 0;
	if (status != RAFT_CATCH_UP_FINISHED)
		change_answer(c, ERR_STATE, "the server does not catch up");
	else if (promote_now(c, id, NULL) != 0)
		change_answer(c, ERR_STATE, "the servers cannot be changed now");
}

void
core_change_applied(struct raft_core *c, uint64_t index, uint64_t term)
{
	if (c->change_waits && c->change_index == index && term == c->raft.current_term)
		change_answer(c, 0, NULL);
}

void
core_change_lost(struct raft_core *c)
{
	change_answer(c, ERR_STATE, "leadership was lost: it may be done later");
}

/* Being taken out. */

/* Whether the newest configuration has us. A new server first gets configurations from before its
 * time; one that was a server, and is in none that may still come, is out. */
void
core_config_seen(struct raft_core *c, uint64_t newest)
{
	bool was = c->removed;

	if (core_server(c, c->config.id) != NULL) {
		c->was_server = true;
		c->removed = c->gone_index > newest;
	} else {
		c->removed =
		    c->removed || (c->was_server && c->raft.configuration_uncommitted_index == 0);
	}
	if (was != c->removed)
		c->changed = true;
}

void
core_who(struct raft_core *c)
{
	struct raft_wire w = { .kind = RAFT_WIRE_WHO, .term = c->raft.current_term };

	if (c->raft.state != RAFT_FOLLOWER || !c->was_server || w.term == 0)
		return;
	for (unsigned i = 0; i < c->raft.configuration.n; i++)
		if (c->raft.configuration.servers[i].id != c->config.id)
			core_send(c, &w, c->raft.configuration.servers[i].id);
}

void
core_who_asks(struct raft_core *c, const struct raft_wire *m)
{
	struct raft_configuration servers;
	struct raft_wire w = { .kind = RAFT_WIRE_GONE,
		.term = c->raft.current_term,
		.config_index = c->config_index };
	bool in = false;

	if (c->config_index == 0 || w.term == 0 ||
	    core_config_decode(buf_str(&c->config_bytes), &servers) != 0)
		return;
	for (unsigned i = 0; i < servers.n; i++)
		in = in || servers.servers[i].id == m->from;
	raft_configuration_close(&servers);
	if (!in)
		core_send(c, &w, m->from);
}

void
core_gone(struct raft_core *c, const struct raft_wire *m)
{
	if (c->was_server && m->config_index > c->gone_index)
		c->gone_index = m->config_index;
}
