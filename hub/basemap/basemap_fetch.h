/* basemap_fetch.h: one picture from a base map's source. Blocks: for a thread of its own, or a command. */
#ifndef CITYHUB_BASEMAP_FETCH_H
#define CITYHUB_BASEMAP_FETCH_H

#include <stdbool.h>
#include <stdint.h>

#include "hub/basemap/basemap.h"
#include "hub/basemap/picture.h"

enum {
    BASEMAP_PICTURE_MAX = 2 * 1024 * 1024, /* bytes of a picture */
    BASEMAP_CONNECT_S = 4,
    BASEMAP_FETCH_S = 8, /* from the beginning to the last byte */
    BASEMAP_REASON_MAX = 256,
};

struct basemap_tile {
    const struct basemap *map;
    unsigned layer, z;
    uint32_t x, y;
};

enum basemap_end {
    BASEMAP_PICTURE,   /* it is there */
    BASEMAP_NO_SUCH,   /* the source has none of this place */
    BASEMAP_AWAY,      /* the source cannot be reached, is too slow, or has a fault or too much to do */
    BASEMAP_FORBIDDEN, /* the source does not let the hub: the key is wrong, or its quota is used up */
    BASEMAP_UNFIT,     /* what came is no picture of a tile; or the source leads to an address that it may not have */
};

struct basemap_picture {
    enum basemap_end end;
    enum picture_type type;
    struct buffer bytes;
    char reason[BASEMAP_REASON_MAX]; /* of another end than BASEMAP_PICTURE: in English, without address and key */
};

/* Connections are kept from one fetch of a map to its next. For maps of one file. NULL = memory is out. For one thread
 * at a time. */
struct basemap_fetcher *basemap_fetcher_open(void);
void basemap_fetcher_close(struct basemap_fetcher *fetcher);

/* `picture` is zero before; its bytes are the caller's to free. `stop` (may be NULL) is asked while it waits, and ends
 * it by returning true. */
void basemap_fetch(struct basemap_fetcher *fetcher, const struct basemap_tile *tile, bool (*stop)(void *user),
                   void *user, struct basemap_picture *picture);

#endif
