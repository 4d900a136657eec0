/* basemaps.c: jobs: a picture under way, and those who wait for it. A job's fields belong to the loop, but while it is
 * with a thread (`fetching`) or the loop's workers (`reading`): then what those fill is theirs. */
#include "hub/basemap/basemaps.h"

#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hub/base/closing.h"
#include "hub/base/error.h"
#include "hub/base/log.h"
#include "hub/base/metrics.h"
#include "hub/basemap/basemap_store.h"

struct basemap_wait {
    struct basemap_wait *next;
    struct job *job;
    basemap_told *told;
    void *user;
};

struct job {
    struct job *next;  /* of all jobs */
    struct job *queue; /* behind it in the queue, or among the done */
    struct basemaps *basemaps;
    struct basemap_tile tile;
    struct basemap_wait *waits;
    bool kept;   /* it is on the disk, at `path` */
    bool fetch;  /* it is to be fetched */
    bool queued; /* no thread has it yet */
    bool was_read, written;
    unsigned thread;
    char path[BASEMAP_PATH_MAX]; /* "" = nothing is kept */
    struct basemap_picture picture;
    uv_work_t work;
};

struct source {        /* of a map */
    unsigned busy;     /* threads; under the mutex */
    unsigned failures; /* in a row */
    uint64_t until_ms; /* left alone until then */
};

struct basemaps {
    uv_loop_t *loop;
    struct basemap_file file;
    struct basemap_store *store; /* NULL = nothing is kept */
    struct job *jobs;
    size_t waiting; /* jobs to be fetched */
    struct source sources[BASEMAPS_MAX];
    uv_thread_t threads[BASEMAP_THREADS];
    unsigned threads_made;
    uv_async_t news; /* a thread has done something, or ends */
    /* Under the mutex. */
    uv_mutex_t mutex;
    uv_cond_t more;
    struct job *queue, **queue_end, *done;
    unsigned threads_begun, threads_ended;
    bool stopping;
    struct closing closing;
};

void basemap_bytes_release(void *bytes) {
    struct basemap_bytes *held = bytes;
    if (--held->holders == 0) {
        free(held->bytes);
        free(held);
    }
}

const struct basemap_file *basemaps_file(const struct basemaps *basemaps) {
    return &basemaps->file;
}

static struct source *source_of(struct basemaps *basemaps, const struct basemap_tile *tile) {
    return &basemaps->sources[tile->map - basemaps->file.maps];
}

/* ---- threads ---- */

static bool is_stopping(void *user) {
    struct basemaps *basemaps = user;
    uv_mutex_lock(&basemaps->mutex);
    bool stopping = basemaps->stopping;
    uv_mutex_unlock(&basemaps->mutex);
    return stopping;
}

/* The first of the queue whose source has a thread to spare, taken out; NULL = there is none. Under the mutex. */
static struct job *queue_take(struct basemaps *basemaps) {
    for (struct job **at = &basemaps->queue; *at != NULL; at = &(*at)->queue) {
        struct job *job = *at;
        if (source_of(basemaps, &job->tile)->busy < BASEMAP_THREADS_A_MAP) {
            *at = job->queue;
            if (*at == NULL) {
                basemaps->queue_end = at;
            }
            return job;
        }
    }
    return NULL;
}

static void fetch(struct basemap_fetcher *fetcher, struct job *job) {
    basemap_fetch(fetcher, &job->tile, is_stopping, job->basemaps, &job->picture);
    if (job->picture.end == BASEMAP_PICTURE && job->path[0] != '\0') {
        int failed = basemap_store_write(job->path, job->thread, &job->picture.bytes);
        job->written = failed == 0;
        if (failed != 0) {
            log_warning("basemap_cache", "path=%s reason=%s effect=\"this picture is not kept\"", log_quote(job->path),
                        log_quote(strerror(failed)));
        }
    }
}

static void thread_run(void *user) {
    struct basemaps *basemaps = user;
    struct basemap_fetcher *fetcher = basemap_fetcher_open();
    uv_mutex_lock(&basemaps->mutex);
    unsigned number = basemaps->threads_begun++;
    while (!basemaps->stopping) {
        struct job *job = fetcher == NULL ? NULL : queue_take(basemaps);
        if (job == NULL) {
            uv_cond_wait(&basemaps->more, &basemaps->mutex);
            continue;
        }
        struct source *source = source_of(basemaps, &job->tile);
        job->queued = false;
        job->thread = number;
        source->busy++;
        uv_mutex_unlock(&basemaps->mutex);
        fetch(fetcher, job);
        uv_mutex_lock(&basemaps->mutex);
        source->busy--;
        job->queue = basemaps->done;
        basemaps->done = job;
        uv_cond_broadcast(&basemaps->more); /* its source has a thread to spare again */
        uv_async_send(&basemaps->news);
    }
    uv_mutex_unlock(&basemaps->mutex);
    basemap_fetcher_close(fetcher);
    uv_mutex_lock(&basemaps->mutex);
    basemaps->threads_ended++;
    uv_async_send(&basemaps->news);
    uv_mutex_unlock(&basemaps->mutex);
}

