/* tests/unit/serf_net.c -- see serf_net.h. */
#include "tests/unit/serf_net.h"

#include <stdlib.h>

#include "base/mem.h"

static struct addr
net_addr(unsigned node)
{
	return (struct addr){
		.family = ADDR_V4, .port = 7946, .bytes = { 10, 0, 0, (uint8_t)(node + 1) }
	};
}

struct net *
net_new(void)
{
	struct net *net = mem_new(struct net);

	net->now = NSEC_SEC;
	buf_init(&net->story, 1024 * 1024);
	for (unsigned i = 0; i < NET_NODES; i++)
		net->nodes[i].name[0] = (char)('a' + i);
	return net;
}

void
net_free(struct net *net)
{
	for (unsigned i = 0; i < NET_NODES; i++) {
		serf_free(net->nodes[i].serf);
		keyring_free(net->nodes[i].keys);
		free((void *)(uintptr_t)net->nodes[i].swim.meta.p);
	}
	for (size_t i = 0; i < net->queue_count; i++)
		free(net->queue[i].bytes);
	free(net->queue);
	buf_done(&net->story);
	free(net);
}

static void
net_post(struct net *net, unsigned from, unsigned to, struct str bytes)
{
	struct net_packet *p;

	if (net->nodes[to].serf == NULL || net->cut[from][to] || from == to)
		return;
	if (net->queue_count == net->queue_room)
		net->queue =
		    mem_grow(net->queue, net->queue_count, &net->queue_room, sizeof *net->queue);
	p = &net->queue[net->queue_count++];
	*p = (struct net_packet){ to, net_addr(from), net->now + NSEC_MS, mem_alloc(bytes.n + 1),
		bytes.n };
	memcpy(p->bytes, bytes.p, bytes.n);
}

static void
net_left(struct net *net, unsigned node)
{
	struct swim_member gone = net->nodes[node].swim;

	gone.state = SWIM_LEFT;
	net->nodes[node].left = true;
	for (unsigned i = 0; i < NET_NODES; i++)
		if (net->nodes[i].serf != NULL && !net->cut[node][i]) {
			serf_news(net->nodes[i].serf, net->now, &gone);
			if (i != node)
				net_drain(net, i);
		}
}

static void
net_say(struct net *net, unsigned node, const struct serf_action *a)
{
	struct buf *b = &net->story;

	buf_addf(b, "%s: ", net->nodes[node].name);
	if (a->kind == SERF_TELL_MEMBER)
		buf_addf(b, "%s " STR_FMT, serf_news_name(a->news), STR_ARG(a->member.name));
	else if (a->kind == SERF_TELL_EVENT)
		buf_addf(b, "event " STR_FMT " " STR_FMT, STR_ARG(a->event.name),
		    STR_ARG(a->event.payload));
	else if (a->kind == SERF_TELL_QUERY)
		buf_addf(b, "asked " STR_FMT " by " STR_FMT, STR_ARG(a->event.name),
		    STR_ARG(a->peer_name));
	else if (a->kind == SERF_TELL_ACK)
		buf_addf(b, "ack of " STR_FMT, STR_ARG(a->peer_name));
	else if (a->kind == SERF_TELL_ANSWER)
		buf_addf(
		    b, "answer of " STR_FMT ": " STR_FMT, STR_ARG(a->peer_name), STR_ARG(a->bytes));
	else if (a->kind == SERF_TELL_KEYS)
		buf_addf(b, "keys of " STR_FMT ": %s, %zu, " STR_FMT, STR_ARG(a->peer_name),
		    a->keys.result ? "done" : "not done", a->keys.key_count,
		    STR_ARG(a->keys.message));
	else if (a->kind == SERF_TELL_DONE)
		buf_addf(b, "over: %zu acks, %zu answers of %zu", a->acks, a->answers, a->expected);
	else
		buf_addf(b, STR_FMT, STR_ARG(a->bytes));
	buf_addc(b, '\n');
}

static unsigned
net_at(const struct addr *a)
{
	return a->bytes[3] - 1u;
}

