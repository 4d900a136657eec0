/* basemap_store.c: the index of kept pictures: a table and a list from the one that was wanted last to the one that
 * goes first. Must never touch a file of the folder whose name is not of its own form. */
#include "hub/basemap/basemap_store.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "hub/base/buffer.h"
#include "hub/base/clock.h"
#include "hub/base/closing.h"
#include "hub/base/file.h"
#include "hub/base/hash.h"
#include "hub/base/log.h"
#include "hub/base/metrics.h"
#include "hub/base/table.h"

enum { SOURCE_TEXT = 17, SHARDS = 256, EVICTED_AT_ONCE = 16, DAY_S = 86400 };

struct place {
    uint8_t map, layer, z;
    uint32_t x, y;
};

struct entry {
    struct place place;
    uint32_t size;
    int64_t at_s; /* when it was fetched */
    struct entry *newer, *older;
};

struct basemap_store {
    uv_loop_t *loop;
    const struct basemap_file *file;
    const char *folder;
    uint64_t bytes, most;
    int64_t days;
    char sources[BASEMAPS_MAX][BASEMAP_LAYERS_MAX][SOURCE_TEXT];
    struct table table;
    struct entry *newest, *oldest;
    uv_work_t work;      /* reads the folder, once */
    struct entry *found; /* by it; linked by `older` */
    bool stopping;
    struct closing closing;
};

/* ---- the index ---- */

static bool same_place(const void *entry, const void *key) {
    const struct place *a = &((const struct entry *)entry)->place, *b = key;
    return a->map == b->map && a->layer == b->layer && a->z == b->z && a->x == b->x && a->y == b->y;
}

static uint32_t hash_of(const struct place *place) {
    uint32_t hash = hash_bytes(HASH_FIRST, (const uint8_t[]){place->map, place->layer, place->z}, 3);
    return hash_bytes(hash_bytes(hash, &place->x, sizeof place->x), &place->y, sizeof place->y);
}

static struct place place_of(const struct basemap_store *store, const struct basemap_tile *tile) {
    return (struct place){.map = (uint8_t)(tile->map - store->file->maps),
                          .layer = (uint8_t)tile->layer,
                          .z = (uint8_t)tile->z,
                          .x = tile->x,
                          .y = tile->y};
}

static void list_out(struct basemap_store *store, struct entry *entry) {
    *(entry->newer == NULL ? &store->newest : &entry->newer->older) = entry->older;
    *(entry->older == NULL ? &store->oldest : &entry->older->newer) = entry->newer;
    entry->newer = entry->older = NULL;
}

static void list_in(struct basemap_store *store, struct entry *entry) {
    entry->older = store->newest;
    *(store->newest == NULL ? &store->oldest : &store->newest->newer) = entry;
    store->newest = entry;
}

static void count(struct basemap_store *store, uint64_t more, uint64_t less) {
    store->bytes += more - less;
    hub_metrics.basemap_kept_bytes = (int64_t)store->bytes;
}

static void forget(struct basemap_store *store, struct entry *entry) {
    table_remove(&store->table, hash_of(&entry->place), entry);
    list_out(store, entry);
    count(store, 0, entry->size);
    free(entry);
}

static void path_of(const struct basemap_store *store, const struct place *place, char path[static BASEMAP_PATH_MAX]) {
    snprintf(path, BASEMAP_PATH_MAX, "%s/%s/%02x/%u-%" PRIu32 "-%" PRIu32, store->folder,
             store->sources[place->map][place->layer], hash_of(place) % SHARDS, place->z, place->x, place->y);
}

/* ---- room ---- */

struct removal {
    uv_fs_t access;
    struct basemap_store *store;
};

static void on_removed(uv_fs_t *access) {
    struct removal *removal = access->data;
    struct basemap_store *store = removal->store;
    uv_fs_req_cleanup(access); /* what is gone already is gone */
    free(removal);
    closing_over(&store->closing);
}

