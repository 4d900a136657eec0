/* stream.c: opens live streams, and ends those whose right is over. Must never send a row before the database has said
 * whose rows may be seen, nor go on for long when that has changed. */
#include "hub/http/stream.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hub/base/closing.h"
#include "hub/base/error.h"
#include "hub/base/log.h"
#include "hub/base/metrics.h"
#include "hub/http/identity.h"
#include "hub/http/query.h"
#include "hub/http/request.h"
#include "hub/live/feed_service.h"

enum {
    CHECK_TICK_MS = 500,
    CHECK_EVERY_MS = 5000, /* a stream, while there are few */
    CHECKS_AT_ONCE = 100,  /* streams a statement */
    CHECK_DEADLINE_MS = 5000,
};

struct stream {
    struct streams *streams;
    struct stream *next, *previous; /* in the order in which they are to be checked; open ones alone */
    struct request *request;
    struct feed_service *service;
    struct feed_client *client; /* NULL = not open yet, or over */
    struct feed_filter filter;  /* until it is the client's */
    struct feed_position resume;
    bool resumes, asked, allowed, over;
    struct pool_job job;
    struct postgres_value value;
    struct buffer departments, snapshot; /* as http_stream answers */
    bool all_departments;
    size_t place; /* in the running check, from 1; 0 = it is not in it */
    uint64_t checked_ms;
};

struct streams {
    uv_loop_t *loop;
    struct pool *pool;
    struct stream *first, *last;
    uv_timer_t timer;
    struct stream *checked[CHECKS_AT_ONCE]; /* of the running check; NULL = has ended meanwhile */
    size_t checking;
    struct buffer claims;
    struct pool_job job;
    struct postgres_value value;
    struct closing closing;
};

/* ---- the list ---- */

static void list_append(struct stream *stream) {
    struct streams *streams = stream->streams;
    stream->next = NULL;
    stream->previous = streams->last;
    *(streams->last == NULL ? &streams->first : &streams->last->next) = stream;
    streams->last = stream;
}

static void list_remove(struct stream *stream) {
    struct streams *streams = stream->streams;
    *(stream->previous == NULL ? &streams->first : &stream->previous->next) = stream->next;
    *(stream->next == NULL ? &streams->last : &stream->next->previous) = stream->previous;
    if (stream->place > 0) {
        streams->checked[stream->place - 1] = NULL;
    }
}

/* ---- an open stream ---- */

static void client_end(struct stream *stream) {
    if (stream->client != NULL) {
        feed_service_remove(stream->service, stream->client);
        stream->client = NULL;
        list_remove(stream);
    }
}

static ssize_t on_pull(void *user, char *room, size_t size) {
    struct stream *stream = user;
    if (stream->over) {
        return SOURCE_END;
    }
    ssize_t got = feed_service_pull(stream->service, stream->client, room, size);
    return got < 0 ? SOURCE_BROKEN : got == 0 ? SOURCE_WAIT : got;
}

static void on_closed(void *user, const char *why) {
    struct stream *stream = user;
    if (stream->client != NULL && why != NULL && strcmp(why, "slow") == 0) {
        hub_metrics.stream_cut++;
        log_info("stream_cut", "reason=slow");
    }
    client_end(stream);
    if (stream->asked) {
        pool_abandon(stream->streams->pool, &stream->job);
    }
    feed_filter_free(&stream->filter);
    buffer_free(&stream->departments);
    buffer_free(&stream->snapshot);
    free(stream);
}

static void on_wake(void *user) {
    request_wake(((struct stream *)user)->request);
}

/* ---- opening ---- */

static bool on_row(void *user, const PGresult *row) {
    struct stream *stream = user;
    stream->allowed = PQnfields(row) == 2 && !PQgetisnull(row, 0, 1);
    if (stream->allowed) {
        stream->all_departments = PQgetisnull(row, 0, 0) == 1;
        buffer_bytes(&stream->departments, PQgetvalue(row, 0, 0), (size_t)PQgetlength(row, 0, 0));
        buffer_bytes(&stream->snapshot, PQgetvalue(row, 0, 1), (size_t)PQgetlength(row, 0, 1));
    }
    return true;
}

static void refuse_parameter(struct request *request, const char *name, const char *zh, const char *en) {
    struct problem problem;
    problem_set(&problem, PROBLEM_PARAMETER, request->language, zh, en, name);
    snprintf(problem.parameter, sizeof problem.parameter, "%s", name);
    request_refuse_with(request, &problem);
}

static void refuse_full(struct request *request) {
    request_refuse(request, PROBLEM_BUSY, "实时推送的连接已满", "as many streams are open as there may be");
}

