/* agent/http/api_cluster.c -- requests that wait for the cluster. */
#include "agent/http/api_cluster.h"

void
api_cluster_answer(struct api *api, struct now now, const struct cluster_action *answer)
{
	if (api->ops.resume != NULL)
		api->ops.resume(api->ops.arg, now, answer);
}

void
api_cluster_asked(struct api *api, struct now now, const struct cluster_action *asked)
{
	if (api->ops.carry != NULL)
		api->ops.carry(api->ops.arg, now, asked->request, asked->bytes);
}

void
api_cluster_dropped(struct api *api, const struct cluster_action *dropped)
{
	if (api->ops.carry_drop != NULL)
		api->ops.carry_drop(api->ops.arg, dropped->request);
}
