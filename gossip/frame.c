/* gossip/frame.c -- peeling a datagram, and dressing one.
 *
 * In order: the single layers (label, encryption, CRC, compression), opening, walking the parts
 * of a compound, sealing. Opening allocates from the arena only, and exactly: decryption is never
 * longer than its input, and the length of unpacked data is known before it is unpacked.
 */
#include "gossip/frame.h"

#include <zlib.h>

#include "gossip/lzw.h"
#include "gossip/wire.h"

#define CRC_LEN 5 /* type and checksum */
#define LABEL_MAX 255

/* --- single layers --- */

static uint32_t
crc32_of(struct str s) /* at most WIRE_PACKET_MAX bytes */
{
	return (uint32_t)crc32(0, (const Bytef *)s.p, (uInt)s.n);
}

static bool
has_type(struct str bytes, enum wire_type type)
{
	return bytes.n > 0 && (uint8_t)bytes.p[0] == type;
}

/* Takes the label header off, which must be there exactly when the pool has a label. */
int
frame_label_open(struct str label, struct str *bytes, struct err *err)
{
	struct reader r = rd_of(*bytes);
	struct str found;

	if (!has_type(*bytes, WIRE_LABEL))
		return label.n == 0 ? 0 : err_set(err, ERR_REFUSED, "a packet without label");
	rd_u8(&r);
	found = rd_str(&r, rd_u8(&r));
	if (!rd_ok(&r) || found.n == 0)
		return err_set(err, ERR_INPUT, "a label that is cut or empty");
	if (!str_eq(found, label))
		return err_set(err, ERR_REFUSED, "a packet with another label");
	*bytes = str_skip(*bytes, r.pos);
	return 0;
}

static int
frame_decrypt(const struct frame_config *c, struct arena *arena, struct str *bytes, struct err *err)
{
	void *room;
	struct buf plain;
	int rc;

	if (c->keys == NULL || keyring_count(c->keys) == 0)
		return 0;
	room = arena_alloc(arena, bytes->n);
	if (room == NULL)
		return err_set(err, ERR_LIMIT, "no room to decrypt %zu bytes", bytes->n);
	buf_over(&plain, room, bytes->n);
	rc = keyring_open(c->keys, *bytes, c->label, &plain, err);
	if (rc == 0)
		*bytes = buf_str(&plain);
	else if (c->verify_incoming)
		return err_set(
		    err, ERR_REFUSED, "a packet that no key of %zu opens", keyring_count(c->keys));
	return 0;
}

static int
frame_crc_open(struct str *bytes, struct err *err)
{
	struct reader r = rd_of(*bytes);
	uint32_t crc;

	if (!has_type(*bytes, WIRE_CRC))
		return 0;
	rd_u8(&r);
	crc = rd_be32(&r);
	if (!rd_ok(&r) || crc != crc32_of(str_skip(*bytes, CRC_LEN)))
		return err_set(err, ERR_INPUT, "a packet whose checksum is wrong");
	*bytes = str_skip(*bytes, CRC_LEN);
	return 0;
}

/* One layer of compression off, within what is left of *budget. */
static int
frame_unpack(struct arena *arena, size_t *budget, struct str *bytes, struct err *err)
{
	struct reader r = rd_of(str_skip(*bytes, 1));
	struct str lzw = wire_compressed_read(&r);
	struct buf plain;
	size_t length;
	void *room;
	int rc;

	if (!rd_ok(&r))
		return err_set(err, ERR_INPUT, "a compressed message is malformed");
	rc = lzw_length(lzw, *budget, &length, err);
	if (rc < 0)
		return rc;
	room = arena_alloc(arena, length);
	if (room == NULL)
		return err_set(err, ERR_LIMIT, "no room to unpack %zu bytes", length);
	buf_over(&plain, room, length);
	rc = lzw_unpack(lzw, &plain, err);
	if (rc < 0)
		return rc;
	*budget -= length;
	*bytes = buf_str(&plain);
	return 0;
}

/* All layers of compression off. */
static int
frame_unpack_all(struct arena *arena, size_t *budget, struct str *bytes, struct err *err)
{
	for (unsigned depth = 0; has_type(*bytes, WIRE_COMPRESSED); depth++) {
		int rc = depth < FRAME_DEPTH_MAX
			     ? frame_unpack(arena, budget, bytes, err)
			     : err_set(err, ERR_LIMIT, "a packet is compressed %u times", depth);

		if (rc < 0)
			return rc;
	}
	return 0;
}

/* --- opening --- */

int
frame_open(const struct frame_config *c, struct arena *arena, struct str packet, struct str *out,
    struct err *err)
{
	size_t budget = FRAME_UNPACKED_MAX;
	struct str bytes = packet;
	int rc;

	if (packet.n > WIRE_PACKET_MAX)
		return err_set(err, ERR_LIMIT, "a packet of %zu bytes", packet.n);
	if ((rc = frame_label_open(c->label, &bytes, err)) < 0 ||
	    (rc = frame_decrypt(c, arena, &bytes, err)) < 0 ||
	    (rc = frame_crc_open(&bytes, err)) < 0 ||
	    (rc = frame_unpack_all(arena, &budget, &bytes, err)) < 0)
		return rc;
	if (bytes.n == 0)
		return err_set(err, ERR_INPUT, "an empty packet");
	*out = bytes;
	return 0;
}

