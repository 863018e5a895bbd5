/* base/ares_io.h -- a channel of c-ares in the event loop: its sockets and its timer. */
#ifndef BASE_ARES_IO_H
#define BASE_ARES_IO_H

#include <ares.h>
#include <event2/event.h>

struct ares_io;

/* The mask says which options are set, but for the sockets' callback, which is ours. NULL: c-ares
 * cannot. */
struct ares_io *ares_io_new(struct event_base *, struct ares_options *, int optmask);
/* Ends all questions (ARES_EDESTRUCTION). Not from within one of their callbacks; NULL is fine. */
void ares_io_free(struct ares_io *);

ares_channel ares_io_channel(struct ares_io *);
/* After a question was put to the channel. */
void ares_io_arm(struct ares_io *);

#endif
