/* answer_file.h: an attachment as an answer: read piece by piece as the client takes it, whole or the part that Range
 * asks for. */
#ifndef CITYHUB_ANSWER_FILE_H
#define CITYHUB_ANSWER_FILE_H

#include <stdbool.h>
#include <stdint.h>

struct request;

enum range_kind { RANGE_NONE, RANGE_PART, RANGE_OUTSIDE };

/* What a header Range asks of `size` bytes: RANGE_PART with `from` and `length`; RANGE_OUTSIDE: 416; RANGE_NONE: the
 * whole, also if it asks for several parts or is no such thing (RFC 9110, 14.2). */
enum range_kind answer_file_range(const char *header, uint64_t size, uint64_t *from, uint64_t *length);

/* Opens it, fills request->answer and wakes the request, later. `type`: its media type, copied; `small`: of its small
 * picture. From a function's answer: query.c. */
void answer_file_start(struct request *request, const char *name, const char *type, uint64_t size, bool small);

#endif
