/* base/base64.c -- three bytes, four letters. */
#include "base/base64.h"

static const char base64_letters[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void
base64_put(struct buf *out, struct str bytes)
{
	while (bytes.n > 0) {
		size_t n = bytes.n < 3 ? bytes.n : 3;
		uint32_t v = 0;

		for (size_t i = 0; i < 3; i++)
			v = v << 8 | (i < n ? (uint8_t)bytes.p[i] : 0);
		for (size_t i = 0; i < 4; i++)
			buf_addc(out, i <= n ? base64_letters[v >> (18 - 6 * i) & 63] : '=');
		bytes = str_skip(bytes, n);
	}
}

static int /* 0 to 63, or -1 */
base64_value(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (chr_digit(c))
		return c - '0' + 52;
	return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* The next letter that is no line end; '\0' after the last. */
static char
base64_letter(struct str *text)
{
	while (text->n > 0) {
		char c = text->p[0];

		*text = str_skip(*text, 1);
		if (c != '\r' && c != '\n')
			return c == '\0' ? '!' : c;
	}
	return '\0';
}

bool
base64_get(struct buf *out, struct str text)
{
	for (bool ended = false;;) {
		uint32_t v = 0;
		size_t n = 0, pad = 0;

		for (; n + pad < 4; v <<= 6) {
			char c = base64_letter(&text);
			int value = base64_value(c);

			if (c == '\0')
				return n + pad == 0;
			if (ended || (pad > 0 && c != '='))
				return false;
			if (c == '=' && n >= 2)
				pad++;
			else if (value >= 0)
				n++;
			else
				return false;
			v |= value >= 0 ? (uint32_t)value : 0;
		}
		v >>= 6;
		ended = pad > 0;
		if (pad > 0 && (v & (pad == 1 ? 0xffu : 0xffffu)) != 0)
			return false;
		for (size_t i = 0; i + pad < 3; i++)
			buf_addc(out, (char)(uint8_t)(v >> (16 - 8 * i)));
	}
}