/* The database has said what may be seen. */
static void begin(struct stream *stream) {
    struct request *request = stream->request;
    const char *departments = buffer_string(&stream->departments);
    bool failed = departments == NULL || stream->snapshot.failed ||
                  feed_filter_departments(&stream->filter, stream->all_departments ? NULL : departments) != 0;
    if (!failed) {
        stream->client = feed_service_add(stream->service, &stream->filter, stream->resumes ? &stream->resume : NULL,
                                          stream->snapshot.data, stream->snapshot.length, on_wake, stream);
        stream->filter = (struct feed_filter){0};
    }
    if (stream->client == NULL) {
        request_refuse(request, PROBLEM_INTERNAL, "内存不足", "memory is out");
        return;
    }
    buffer_free(&stream->snapshot);
    stream->checked_ms = uv_now(stream->streams->loop);
    list_append(stream);
    request->answer.source = (struct answer_source){.pull = on_pull, .closed = on_closed, .user = stream};
    request->answer.later = false;
}

static void on_done(void *user, enum pool_end end, const struct postgres_error *error) {
    struct stream *stream = user;
    struct request *request = stream->request;
    stream->asked = false;
    /* A refusal drops the answer, and the stream with it. */
    if (end != POOL_DONE) {
        query_refuse(request, stream->job.started, end, error);
    } else if (!stream->allowed) {
        refuse_parameter(request, "department", "参数 %s：没有这个部门", "parameter %s: there is no such department");
    } else if (feed_service_full(stream->service)) {
        refuse_full(request);
    } else {
        begin(stream);
    }
    request_wake(request);
}

/* What a client has seen: the header that browsers send by themselves, else the parameter. What is no position of ours
 * is one that is not known any more. */
static void resume_read(struct stream *stream) {
    const struct parameter_value *given = request_value(stream->request, "last_event_id");
    const char *header = request_header(stream->request, "Last-Event-ID");
    const char *text = header != NULL ? header : given->given ? given->text : NULL;
    stream->resumes = text != NULL && *text != '\0';
    if (stream->resumes && feed_position_parse(text, &stream->resume) != 0) {
        stream->resume = (struct feed_position){0};
    }
}

/* False: refused. */
static bool filter_read(struct stream *stream) {
    struct request *request = stream->request;
    const struct parameter_value *layers = request_value(request, "layer"),
                                 *subsystems = request_value(request, "subsystem"),
                                 *box = request_value(request, "bbox");
    if (feed_filter_layers(&stream->filter, layers->given ? layers->text : "") != 0) {
        refuse_parameter(request, "layer", "参数 %s：没有这个图层", "parameter %s: there is no such layer");
        return false;
    }
    if (feed_filter_subsystems(&stream->filter, subsystems->given ? subsystems->text : "") != 0) {
        refuse_parameter(request, "subsystem", "参数 %s：没有这个子系统", "parameter %s: there is no such subsystem");
        return false;
    }
    if (box->given && feed_filter_box(&stream->filter, box->text) != 0) {
        refuse_parameter(request, "bbox", "参数 %s：不是范围", "parameter %s: it is no box");
        return false;
    }
    return true;
}

static int ask(struct stream *stream) {
    struct request *request = stream->request;
    struct pool *pool = request->service->pool;
    const char *json = buffer_string(&request->json);
    if (json == NULL) {
        return CH_EMEMORY;
    }
    stream->value = (struct postgres_value){.data = json, .length = request->json.length};
    stream->job =
        (struct pool_job){.sql = "SELECT s.departments, s.snapshot FROM onemap.http_stream($1::jsonb) s",
                          .values = &stream->value,
                          .value_count = 1,
                          .client = request->client,
                          .deadline_ms = request->begun_ms + (uint64_t)request->service->config->http_deadline_s * 1000,
                          .row = on_row,
                          .done = on_done,
                          .user = stream};
    int code = pool == NULL ? CH_EDATABASE : pool_submit(pool, &stream->job);
    stream->asked = code == 0;
    return code;
}

void stream_answer(struct request *request, struct answer *answer) {
    struct feed_service *service = request->service->source->live;
    if (service == NULL) {
        request_refuse(request, PROBLEM_AWAY, "系统正在启动", "the hub is starting");
        return;
    }
    if (feed_service_full(service)) {
        refuse_full(request);
        return;
    }
    struct stream *stream = calloc(1, sizeof *stream);
    if (stream == NULL) {
        request_refuse(request, PROBLEM_INTERNAL, "内存不足", "memory is out");
        return;
    }
    stream->streams = request->service->streams;
    stream->request = request;
    stream->service = service;
    answer->source = (struct answer_source){.closed = on_closed, .user = stream};
    answer->later = true;
    if (!filter_read(stream)) {
        return;
    }
    resume_read(stream);
    int code = ask(stream);
    if (code != 0) {
        query_refuse_now(request, code);
    }
}

