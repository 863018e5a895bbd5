/* agent/http/decode_txn.c -- the body of a transaction: a list of operations, each of one kind.
 *
 * Numbers have all their 64 bits. Of several kinds in one operation the first counts, as in
 * Consul: KV, Node, Service, Check.
 */
#include "agent/http/decode.h"
#include "agent/http/decode_fields.h"
#include "base/base64.h"

struct txn_body {
	struct txn_op kv, node, service, check;
	bool has_kv, has_node, has_service, has_check;
};

/* Where Go's decoder stumbles: at the first character that is none of base64's, else at the
 * start of the piece that is not whole. */
static size_t
base64_stumble(struct str s)
{
	size_t digits = 0, piece = 0;

	for (size_t i = 0; i < s.n; i++) {
		char c = s.p[i], lower = chr_lower(c);

		if (c == '\r' || c == '\n')
			continue;
		if (!chr_digit(c) && (lower < 'a' || lower > 'z') && c != '+' && c != '/')
			return i;
		if (digits++ % 4 == 0)
			piece = i;
	}
	return piece;
}

static int
read_base64(struct decoder *d, const json_t *v, const struct field *f, char *at)
{
	struct str text = json_text(v), *out = (struct str *)(void *)at;
	size_t n = 0, room = text.n / 4 * 3 + 4;
	char *bytes;

	if (!json_is_string(v))
		return decode_mismatch(d, v, f->name, "bytes");
	bytes = arena_alloc(d->arena, room);
	if (bytes == NULL)
		return decode_full(d);
	if (!base64_decode(text, bytes, room, &n))
		return err_set(d->err, ERR_INPUT, "illegal base64 data at input byte %zu",
		    base64_stumble(text));
	*out = str_mem(bytes, n);
	return 0;
}

static const struct field kv_fields[] = {
	FIELD("Verb", read_str, struct txn_op, verb),
	FIELD("Key", read_str, struct txn_op, kv.key),
	FIELD("Value", read_base64, struct txn_op, kv.value),
	FIELD("Flags", read_u64, struct txn_op, kv.flags),
	FIELD("Index", read_u64, struct txn_op, kv.index),
	FIELD("Session", read_str, struct txn_op, kv.session),
	FIELD_UNUSED("Namespace"),
	FIELDS_END,
};

static int
read_kv(struct decoder *d, const json_t *v, const struct field *f, char *at)
{
	return decode_object(d, v, f->name, kv_fields, at);
}

static const struct field node_fields[] = {
	FIELD("ID", read_str, struct txn_op, node.id),
	FIELD("Node", read_str, struct txn_op, node.name),
	FIELD("Address", read_str, struct txn_op, node.address),
	FIELD("Datacenter", read_str, struct txn_op, node.datacenter),
	FIELD_LIST_SET("TaggedAddresses", read_pairs, struct txn_op, node.tagged, node.tagged_count,
	    node.tagged_set),
	FIELD_LIST_SET(
	    "Meta", read_pairs, struct txn_op, node.meta, node.meta_count, node.meta_set),
	FIELD_UNUSED("CreateIndex"),
	FIELD("ModifyIndex", read_u64, struct txn_op, index),
	FIELDS_END,
};

static int
read_node(struct decoder *d, const json_t *v, const struct field *f, char *at)
{
	return decode_object(d, v, f->name, node_fields, at - f->offset);
}

static const struct field node_op_fields[] = {
	FIELD("Verb", read_str, struct txn_op, verb),
	FIELD("Node", read_node, struct txn_op, node),
	FIELDS_END,
};

static int
read_node_op(struct decoder *d, const json_t *v, const struct field *f, char *at)
{
	return decode_object(d, v, f->name, node_op_fields, at);
}

/* A member that the table of services and of checks passes over. */
static void
modify_index(const json_t *v, uint64_t *index)
{
	const char *key;
	json_t *member;
	size_t n;

	json_object_keylen_foreach((json_t *)(uintptr_t)v, key, n, member)
	{
		if (str_eq_nocase(str_mem(key, n), STR("ModifyIndex")))
			json_u64(member, index);
	}
}

