/* dns/name.c -- names between wire, text and comparison.
 *
 * In order: reading from a message (with compression), from and to text, comparing, building.
 * Invariant: a valid name ends with the root's zero and holds at most NAME_MAX_BYTES.
 */
#include "dns/name.h"

/* Adds one label before the root is there; false when the name would be too long. */
static bool
label_add(struct name *name, const void *bytes, size_t len)
{
	if (len == 0 || len > LABEL_MAX || name->n + len + 2 > NAME_MAX_BYTES)
		return false;
	name->bytes[name->n] = (uint8_t)len;
	memcpy(name->bytes + name->n + 1, bytes, len);
	name->n = (uint8_t)(name->n + 1 + len);
	return true;
}

static void
root_add(struct name *name)
{
	name->bytes[name->n++] = 0;
}

bool
name_read(struct reader *r, struct str message, struct name *out)
{
	struct reader far;
	struct reader *at = r;
	size_t before = (size_t)(r->base + r->pos - (const uint8_t *)message.p);

	out->n = 0;
	for (;;) {
		uint8_t len = rd_u8(at);

		if (!rd_ok(at))
			break;
		if (len == 0) {
			root_add(out);
			return true;
		}
		if ((len & 0xc0) == 0xc0) {
			size_t to = (size_t)(len & 0x3f) << 8 | rd_u8(at);

			if (!rd_ok(at) || to >= before)
				break; /* each jump lands before the last one: no loops */
			before = to;
			far = rd_of(message);
			(void)rd_take(&far, to);
			at = &far;
			continue;
		}
		const uint8_t *label = rd_take(at, len);

		if (label == NULL || !label_add(out, label, len))
			break;
	}
	out->n = 0;
	rd_fail(r);
	return false;
}

/* One byte of a label in text at `p`, an escape counted as one; returns the characters eaten, 0
 * when malformed. */
static size_t
text_byte(struct str rest, uint8_t *out)
{
	if (rest.p[0] != '\\') {
		*out = (uint8_t)rest.p[0];
		return 1;
	}
	if (rest.n < 2)
		return 0;
	if (!chr_digit(rest.p[1])) {
		*out = (uint8_t)rest.p[1];
		return 2;
	}
	if (rest.n < 4 || !chr_digit(rest.p[2]) || !chr_digit(rest.p[3]))
		return 0;
	unsigned v =
	    (unsigned)((rest.p[1] - '0') * 100 + (rest.p[2] - '0') * 10 + (rest.p[3] - '0'));

	if (v > 255)
		return 0;
	*out = (uint8_t)v;
	return 4;
}

bool
name_from_text(struct str text, struct name *out)
{
	struct name name = { .n = 0 };
	uint8_t label[LABEL_MAX];
	size_t len = 0;

	if (str_eq(text, STR(".")))
		text = STR_NONE;
	for (size_t i = 0; i < text.n;) {
		size_t eaten;

		if (text.p[i] == '.') {
			if (!label_add(&name, label, len))
				return false;
			len = 0;
			i++;
			continue;
		}
		if (len == LABEL_MAX)
			return false;
		eaten = text_byte(str_skip(text, i), &label[len]);
		if (eaten == 0)
			return false;
		len++;
		i += eaten;
	}
	if (len > 0 && !label_add(&name, label, len))
		return false;
	root_add(&name);
	*out = name;
	return true;
}

size_t
name_to_text(const struct name *name, char out[NAME_TEXT_MAX])
{
	static const char special[] = ".\\\"();@$";
	struct str labels[NAME_LABELS_MAX];
	size_t count = name_labels(name, labels);
	size_t n = 0;

	for (size_t i = 0; i < count; i++) {
		for (size_t k = 0; k < labels[i].n; k++) {
			uint8_t c = (uint8_t)labels[i].p[k];

			if (c <= ' ' || c >= 0x7f) {
				out[n++] = '\\';
				out[n++] = (char)('0' + c / 100);
				out[n++] = (char)('0' + c / 10 % 10);
				out[n++] = (char)('0' + c % 10);
				continue;
			}
			if (memchr(special, c, sizeof special - 1) != NULL)
				out[n++] = '\\';
			out[n++] = (char)c;
		}
		out[n++] = '.';
	}
	if (count == 0)
		out[n++] = '.';
	out[n] = '\0';
	return n;
}

