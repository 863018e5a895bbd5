/* base/task_io.h -- one piece of blocking work off the event loop.
 *
 * A slow disk may take seconds, in which a loop that waited for it would answer nobody, and be
 * taken for dead by its pool. Each run is a thread of its own that ends with it: nothing is held
 * between them. One at a time.
 */
#ifndef BASE_TASK_IO_H
#define BASE_TASK_IO_H

#include <event2/event.h>
#include <stdbool.h>

struct task;

/* run() is called in the thread, done() in the loop when it is over. What run() touches is the
 * thread's from task_start() until done(). NULL: no descriptors are left. */
struct task *task_new(
    struct event_base *, void (*run)(void *arg), void (*done)(void *arg), void *arg);
void task_free(struct task *); /* waits for one under way, without done(). NULL is fine */

/* False: one is under way, or no thread can be had: then nothing was begun. */
bool task_start(struct task *);
bool task_busy(const struct task *);

#endif