static void
net_carry_out(struct net *net, unsigned node, const struct serf_action *a)
{
	struct net_node *n = &net->nodes[node];

	switch (a->kind) {
	case SERF_DO_BROADCAST:
		n->broadcasts++;
		assert_in_range(a->bytes.n, 1, SERF_MESSAGE_MAX);
		for (unsigned i = 0; i < NET_NODES; i++)
			net_post(net, node, i, a->bytes);
		break;
	case SERF_DO_SEND:
		n->sends++;
		if (net_at(&a->peer) < NET_NODES)
			net_post(net, node, net_at(&a->peer), a->bytes);
		break;
	case SERF_DO_RECONNECT:
		n->reconnects++;
		break;
	case SERF_DO_KEYS_SAVE:
		n->key_saves++;
		break;
	case SERF_DO_META:
	case SERF_DO_FORGET:
	case SERF_DO_LEAVE:
		break;
	default:
		net_say(net, node, a);
	}
}

void
net_drain(struct net *net, unsigned node)
{
	struct net_node *n = &net->nodes[node];
	struct serf_action a;
	uint64_t asked[64], done = 0;
	size_t count = 0;
	bool leave = false;

	while (serf_action_next(n->serf, &a)) {
		net_carry_out(net, node, &a);
		if (a.kind == SERF_TELL_QUERY && n->auto_answer && count < 64)
			asked[count++] = a.id;
		if (a.kind == SERF_DO_BROADCAST && a.id != 0)
			done = a.id;
		leave |= a.kind == SERF_DO_LEAVE;
	}
	for (size_t i = 0; i < count; i++)
		assert_int_equal(
		    serf_respond(n->serf, net->now, asked[i], str_of(n->name), NULL), 0);
	if (done != 0)
		serf_broadcast_done(n->serf, net->now, done);
	if (leave) {
		net_run(net, 5 * NSEC_MS); /* the intent arrives before the death */
		net_left(net, node);
	}
	if (count > 0 || done != 0 || leave)
		net_drain(net, node);
}

void
net_start(struct net *net, unsigned node, const char *role)
{
	struct net_node *n = &net->nodes[node];
	uint8_t room[WIRE_META_MAX];
	struct writer w = wr_of(room, sizeof room);
	struct serf_tag tags[] = { { STR("role"), str_of(role) }, { STR("id"), str_of(n->name) } };
	struct serf_config config = { .name = str_of(n->name), .advertise = net_addr(node) };

	serf_tags_write(&w, tags, 2);
	serf_free(n->serf);
	free((void *)(uintptr_t)n->swim.meta.p);
	n->swim = (struct swim_member){ .name = str_of(n->name),
		.meta = str_mem(str_dup(wr_done(&w)), w.pos),
		.addr = net_addr(node),
		.vsn = wire_vsn_ours,
		.state = SWIM_ALIVE };
	n->left = false;
	config.meta = n->swim.meta;
	config.keys = n->keys;
	n->serf = serf_new(&config, node, net->now);
	net_drain(net, node);
}

void
net_member_alive(struct net *net, unsigned at, unsigned about)
{
	serf_news(net->nodes[at].serf, net->now, &net->nodes[about].swim);
	net_drain(net, at);
}

void
net_push_pull(struct net *net, unsigned from, unsigned to, bool join)
{
	struct addr at[2] = { net_addr(from), net_addr(to) };
	struct buf out, back;
	struct err err;

	buf_init(&out, 1024 * 1024 * 8);
	buf_init(&back, 1024 * 1024 * 8);
	serf_state_write(net->nodes[from].serf, STR_NONE, &out);
	serf_state_write(net->nodes[to].serf, STR_NONE, &back);
	assert_false(out.full || back.full);
	if (serf_state_merge(net->nodes[to].serf, net->now, &at[0], false, buf_str(&out), &err) < 0)
		fail_msg("%s", err.text);
	net_drain(net, to);
	if (serf_state_merge(net->nodes[from].serf, net->now, &at[1], join, buf_str(&back), &err) <
	    0)
		fail_msg("%s", err.text);
	net_drain(net, from);
	buf_done(&out);
	buf_done(&back);
}

