/* base/mem.h -- small allocations that do not fail.
 *
 * For objects of a size the program itself chose. Without memory the process ends with one
 * line. What is sized by input goes through buf or arena, which have caps.
 */
#ifndef BASE_MEM_H
#define BASE_MEM_H

#include <stddef.h>
#include <stdlib.h>

void *mem_alloc(size_t n);            /* n bytes, not cleared; free() it */
void *mem_zalloc(size_t n);           /* n zero bytes */
void *mem_realloc(void *p, size_t n); /* as realloc(), but never NULL */

#define mem_new(type) ((type *)mem_zalloc(sizeof(type))) /* one zeroed object */

/* Room for one more element in a growing array of *cap elements; doubles when full. */
void *mem_grow(void *array, size_t count, size_t *cap, size_t element_size);

#endif
