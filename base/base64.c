/* base/base64.c -- see base64.h. */
#include "base/base64.h"

static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void
base64_encode(struct buf *b, struct str s)
{
	const uint8_t *p = (const uint8_t *)s.p;
	char *out = s.n > SIZE_MAX / 2 ? NULL : buf_reserve(b, BASE64_LEN(s.n));
	size_t at = 0;

	if (out == NULL)
		return;
	for (size_t i = 0; i < s.n; i += 3) {
		size_t left = s.n - i;
		uint32_t v = (uint32_t)p[i] << 16;

		if (left > 1)
			v |= (uint32_t)p[i + 1] << 8;
		if (left > 2)
			v |= p[i + 2];
		out[at++] = digits[v >> 18];
		out[at++] = digits[v >> 12 & 63];
		out[at++] = left > 1 ? digits[v >> 6 & 63] : '=';
		out[at++] = left > 2 ? digits[v & 63] : '=';
	}
	buf_commit(b, at);
}

/* Value of a digit, 64 for the padding, 65 for anything else. */
static uint32_t
digit_value(char c)
{
	if (c >= 'A' && c <= 'Z')
		return (uint32_t)(c - 'A');
	if (c >= 'a' && c <= 'z')
		return (uint32_t)(c - 'a') + 26;
	if (chr_digit(c))
		return (uint32_t)(c - '0') + 52;
	if (c == '+' || c == '/')
		return c == '+' ? 62 : 63;
	return c == '=' ? 64 : 65;
}

bool
base64_decode(struct str s, void *out, size_t cap, size_t *n)
{
	uint8_t *to = out;
	uint32_t v = 0;
	size_t at = 0, count = 0, pads = 0;

	for (size_t i = 0; i < s.n; i++) {
		uint32_t d = s.p[i] == '\r' || s.p[i] == '\n' ? 66 : digit_value(s.p[i]);

		if (d == 66)
			continue;
		if (d == 65 || (d < 64 && pads > 0) || (d == 64 && (count % 4 < 2 || pads == 2)))
			return false;
		pads += d == 64;
		v = v << 6 | (d & 63);
		if (++count % 4 != 0)
			continue;
		if (cap - at < 3 - pads)
			return false;
		for (size_t k = 0; k < 3 - pads; k++)
			to[at++] = (uint8_t)(v >> (16 - 8 * k));
		v = 0;
	}
	*n = at;
	return count % 4 == 0;
}
