/* base/err.h -- what went wrong: a code for the program, a sentence for the person.
 *
 * Functions return 0 or a negative err_code; a `struct err *` (may be NULL) receives the
 * sentence: where, what, what would be right. Whoever handles an error logs it, once.
 */
#ifndef BASE_ERR_H
#define BASE_ERR_H

#include <stddef.h>

enum err_code {
	ERR_OK = 0,
	ERR_INPUT = -1,    /* malformed or out of range */
	ERR_LIMIT = -2,    /* well formed, but over a limit of ours */
	ERR_NOT_FOUND = -3,
	ERR_CONFLICT = -4, /* would contradict what is there */
	ERR_REFUSED = -5,  /* understood, not allowed */
	ERR_IO = -6,       /* the operating system said no; the text has strerror() */
	ERR_STATE = -7,    /* not now: not ready, no leader, stopping */
	ERR_MEMORY = -8,   /* a cap on bytes was reached */
};

#define ERR_TEXT_MAX 1024

struct err {
	int code;
	char text[ERR_TEXT_MAX]; /* terminated; cut when too long */
};

/* No error: what `= { 0 }` says, but the text is not cleared to its end. */
static inline void
err_none(struct err *e)
{
	e->code = ERR_OK;
	e->text[0] = '\0';
}

/* Sets both and returns `code`, for `return err_set(err, ERR_INPUT, "…")`. */
int err_set(struct err *, int code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* Puts "context: " before the sentence; returns the code that is there. */
int err_wrap(struct err *, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* As err_set with ERR_IO, followed by ": " and strerror(errno). */
int err_errno(struct err *, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