/* ---- jobs ---- */

static void job_free(struct job *job) {
    struct basemaps *basemaps = job->basemaps;
    struct job **at = &basemaps->jobs;
    while (*at != job) {
        at = &(*at)->next;
    }
    *at = job->next;
    basemaps->waiting -= job->fetch;
    hub_metrics.basemap_waiting = (int64_t)basemaps->waiting;
    buffer_free(&job->picture.bytes);
    free(job);
}

/* Takes the bytes out of the job. NULL = there are none, or memory is out. */
static struct basemap_bytes *bytes_of(struct job *job) {
    struct basemap_bytes *bytes = job->picture.end == BASEMAP_PICTURE ? calloc(1, sizeof *bytes) : NULL;
    if (bytes != NULL) {
        *bytes = (struct basemap_bytes){.holders = 1,
                                        .type = job->picture.type,
                                        .length = job->picture.bytes.length,
                                        .bytes = job->picture.bytes.data};
        job->picture.bytes = (struct buffer){0};
    }
    return bytes;
}

static void tell(struct job *job) {
    struct basemap_bytes *bytes = bytes_of(job);
    enum basemap_end end = job->picture.end == BASEMAP_PICTURE && bytes == NULL ? BASEMAP_AWAY : job->picture.end;
    struct basemap_wait *wait = job->waits;
    job->waits = NULL;
    job_free(job);
    for (struct basemap_wait *next; wait != NULL; wait = next) {
        next = wait->next;
        if (bytes != NULL) {
            bytes->holders++;
        }
        wait->told(wait->user, end, bytes);
        free(wait);
    }
    if (bytes != NULL) {
        basemap_bytes_release(bytes);
    }
}

/* What a fetch says of its source. */
static void learn(struct job *job) {
    struct basemaps *basemaps = job->basemaps;
    struct source *source = source_of(basemaps, &job->tile);
    bool good = job->picture.end == BASEMAP_PICTURE || job->picture.end == BASEMAP_NO_SUCH;
    hub_metrics.basemap_fetched += job->picture.end == BASEMAP_PICTURE;
    hub_metrics.basemap_failed += !good;
    if (good) {
        if (source->failures >= BASEMAP_FAILURES_MAX) {
            log_info("basemap_source", "name=%s state=\"answers again\"", job->tile.map->name);
        }
        source->failures = 0;
        return;
    }
    source->failures++;
    if (source->failures < BASEMAP_FAILURES_MAX) {
        log_info("basemap_source", "name=%s layer=%u z=%u x=%u y=%u reason=%s", job->tile.map->name, job->tile.layer,
                 job->tile.z, job->tile.x, job->tile.y, log_quote(job->picture.reason));
        return;
    }
    if (source->failures == BASEMAP_FAILURES_MAX) {
        log_warning("basemap_source",
                    "name=%s reason=%s effect=\"the page shows this base map only as far as it is kept\" advice=\"%s\"",
                    job->tile.map->name, log_quote(job->picture.reason),
                    job->picture.end == BASEMAP_FORBIDDEN ? "is its key right, and its quota not used up?"
                                                          : "try it by `cityhub basemap fetch`");
    }
    source->until_ms = uv_now(basemaps->loop) + BASEMAP_PAUSE_MS;
}

static void begin(struct job *job);

static void read_kept(uv_work_t *work) {
    struct job *job = work->data;
    job->was_read = basemap_store_read(job->path, &job->picture);
}

static void on_kept_read(uv_work_t *work, int status) {
    struct job *job = work->data;
    struct basemaps *basemaps = job->basemaps;
    (void)status;
    if (job->was_read) {
        hub_metrics.basemap_kept++;
        tell(job);
    } else if (job->waits == NULL || job->picture.reason[0] != '\0') {
        tell(job); /* nobody wants it, or the source has been asked in vain */
    } else {
        basemap_store_drop(basemaps->store, &job->tile);
        job->kept = false;
        job->fetch = true;
        basemaps->waiting++;
        begin(job);
    }
    closing_over(&basemaps->closing);
}