size_t
name_labels(const struct name *name, struct str labels[NAME_LABELS_MAX])
{
	size_t count = 0;

	for (size_t at = 0; at < name->n && name->bytes[at] != 0; at += 1u + name->bytes[at])
		labels[count++] = str_mem(name->bytes + at + 1, name->bytes[at]);
	return count;
}

/* Length bytes are below 'A', so the whole wire form compares like text. */
static struct str
name_wire(const struct name *name)
{
	return str_mem(name->bytes, name->n);
}

bool
name_eq(const struct name *a, const struct name *b)
{
	return str_eq_nocase(name_wire(a), name_wire(b));
}

bool
name_ends(const struct name *name, const struct name *suffix)
{
	size_t at = 0;

	if (suffix->n > name->n)
		return false;
	while ((size_t)name->n - at > suffix->n)
		at += 1u + name->bytes[at];
	return (size_t)name->n - at == suffix->n &&
	       str_eq_nocase(str_mem(name->bytes + at, suffix->n), name_wire(suffix));
}

bool
name_prepend(struct name *name, struct str label)
{
	if (label.n == 0 || label.n > LABEL_MAX || name->n + label.n + 1 > NAME_MAX_BYTES)
		return false;
	memmove(name->bytes + label.n + 1, name->bytes, name->n);
	name->bytes[0] = (uint8_t)label.n;
	memcpy(name->bytes + 1, label.p, label.n);
	name->n = (uint8_t)(name->n + label.n + 1);
	return true;
}

bool
name_under(struct str text, const struct name *suffix, struct name *out)
{
	out->n = 0;
	if (text.n == 0)
		return false;
	while (text.p != NULL) {
		struct str label = str_cut(&text, '.');

		if (!label_add(out, label.p, label.n))
			return false;
	}
	if (out->n + suffix->n > NAME_MAX_BYTES)
		return false;
	memcpy(out->bytes + out->n, suffix->bytes, suffix->n);
	out->n = (uint8_t)(out->n + suffix->n);
	return true;
}

void
name_lower(struct name *name)
{
	for (size_t i = 0; i < name->n; i++)
		name->bytes[i] = (uint8_t)chr_lower((char)name->bytes[i]);
}

#define EACH_BYTE(b) ((uint64_t)0x0101010101010101 * (b))

/* Eight bytes at once: the top bit of a byte shows that it is a capital. */
static uint64_t
capitals_of(uint64_t v)
{
	uint64_t low = v & EACH_BYTE(0x7f);
	uint64_t from_a = low + EACH_BYTE(0x80 - 'A'), after_z = low + EACH_BYTE(0x80 - 'Z' - 1);

	return (from_a ^ after_z) & ~v & EACH_BYTE(0x80);
}

static inline uint64_t
piece_lower(uint8_t *to, const uint8_t *from, size_t n)
{
	uint64_t v = 0, capitals;

	memcpy(&v, from, n);
	capitals = capitals_of(v);
	v |= capitals >> 2; /* 0x20 */
	memcpy(to, &v, n);
	return capitals;
}

bool
name_lower_copy(uint8_t *to, const uint8_t *from, size_t n)
{
	uint64_t any = 0;
	size_t at = 0;

	for (; n - at >= sizeof any; at += sizeof any)
		any |= piece_lower(to + at, from + at, sizeof any);
	if (at < n)
		any |= piece_lower(to + at, from + at, n - at);
	return any != 0;
}
