/* base/flush_io.h -- fdatasync() of a file off the event loop.
 *
 * A slow disk may take seconds, in which a loop that waited for it would answer nobody, and be
 * taken for dead by its pool. Each flush is a thread of its own that ends with it: nothing is held
 * between them. One at a time.
 */
#ifndef BASE_FLUSH_IO_H
#define BASE_FLUSH_IO_H

#include <event2/event.h>
#include <stdbool.h>

struct flush;

/* done() is called in the loop when a flush is over: 0, or the errno of fdatasync(). NULL: no
 * descriptors are left. */
struct flush *flush_new(struct event_base *, void (*done)(void *arg, int error), void *arg);
void flush_free(struct flush *); /* waits for one under way, without done(). NULL is fine */

/* The descriptor may be closed at once. False: one is under way, or no thread can be had: then
 * nothing was begun. */
bool flush_start(struct flush *, int fd);
bool flush_busy(const struct flush *);

#endif
