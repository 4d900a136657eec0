/* fake_memory.h: memory that runs out when a test says so: allocations of hub/ and of cJSON, and those that libpq and
 * libmosquitto make when hub/ asks them for a copy. The other fakes have memory of their own. A program that includes
 * this is linked with --wrap for each of them. */
#ifndef CITYHUB_TEST_FAKE_MEMORY_H
#define CITYHUB_TEST_FAKE_MEMORY_H

#include "fake_loop.h" /* fake_at_work */

/* Counts anew. The allocation number `first` (from 1) and `count` - 1 after it fail; 0 = none does. */
void fake_memory_fail(long first, long count);
long fake_memory_asked(void);  /* allocations since then */
long fake_memory_failed(void); /* those that failed */

#endif