static void queue_put(struct job *job) {
    struct basemaps *basemaps = job->basemaps;
    hub_metrics.basemap_waiting = (int64_t)basemaps->waiting;
    uv_mutex_lock(&basemaps->mutex);
    job->queued = true;
    job->queue = NULL;
    *basemaps->queue_end = job;
    basemaps->queue_end = &job->queue;
    uv_cond_signal(&basemaps->more);
    uv_mutex_unlock(&basemaps->mutex);
}

static void begin(struct job *job) {
    if (job->fetch) {
        queue_put(job);
    } else {
        closing_await(&job->basemaps->closing);
        uv_queue_work(job->basemaps->loop, &job->work, read_kept, on_kept_read);
    }
}

static void settle(struct job *job) {
    learn(job);
    if (job->written) {
        basemap_store_add(job->basemaps->store, &job->tile, job->picture.bytes.length);
    }
    if (job->kept && job->picture.end != BASEMAP_PICTURE && job->picture.end != BASEMAP_NO_SUCH) {
        job->basemaps->waiting--;
        job->fetch = false;
        begin(job); /* the old one is better than none */
    } else {
        tell(job);
    }
}

/* All of them have ended, or are about to return. */
static void threads_end(struct basemaps *basemaps) {
    for (unsigned i = 0; i < basemaps->threads_made; i++) {
        uv_thread_join(&basemaps->threads[i]);
    }
    closing_handle(&basemaps->closing, (uv_handle_t *)&basemaps->news);
    closing_over(&basemaps->closing);
}

static void on_news(uv_async_t *news) {
    struct basemaps *basemaps = news->data;
    uv_mutex_lock(&basemaps->mutex);
    struct job *done = basemaps->done;
    bool over = basemaps->stopping && basemaps->threads_ended == basemaps->threads_made;
    basemaps->done = NULL;
    uv_mutex_unlock(&basemaps->mutex);
    for (struct job *job = done, *next; job != NULL; job = next) {
        next = job->queue;
        if (basemaps->closing.begun) {
            job_free(job);
        } else {
            settle(job);
        }
    }
    if (over) {
        threads_end(basemaps);
    }
}

/* ---- who asks ---- */

static struct job *job_find(struct basemaps *basemaps, const struct basemap_tile *tile) {
    struct job *job = basemaps->jobs;
    while (job != NULL && (job->tile.map != tile->map || job->tile.layer != tile->layer || job->tile.z != tile->z ||
                           job->tile.x != tile->x || job->tile.y != tile->y)) {
        job = job->next;
    }
    return job;
}

/* NULL with the reason in `code`. */
static struct job *job_begin(struct basemaps *basemaps, const struct basemap_tile *tile, int *code) {
    struct source *source = source_of(basemaps, tile);
    struct job *job = calloc(1, sizeof *job);
    bool old = false, alone = source->failures >= BASEMAP_FAILURES_MAX && uv_now(basemaps->loop) < source->until_ms;
    *code = CH_EMEMORY;
    if (job == NULL) {
        return NULL;
    }
    job->basemaps = basemaps;
    job->tile = *tile;
    job->work.data = job;
    job->kept = basemaps->store != NULL && basemap_store_find(basemaps->store, tile, job->path, &old);
    job->fetch = !job->kept || (old && !alone);
    *code = !job->fetch ? 0 : alone ? CH_EIO : basemaps->waiting >= BASEMAP_QUEUE_MAX ? CH_EFULL : 0;
    if (*code != 0) {
        free(job);
        return NULL;
    }
    if (alone || source->failures >= BASEMAP_FAILURES_MAX) {
        source->until_ms = uv_now(basemaps->loop) + BASEMAP_PAUSE_MS; /* one tries; the others wait for what it finds */
    }
    basemaps->waiting += job->fetch;
    job->next = basemaps->jobs;
    basemaps->jobs = job;
    begin(job);
    return job;
}

struct basemap_wait *basemaps_ask(struct basemaps *basemaps, const struct basemap_tile *tile, basemap_told *told,
                                  void *user, int *code) {
    struct basemap_wait *wait = calloc(1, sizeof *wait);
    struct job *job = job_find(basemaps, tile);
    *code = wait == NULL ? CH_EMEMORY : 0;
    if (wait != NULL && job == NULL) {
        job = job_begin(basemaps, tile, code);
    }
    if (*code != 0) {
        free(wait);
        return NULL;
    }
    *wait = (struct basemap_wait){.next = job->waits, .job = job, .told = told, .user = user};
    job->waits = wait;
    return wait;
}

