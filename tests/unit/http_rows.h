/* http_rows.h: rows of routes for the tests of the HTTP server: bodies of any size, sinks, answers that come later,
 * streams. What happens to them is noted. They work in the loop's thread. */
#ifndef CITYHUB_TEST_HTTP_ROWS_H
#define CITYHUB_TEST_HTTP_ROWS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hub/base/error.h"
#include "hub/http/request.h"

enum { NOTES_MAX = 4096 };

/* What happened to streams and sinks, in order: written in the loop's thread, read there too. */
static char notes[NOTES_MAX];

static void note(const char *what, const char *why) {
    size_t used = strlen(notes);
    snprintf(notes + used, sizeof notes - used, "%s:%s\n", what, why == NULL ? "whole" : why);
}

/* `size` bytes: of letters, or of what cannot be compressed. */
static void fill_body(struct answer *answer, size_t size, bool noise) {
    char *text = malloc(size + 1);
    uint32_t seed = 20261125;
    for (size_t i = 0; i < size; i++) {
        seed = seed * 1664525u + 1013904223u;
        text[i] = noise ? (char)(seed >> 24) : (char)('a' + i / 64 % 26);
    }
    answer->body = text;
    answer->length = size;
    answer->release = free;
    answer->owner = text;
}

static void answer_sized(struct request *request, struct answer *answer) {
    fill_body(answer, (size_t)request_value(request, "size")->number, request_value(request, "noise")->number == 1);
}

static void answer_arguments(struct request *request, struct answer *answer) {
    answer_text(answer, strdup(buffer_string(&request->json)));
}

static void answer_echo(struct request *request, struct answer *answer) {
    answer_text(answer, strdup(request->body.length == 0 ? "" : buffer_string(&request->body)));
    answer->status = 201;
    snprintf(answer->location, sizeof answer->location, "/test/echo/1");
}

static void answer_versioned(struct request *request, struct answer *answer) {
    static const char body[] = "version 7";
    if (!request_unchanged(request, answer, "\"7-1\"")) {
        answer->body = body;
        answer->length = sizeof body - 1;
    }
}

/* An answer that a timer gives; `ms` 0 = never. */
struct later {
    uv_timer_t timer;
    struct request *request;
};

static void later_freed(uv_handle_t *handle) {
    free(handle->data);
}

static void later_closed(void *user, const char *why) {
    struct later *later = user;
    note("later", why);
    uv_close((uv_handle_t *)&later->timer, later_freed);
}

static void later_due(uv_timer_t *timer) {
    struct later *later = timer->data;
    struct answer *answer = &later->request->answer;
    answer->later = false;
    answer->source = (struct answer_source){0};
    answer_text(answer, strdup("at last"));
    request_wake(later->request);
    uv_close((uv_handle_t *)timer, later_freed);
}

static void answer_later(struct request *request, struct answer *answer) {
    struct later *later = calloc(1, sizeof *later);
    double ms = request_value(request, "ms")->number;
    later->request = request;
    later->timer.data = later;
    uv_timer_init(request->service->loop, &later->timer);
    if (ms > 0) {
        uv_timer_start(&later->timer, later_due, (uint64_t)ms, 0);
    }
    answer->later = true;
    answer->source = (struct answer_source){.closed = later_closed, .user = later};
}

/* Pieces of 1000 bytes, each `gap` ms after the one before; `pieces` 0 = for ever, as fast as they are taken;
 * `broken`: no end. */
struct stream {
    uv_timer_t timer;
    struct request *request;
    size_t left, waiting;
    bool endless, broken;
};

static void stream_due(uv_timer_t *timer) {
    struct stream *stream = timer->data;
    size_t more = stream->left > 0 ? 1000 : 0;
    stream->left -= more > 0;
    stream->waiting += more;
    request_wake(stream->request);
}

static ssize_t stream_pull(void *user, char *room, size_t size) {
    struct stream *stream = user;
    if (stream->endless) {
        memset(room, 'e', size);
        return (ssize_t)size;
    }
    if (stream->waiting == 0) {
        return stream->left > 0 ? SOURCE_WAIT : stream->broken ? SOURCE_BROKEN : SOURCE_END;
    }
    size_t piece = stream->waiting < size ? stream->waiting : size;
    memset(room, 's', piece);
    stream->waiting -= piece;
    return (ssize_t)piece;
}

static void stream_freed(uv_handle_t *handle) {
    free(handle->data);
}

static void stream_closed(void *user, const char *why) {
    struct stream *stream = user;
    note("stream", why);
    uv_close((uv_handle_t *)&stream->timer, stream_freed);
}

static void answer_stream(struct request *request, struct answer *answer) {
    struct stream *stream = calloc(1, sizeof *stream);
    uint64_t gap = (uint64_t)request_value(request, "gap")->number;
    stream->request = request;
    stream->left = (size_t)request_value(request, "pieces")->number;
    stream->endless = stream->left == 0;
    stream->broken = request_value(request, "broken")->number == 1;
    stream->timer.data = stream;
    uv_timer_init(request->service->loop, &stream->timer);
    uv_timer_start(&stream->timer, stream_due, gap, gap);
    answer->source = (struct answer_source){.pull = stream_pull, .closed = stream_closed, .user = stream};
}

/* A sink that takes 7000 bytes at a time, and then makes the client wait for a turn of the loop. */
struct sink {
    uv_timer_t timer;
    struct request *request;
    size_t total;
    unsigned sum;
    bool waits;
};