/* What this turn does not take away, the next does: `bytes` is counted as if it were gone. */
static void make_room(struct basemap_store *store) {
    for (int i = 0; i < EVICTED_AT_ONCE && store->bytes > store->most && store->oldest != NULL; i++) {
        char path[BASEMAP_PATH_MAX];
        struct removal *removal = calloc(1, sizeof *removal);
        if (removal == NULL) {
            return;
        }
        path_of(store, &store->oldest->place, path);
        forget(store, store->oldest);
        removal->store = store;
        removal->access.data = removal;
        closing_await(&store->closing);
        if (uv_fs_unlink(store->loop, &removal->access, path, on_removed) != 0) {
            on_removed(&removal->access);
        }
    }
}

static struct entry *insert(struct basemap_store *store, const struct place *place, uint32_t size, int64_t at_s) {
    struct entry *entry = calloc(1, sizeof *entry);
    if (entry == NULL) {
        return NULL;
    }
    *entry = (struct entry){.place = *place, .size = size, .at_s = at_s};
    if (table_add(&store->table, hash_of(place), entry) != 0) {
        free(entry);
        return NULL;
    }
    list_in(store, entry);
    count(store, size, 0);
    return entry;
}

/* ---- what was there ---- */

static bool is_hex(const char *text, size_t length) {
    return strlen(text) == length && strspn(text, "0123456789abcdef") == length;
}

/* Reads z-x-y. */
static bool name_read(const char *name, struct place *place) {
    unsigned z;
    char again[64];
    if (sscanf(name, "%u-%" SCNu32 "-%" SCNu32, &z, &place->x, &place->y) != 3 || z > BASEMAP_ZOOM_MAX) {
        return false;
    }
    place->z = (uint8_t)z;
    snprintf(again, sizeof again, "%u-%" PRIu32 "-%" PRIu32, z, place->x, place->y);
    return strcmp(again, name) == 0;
}

/* The files of one shard. `place` has map and layer; NULL = of a source that is no longer there: they go. */
static void shard_read(struct basemap_store *store, const char *path, const struct place *source) {
    DIR *directory = opendir(path);
    struct dirent *file;
    while (directory != NULL && (file = readdir(directory)) != NULL) {
        struct place place = source == NULL ? (struct place){0} : *source;
        struct stat about;
        bool ours = name_read(file->d_name, &place), part = strncmp(file->d_name, ".part-", 6) == 0;
        if (part || (ours && source == NULL)) {
            unlinkat(dirfd(directory), file->d_name, 0);
        } else if (ours && fstatat(dirfd(directory), file->d_name, &about, AT_SYMLINK_NOFOLLOW) == 0 &&
                   S_ISREG(about.st_mode) && about.st_size <= BASEMAP_PICTURE_MAX) {
            struct entry *entry = calloc(1, sizeof *entry);
            if (entry == NULL) {
                break;
            }
            *entry = (struct entry){
                .place = place, .size = (uint32_t)about.st_size, .at_s = about.st_mtime, .older = store->found};
            store->found = entry;
        }
    }
    if (directory != NULL) {
        closedir(directory);
    }
    if (source == NULL) {
        rmdir(path);
    }
}

/* False: its name is of no source that is configured. */
static bool source_find(const struct basemap_store *store, const char *name, struct place *place) {
    for (size_t map = 0; map < store->file->count; map++) {
        for (size_t layer = 0; layer < store->file->maps[map].layer_count; layer++) {
            if (strcmp(store->sources[map][layer], name) == 0) {
                *place = (struct place){.map = (uint8_t)map, .layer = (uint8_t)layer};
                return true;
            }
        }
    }
    return false;
}