/* A job that no thread has and nobody wants is taken back. */
static void give_up(struct job *job) {
    struct basemaps *basemaps = job->basemaps;
    uv_mutex_lock(&basemaps->mutex);
    bool queued = job->queued;
    struct job **at = &basemaps->queue;
    while (queued && *at != job) {
        at = &(*at)->queue;
    }
    if (queued) {
        *at = job->queue;
        if (*at == NULL) {
            basemaps->queue_end = at;
        }
    }
    uv_mutex_unlock(&basemaps->mutex);
    if (queued) {
        job_free(job);
    }
}

void basemaps_forget(struct basemap_wait *wait) {
    struct job *job = wait->job;
    struct basemap_wait **at = &job->waits;
    while (*at != wait) {
        at = &(*at)->next;
    }
    *at = wait->next;
    free(wait);
    if (job->waits == NULL) {
        give_up(job);
    }
}

/* ---- open and close ---- */

static void say_faults(const char *path, const char *faults) {
    for (const char *at = faults; at != NULL && *at != '\0';) {
        char line[400];
        size_t length = strcspn(at, "\n");
        snprintf(line, sizeof line, "%.*s", (int)length, at);
        log_error("basemaps", "file=%s reason=%s", log_quote(path), log_quote(line));
        at += length + (at[length] == '\n');
    }
}

/* Of the file, which maps are shown; true if one is. */
static bool say_maps(const struct basemap_file *file) {
    bool any = false;
    for (size_t i = 0; i < file->count; i++) {
        const struct basemap *map = &file->maps[i];
        if (map->refused[0] != '\0') {
            log_error("basemap_refused", "name=%s reason=%s", map->name, log_quote(map->refused));
        } else if (map->report.points == 0) {
            log_warning("basemap_unchecked",
                        "name=%s advice=\"check it by control points: cityhub basemap check --help\"", map->name);
        }
        any = any || map->refused[0] == '\0';
    }
    return any;
}

static void threads_start(struct basemaps *basemaps) {
    while (basemaps->threads_made < BASEMAP_THREADS &&
           uv_thread_create(&basemaps->threads[basemaps->threads_made], thread_run, basemaps) == 0) {
        basemaps->threads_made++;
    }
    if (basemaps->threads_made == 0) {
        log_error("basemaps", "reason=\"no thread can be made\" effect=\"no picture of a base map is fetched\"");
    }
}

struct basemaps *basemaps_open(uv_loop_t *loop, const struct config *config) {
    struct buffer faults = {0};
    const char *path = config->http_basemaps;
    struct basemaps *basemaps = *path == '\0' ? NULL : calloc(1, sizeof *basemaps);
    if (basemaps == NULL) {
        return NULL;
    }
    if (basemap_file_read(path, &basemaps->file, &faults) != 0) {
        say_faults(path, buffer_string(&faults));
        log_error("basemaps", "file=%s effect=\"the page has no base map\" advice=\"cityhub check-config\"",
                  log_quote(path));
        basemap_file_free(&basemaps->file);
        buffer_free(&faults);
        free(basemaps);
        return NULL;
    }
    buffer_free(&faults);
    curl_global_init(CURL_GLOBAL_DEFAULT);
    basemaps->loop = loop;
    basemaps->queue_end = &basemaps->queue;
    uv_mutex_init(&basemaps->mutex);
    uv_cond_init(&basemaps->more);
    uv_async_init(loop, &basemaps->news, on_news);
    basemaps->news.data = basemaps;
    if (say_maps(&basemaps->file)) {
        basemaps->store = basemap_store_open(loop, config, &basemaps->file);
        threads_start(basemaps);
    }
    return basemaps;
}

static void basemaps_free(void *part) {
    struct basemaps *basemaps = part;
    basemap_file_free(&basemaps->file);
    uv_cond_destroy(&basemaps->more);
    uv_mutex_destroy(&basemaps->mutex);
    curl_global_cleanup();
    free(basemaps);
}

void basemaps_close(struct basemaps *basemaps, void (*closed)(void *user), void *user) {
    closing_begin(&basemaps->closing, basemaps_free, basemaps, closed, user);
    closing_await(&basemaps->closing); /* until threads_end */
    if (basemaps->store != NULL) {
        closing_await(&basemaps->closing);
        basemap_store_close(basemaps->store, closing_over, &basemaps->closing);
    }
    uv_mutex_lock(&basemaps->mutex);
    basemaps->stopping = true;
    uv_cond_broadcast(&basemaps->more);
    uv_mutex_unlock(&basemaps->mutex);
    uv_async_send(&basemaps->news); /* there may be no thread that does */
}