static int sink_open(struct request *request, void **sink) {
    struct sink *made = calloc(1, sizeof *made);
    made->request = request;
    made->timer.data = made;
    uv_timer_init(request->service->loop, &made->timer);
    *sink = made;
    return 0;
}

static void sink_due(uv_timer_t *timer) {
    struct sink *sink = timer->data;
    sink->waits = false;
    request_wake(sink->request);
}

static ptrdiff_t sink_write(struct request *request, void *user, const char *bytes, size_t length) {
    struct sink *sink = user;
    size_t taken = sink->waits ? 0 : length < 7000 ? length : 7000;
    for (size_t i = 0; i < taken; i++) {
        sink->sum = sink->sum * 31 + (unsigned char)bytes[i];
        if (bytes[i] == '!') {
            request_refuse(request, PROBLEM_BODY, "不要感叹号", "no exclamation marks");
            return CH_EINVAL;
        }
    }
    sink->total += taken;
    if (taken < length) {
        sink->waits = true;
        uv_timer_start(&sink->timer, sink_due, 1, 0);
    }
    return (ptrdiff_t)taken;
}

static void sink_freed(uv_handle_t *handle) {
    free(handle->data);
}

static void sink_close(void *user, bool whole) {
    struct sink *sink = user;
    note("sink", whole ? NULL : "part");
    uv_close((uv_handle_t *)&sink->timer, sink_freed);
}

static void answer_sink(struct request *request, struct answer *answer) {
    const struct sink *sink = request->sink;
    char *text = NULL;
    assert_true(asprintf(&text, "%zu %u", sink->total, sink->sum) > 0);
    answer_text(answer, text);
}

static const struct route_sink slow_sink = {.open = sink_open, .write = sink_write, .close = sink_close};

static const struct parameter sized_parameters[] = {
    {.name = "size", .kind = PARAMETER_INTEGER, .high = 10000000, .meaning = "bytes"},
    {.name = "noise", .kind = PARAMETER_BOOLEAN, .initial = "false", .meaning = "not to be compressed"},
    {0}};
static const struct parameter later_parameters[] = {
    {.name = "ms", .kind = PARAMETER_INTEGER, .high = 10000, .initial = "0", .meaning = "ms"}, {0}};
static const struct parameter stream_parameters[] = {
    {.name = "pieces", .kind = PARAMETER_INTEGER, .high = 10000, .initial = "0", .meaning = "pieces"},
    {.name = "gap", .kind = PARAMETER_INTEGER, .low = 1, .high = 10000, .initial = "1", .meaning = "ms"},
    {.name = "broken", .kind = PARAMETER_BOOLEAN, .initial = "false", .meaning = "without an end"},
    {0}};
static const struct parameter tile_parameters[] = {
    {.name = "z", .kind = PARAMETER_INTEGER, .high = 22, .meaning = "zoom"},
    {.name = "y", .kind = PARAMETER_INTEGER, .high = 4194303, .meaning = "row"},
    {.name = "layers", .kind = PARAMETER_CHOICE, .choices = "devices alarms", .list = 2, .meaning = "layers"},
    {.name = "at", .kind = PARAMETER_TIME, .meaning = "when"},
    {.name = "q", .kind = PARAMETER_TEXT, .low = 1, .high = 8, .required = true, .meaning = "words"},
    {0}};

static const struct route own_rows[] = {
    {.method = METHOD_GET,
     .pattern = "/test/sized/{size}",
     .summary = "s",
     .parameters = sized_parameters,
     .memory = answer_sized,
     .content_type = "text/plain; charset=utf-8",
     .cache = "private, no-cache",
     .etag = ETAG_BYTES,
     .compress = true},
    {.method = METHOD_GET,
     .pattern = "/test/tiles/{z}/{y}.mvt",
     .summary = "s",
     .parameters = tile_parameters,
     .memory = answer_arguments,
     .content_type = "application/json"},
    {.method = METHOD_POST,
     .pattern = "/test/echo",
     .summary = "s",
     .body = {.types = "application/json", .limit = 1000},
     .memory = answer_echo,
     .content_type = "application/json"},
    {.method = METHOD_GET,
     .pattern = "/test/echo",
     .summary = "s",
     .memory = answer_versioned,
     .content_type = "text/plain",
     .cache = "private, no-cache",
     .etag = ETAG_GIVEN},
    {.method = METHOD_PUT,
     .pattern = "/test/sink",
     .summary = "s",
     .body = {.types = "image/png image/jpeg", .limit = 3000000, .sink = &slow_sink},
     .memory = answer_sink,
     .content_type = "text/plain"},
    {.method = METHOD_GET,
     .pattern = "/test/later",
     .summary = "s",
     .parameters = later_parameters,
     .memory = answer_later,
     .content_type = "text/plain",
     .deadline_s = 1},
    {.method = METHOD_GET,
     .pattern = "/test/stream",
     .summary = "s",
     .parameters = stream_parameters,
     .stream = answer_stream,
     .content_type = "text/plain",
     .compress = true,
     .deadline_s = 2},
    {.method = METHOD_GET,
     .pattern = "/test/live",
     .summary = "s",
     .parameters = stream_parameters,
     .stream = answer_stream,
     .content_type = "text/event-stream",
     .cache = "no-cache, no-transform",
     .endless = true},
};

#endif
