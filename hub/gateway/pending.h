/* pending.h: devices that called and were refused. Those that are in no list with their first frames, so that somebody
 * can tell who they are and adopt them; those that are in it without: a frame has their secret. Bounded: the one that
 * was heard longest ago goes. */
#ifndef CITYHUB_PENDING_H
#define CITYHUB_PENDING_H

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct pending;
struct terminals;

enum { PENDING_MAX = 500, PENDING_FRAMES = 3, PENDING_FRAME_BYTES = 1024 };

struct pending *pending_new(void);
void pending_free(struct pending *pending);

/* What was refused, once more. */
struct refused {
    const char *protocol, *identity, *reason; /* reason: of onemap.terminal_refusals */
    const char *address;                      /* where it came from, text */
    const void *frame;                        /* NULL = not kept */
    size_t length;
};

void pending_note(struct pending *pending, const struct refused *refused, int64_t now_ms);

/* Those that the hub has not been told of since they changed, at most `most`; all again where `all`. NULL = out of
 * memory. */
cJSON *pending_report(struct pending *pending, size_t most, bool all);

/* Forgets those that are in the list now. */
void pending_settle(struct pending *pending, const struct terminals *terminals);

size_t pending_count(const struct pending *pending);

#endif
