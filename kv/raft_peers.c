/* kv/raft_peers.c -- see the header. */
#include "kv/raft_peers.h"

#include "base/json.h"

#define TERM_STEP ((uint64_t)1 << 20)

static int
peer_read(const json_t *item, const struct raft_peer *before, size_t count, struct raft_peer *out,
    struct err *err)
{
	struct str id = json_member_str(item, "id");

	if (!uuid_parse(id, &out->agent))
		return err_set(err, ERR_INPUT,
		    "peers.json: server %zu: \"id\" is not an agent's id: \"" STR_FMT "\"",
		    count + 1, STR_ARG(id));
	for (size_t i = 0; i < count; i++)
		if (uuid_eq(&before[i].agent, &out->agent))
			return err_set(err, ERR_INPUT,
			    "peers.json: server " STR_FMT " stands twice", STR_ARG(id));
	out->non_voter = json_member_bool(item, "non_voter");
	return 0;
}

int
raft_peers_read(
    struct str text, struct raft_peer out[RAFT_CORE_SERVERS_MAX], size_t *count, struct err *err)
{
	size_t voters = 0, n;
	json_t *root;
	int rc = json_read(text, &root, err);

	if (rc < 0)
		return err_wrap(err, "peers.json");
	n = json_array_size(root);
	if (!json_is_array(root) || n == 0 || n > RAFT_CORE_SERVERS_MAX)
		rc = err_set(err, ERR_INPUT,
		    "peers.json: not an array of servers, at least one and at most %d",
		    RAFT_CORE_SERVERS_MAX);
	for (size_t i = 0; i < n && rc == 0; i++) {
		rc = peer_read(json_array_get(root, i), out, i, &out[i], err);
		voters += rc == 0 && !out[i].non_voter;
	}
	json_decref(root);
	if (rc == 0 && voters == 0)
		rc = err_set(err, ERR_INPUT, "peers.json: there is no voter in it");
	if (rc == 0)
		*count = n;
	return rc;
}

int
raft_peers_servers(const struct raft_peer *peers, size_t count,
    const struct raft_core_server *known, size_t known_count, struct raft_core_server *out,
    struct err *err)
{
	char id[UUID_TEXT_LEN + 1];

	for (size_t i = 0; i < count; i++) {
		const struct raft_core_server *found = NULL;

		for (size_t k = 0; k < known_count; k++)
			if (uuid_eq(&known[k].agent, &peers[i].agent) &&
			    (found == NULL || known[k].role == RAFT_CORE_VOTER))
				found = &known[k];
		if (found == NULL)
			return err_set(err, ERR_INPUT,
			    "peers.json: this log does not know the server %s; leave it out, it is "
			    "added by itself once there is a leader",
			    uuid_format(&peers[i].agent, id));
		out[i] = *found;
		out[i].role = peers[i].non_voter ? RAFT_CORE_NON_VOTER : RAFT_CORE_VOTER;
	}
	return 0;
}

uint64_t
raft_peers_term(uint64_t newest)
{
	return (newest / TERM_STEP + 1) * TERM_STEP;
}
