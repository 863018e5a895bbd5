/* kv/direct_io.h -- one durable write at a time that nobody waits for.
 *
 * Linux's io_uring by liburing: the loop hands over whole blocks of a file, goes on, and an eventfd
 * rings once they are on the disk. No thread of ours is woken for that and none sleeps through it,
 * which is two hand-overs less for each durable write. Where the kernel would have to wait before
 * it can begin, it has threads of its own. So a disk that is slow, dead or frozen (fsfreeze) does
 * not hold up the loop; Linux's older asynchronous I/O would wait for a frozen file system.
 *
 * Not to be had on old kernels, where an administrator forbids it (kernel.io_uring_disabled) and in
 * containers with the usual seccomp profiles of Docker and podman.
 */
#ifndef KV_DIRECT_IO_H
#define KV_DIRECT_IO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct direct_io;

/* `ring` (an eventfd, borrowed) rings when a write has ended. NULL with errno: not to be had. */
struct direct_io *direct_io_new(int ring);
void direct_io_free(struct direct_io *); /* nothing is on its way; NULL is fine */

/* `fd` is of FILES_DIRECT (kv/file_io.h); place, memory and n (< 2^31) are multiples of 4 KiB, and
 * the memory stays as it is until the write has ended. 0, or -errno: nothing is on its way, though
 * what the file holds there is not known. */
int direct_io_start(struct direct_io *, int fd, uint64_t at, const void *, size_t n);

/* Whether what is on its way has ended, with `wait` once it has; *rc: 0, it is durable, all of it,
 * or -errno. */
bool direct_io_ended(struct direct_io *, bool wait, int *rc);

#endif
