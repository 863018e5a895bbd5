/* kv/autopilot.c -- see autopilot.h. */
#include "kv/autopilot.h"

#include <string.h>

#include "kv/fsm_priv.h"

#define TIME_MAX (366 * 24 * NSEC_HOUR)

const struct autopilot autopilot_default = {
	/* Consul's */
	.cleanup_dead_servers = true,
	.last_contact_threshold = 200 * NSEC_MS,
	.server_stabilization_time = 10 * NSEC_SEC,
	.max_trailing_logs = 250,
};

static void
add_text(struct buf *b, const char *text)
{
	fsm_add_varint(b, strlen(text));
	buf_add(b, str_of(text));
}

static void
read_text(struct reader *r, char out[AUTOPILOT_TAG_MAX + 1])
{
	struct str text = fsm_read_text(r, AUTOPILOT_TAG_MAX);

	if (str_find(text, '\0') < text.n)
		rd_fail(r);
	if (!rd_ok(r))
		text = STR_NONE;
	if (text.n > 0)
		memcpy(out, text.p, text.n);
	out[text.n] = '\0';
}

static nsec
read_time(struct reader *r)
{
	uint64_t n = rd_varint(r);

	if (n > TIME_MAX)
		rd_fail(r);
	return rd_ok(r) ? (nsec)n : 0;
}

void
autopilot_write(const struct autopilot *a, struct buf *b)
{
	buf_addc(b, (char)(a->cleanup_dead_servers | a->disable_upgrade_migration << 1));
	fsm_add_varint(b, (uint64_t)a->last_contact_threshold);
	fsm_add_varint(b, (uint64_t)a->server_stabilization_time);
	fsm_add_varint(b, a->max_trailing_logs);
	fsm_add_varint(b, a->min_quorum);
	add_text(b, a->redundancy_zone_tag);
	add_text(b, a->upgrade_version_tag);
}

void
autopilot_read(struct reader *r, struct autopilot *out)
{
	uint8_t bits = rd_u8(r);

	if (bits > 3)
		rd_fail(r);
	*out = (struct autopilot){
		.cleanup_dead_servers = (bits & 1) != 0,
		.disable_upgrade_migration = (bits & 2) != 0,
	};
	out->last_contact_threshold = read_time(r);
	out->server_stabilization_time = read_time(r);
	out->max_trailing_logs = rd_varint(r);
	out->min_quorum = rd_varint(r);
	read_text(r, out->redundancy_zone_tag);
	read_text(r, out->upgrade_version_tag);
}

void
autopilot_save(const struct autopilot *a, struct buf *b)
{
	fsm_add_varint(b, a->create);
	fsm_add_varint(b, a->modify);
	autopilot_write(a, b);
}

bool
autopilot_load(struct autopilot *out, struct reader *r, uint64_t index)
{
	uint64_t create = rd_varint(r), modify = rd_varint(r);
	struct autopilot a;

	autopilot_read(r, &a);
	if (!rd_ok(r) || create > modify || modify > index)
		return false;
	a.create = create;
	a.modify = modify;
	*out = a;
	return true;
}
