/* agent/cmd/cmd_rtt.c -- muster rtt: how long a packet takes between two nodes, estimated from
 * their network coordinates. */
#include <stdio.h>

#include "agent/cmd/client.h"
#include "agent/cmd/commands.h"
#include "base/json.h"
#include "gossip/coordinate.h"

struct rtt_flags {
	struct client_flags client;
	bool wan;
};

static const struct flag rtt_flags[] = {
	{ "wan", NULL, offsetof(struct rtt_flags, wan), "Refused: there is no federation." },
	{ 0 },
};

static double
number_of(const json_t *object, const char *key)
{
	return json_number_value(json_object_get(object, key));
}

/* False: the node is not among them, or what is told of it makes no sense. */
static bool
coordinate_find(const json_t *list, struct str node, struct serf_coordinate *out)
{
	const json_t *entry, *coord, *vec;
	size_t i;

	json_array_foreach ((json_t *)(uintptr_t)list, i, entry) {
		if (!str_eq(json_member_str(entry, "Node"), node))
			continue;
		coord = json_object_get(entry, "Coord");
		vec = json_object_get(coord, "Vec");
		out->error = number_of(coord, "Error");
		out->adjustment = number_of(coord, "Adjustment");
		out->height = number_of(coord, "Height");
		for (size_t k = 0; k < SERF_COORDINATE_DIMENSIONS; k++)
			out->vec[k] = json_number_value(json_array_get(vec, k));
		return json_array_size(vec) == SERF_COORDINATE_DIMENSIONS && coordinate_valid(out);
	}
	return false;
}

static int
rtt_print(const json_t *list, struct str from, struct str to)
{
	const struct str names[] = { from, to };
	struct serf_coordinate at[2] = { 0 };

	for (size_t i = 0; i < 2; i++)
		if (!coordinate_find(list, names[i], &at[i])) {
			fprintf(stderr, "Could not find a coordinate for node \"" STR_FMT "\"\n",
			    STR_ARG(names[i]));
			return 1;
		}
	printf("Estimated " STR_FMT " <-> " STR_FMT " rtt: %.3f ms (using LAN coordinates)\n",
	    STR_ARG(from), STR_ARG(to),
	    (double)coordinate_distance(&at[0], &at[1]) / (double)NSEC_MS);
	return 0;
}

static int
rtt_run(const struct call *call)
{
	const struct rtt_flags *flags = call->flags;
	json_t *list = NULL, *self = NULL;
	struct err err = { 0 };
	struct str to;
	int code = 1;

	if (flags->wan)
		return usage_wrong(&rtt_usage, "there is no federation");
	if (http_client_get_json(call->client, STR("/v1/coordinate/nodes"), &list, &err) < 0) {
		fprintf(stderr, "Error getting coordinates: %s\n", err.text);
	} else if (call->count == 1 &&
		   http_client_get_json(call->client, STR("/v1/agent/self"), &self, &err) < 0) {
		fprintf(stderr, "Unable to look up agent info: %s\n", err.text);
	} else {
		to = call->count == 2
			 ? str_of(call->words[1])
			 : json_member_str(json_object_get(self, "Config"), "NodeName");
		code = rtt_print(list, str_of(call->words[0]), to);
	}
	json_decref(list);
	json_decref(self);
	return code;
}

const struct usage rtt_usage = {
	.name = "rtt",
	.takes = "NODE [NODE]",
	.text =
	    "Estimates the round-trip time between two nodes, or between a node and the agent's "
	    "own, from the coordinates that the agents measure. Exit status: 0; 1: a node has no "
	    "coordinate yet, or the agent could not be asked.",
	.flags = rtt_flags,
	.size = sizeof(struct rtt_flags),
	.words_min = 1,
	.words_max = 2,
	.words_wrong = "one or two node names must be specified",
	.client = true,
	.run = rtt_run,
};

int
cmd_rtt(int argc, char **argv)
{
	return usage_run(&rtt_usage, argc, argv);
}
