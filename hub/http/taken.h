/* taken.h: what the peer of a TCP connection has really got. A write that succeeds says nothing of it: kernel buffers
 * take megabytes first. */
#ifndef CITYHUB_TAKEN_H
#define CITYHUB_TAKEN_H

#include <stdbool.h>
#include <stdint.h>

/* Bytes that the peer's side has acknowledged, and whether it has all that was written. False if that cannot be told.
 */
bool taken_of(int socket, uint64_t *bytes, bool *all);

#endif
