/* attachment.c: uploads, step by step: a piece is written while the client waits with the next; the whole is made clean
 * (attachment_make.c); the small picture is made; the database is told; the file gets its name; the answer goes out. */
#include "hub/http/attachment.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "hub/base/closing.h"
#include "hub/base/error.h"
#include "hub/base/log.h"
#include "hub/http/attachment_make.h"
#include "hub/http/attachment_sweep.h"
#include "hub/http/query.h"
#include "hub/http/request.h"

enum {
    UPLOADS_MAX = 4,         /* at a time; the next is told 503 */
    PIECE_BYTES = 64 * 1024, /* on its way to the disk */
    THUMBNAIL_MS = 15000,    /* then its program is killed */
    SHARDS = 256,
};

struct attachments {
    uv_loop_t *loop;
    const struct config *config;
    uv_mutex_t naming; /* held by who gives a file its name, or takes an old one away */
    unsigned uploads;
    struct attachment_sweep *sweep;
    struct closing closing;
};

/* One file on its way in. Lives until its request has ended and nothing works on it. */
struct upload {
    struct attachments *attachments;
    struct request *request; /* NULL = it has ended */
    char part[ATTACHMENT_PATH_MAX], clean[ATTACHMENT_PATH_MAX], small[ATTACHMENT_PATH_MAX];
    bool all;  /* of its body has come */
    bool busy; /* one of these works on it: */
    uv_fs_t access;
    uv_work_t work;
    uv_process_t process;
    uv_timer_t timer; /* of the process */
    int file;         /* -1 = not open */
    int64_t written, in_flight;
    char piece[PIECE_BYTES];
    struct attachment_made made;
    int64_t small_size; /* 0 = there is none */
    int failed;         /* errno */
};

/* ---- the end of one ---- */

static void clean_up(uv_work_t *work) {
    struct upload *upload = work->data;
    if (upload->file >= 0) {
        close(upload->file);
    }
    unlink(upload->part); /* those that there are */
    unlink(upload->clean);
    unlink(upload->small);
}

static void on_timer_closed(uv_handle_t *handle) {
    struct upload *upload = handle->data;
    struct attachments *attachments = upload->attachments;
    attachments->uploads--;
    free(upload);
    closing_over(&attachments->closing);
}

static void on_cleaned(uv_work_t *work, int status) {
    struct upload *upload = work->data;
    (void)status;
    uv_close((uv_handle_t *)&upload->timer, on_timer_closed);
}

static void end(struct upload *upload) {
    uv_queue_work(upload->attachments->loop, &upload->work, clean_up, on_cleaned);
}

/* What worked on it has ended. False: its request has, too, and it is gone. */
static bool goes_on(struct upload *upload) {
    upload->busy = false;
    if (upload->request == NULL) {
        end(upload);
        return false;
    }
    return true;
}

static void refuse_failed(struct upload *upload, const char *what, int number) {
    log_error("attachment", "reason=\"%s: %s\" folder=%s advice=\"see [http] attachments\"", what, strerror(number),
              log_quote(upload->attachments->config->http_attachments));
    request_refuse(upload->request, PROBLEM_INTERNAL, "附件无法保存", "the attachment cannot be stored");
}

/* ---- pieces ---- */

static void begin_whole(struct upload *upload);

static uint64_t most_bytes(const struct attachments *attachments) {
    return (uint64_t)attachments->config->http_attachment_mib * 1024 * 1024;
}

static void refuse_large(struct request *request, const struct attachments *attachments) {
    request_refuse(request, PROBLEM_LARGE, "附件不得超过 %lld MiB", "an attachment may have %lld MiB at the most",
                   (long long)attachments->config->http_attachment_mib);
}