static void source_read(struct basemap_store *store, const char *name) {
    char path[BASEMAP_PATH_MAX], shard[BASEMAP_PATH_MAX + 8];
    struct place place;
    bool known = source_find(store, name, &place);
    snprintf(path, sizeof path, "%s/%s", store->folder, name);
    for (unsigned i = 0; i < SHARDS; i++) {
        snprintf(shard, sizeof shard, "%s/%02x", path, i);
        shard_read(store, shard, known ? &place : NULL);
    }
    if (!known) {
        rmdir(path);
    }
}

static void folder_read(uv_work_t *work) {
    struct basemap_store *store = work->data;
    DIR *directory = opendir(store->folder);
    struct dirent *file;
    while (directory != NULL && (file = readdir(directory)) != NULL) {
        if (is_hex(file->d_name, SOURCE_TEXT - 1)) {
            source_read(store, file->d_name);
        }
    }
    if (directory != NULL) {
        closedir(directory);
    }
}

static int by_age(const void *a, const void *b) {
    int64_t first = (*(struct entry *const *)a)->at_s, second = (*(struct entry *const *)b)->at_s;
    return (first > second) - (first < second);
}

/* Those found go behind those that have come meanwhile, the oldest last. */
static void merge_found(struct basemap_store *store) {
    size_t found = 0, next = 0;
    for (struct entry *entry = store->found; entry != NULL; entry = entry->older) {
        found++;
    }
    struct entry **all = calloc(found + 1, sizeof(struct entry *)), *meanwhile = store->newest;
    for (struct entry *entry = store->found, *older; entry != NULL; entry = older) {
        older = entry->older;
        if (all == NULL || table_find(&store->table, hash_of(&entry->place), same_place, &entry->place) != NULL) {
            free(entry);
        } else {
            all[next++] = entry;
        }
    }
    store->found = NULL;
    if (all == NULL) {
        return;
    }
    qsort(all, next, sizeof(struct entry *), by_age);
    struct entry *last = store->oldest;
    store->newest = store->oldest = NULL;
    for (size_t i = 0; i < next; i++) {
        insert(store, &all[i]->place, all[i]->size, all[i]->at_s);
        free(all[i]);
    }
    if (meanwhile != NULL) { /* the list of before, whole, in front of those */
        last->older = store->newest;
        *(store->newest == NULL ? &store->oldest : &store->newest->newer) = last;
        store->newest = meanwhile;
    }
    free(all);
    log_info("basemap_cache", "pictures=%zu bytes=%" PRIu64, store->table.count, store->bytes);
}

static void on_folder_read(uv_work_t *work, int status) {
    struct basemap_store *store = work->data;
    (void)status;
    merge_found(store);
    if (!store->stopping) {
        make_room(store);
    }
    closing_over(&store->closing);
}

/* ---- one picture ---- */

bool basemap_store_find(struct basemap_store *store, const struct basemap_tile *tile,
                        char path[static BASEMAP_PATH_MAX], bool *old) {
    struct place place = place_of(store, tile);
    struct entry *entry = table_find(&store->table, hash_of(&place), same_place, &place);
    path_of(store, &place, path);
    if (entry == NULL) {
        return false;
    }
    list_out(store, entry);
    list_in(store, entry);
    *old = clock_now_ms() / 1000 - entry->at_s > store->days * DAY_S;
    return true;
}

void basemap_store_drop(struct basemap_store *store, const struct basemap_tile *tile) {
    struct place place = place_of(store, tile);
    struct entry *entry = table_find(&store->table, hash_of(&place), same_place, &place);
    if (entry != NULL) {
        forget(store, entry);
    }
}

void basemap_store_add(struct basemap_store *store, const struct basemap_tile *tile, size_t size) {
    struct place place = place_of(store, tile);
    basemap_store_drop(store, tile);
    insert(store, &place, (uint32_t)size, clock_now_ms() / 1000);
    make_room(store);
}

