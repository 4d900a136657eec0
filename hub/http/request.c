/* request.c: what becomes of a request, step by step: head, body, answer. request_check.c judges heads. Must never keep
 * what works for a request longer than the request, nor take more of a body than its row allows. */
#include "hub/http/request.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hub/base/error.h"
#include "hub/base/log.h"
#include "hub/base/text.h"
#include "hub/http/identity.h"
#include "hub/http/login.h"
#include "hub/http/query.h"
#include "hub/http/request_check.h"
#include "hub/http/taken.h"

enum { DROP_BYTES_MAX = 1024 * 1024 }; /* of a body that nobody wants, read so that the client reads the answer */

struct request *request_new(struct service *service, struct MHD_Connection *connection, const char *target) {
    struct request *request = calloc(1, sizeof *request);
    char *path = request == NULL ? NULL : strndup(target, strcspn(target, "?"));
    if (path == NULL) {
        free(request);
        return NULL;
    }
    request->service = service;
    request->connection = connection;
    request->path = path;
    request->begun_ns = uv_hrtime();
    request->deadline_ms = UINT64_MAX;
    request->target_code = target_parse(&request->target, target, &request->target_flaw);
    if (request->target_code == CH_EMEMORY) {
        request_free(request, false);
        return NULL;
    }
    return request;
}

/* ---- refusing ---- */

/* Seconds after which the same may go well; 0 = it will not. */
static unsigned retry_after_s(const struct problem *problem) {
    enum { BUSY_S = 1, AWAY_S = 5, LIMIT_S = 60 };
    switch (problem->kind) {
    case PROBLEM_BUSY:
    case PROBLEM_CROWDED:
        return BUSY_S;
    case PROBLEM_AWAY:
    case PROBLEM_UNSURE:
        return AWAY_S;
    default:
        return problem->status == MHD_HTTP_TOO_MANY_REQUESTS ? LIMIT_S : 0;
    }
}

void request_refuse_with(struct request *request, const struct problem *problem) {
    const char *instance = text_flaw(request->path, strlen(request->path), false) == NULL ? request->path : NULL;
    char *text = problem_json(problem, instance);
    struct answer kept = request->answer;
    answer_drop(&request->answer, "broken");
    request->answer = (struct answer){.status = problem->status,
                                      .content_type = "application/problem+json; charset=utf-8",
                                      .problem = true,
                                      .close = problem->kind == PROBLEM_CROWDED,
                                      .retry_after_s = retry_after_s(problem)};
    memcpy(request->answer.allow, kept.allow, sizeof kept.allow);
    answer_text(&request->answer, text);
    request->answer_ready = true;
}

void request_refuse(struct request *request, enum problem_kind kind, const char *zh, const char *en, ...) {
    struct problem problem;
    char detail[PROBLEM_DETAIL_MAX];
    va_list arguments;
    va_start(arguments, en);
    vsnprintf(detail, sizeof detail, request->language == LANGUAGE_ZH ? zh : en, arguments);
    va_end(arguments);
    problem_set(&problem, kind, request->language, "%s", "%s", detail);
    request_refuse_with(request, &problem);
}

/* ---- head ---- */

static void suspend(struct request *request) {
    request->suspended = true;
    MHD_suspend_connection(request->connection);
}

bool request_head(struct request *request, const char *method) {
    struct service *service = request->service;
    request->begun_ms = uv_now(service->loop);
    request->begun_ns = uv_hrtime();
    request->phase = REQUEST_BODY;
    request_check(request, method);
    const struct route *route = request->route;
    if (route == NULL || !route->endless) {
        int64_t limit_s = route != NULL && route->deadline_s > 0 ? route->deadline_s : service->config->http_deadline_s;
        request->deadline_ms = request->begun_ms + (uint64_t)limit_s * 1000;
    }
    if (!request->answer_ready && request->identity != NULL) {
        if (identity_ask(request)) {
            request->phase = REQUEST_IDENTITY;
            suspend(request);
            return true;
        }
    }
    return request_identified(request);
}

bool request_identified(struct request *request) {
    const struct route *route = request->route;
    if (request->cut != NULL) {
        return false;
    }
    request->phase = REQUEST_BODY;
    if (!request->answer_ready && route != NULL && route->body.sink != NULL) {
        request->sink_open = route->body.sink->open(request, &request->sink) == 0;
    }
    request->body_dropped = request->answer_ready || route == NULL || route->body.types == NULL;
    if (request->answer_ready && request_body_unreadable(request, DROP_BYTES_MAX)) {
        /* Answered at once; libmicrohttpd closes the connection behind it. */
        request->phase = REQUEST_ANSWERED;
        return answer_send(request, &request->answer);
    }
    return true;
}

/* ---- body ---- */