/* --- walking --- */

/* A compound becomes a level of its own. False: it does not open. */
static bool
walk_enter(struct frame_walk *w, struct str compound)
{
	struct reader r = rd_of(compound);
	struct str lengths;

	rd_u8(&r);
	lengths = rd_str(&r, (size_t)rd_u8(&r) * 2);
	if (!rd_ok(&r) || w->depth == FRAME_DEPTH_MAX)
		return false;
	w->level[w->depth++] = (struct frame_level){ lengths, str_skip(compound, r.pos) };
	return true;
}

void
frame_walk_init(struct frame_walk *w, struct arena *arena, struct str opened)
{
	*w = (struct frame_walk){ .arena = arena };
	w->budget = opened.n < FRAME_UNPACKED_MAX ? FRAME_UNPACKED_MAX - opened.n : 0;
	if (!has_type(opened, WIRE_COMPOUND))
		w->single = opened;
	else if (!walk_enter(w, opened))
		w->refused++;
}

/* The next part of the innermost compound; false when it is through. */
static bool
walk_part(struct frame_walk *w, struct str *part)
{
	struct frame_level *l = &w->level[w->depth - 1];
	struct reader lengths = rd_of(l->lengths), bodies = rd_of(l->bodies);

	*part = rd_str(&bodies, rd_be16(&lengths));
	if (rd_ok(&lengths) && rd_ok(&bodies)) {
		l->lengths = str_skip(l->lengths, lengths.pos);
		l->bodies = str_skip(l->bodies, bodies.pos);
		return true;
	}
	w->truncated += l->lengths.n / 2;
	w->depth--;
	return false;
}

bool
frame_walk_next(struct frame_walk *w, struct str *message)
{
	struct str part = w->single;

	w->single = STR_NONE;
	if (part.n > 0) {
		*message = part;
		return true;
	}
	while (w->depth > 0) {
		if (!walk_part(w, &part))
			continue;
		if (frame_unpack_all(w->arena, &w->budget, &part, NULL) < 0) {
			w->refused++;
		} else if (!has_type(part, WIRE_COMPOUND)) {
			*message = part;
			return true;
		} else if (!walk_enter(w, part)) {
			w->refused++;
		}
	}
	return false;
}

/* --- sealing --- */

bool
frame_encrypts(const struct frame_config *c)
{
	return c->keys != NULL && c->verify_outgoing && keyring_count(c->keys) > 0;
}

size_t
frame_overhead(const struct frame_config *c)
{
	return (c->label.n > 0 ? 2 + c->label.n : 0) + (frame_encrypts(c) ? KEYRING_OVERHEAD : 0);
}

int
frame_label_write(struct str label, struct buf *out, struct err *err)
{
	if (label.n > LABEL_MAX)
		return err_set(err, ERR_LIMIT, "a label of %zu bytes, over %d", label.n, LABEL_MAX);
	if (label.n > 0) {
		buf_addc(out, (char)WIRE_LABEL);
		buf_addc(out, (char)label.n);
		buf_add(out, label);
	}
	return 0;
}

/* The compressed form of a message in `room`, or the message itself when that is not longer. */
static struct str
frame_pack(struct str message, uint8_t *room, size_t room_n)
{
	uint8_t lzw_room[LZW_PACKED_MAX(WIRE_PACKET_MAX)];
	struct writer w = wr_of(room, room_n);
	struct buf lzw;

	buf_over(&lzw, lzw_room, sizeof lzw_room);
	lzw_pack(message, &lzw);
	wire_compressed_write(&w, buf_str(&lzw));
	return !lzw.full && !w.full && w.pos < message.n ? wr_done(&w) : message;
}

int
frame_seal(
    const struct frame_config *c, struct str message, bool crc, struct buf *out, struct err *err)
{
	uint8_t packed[WIRE_PACKET_MAX], plain[CRC_LEN + WIRE_PACKET_MAX];
	struct writer w = wr_of(plain, sizeof plain);
	int rc;

	if (message.n > WIRE_PACKET_MAX)
		return err_set(err, ERR_LIMIT, "a message of %zu bytes for a datagram", message.n);
	if (c->compress)
		message = frame_pack(message, packed, sizeof packed);
	if (crc) {
		wr_u8(&w, WIRE_CRC);
		wr_be32(&w, crc32_of(message));
	}
	wr_bytes(&w, message);
	rc = frame_label_write(c->label, out, err);
	if (rc == 0 && frame_encrypts(c))
		rc = keyring_seal(c->keys, 1, NULL, wr_done(&w), c->label, out, err);
	else if (rc == 0)
		buf_add(out, wr_done(&w));
	if (rc == 0 && out->full)
		rc = err_set(err, ERR_LIMIT, "no room for a packet");
	return rc;
}
