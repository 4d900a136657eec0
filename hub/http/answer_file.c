/* answer_file.c: files on their way out. Must never read on the loop's thread, nor give a file out that has not the
 * size that the database says. */
#include "hub/http/answer_file.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "hub/base/log.h"
#include "hub/http/attachment.h"
#include "hub/http/attachment_make.h"
#include "hub/http/media.h"
#include "hub/http/request.h"

enum { PIECE_BYTES = 64 * 1024 };

struct file_source {
    struct request *request; /* NULL = nobody wants it any more */
    uv_loop_t *loop;
    uv_work_t work;
    bool busy;
    char path[ATTACHMENT_PATH_MAX];
    uint64_t size; /* of the file */
    int file, failed;
    uint64_t at, left;   /* not yet read of what is asked for */
    size_t ready, taken; /* of `piece` */
    char piece[PIECE_BYTES];
};

/* ---- ranges ---- */

static bool number_of(const char **text, uint64_t *number) {
    char *end;
    if (**text < '0' || **text > '9') {
        return false;
    }
    errno = 0;
    *number = strtoull(*text, &end, 10);
    *number = errno == ERANGE ? UINT64_MAX : *number;
    *text = end;
    return true;
}

enum range_kind answer_file_range(const char *header, uint64_t size, uint64_t *from, uint64_t *length) {
    uint64_t first = 0, last = UINT64_MAX;
    if (header == NULL || strncasecmp(header, "bytes=", 6) != 0) {
        return RANGE_NONE;
    }
    const char *text = header + 6;
    bool has_first = number_of(&text, &first);
    if (*text++ != '-') {
        return RANGE_NONE;
    }
    bool has_last = number_of(&text, &last);
    if (*text != '\0' || (!has_first && !has_last) || (has_first && has_last && last < first)) {
        return RANGE_NONE;
    }
    if (!has_first) { /* the last so many */
        if (last == 0 || size == 0) {
            return RANGE_OUTSIDE;
        }
        *length = last < size ? last : size;
        *from = size - *length;
        return RANGE_PART;
    }
    if (first >= size) {
        return RANGE_OUTSIDE;
    }
    last = last < size ? last : size - 1;
    *from = first;
    *length = last - first + 1;
    return RANGE_PART;
}

/* ---- the end ---- */

static void close_file(uv_work_t *work) {
    const struct file_source *source = work->data;
    if (source->file >= 0) {
        close(source->file);
    }
}

static void on_closed(uv_work_t *work, int status) {
    (void)status;
    free(work->data);
}

/* What worked on it has ended. False: nobody wants it, and it is gone. */
static bool goes_on(struct file_source *source) {
    source->busy = false;
    if (source->request == NULL) {
        uv_queue_work(source->loop, &source->work, close_file, on_closed);
        return false;
    }
    return true;
}

static void file_closed(void *user, const char *why) {
    struct file_source *source = user;
    (void)why;
    source->request = NULL;
    if (!source->busy) {
        goes_on(source);
    }
}

/* ---- reading ---- */

static void read_piece(uv_work_t *work) {
    struct file_source *source = work->data;
    size_t wanted = source->left < PIECE_BYTES ? (size_t)source->left : PIECE_BYTES;
    ssize_t got = pread(source->file, source->piece, wanted, (off_t)source->at);
    source->failed = got < 0 ? errno : got == 0 ? EIO : 0;
    source->ready = got > 0 ? (size_t)got : 0;
    source->taken = 0;
}

static void on_read(uv_work_t *work, int status) {
    struct file_source *source = work->data;
    (void)status;
    if (!goes_on(source)) {
        return;
    }
    if (source->failed != 0) {
        log_error("attachment", "path=%s reason=%s", log_quote(source->path), log_quote(strerror(source->failed)));
    }
    source->at += source->ready;
    source->left -= source->ready;
    request_wake(source->request);
}

static ssize_t file_pull(void *user, char *room, size_t size) {
    struct file_source *source = user;
    size_t there = source->ready - source->taken;
    if (source->failed != 0) {
        return SOURCE_BROKEN;
    }
    if (there > 0) {
        size_t piece = there < size ? there : size;
        memcpy(room, source->piece + source->taken, piece);
        source->taken += piece;
        return (ssize_t)piece;
    }
    if (source->left == 0) {
        return SOURCE_END;
    }
    if (!source->busy) {
        source->busy = true;
        uv_queue_work(source->loop, &source->work, read_piece, on_read);
    }
    return SOURCE_WAIT;
}

/* ---- begin ---- */

static void open_file(uv_work_t *work) {
    struct file_source *source = work->data;
    struct stat about;
    source->file = open(source->path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    source->failed = source->file < 0 || fstat(source->file, &about) != 0                 ? errno
                     : !S_ISREG(about.st_mode) || (uint64_t)about.st_size != source->size ? EIO
                                                                                          : 0;
}

/* The whole, or the part that is asked for. A part of another version (If-Range) is the whole. */
static void settle_range(struct request *request, struct file_source *source) {
    struct answer *answer = &request->answer;
    const char *if_range = request_header(request, MHD_HTTP_HEADER_IF_RANGE);
    const char *range =
        if_range != NULL && strcmp(if_range, answer->etag) != 0 ? NULL : request_header(request, MHD_HTTP_HEADER_RANGE);
    uint64_t from = 0, length = source->size;
    switch (answer_file_range(range, source->size, &from, &length)) {
    case RANGE_PART:
        answer->status = MHD_HTTP_PARTIAL_CONTENT;
        snprintf(answer->range, sizeof answer->range, "bytes %" PRIu64 "-%" PRIu64 "/%" PRIu64, from, from + length - 1,
                 source->size);
        break;
    case RANGE_OUTSIDE:
        answer->status = MHD_HTTP_RANGE_NOT_SATISFIABLE;
        snprintf(answer->range, sizeof answer->range, "bytes */%" PRIu64, source->size);
        length = 0;
        break;
    case RANGE_NONE:
        break;
    }
    source->at = from;
    source->left = length;
    answer->length = (size_t)length;
    answer->sized = answer->ranges = answer->sandbox = true;
}

static void on_opened(uv_work_t *work, int status) {
    struct file_source *source = work->data;
    (void)status;
    if (!goes_on(source)) {
        return;
    }
    struct request *request = source->request;
    if (source->failed != 0) {
        log_error("attachment", "path=%s reason=%s advice=\"restore [http] attachments from the backup\"",
                  log_quote(source->path), log_quote(strerror(source->failed)));
        request_refuse(request, PROBLEM_INTERNAL, "附件文件缺失或损坏", "the attachment's file is missing or damaged");
    } else {
        settle_range(request, source);
        request->answer_ready = true;
    }
    request_wake(request);
}

void answer_file_start(struct request *request, const char *name, const char *type, uint64_t size, bool small) {
    struct file_source *source = calloc(1, sizeof *source);
    const struct attachments *attachments = request->service->attachments;
    if (attachments == NULL || source == NULL) {
        free(source);
        request_refuse(request, PROBLEM_BUSY, "本系统没有保存附件的目录", "this hub has no folder for attachments");
        return;
    }
    source->request = request;
    source->loop = request->service->loop;
    source->work.data = source;
    source->size = size;
    source->file = -1;
    source->busy = true;
    attachment_path(attachments, name, small, source->path, sizeof source->path);
    request->answer.content_type = media_type_name(media_type_of(type));
    request->answer.source = (struct answer_source){.pull = file_pull, .closed = file_closed, .user = source};
    uv_queue_work(source->loop, &source->work, open_file, on_opened);
}
