/* base/str.h -- a slice: bytes somebody else owns.
 *
 * Text and bytes travel as (pointer, length). A slice is borrowed unless a comment says
 * otherwise, may hold any bytes (NUL too) and is not terminated. `p` may be NULL when n is 0.
 */
#ifndef BASE_STR_H
#define BASE_STR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct str {
	const char *p;
	size_t n;
};

#define STR(literal) ((struct str){ "" literal, sizeof(literal) - 1 })
#define STR_NONE     ((struct str){ NULL, 0 })
#define STR_FMT      "%.*s"           /* printf: STR_FMT with STR_ARG(s) */
#define STR_ARG(s)   ((int)(s).n), ((s).p == NULL ? "" : (s).p)

static inline struct str
str_of(const char *z) /* of a terminated string; NULL gives the empty slice */
{
	return (struct str){ z, z == NULL ? 0 : strlen(z) };
}

static inline struct str
str_mem(const void *p, size_t n)
{
	return (struct str){ p, n };
}

static inline bool
str_eq(struct str a, struct str b)
{
	return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

/* Byte order; a prefix comes before what it begins. */
int str_cmp(struct str a, struct str b);

/* ASCII letters compare alike in either case; nothing else does (RFC 4343). */
bool str_eq_nocase(struct str a, struct str b);
int str_cmp_nocase(struct str a, struct str b);

bool str_starts(struct str s, struct str prefix);
bool str_ends(struct str s, struct str suffix);

/* s without its first n bytes (n <= s.n). Not even 0 may be added to NULL in C11. */
static inline struct str
str_skip(struct str s, size_t n)
{
	return (struct str){ n == 0 ? s.p : s.p + n, s.n - n };
}

/* The first n bytes of s (n <= s.n). */
static inline struct str
str_head(struct str s, size_t n)
{
	return (struct str){ s.p, n };
}

/* Position of c, or s.n when it is not there. */
size_t str_find(struct str s, char c);
size_t str_find_last(struct str s, char c);

/* Cuts *rest at the first `c`: returns what stood before it and leaves what came after.
 * Without a `c` the whole is returned and *rest becomes STR_NONE (p NULL): the loop
 * `while (rest.p != NULL) part = str_cut(&rest, ',')` visits every part. */
struct str str_cut(struct str *rest, char c);

/* Without blanks and tabs at either end. */
struct str str_trim(struct str s);

/* A decimal number of digits only, at most `max`. False (and *out untouched) otherwise. */
bool str_u64(struct str s, uint64_t max, uint64_t *out);

/* A copy that is terminated by NUL; the caller frees it. Ends the process without memory. */
char *str_dup(struct str s);

/* ASCII lower case of one byte. */
static inline char
chr_lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c + ('a' - 'A')) : c;
}

static inline bool
chr_digit(char c)
{
	return c >= '0' && c <= '9';
}

#endif