/* ---- rights that are over ---- */

static bool on_over(void *user, const PGresult *row) {
    struct streams *streams = user;
    uint32_t place = 0;
    memcpy(&place, PQgetvalue(row, 0, 0), sizeof place);
    place = ntohl(place);
    struct stream *stream = place < streams->checking ? streams->checked[place] : NULL;
    if (stream != NULL) {
        hub_metrics.stream_cut++;
        log_info("stream_cut", "reason=identity");
        client_end(stream);
        stream->over = true;
        request_wake(stream->request);
    }
    return true;
}

/* Without an answer they are asked for again: while the database is away nobody's right is taken, and little told. */
static void on_checked(void *user, enum pool_end end, const struct postgres_error *error) {
    struct streams *streams = user;
    if (end == POOL_REFUSED) {
        log_warning("http_query", "route=/api/v1/stream reason=%s", log_quote(error->message));
    }
    for (size_t i = 0; i < streams->checking; i++) {
        struct stream *stream = streams->checked[i];
        if (stream != NULL) {
            stream->place = 0;
            stream->checked_ms = end == POOL_DONE ? uv_now(streams->loop) : stream->checked_ms;
        }
    }
    streams->checking = 0;
}

/* Who it is, and of a stream of one department which were below it. */
static void claim_put(const struct stream *stream, struct buffer *claims) {
    const struct parameter_value *department = request_value(stream->request, "department");
    identity_claim(stream->request, claims);
    if (department->given) {
        claims->length--; /* its closing brace */
        buffer_text(claims, ",\"department\":");
        buffer_json(claims, department->text, department->length);
        buffer_text(claims, ",\"departments\":");
        buffer_json(claims, stream->departments.data, stream->departments.length);
        buffer_text(claims, "}");
    }
}

/* Those that were not checked for the longest time, which then come last. */
static void claims_gather(struct streams *streams) {
    uint64_t now = uv_now(streams->loop);
    buffer_reset(&streams->claims, 4096);
    while (streams->checking < CHECKS_AT_ONCE && streams->first != NULL) {
        struct stream *stream = streams->first;
        if (stream->place > 0 || now - stream->checked_ms < CHECK_EVERY_MS) {
            break;
        }
        buffer_text(&streams->claims, streams->checking == 0 ? "[" : ",");
        claim_put(stream, &streams->claims);
        list_remove(stream);
        list_append(stream);
        streams->checked[streams->checking++] = stream;
        stream->place = streams->checking;
    }
    buffer_text(&streams->claims, "]");
}

static void on_check(uv_timer_t *timer) {
    struct streams *streams = timer->data;
    if (streams->checking > 0) {
        return;
    }
    claims_gather(streams);
    const char *claims = buffer_string(&streams->claims);
    if (streams->checking == 0) {
        return;
    }
    streams->value = (struct postgres_value){.data = claims, .length = streams->claims.length};
    streams->job = (struct pool_job){.sql = "SELECT o.place FROM onemap.http_stream_over($1::jsonb) o",
                                     .values = &streams->value,
                                     .value_count = 1,
                                     .deadline_ms = uv_now(streams->loop) + CHECK_DEADLINE_MS,
                                     .row = on_over,
                                     .done = on_checked,
                                     .user = streams};
    if (claims == NULL || pool_submit(streams->pool, &streams->job) != 0) {
        on_checked(streams, POOL_LOST, NULL);
    }
}

struct streams *streams_open(uv_loop_t *loop, struct pool *pool) {
    struct streams *streams = calloc(1, sizeof *streams);
    if (streams == NULL) {
        log_error("out_of_memory", "what=streams");
        return NULL;
    }
    streams->loop = loop;
    streams->pool = pool;
    uv_timer_init(loop, &streams->timer);
    streams->timer.data = streams;
    uv_timer_start(&streams->timer, on_check, CHECK_TICK_MS, CHECK_TICK_MS);
    return streams;
}

static void streams_free(void *part) {
    struct streams *streams = part;
    buffer_free(&streams->claims);
    free(streams);
}

void streams_close(struct streams *streams, void (*closed)(void *user), void *user) {
    if (streams->checking > 0) {
        pool_abandon(streams->pool, &streams->job);
        streams->checking = 0;
    }
    closing_begin(&streams->closing, streams_free, streams, closed, user);
    closing_handle(&streams->closing, (uv_handle_t *)&streams->timer);
}