void
net_join(struct net *net, unsigned node, unsigned via)
{
	for (unsigned i = 0; i < NET_NODES; i++) {
		const struct net_node *n = &net->nodes[i];

		if (i == node || n->serf == NULL || n->left || net->cut[node][i] ||
		    net->cut[via][i])
			continue;
		net_member_alive(net, i, node);
		net_member_alive(net, node, i);
	}
	net_push_pull(net, node, via, true);
	serf_joined(net->nodes[node].serf, net->now);
	net_drain(net, node);
	net_run(net, 20 * NSEC_MS);
}

void
net_kill(struct net *net, unsigned node)
{
	struct swim_member dead = net->nodes[node].swim;

	serf_free(net->nodes[node].serf);
	net->nodes[node].serf = NULL;
	dead.state = SWIM_DEAD;
	for (unsigned i = 0; i < NET_NODES; i++)
		if (net->nodes[i].serf != NULL && !net->cut[node][i]) {
			serf_news(net->nodes[i].serf, net->now, &dead);
			net_drain(net, i);
		}
}

/* The next packet that is due by `until`, out of the queue. */
static bool
net_take(struct net *net, nsec until, struct net_packet *out)
{
	size_t first = 0;

	if (net->queue_count == 0)
		return false;
	for (size_t i = 1; i < net->queue_count; i++)
		if (net->queue[i].at < net->queue[first].at)
			first = i;
	if (net->queue[first].at > until)
		return false;
	*out = net->queue[first];
	memmove(&net->queue[first], &net->queue[first + 1],
	    (--net->queue_count - first) * sizeof *net->queue);
	return true;
}

static void
net_deliver(struct net *net, struct net_packet *p)
{
	struct err err;

	net->now = p->at > net->now ? p->at : net->now;
	if (net->nodes[p->to].serf != NULL) {
		if (serf_input(net->nodes[p->to].serf, net->now, &p->from, str_mem(p->bytes, p->n),
			&err) < 0)
			fail_msg("%s refused a message: %s", net->nodes[p->to].name, err.text);
		net_drain(net, p->to);
	}
	free(p->bytes);
}

void
net_run(struct net *net, nsec span)
{
	nsec until = net->now + span;

	for (;;) {
		struct net_packet p;
		nsec due = NSEC_NEVER;
		unsigned who = 0;

		for (unsigned i = 0; i < NET_NODES; i++)
			if (net->nodes[i].serf != NULL && serf_deadline(net->nodes[i].serf) < due) {
				due = serf_deadline(net->nodes[i].serf);
				who = i;
			}
		if (net_take(net, nsec_min(until, due), &p)) {
			net_deliver(net, &p);
		} else if (due <= until) {
			net->now = due > net->now ? due : net->now;
			serf_tick(net->nodes[who].serf, net->now);
			assert_true(serf_deadline(net->nodes[who].serf) > net->now);
			net_drain(net, who);
		} else {
			break;
		}
	}
	net->now = until > net->now ? until : net->now;
}

void
net_give(struct net *net, unsigned node, const struct serf_message *m)
{
	static uint8_t room[64 * 1024];
	struct writer w = wr_of(room, sizeof room);
	struct addr from = net_addr(F);

	serf_write(&w, m);
	assert_false(w.full);
	assert_int_equal(serf_input(net->nodes[node].serf, net->now, &from, wr_done(&w), NULL), 0);
	net_drain(net, node);
}

const char *
net_state(struct net *net, unsigned at, unsigned about)
{
	struct serf_member m;

	if (!serf_member_find(net->nodes[at].serf, str_of(net->nodes[about].name), &m))
		return "-";
	return serf_state_name(m.state);
}

void
net_story(struct net *net, const char *want)
{
	assert_str(buf_str(&net->story), want);
	buf_clear(&net->story);
}

void
net_forget_story(struct net *net)
{
	buf_clear(&net->story);
}
