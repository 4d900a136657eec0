/* basemaps.h: base maps for those who look: one fetch for all who want the same picture, by threads of their own, so
 * that a slow source holds up nothing but its own map; kept on the disk (basemap_store.h). The calls are the loop's. */
#ifndef CITYHUB_BASEMAPS_H
#define CITYHUB_BASEMAPS_H

#include <uv.h>

#include "hub/base/config.h"
#include "hub/basemap/basemap_fetch.h"

struct basemaps;
struct basemap_wait;

enum {
    BASEMAP_THREADS = 6,
    BASEMAP_THREADS_A_MAP = 4, /* of them, those that one map may have at a time */
    BASEMAP_QUEUE_MAX = 256,   /* fetches that wait; the next is refused */
    BASEMAP_FAILURES_MAX = 5,  /* in a row, then a source is left alone */
    BASEMAP_PAUSE_MS = 30000,  /* for so long; then one fetch is tried */
};

/* A picture's bytes, shared by those who are answered with them. */
struct basemap_bytes {
    unsigned holders;
    enum picture_type type;
    size_t length;
    char *bytes;
};
/* Gives one hold back; as answer.release wants it. */
void basemap_bytes_release(void *bytes);

/* `end` other than BASEMAP_PICTURE: `bytes` is NULL. Else it is held for who is told. */
typedef void basemap_told(void *user, enum basemap_end end, struct basemap_bytes *bytes);

/* Reads [http] basemaps and begins. NULL if there is none, or after logging why it is wrong. */
struct basemaps *basemaps_open(uv_loop_t *loop, const struct config *config);
/* Nobody waits any more when this is called. */
void basemaps_close(struct basemaps *basemaps, void (*closed)(void *user), void *user);

const struct basemap_file *basemaps_file(const struct basemaps *basemaps);

/* `told` is called once, later, unless basemaps_forget was. NULL with CH_EFULL (too many wait), CH_EIO (the source
 * failed and rests) or CH_EMEMORY in `code`. */
struct basemap_wait *basemaps_ask(struct basemaps *basemaps, const struct basemap_tile *tile, basemap_told *told,
                                  void *user, int *code);
void basemaps_forget(struct basemap_wait *wait);

#endif