static int sink_open(struct request *request, void **sink) {
    struct attachments *attachments = request->service->attachments;
    if (attachments == NULL || attachments->uploads >= UPLOADS_MAX) {
        request_refuse(request, PROBLEM_BUSY, attachments == NULL ? "本系统没有保存附件的目录" : "正在接收的附件过多",
                       attachments == NULL ? "this hub has no folder for attachments"
                                           : "too many attachments are coming in");
        return CH_EFULL;
    }
    const char *length = request_header(request, MHD_HTTP_HEADER_CONTENT_LENGTH);
    if (length != NULL && strtoull(length, NULL, 10) > most_bytes(attachments)) {
        refuse_large(request, attachments);
        return CH_EFULL;
    }
    struct upload *upload = calloc(1, sizeof *upload);
    if (upload == NULL) {
        request_refuse(request, PROBLEM_INTERNAL, "内存不足", "memory is out");
        return CH_EMEMORY;
    }
    const char *folder = attachments->config->http_attachments;
    uint64_t number;
    randombytes_buf(&number, sizeof number);
    snprintf(upload->part, sizeof upload->part, "%s/incoming/%016llx.part", folder, (unsigned long long)number);
    snprintf(upload->clean, sizeof upload->clean, "%s/incoming/%016llx", folder, (unsigned long long)number);
    snprintf(upload->small, sizeof upload->small, "%s/incoming/%016llx.jpg", folder, (unsigned long long)number);
    upload->attachments = attachments;
    upload->request = request;
    upload->file = -1;
    upload->access.data = upload->work.data = upload->process.data = upload->timer.data = upload;
    uv_timer_init(attachments->loop, &upload->timer);
    upload->timer.data = upload;
    attachments->uploads++;
    closing_await(&attachments->closing);
    *sink = upload;
    return 0;
}

static void on_opened(uv_fs_t *access) {
    struct upload *upload = access->data;
    upload->file = access->result < 0 ? -1 : (int)access->result;
    upload->failed = access->result < 0 ? (int)-access->result : 0;
    uv_fs_req_cleanup(access);
    if (goes_on(upload)) {
        request_wake(upload->request);
    }
}

static void on_written(uv_fs_t *access) {
    struct upload *upload = access->data;
    ssize_t result = access->result;
    uv_fs_req_cleanup(access);
    upload->failed = result < 0 ? (int)-result : result < upload->in_flight ? ENOSPC : 0;
    upload->written += result > 0 ? result : 0;
    if (!goes_on(upload)) {
        return;
    }
    if (upload->all && !upload->request->answer_ready) {
        begin_whole(upload);
    }
    request_wake(upload->request);
}

static ptrdiff_t sink_write(struct request *request, void *sink, const char *bytes, size_t length) {
    struct upload *upload = sink;
    uv_loop_t *loop = upload->attachments->loop;
    if (upload->failed != 0) {
        refuse_failed(upload, "writing what came", upload->failed);
        return CH_EIO;
    }
    if (upload->busy) {
        return 0;
    }
    upload->busy = true;
    if (upload->file < 0) {
        uv_fs_open(loop, &upload->access, upload->part, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600, on_opened);
        return 0;
    }
    size_t piece = length < PIECE_BYTES ? length : PIECE_BYTES;
    if ((uint64_t)upload->written + piece > most_bytes(upload->attachments)) {
        upload->busy = false;
        refuse_large(request, upload->attachments);
        return CH_EFULL;
    }
    memcpy(upload->piece, bytes, piece);
    upload->in_flight = (int64_t)piece;
    uv_buf_t buffer = uv_buf_init(upload->piece, (unsigned)piece);
    uv_fs_write(loop, &upload->access, upload->file, &buffer, 1, upload->written, on_written);
    return (ptrdiff_t)piece;
}

static void sink_close(void *sink, bool whole) {
    struct upload *upload = sink;
    (void)whole;
    upload->request = NULL;
    if (!upload->busy) {
        end(upload);
    } else if (uv_is_active((uv_handle_t *)&upload->timer)) {
        uv_process_kill(&upload->process, SIGKILL);
    }
}

/* ---- the whole ---- */

/* What it became, for the row's function. */
static void describe(struct upload *upload) {
    const struct attachment_made *made = &upload->made;
    struct buffer *json = &upload->request->body;
    buffer_format(json, "{\"sha256\":\"%s\",\"original_sha256\":\"%s\",\"media_type\":\"%s\",\"size_bytes\":%lld",
                  made->name, made->original, media_type_name(made->type), (long long)made->size);
    if (upload->small_size > 0) {
        buffer_format(json, ",\"thumbnail_bytes\":%lld", (long long)upload->small_size);
    }
    if (made->facts.taken_at[0] != '\0') {
        buffer_format(json, ",\"taken_at\":\"%s\"", made->facts.taken_at);
    }
    if (made->facts.placed) {
        buffer_format(json, ",\"lon\":%.7f,\"lat\":%.7f", made->facts.lon, made->facts.lat);
    }
    buffer_text(json, "}");
}