int basemap_store_write(const char *path, unsigned writer, const struct buffer *bytes) {
    char part[BASEMAP_PATH_MAX + 16];
    const char *name = strrchr(path, '/');
    int length = (int)(name - path), failed = 0;
    snprintf(part, sizeof part, "%.*s", length, path);
    char *shard = strrchr(part, '/');
    *shard = '\0';
    mkdir(part, 0700); /* what cannot be made shows when the file is */
    *shard = '/';
    mkdir(part, 0700);
    snprintf(part, sizeof part, "%.*s/.part-%u", length, path, writer);
    int file = open(part, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (file < 0) {
        return errno;
    }
    ssize_t written = write(file, bytes->data, bytes->length);
    failed = written < 0 ? errno : written < (ssize_t)bytes->length ? ENOSPC : 0;
    close(file);
    if (failed == 0 && rename(part, path) != 0) {
        failed = errno;
    }
    if (failed != 0) {
        unlink(part);
    }
    return failed;
}

bool basemap_store_read(const char *path, struct basemap_picture *picture) {
    char problem[FILE_PROBLEM_MAX];
    unsigned width, height;
    size_t length = 0;
    char *bytes = file_read(path, BASEMAP_PICTURE_MAX, &length, problem);
    picture->type = bytes == NULL ? PICTURE_NONE : picture_of((const unsigned char *)bytes, length, &width, &height);
    if (picture->type == PICTURE_NONE) {
        free(bytes);
        return false;
    }
    picture->end = BASEMAP_PICTURE;
    picture->bytes = (struct buffer){.data = bytes, .length = length, .capacity = length};
    return true;
}

/* ---- open and close ---- */

/* A source's folder: a hash of its map's name, its layer's place and its template. */
static void name_sources(struct basemap_store *store) {
    for (size_t map = 0; map < store->file->count; map++) {
        for (size_t layer = 0; layer < store->file->maps[map].layer_count; layer++) {
            unsigned char hash[crypto_generichash_BYTES_MIN];
            struct buffer text = {0};
            buffer_format(&text, "%s\n%zu\n%s", store->file->maps[map].name, layer,
                          store->file->maps[map].layers[layer].url);
            crypto_generichash(hash, sizeof hash, (const unsigned char *)text.data, text.length, NULL, 0);
            buffer_free(&text);
            sodium_bin2hex(store->sources[map][layer], SOURCE_TEXT, hash, (SOURCE_TEXT - 1) / 2);
        }
    }
}

struct basemap_store *basemap_store_open(uv_loop_t *loop, const struct config *config,
                                         const struct basemap_file *file) {
    const char *folder = config->http_basemap_cache;
    if (*folder == '\0') {
        return NULL;
    }
    if (strlen(folder) > BASEMAP_PATH_MAX - 128 || (mkdir(folder, 0700) != 0 && errno != EEXIST) ||
        access(folder, W_OK | X_OK) != 0) {
        log_error("basemap_cache",
                  "folder=%s reason=%s effect=\"no picture is kept\" advice=\"see [http] basemap_cache\"",
                  log_quote(folder), log_quote(strerror(errno)));
        return NULL;
    }
    struct basemap_store *store = calloc(1, sizeof *store);
    if (store == NULL) {
        log_error("out_of_memory", "what=basemap_store");
        return NULL;
    }
    store->loop = loop;
    store->file = file;
    store->folder = folder;
    store->most = (uint64_t)config->http_basemap_cache_mib * 1024 * 1024;
    store->days = config->http_basemap_cache_days;
    store->work.data = store;
    name_sources(store);
    closing_await(&store->closing);
    uv_queue_work(loop, &store->work, folder_read, on_folder_read);
    return store;
}

static void store_free(void *part) {
    struct basemap_store *store = part;
    while (store->oldest != NULL) {
        forget(store, store->oldest);
    }
    table_free(&store->table);
    free(store);
}

void basemap_store_close(struct basemap_store *store, void (*closed)(void *user), void *user) {
    store->stopping = true;
    closing_begin(&store->closing, store_free, store, closed, user);
    closing_await(&store->closing);
    closing_over(&store->closing);
}
