/* base/uuid.c -- ids in and out of their text form. */
#include "base/uuid.h"

#include "base/rng.h"

struct uuid
uuid_random(void)
{
	struct uuid u;

	os_random(u.b, sizeof u.b);
	u.b[6] = (uint8_t)((u.b[6] & 0x0f) | 0x40); /* version 4: random */
	u.b[8] = (uint8_t)((u.b[8] & 0x3f) | 0x80); /* variant of RFC 4122 */
	return u;
}

static int
hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = chr_lower(c);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool
uuid_dash_at(size_t i)
{
	return i == 8 || i == 13 || i == 18 || i == 23;
}

bool
uuid_parse(struct str s, struct uuid *out)
{
	struct uuid u = { { 0 } };
	size_t digit = 0;

	if (s.n != UUID_TEXT_LEN)
		return false;
	for (size_t i = 0; i < s.n; i++) {
		int v = hex_value(s.p[i]);

		if (uuid_dash_at(i)) {
			if (s.p[i] != '-')
				return false;
			continue;
		}
		if (v < 0)
			return false;
		u.b[digit / 2] = (uint8_t)(u.b[digit / 2] << 4 | v);
		digit++;
	}
	*out = u;
	return true;
}

char *
uuid_format(const struct uuid *u, char *out)
{
	static const char hex[] = "0123456789abcdef";
	size_t digit = 0;

	for (size_t i = 0; i < UUID_TEXT_LEN; i++) {
		if (uuid_dash_at(i)) {
			out[i] = '-';
			continue;
		}
		out[i] = hex[u->b[digit / 2] >> (digit % 2 == 0 ? 4 : 0) & 0xf];
		digit++;
	}
	out[UUID_TEXT_LEN] = '\0';
	return out;
}
