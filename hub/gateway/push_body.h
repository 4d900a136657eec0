/* push_body.h: a pushed body piece by piece: gzip unpacked, lines of NDJSON made one JSON array, all within a bound. */
#ifndef CITYHUB_PUSH_BODY_H
#define CITYHUB_PUSH_BODY_H

#include <stdbool.h>
#include <stddef.h>

#include "hub/base/buffer.h"

struct push_inflate;

struct push_body {
    struct buffer bytes;          /* unpacked */
    size_t most;                  /* of them */
    struct push_inflate *inflate; /* NULL = it comes as it is */
};

enum { PUSH_BODY_REASON_MAX = 160 };

/* Begins. 0 or CH_EMEMORY. Release with push_body_free in either case. */
int push_body_begin(struct push_body *body, size_t most, bool gzip);
void push_body_free(struct push_body *body);

/* Takes a piece. 0, CH_EFULL (it is more than `most`), CH_EINVAL (it is no gzip) or CH_EMEMORY. */
int push_body_add(struct push_body *body, const char *bytes, size_t length);

/* Whether gzip came to its end, with a check value that fits; true for what came as it is. */
bool push_body_whole(const struct push_body *body);

/* Makes lines of JSON one array. 0, CH_EMEMORY, or CH_EINVAL with what is wrong, and in which line, in `reason`: then
 * nothing may be taken of it. */
int push_body_lines(struct push_body *body, char reason[static PUSH_BODY_REASON_MAX]);

#endif