static int
read_service(struct decoder *d, const json_t *v, const struct field *f, char *at)
{
	struct txn_op *op = (struct txn_op *)(void *)(at - f->offset);

	modify_index(v, &op->index);
	return decode_txn_service(d, v, &op->service);
}

static const struct field service_op_fields[] = {
	FIELD("Verb", read_str, struct txn_op, verb),
	FIELD("Node", read_str, struct txn_op, node.name),
	FIELD("Service", read_service, struct txn_op, service),
	FIELDS_END,
};

static int
read_service_op(struct decoder *d, const json_t *v, const struct field *f, char *at)
{
	return decode_object(d, v, f->name, service_op_fields, at);
}

static int
read_check(struct decoder *d, const json_t *v, const struct field *f, char *at)
{
	struct txn_op *op = (struct txn_op *)(void *)(at - f->offset);

	modify_index(v, &op->index);
	return decode_txn_check(d, v, &op->check);
}

static const struct field check_op_fields[] = {
	FIELD("Verb", read_str, struct txn_op, verb),
	FIELD("Check", read_check, struct txn_op, check),
	FIELDS_END,
};

static int
read_check_op(struct decoder *d, const json_t *v, const struct field *f, char *at)
{
	return decode_object(d, v, f->name, check_op_fields, at);
}

#define KIND(name, reader, member, set)                                           \
	{                                                                         \
		name, reader, offsetof(struct txn_body, member), FIELD_NO_OFFSET, \
		    offsetof(struct txn_body, set)                                \
	}

static const struct field op_fields[] = {
	KIND("KV", read_kv, kv, has_kv),
	KIND("Node", read_node_op, node, has_node),
	KIND("Service", read_service_op, service, has_service),
	KIND("Check", read_check_op, check, has_check),
	FIELDS_END,
};

/* False: no kind is given. */
static bool
op_take(struct txn_body *b, struct txn_op *out)
{
	if (b->has_kv) {
		*out = b->kv;
		out->kind = TXN_KV;
		out->kv.verb = txn_verb(out->verb);
		if (out->kv.verb == KV_UNKNOWN)
			out->kv.value = out->verb;
	} else if (b->has_node) {
		*out = b->node;
		out->kind = TXN_NODE;
	} else if (b->has_service) {
		*out = b->service;
		out->kind = TXN_SERVICE;
	} else if (b->has_check) {
		*out = b->check;
		out->kind = TXN_CHECK;
		out->node.name = out->check.node;
	} else {
		return false;
	}
	return true;
}

static int
decode_ops(struct decoder *d, const json_t *v, struct txn_op **out, size_t *count)
{
	size_t most = json_array_size(v), n = 0;
	struct txn_op *ops;
	struct txn_body *b;

	*out = NULL;
	*count = most;
	if (most > TXN_OPS_MAX)
		return 0;
	ops = arena_array(d->arena, struct txn_op, most + 1);
	b = arena_array(d->arena, struct txn_body, 1);
	if (ops == NULL || b == NULL)
		return decode_full(d);
	for (size_t i = 0; i < most; i++) {
		int rc;

		memset(b, 0, sizeof *b);
		rc = decode_object(d, json_array_get(v, i), "TxnOp", op_fields, b);
		if (rc != 0)
			return rc;
		n += op_take(b, &ops[n]);
	}
	*out = ops;
	*count = n;
	return 0;
}

int
decode_txn(
    struct arena *arena, struct str body, struct txn_op **out, size_t *count, struct err *err)
{
	struct decoder d = { arena, err };
	struct str first;
	json_t *v = NULL;
	int rc = json_scan(body, &first, err);

	if (rc == 0)
		rc = json_read_wide(first, &v, err);
	if (rc == 0 && !json_is_array(v) && !json_is_null(v))
		rc = err_set(err, ERR_INPUT,
		    "json: cannot unmarshal %s into Go value of type api.TxnOps",
		    json_is_object(v)    ? "object"
		    : json_is_string(v)  ? "string"
		    : json_is_boolean(v) ? "bool"
					 : "number");
	if (rc == 0)
		rc = decode_ops(&d, v, out, count);
	json_decref(v);
	return rc;
}
