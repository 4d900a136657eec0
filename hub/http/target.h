/* target.h: a request's target (RFC 9112, section 3.2) taken apart: the path's segments and the query's pairs, each
 * percent-decoded on its own and checked. Knows no route. */
#ifndef CITYHUB_TARGET_H
#define CITYHUB_TARGET_H

#include <stdbool.h>
#include <stddef.h>

enum { TARGET_SEGMENTS_MAX = 12, TARGET_PAIRS_MAX = 32 };

struct target_pair {
    const char *name, *value; /* value "" if there was no = */
};

struct target {
    char *memory;         /* what all others point into */
    bool asterisk;        /* OPTIONS * */
    size_t segment_count; /* TARGET_SEGMENTS_MAX + 1 = more than any route has; "/" is one empty segment */
    const char *segments[TARGET_SEGMENTS_MAX];
    char *query; /* not decoded yet; NULL = none */
    size_t pair_count;
    struct target_pair pairs[TARGET_PAIRS_MAX];
};

/* Why a target is refused. */
enum target_flaw {
    TARGET_FORM,     /* neither a path, nor a URL with one, nor * */
    TARGET_ESCAPE,   /* a % without two hexadecimal digits */
    TARGET_TEXT,     /* what was decoded is not UTF-8 (RFC 3629), or has a control character such as NUL */
    TARGET_TOO_MANY, /* more than TARGET_PAIRS_MAX pairs */
};

/* Takes `text` apart as far as its path. Text that is decoded is valid UTF-8 without control characters. Returns 0;
 * CH_EINVAL with `flaw`; CH_EMEMORY. Release with target_free in each case. */
int target_parse(struct target *target, const char *text, enum target_flaw *flaw);

/* The pairs of its query: & between pairs, + is a blank. Returns 0, or CH_EINVAL with `flaw`. Once only. */
int target_query(struct target *target, enum target_flaw *flaw);

void target_free(struct target *target);

#endif
