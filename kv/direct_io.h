/* kv/direct_io.h -- one durable write at a time that nobody waits for.
 *
 * Linux's asynchronous I/O by libaio: the loop hands over whole blocks of a file, goes on, and an
 * eventfd rings once they are on the disk. No thread is woken for that and none sleeps through it,
 * which is two hand-overs less for each durable write.
 *
 * The kernel is told never to wait (RWF_NOWAIT). Where it would have to, because the file's times
 * change, a page of it lies in the cache or the device takes no more, it refuses; then a thread has
 * to write. So a disk that is slow or dead does not hold up the loop.
 */
#ifndef KV_DIRECT_IO_H
#define KV_DIRECT_IO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct direct_io;

/* `ring` (an eventfd, borrowed) rings when a write has ended. NULL with errno: not to be had. */
struct direct_io *direct_io_new(int ring);
void direct_io_free(struct direct_io *); /* waits for what is on its way; NULL is fine */

/* `fd` is of FILES_DIRECT (kv/file_io.h); place, memory and n are multiples of 4 KiB, and the
 * memory stays as it is until the write has ended. 0, or -errno: nothing is on its way, though what
 * the file holds there is not known. -EAGAIN: it would have had to wait. */
int direct_io_start(struct direct_io *, int fd, uint64_t at, const void *, size_t n);

/* Whether what is on its way has ended, with `wait` once it has; *rc: 0, it is durable, all of it,
 * or -errno. */
bool direct_io_ended(struct direct_io *, bool wait, int *rc);

#endif
