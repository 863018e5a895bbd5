/* agent/cmd/path.c -- see path.h. */
#include "agent/cmd/path.h"

#include <string.h>

static void
path_add_char(struct buf *b, char ch, const char *plain)
{
	char low = chr_lower(ch);

	if ((low >= 'a' && low <= 'z') || chr_digit(ch) ||
	    (ch != '\0' && strchr(plain, ch) != NULL))
		buf_addc(b, ch);
	else
		buf_addf(b, "%%%02X", (unsigned char)ch);
}

void
path_add(struct buf *b, struct str part)
{
	for (size_t i = 0; i < part.n; i++)
		path_add_char(b, part.p[i], "-._~");
}

void
path_add_key(struct buf *b, struct str key)
{
	for (size_t i = 0; i < key.n; i++)
		path_add_char(b, key.p[i], "-._~/");
}

void
path_add_query(struct buf *b, const char *name, struct str value)
{
	buf_addc(b, b->n > 0 && memchr(b->p, '?', b->n) != NULL ? '&' : '?');
	buf_add(b, str_of(name));
	if (value.p == NULL)
		return;
	buf_addc(b, '=');
	path_add(b, value);
}

void
path_add_number(struct buf *b, const char *name, uint64_t value)
{
	path_add_query(b, name, STR(""));
	buf_add_u64(b, value);
}
