/* basemap_store.h: pictures of base maps on the disk, bounded in bytes: which are there is known in memory, those that
 * nobody has wanted for longest go first. In the folder a folder for each source and layer, by a hash of its template,
 * so that another source has none of this one's pictures. The calls are the loop's, but for those that say otherwise.
 */
#ifndef CITYHUB_BASEMAP_STORE_H
#define CITYHUB_BASEMAP_STORE_H

#include <uv.h>

#include "hub/base/config.h"
#include "hub/basemap/basemap_fetch.h"

enum { BASEMAP_PATH_MAX = 1024 };

struct basemap_store;

/* Makes the folder, and begins to read what is in it; until that is done, pictures of before count as not there. NULL
 * if none is configured, or after logging why: then nothing is kept. `file` is borrowed until it is closed. */
struct basemap_store *basemap_store_open(uv_loop_t *loop, const struct config *config, const struct basemap_file *file);
void basemap_store_close(struct basemap_store *store, void (*closed)(void *user), void *user);

/* Whether a picture is there; `path` is where, or would be. `old`: it is to be fetched anew. It counts as wanted. */
bool basemap_store_find(struct basemap_store *store, const struct basemap_tile *tile,
                        char path[static BASEMAP_PATH_MAX], bool *old);
/* It has been written, just now. Others may go for it. */
void basemap_store_add(struct basemap_store *store, const struct basemap_tile *tile, size_t size);
/* It could not be read. */
void basemap_store_drop(struct basemap_store *store, const struct basemap_tile *tile);

/* Of any thread. Writes a file whole or not at all; `writer` tells writers of the same time apart. 0 or errno. */
int basemap_store_write(const char *path, unsigned writer, const struct buffer *bytes);
/* Of any thread. Reads it into `picture`, which is zero before; false if it is not there or no picture. */
bool basemap_store_read(const char *path, struct basemap_picture *picture);

#endif