/* The request's answer is no longer waited for here. */
static void tell(struct upload *upload) {
    struct request *request = upload->request;
    if (request->answer_ready) {
        return; /* refused meanwhile: it took too long */
    }
    request->answer.later = false;
    request->answer.source = (struct answer_source){0};
    describe(upload);
    query_start(request);
    request_wake(request);
}

static void measure_small(uv_work_t *work) {
    struct upload *upload = work->data;
    struct stat about;
    int file = open(upload->small, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    bool whole = file >= 0 && fstat(file, &about) == 0 && about.st_size > 0 && fsync(file) == 0;
    upload->small_size = whole ? (int64_t)about.st_size : 0;
    if (file >= 0) {
        close(file);
    }
}

static void on_measured(uv_work_t *work, int status) {
    struct upload *upload = work->data;
    (void)status;
    if (goes_on(upload)) {
        tell(upload);
    }
}

static void on_process_closed(uv_handle_t *handle) {
    struct upload *upload = handle->data;
    uv_queue_work(upload->attachments->loop, &upload->work, measure_small, on_measured);
}

static void on_process_ended(uv_process_t *process, int64_t code, int signal) {
    struct upload *upload = process->data;
    uv_timer_stop(&upload->timer);
    if (code != 0 || signal != 0) {
        log_info("attachment_thumbnail", "name=%s code=%lld signal=%d effect=\"it has no small picture\"",
                 upload->made.name, (long long)code, signal);
        unlink(upload->small);
    }
    uv_close((uv_handle_t *)process, on_process_closed);
}

static void on_thumbnail_late(uv_timer_t *timer) {
    struct upload *upload = timer->data;
    uv_process_kill(&upload->process, SIGKILL);
}

static void make_small(struct upload *upload) {
    char folder[ATTACHMENT_PATH_MAX];
    snprintf(folder, sizeof folder, "%s/incoming", upload->attachments->config->http_attachments);
    upload->busy = true;
    int code = thumbnail_start(upload->attachments->loop, &upload->process, folder, upload->clean, upload->small,
                               on_process_ended);
    if (code == 0) {
        uv_timer_start(&upload->timer, on_thumbnail_late, THUMBNAIL_MS, 0);
        return;
    }
    log_warning("attachment_thumbnail", "reason=%s advice=\"install util-linux and libvips-tools\"",
                log_quote(uv_strerror(code)));
    uv_close((uv_handle_t *)&upload->process, on_process_closed);
}

static void make_whole(uv_work_t *work) {
    struct upload *upload = work->data;
    close(upload->file);
    upload->file = -1;
    attachment_make(upload->part, upload->clean, &upload->made);
    unlink(upload->part);
}

static void on_whole(uv_work_t *work, int status) {
    struct upload *upload = work->data;
    (void)status;
    if (!goes_on(upload)) {
        return;
    }
    struct request *request = upload->request;
    if (request->answer_ready) {
        return; /* refused meanwhile */
    }
    if (upload->made.failed == 0 && upload->made.flaw == NULL && media_is_image(upload->made.type)) {
        make_small(upload);
        return;
    }
    if (upload->made.failed == 0 && upload->made.flaw == NULL) {
        tell(upload);
        return;
    }
    request->answer.later = false;
    request->answer.source = (struct answer_source){0};
    if (upload->made.failed != 0) {
        refuse_failed(upload, "cleaning it", upload->made.failed);
    } else {
        request_refuse(request, PROBLEM_MEDIA, "不是完整的 JPEG、PNG、WebP、PDF 或 MP4 文件（%s）", "%s",
                       upload->made.flaw);
    }
    request_wake(request);
}

/* All pieces are on the disk. */
static void begin_whole(struct upload *upload) {
    struct request *request = upload->request;
    if (upload->failed != 0 || upload->file < 0) {
        request->answer.later = false;
        refuse_failed(upload, "writing what came", upload->failed != 0 ? upload->failed : EIO);
        return;
    }
    upload->busy = true;
    uv_queue_work(upload->attachments->loop, &upload->work, make_whole, on_whole);
}

static void sink_finish(struct request *request, void *sink) {
    struct upload *upload = sink;
    request->answer.later = true;
    upload->all = true;
    if (!upload->busy) {
        begin_whole(upload);
    } /* else the last piece is on its way: on_written */
}

/* ---- kept ---- */

/* Gives a file its name, through to the disk. 0 or errno. */
static int file_name_give(struct attachments *attachments, const char *from, const char *name, bool thumbnail) {
    char to[ATTACHMENT_PATH_MAX], folder[ATTACHMENT_PATH_MAX];
    attachment_path(attachments, name, thumbnail, to, sizeof to);
    snprintf(folder, sizeof folder, "%s", to);
    *strrchr(folder, '/') = '\0';
    uv_mutex_lock(&attachments->naming);
    int failed = rename(from, to) == 0 ? 0 : errno;
    uv_mutex_unlock(&attachments->naming);
    int directory = failed != 0 ? -1 : open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (failed == 0 && (directory < 0 || fsync(directory) != 0)) {
        failed = errno;
    }
    if (directory >= 0) {
        close(directory);
    }
    return failed;
}

static void keep(uv_work_t *work) {
    struct upload *upload = work->data;
    struct attachments *attachments = upload->attachments;
    upload->failed = file_name_give(attachments, upload->clean, upload->made.name, false);
    if (upload->failed == 0 && upload->small_size > 0) {
        upload->failed = file_name_give(attachments, upload->small, upload->made.name, true);
    }
}

static void on_kept(uv_work_t *work, int status) {
    struct upload *upload = work->data;
    (void)status;
    if (!goes_on(upload)) {
        return;
    }
    if (upload->failed != 0) {
        refuse_failed(upload, "giving it its name", upload->failed);
    }
    upload->request->answer_ready = true;
    request_wake(upload->request);
}

static void sink_keep(struct request *request, void *sink) {
    struct upload *upload = sink;
    request->answer_ready = false;
    upload->busy = true;
    uv_queue_work(upload->attachments->loop, &upload->work, keep, on_kept);
}

const struct route_sink attachment_sink = {
    .open = sink_open, .write = sink_write, .close = sink_close, .finish = sink_finish, .keep = sink_keep};

/* ---- all of them ---- */

void attachment_path(const struct attachments *attachments, const char *name, bool thumbnail, char *path, size_t size) {
    snprintf(path, size, "%s/%.2s/%s%s", attachments->config->http_attachments, name, name, thumbnail ? ".jpg" : "");
}

static bool folder_make(const char *folder, const char *name) {
    char path[ATTACHMENT_PATH_MAX];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return mkdir(path, 0700) == 0 || errno == EEXIST;
}

static bool folders_make(const char *folder) {
    bool made =
        strlen(folder) < ATTACHMENT_PATH_MAX - 128 && folder_make(folder, "") && folder_make(folder, "incoming");
    for (unsigned shard = 0; shard < SHARDS && made; shard++) {
        char name[4];
        snprintf(name, sizeof name, "%02x", shard);
        made = folder_make(folder, name);
    }
    return made;
}

struct attachments *attachments_open(uv_loop_t *loop, const struct config *config, struct pool *pool) {
    if (config->http_attachments[0] == '\0') {
        return NULL;
    }
    if (!folders_make(config->http_attachments)) {
        log_error("attachments",
                  "folder=%s reason=%s effect=\"none are taken or given\" advice=\"see [http] attachments\"",
                  log_quote(config->http_attachments), log_quote(strerror(errno)));
        return NULL;
    }
    struct attachments *attachments = calloc(1, sizeof *attachments);
    if (attachments == NULL || uv_mutex_init(&attachments->naming) != 0) {
        log_error("out_of_memory", "what=attachments");
        free(attachments);
        return NULL;
    }
    attachments->loop = loop;
    attachments->config = config;
    attachments->sweep = attachment_sweep_open(loop, config, pool, &attachments->naming);
    return attachments;
}

static void attachments_free(void *user) {
    struct attachments *attachments = user;
    uv_mutex_destroy(&attachments->naming);
    free(attachments);
}

void attachments_close(struct attachments *attachments, void (*closed)(void *user), void *user) {
    closing_begin(&attachments->closing, attachments_free, attachments, closed, user);
    closing_await(&attachments->closing);
    attachment_sweep_close(attachments->sweep, closing_over, &attachments->closing);
}
