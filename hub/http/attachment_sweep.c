/* attachment_sweep.c: a worker lists what is old in a folder, the database says which of it nobody wants, a worker
 * takes that away. Must never take away a file that is younger than a day, whatever the database says: it may just be
 * coming. */
#include "hub/http/attachment_sweep.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "hub/base/buffer.h"
#include "hub/base/closing.h"
#include "hub/base/log.h"
#include "hub/http/attachment.h"
#include "hub/http/attachment_make.h"

enum {
    SHARDS = 257,     /* 00 to ff, and incoming */
    NAMES_MAX = 8192, /* of a folder at a time */
    OLD_S = 86400,
    QUERY_MS = 60000,
};

struct attachment_sweep {
    uv_loop_t *loop;
    const struct config *config;
    struct pool *pool;
    uv_mutex_t *naming;
    uv_timer_t timer;
    uv_work_t work;
    unsigned shard;
    bool working, asking;
    struct buffer listed; /* "{name,name,...}": an array for the database */
    struct buffer gone;   /* names that it does not want, each with a NUL behind it */
    size_t taken;         /* files */
    struct pool_job job;
    struct postgres_value values[2];
    char prefix[16];
    struct closing closing;
};

static bool is_name(const char *name) {
    return strspn(name, "0123456789abcdef") == ATTACHMENT_NAME_MAX - 1 &&
           (name[ATTACHMENT_NAME_MAX - 1] == '\0' || strcmp(name + ATTACHMENT_NAME_MAX - 1, ".jpg") == 0);
}

static bool is_old(const char *path) {
    struct stat about;
    return lstat(path, &about) == 0 && S_ISREG(about.st_mode) && time(NULL) - about.st_mtime > OLD_S;
}

/* ---- listing ---- */

static void list_folder(uv_work_t *work) {
    struct attachment_sweep *sweep = work->data;
    bool incoming = sweep->shard == SHARDS - 1;
    char folder[ATTACHMENT_PATH_MAX], path[2 * ATTACHMENT_PATH_MAX];
    size_t count = 0;
    snprintf(folder, sizeof folder, "%s/%s", sweep->config->http_attachments, sweep->prefix);
    DIR *directory = opendir(folder);
    buffer_text(&sweep->listed, "{");
    for (const struct dirent *entry; directory != NULL && count < NAMES_MAX && (entry = readdir(directory)) != NULL;) {
        snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        if (incoming && is_old(path)) {
            sweep->taken += unlink(path) == 0; /* its upload ended with the hub */
        } else if (!incoming && is_name(entry->d_name) && is_old(path)) {
            buffer_format(&sweep->listed, "%s%.*s", count++ > 0 ? "," : "", ATTACHMENT_NAME_MAX - 1, entry->d_name);
        }
    }
    buffer_text(&sweep->listed, "}");
    if (directory != NULL) {
        closedir(directory);
    }
}

/* ---- taking away ---- */

static void take_away(uv_work_t *work) {
    struct attachment_sweep *sweep = work->data;
    char path[ATTACHMENT_PATH_MAX];
    for (size_t at = 0; at < sweep->gone.length; at += ATTACHMENT_NAME_MAX) {
        const char *name = sweep->gone.data + at;
        for (int small = 0; small < 2; small++) {
            snprintf(path, sizeof path, "%s/%.2s/%s%s", sweep->config->http_attachments, name, name,
                     small ? ".jpg" : "");
            uv_mutex_lock(sweep->naming);
            sweep->taken += is_old(path) && unlink(path) == 0;
            uv_mutex_unlock(sweep->naming);
        }
    }
}

/* ---- step by step ---- */

static void shard_next(uv_timer_t *timer);

static void shard_done(struct attachment_sweep *sweep) {
    if (sweep->taken > 0) {
        log_info("attachment_sweep", "folder=%s files=%zu", sweep->prefix, sweep->taken);
    }
    sweep->shard = (sweep->shard + 1) % SHARDS;
    if (!sweep->closing.begun) {
        /* All of them once in attachment_sweep_s. */
        uv_timer_start(&sweep->timer, shard_next, (uint64_t)sweep->config->http_attachment_sweep_s * 1000 / SHARDS, 0);
    }
}

/* A worker is done. False: so is all. */
static bool worked(struct attachment_sweep *sweep) {
    bool goes_on = !sweep->closing.begun;
    sweep->working = false;
    if (!goes_on) {
        closing_over(&sweep->closing);
    }
    return goes_on;
}