static bool body_to_sink(struct request *request, const char *bytes, size_t *length) {
    ptrdiff_t taken = request->route->body.sink->write(request, request->sink, bytes, *length);
    if (taken < 0) {
        request->body_dropped = true;
        request->body_length = 0; /* what follows counts anew, against what is dropped */
        *length = 0;
        return request->answer_ready;
    }
    *length -= (size_t)taken;
    request->body_length += (size_t)taken;
    if (*length > 0) {
        suspend(request);
    }
    return true;
}

bool request_body(struct request *request, const char *bytes, size_t *length) {
    const struct route *route = request->route;
    if (request->cut != NULL) {
        return false;
    }
    if (!request->body_dropped && request->body_length + *length > route->body.limit) {
        request_refuse_large(request);
        request->body_dropped = true;
        request->body_length = 0;
    }
    if (request->body_dropped) {
        request->body_length += *length;
        *length = 0;
        return request->body_length <= DROP_BYTES_MAX;
    }
    if (request->sink_open) {
        return body_to_sink(request, bytes, length);
    }
    buffer_bytes(&request->body, bytes, *length);
    request->body_length += *length;
    *length = 0;
    return !request->body.failed;
}

/* ---- answer ---- */

static void make_answer(struct request *request) {
    const struct route *route = request->route;
    request->phase = REQUEST_WAITING;
    if (request->answer_ready) {
        return;
    }
    request->body_whole = true;
    if (route->body.types != NULL && !request_body_fits(request)) {
        return;
    }
    if (request->sink_open && route->body.sink->finish != NULL) {
        route->body.sink->finish(request, request->sink);
    } else if (query_function(request) != NULL) {
        query_start(request);
    } else {
        (route->memory != NULL ? route->memory : route->stream)(request, &request->answer);
    }
}

bool request_go(struct request *request) {
    if (request->cut != NULL) {
        return false;
    }
    if (request->phase == REQUEST_BODY) {
        make_answer(request);
    }
    if (request->query == NULL && request->phase == REQUEST_WAITING) {
        request->answer_ready = request->answer_ready || !request->answer.later;
    }
    if (!request->answer_ready) {
        suspend(request);
        return true;
    }
    if (request->route != NULL && request->route->ends_session && !request->answer.problem) {
        login_forget(request);
    }
    request->phase = REQUEST_ANSWERED;
    return answer_send(request, &request->answer);
}

void request_wake(struct request *request) {
    if (request->suspended && !request->waking) {
        request->service->wake(request->service, request);
    }
}

/* ---- end ---- */

/* What streams is closed before the query behind it goes. */
static void let_go(struct request *request, const char *why) {
    if (request->delivery != NULL) {
        delivery_close(request->delivery, why);
    } else if (request->phase != REQUEST_ANSWERED) {
        answer_drop(&request->answer, why);
    }
    query_free(request);
    identity_free(request);
}

void request_cut(struct request *request, const char *why) {
    if (request->cut != NULL) {
        return;
    }
    request->cut = why;
    let_go(request, why);
    request_wake(request);
}

void request_free(struct request *request, bool whole) {
    const char *why = whole ? NULL : request->cut != NULL ? request->cut : "left";
    let_go(request, why);
    if (request->sink_open) {
        request->route->body.sink->close(request->sink, request->body_whole);
    }
    buffer_free(&request->json);
    buffer_free(&request->body);
    target_free(&request->target);
    free(request->path);
    free(request);
}

/* Neither that a write succeeds nor that there is nothing to write says that anybody reads. */
uint64_t request_untaken_ms(struct request *request, uint64_t now) {
    uint64_t acknowledged;
    bool all;
    if (!taken_of(request_socket(request->connection), &acknowledged, &all)) {
        return 0;
    }
    if (all || acknowledged != request->acknowledged || request->taken_ms == 0) {
        request->acknowledged = acknowledged;
        request->taken_ms = now;
    }
    return now - request->taken_ms;
}

bool request_stalled(struct request *request, uint64_t now) {
    return request->delivery != NULL &&
           request_untaken_ms(request, now) >= (uint64_t)request->service->config->http_stall_s * 1000;
}

/* ---- for what answers ---- */

int request_socket(struct MHD_Connection *connection) {
    return MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
}

const char *request_header(const struct request *request, const char *name) {
    return MHD_lookup_connection_value(request->connection, MHD_HEADER_KIND, name);
}

const struct parameter_value *request_value(const struct request *request, const char *name) {
    size_t i = 0;
    while (strcmp(request->route->parameters[i].name, name) != 0) {
        i++;
    }
    return &request->values[i];
}

bool request_unchanged(struct request *request, struct answer *answer, const char *etag) {
    snprintf(answer->etag, sizeof answer->etag, "%s", etag);
    if (!negotiate_matches(request->if_none_match, etag)) {
        return false;
    }
    answer->status = MHD_HTTP_NOT_MODIFIED;
    return true;
}

bool request_takes_gzip(const struct request *request) {
    return request->takes_gzip && request->route->compress;
}