static void on_taken_away(uv_work_t *work, int status) {
    struct attachment_sweep *sweep = work->data;
    (void)status;
    if (worked(sweep)) {
        shard_done(sweep);
    }
}

static void work_begin(struct attachment_sweep *sweep, uv_work_cb begin, uv_after_work_cb end) {
    sweep->working = true;
    uv_queue_work(sweep->loop, &sweep->work, begin, end);
}

static bool on_row(void *user, const PGresult *row) {
    struct attachment_sweep *sweep = user;
    if (PQgetlength(row, 0, 0) == ATTACHMENT_NAME_MAX - 1) {
        buffer_bytes(&sweep->gone, PQgetvalue(row, 0, 0), ATTACHMENT_NAME_MAX); /* libpq puts a NUL behind it */
    }
    return true;
}

static void on_done(void *user, enum pool_end end, const struct postgres_error *error) {
    struct attachment_sweep *sweep = user;
    sweep->asking = false;
    if (end != POOL_DONE || sweep->gone.failed) {
        log_warning("attachment_sweep", "folder=%s reason=%s", sweep->prefix,
                    error == NULL ? "late" : log_quote(error->message));
        shard_done(sweep);
    } else if (sweep->gone.length == 0) {
        shard_done(sweep);
    } else {
        work_begin(sweep, take_away, on_taken_away);
    }
}

static void on_listed(uv_work_t *work, int status) {
    struct attachment_sweep *sweep = work->data;
    (void)status;
    if (!worked(sweep)) {
        return;
    }
    const char *names = buffer_string(&sweep->listed);
    buffer_reset(&sweep->gone, 0);
    sweep->values[0] = (struct postgres_value){.data = sweep->prefix, .length = strlen(sweep->prefix)};
    sweep->values[1] = (struct postgres_value){.data = names, .length = sweep->listed.length};
    sweep->job = (struct pool_job){.sql = "SELECT g FROM onemap.attachment_sweep($1, $2::text[]) g",
                                   .values = sweep->values,
                                   .value_count = 2,
                                   .writes = true,
                                   .deadline_ms = uv_now(sweep->loop) + QUERY_MS,
                                   .row = on_row,
                                   .done = on_done,
                                   .user = sweep};
    sweep->asking = sweep->shard != SHARDS - 1 && names != NULL && pool_submit(sweep->pool, &sweep->job) == 0;
    if (!sweep->asking) {
        shard_done(sweep);
    }
}

static void shard_next(uv_timer_t *timer) {
    struct attachment_sweep *sweep = timer->data;
    sweep->taken = 0;
    buffer_reset(&sweep->listed, 0);
    snprintf(sweep->prefix, sizeof sweep->prefix, sweep->shard == SHARDS - 1 ? "incoming" : "%02x", sweep->shard);
    work_begin(sweep, list_folder, on_listed);
}

/* ---- open, close ---- */

struct attachment_sweep *attachment_sweep_open(uv_loop_t *loop, const struct config *config, struct pool *pool,
                                               uv_mutex_t *naming) {
    struct attachment_sweep *sweep = calloc(1, sizeof *sweep);
    if (sweep == NULL) {
        log_error("out_of_memory", "what=attachment_sweep");
        return NULL;
    }
    sweep->loop = loop;
    sweep->config = config;
    sweep->pool = pool;
    sweep->naming = naming;
    sweep->work.data = sweep;
    uv_timer_init(loop, &sweep->timer);
    sweep->timer.data = sweep;
    uv_timer_start(&sweep->timer, shard_next, (uint64_t)config->http_attachment_sweep_s * 1000 / SHARDS, 0);
    return sweep;
}

static void sweep_free(void *user) {
    struct attachment_sweep *sweep = user;
    buffer_free(&sweep->listed);
    buffer_free(&sweep->gone);
    free(sweep);
}

void attachment_sweep_close(struct attachment_sweep *sweep, void (*closed)(void *user), void *user) {
    if (sweep == NULL) {
        closed(user);
        return;
    }
    closing_begin(&sweep->closing, sweep_free, sweep, closed, user);
    if (sweep->asking) {
        pool_abandon(sweep->pool, &sweep->job);
    }
    if (sweep->working) {
        closing_await(&sweep->closing);
    }
    closing_handle(&sweep->closing, (uv_handle_t *)&sweep->timer);
}
