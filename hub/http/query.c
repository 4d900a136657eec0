/* query.c: a request as a statement, and its rows as an answer. Must never put a part of a request into a statement's
 * text, nor collect more than QUERY_ANSWER_MAX. */
#include "hub/http/query.h"

#include <arpa/inet.h>
#include <endian.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hub/base/count.h"
#include "hub/base/error.h"
#include "hub/base/log.h"
#include "hub/base/text.h"
#include "hub/http/answer_file.h"
#include "hub/http/attachment.h"
#include "hub/http/identity.h"
#include "hub/http/request.h"
#include "hub/http/sheet.h"

enum {
    STREAM_HIGH_BYTES = 256 * 1024, /* waiting for the client: the server is not read any more */
    STREAM_LOW_BYTES = 64 * 1024,   /* and read again */
    TYPE_BOOL = 16,                 /* pg_type.dat */
    TYPE_BYTEA = 17,
    TYPE_INT8 = 20,
    TYPE_INT4 = 23,
    TYPE_TEXT = 25,
    TYPE_JSON = 114,
};

struct query {
    struct request *request;
    struct pool_job job;
    struct postgres_value values[1 + IDENTITY_VALUES];
    char sql[256], name[160]; /* the route's name in the audit log */
    struct buffer bytes;      /* of the answer, from `taken` on */
    size_t taken;
    bool submitted; /* the pool has the job */
    bool rides;     /* it finds out who asks, too */
    bool any;       /* a row has come */
    bool null_body; /* and had no body */
    bool streaming, paused, ended, broken;
    bool refused; /* by the first row: `problem` */
    bool file;    /* an attachment is the answer: */
    char file_name[ATTACHMENT_NAME_MAX];
    char file_type[32]; /* also of an answer that is no file, where the function says it */
    uint64_t file_size;
    bool file_small;
    struct problem problem;
};

/* ---- refusals ---- */

/* Whether its SQLSTATE is of one of these classes (PostgreSQL's appendix A), two characters each. */
static bool is_class(const struct postgres_error *error, const char *classes) {
    char class[3] = {error->sqlstate[0], error->sqlstate[0] == '\0' ? '\0' : error->sqlstate[1], '\0'};
    return class[0] != '\0' && strstr(classes, class) != NULL;
}

/* A rule said no: its code, and what it says, also in Chinese if it does. */
static void problem_of_rule(const struct request *request, struct problem *problem, const char *code,
                            const char *detail, const char *detail_zh, const char *hint) {
    bool chinese = request->language == LANGUAGE_ZH && text_is_chinese(detail_zh);
    problem_set(problem, PROBLEM_RULE, request->language, "%s", "%s", chinese ? detail_zh : detail);
    snprintf(problem->code, sizeof problem->code, "%s", code);
    snprintf(problem->hint, sizeof problem->hint, "%s", hint);
    text_trim(problem->hint);
    problem->status = problem_status(problem->code);
}

/* The server said no. */
static void refuse_by_error(struct request *request, const struct postgres_error *error) {
    static const char *const bad_bodies[] = {"22P02", "22P05", "54001"}; /* no JSON, a NUL in it, nested too deep */
    if (strncmp(error->sqlstate, "CH", 2) == 0) {
        struct problem problem;
        problem_of_rule(request, &problem, error->sqlstate, error->message, error->detail, error->hint);
        request_refuse_with(request, &problem);
        return;
    }
    for (size_t i = 0; request->body.length > 0 && i < COUNT_OF(bad_bodies); i++) {
        if (strcmp(error->sqlstate, bad_bodies[i]) == 0) {
            request_refuse(request, PROBLEM_BODY, "请求体不是有效的 JSON：%s", "the body is no valid JSON: %s",
                           error->message);
            return;
        }
    }
    bool misfit = is_class(error, "42 3F");
    /* Deadlocks, no room, locks, cancelled by somebody, a disk's trouble; 25 on a standby. */
    if (is_class(error, request->method == METHOD_GET ? "40 53 55 57 58" : "25 40 53 55 57 58")) {
        request_refuse(request, PROBLEM_BUSY, "数据库未能答复", "the database did not answer");
    } else {
        request_refuse(request, PROBLEM_INTERNAL, "查询失败", "the query failed");
    }
    log_warning("http_query", "route=%s sqlstate=%s reason=%s advice=%s", log_quote(request->route->pattern),
                error->sqlstate, log_quote(error->message), misfit ? "\"run `cityhub migrate`\"" : "-");
}

void query_refuse(struct request *request, bool started, enum pool_end end, const struct postgres_error *error) {
    if (end == POOL_REFUSED) {
        refuse_by_error(request, error);
    } else if (end == POOL_LOST) {
        request_refuse(request, PROBLEM_AWAY, "与数据库的连接中断", "the connection to the database was lost");
    } else if (started) {
        request_refuse(request, PROBLEM_LATE, "查询超过时限，已取消", "the query took too long and was cancelled");
    } else {
        request_refuse(request, PROBLEM_BUSY, "排队超过时限", "the time was over before a connection was free");
    }
}

/* Nothing more of its rows is wanted. */
static void give_up(struct query *query) {
    pool_abandon(query->request->service->pool, &query->job);
    query->submitted = false;
    query->ended = true;
}

/* A list of which no workbook is made: what was asked for is right, and too much. */
static void refuse_sheet(struct query *query) {
    struct request *request = query->request;
    struct problem problem;
    give_up(query);
    problem_of_rule(request, &problem, "CH013", "the list is larger than a workbook may be",
                    "这张表大于一个工作簿的上限", "请缩小范围，如按月、按单位分几张；或取同名的 .csv。");
    request_refuse_with(request, &problem);
    request_wake(request);
}

/* A function that does not keep the contract of query.h. */
static void refuse_function(struct query *query, const char *why) {
    struct request *request = query->request;
    log_error("http_function", "function=%s reason=%s", query_function(request), log_quote(why));
    give_up(query);
    if (query->streaming) {
        query->broken = true;
    } else {
        request_refuse(request, PROBLEM_INTERNAL, "查询函数有误", "the route's function is wrong");
    }
    request_wake(request);
}

/* ---- rows ---- */

static bool text_column(const PGresult *row, const char *name, char *text, size_t size, const char *form) {
    int column = PQfnumber(row, name);
    if (column < 0 || PQgetisnull(row, 0, column)) {
        return true;
    }
    const char *value = PQgetvalue(row, 0, column);
    size_t length = (size_t)PQgetlength(row, 0, column);
    if (PQftype(row, column) != TYPE_TEXT || length + 3 > size || text_flaw(value, length, false) != NULL ||
        memchr(value, '"', length) != NULL) {
        return false;
    }
    snprintf(text, size, form, value);
    return true;
}

/* A short text of the first row, "" if there is none. */
static const char *words_of(const PGresult *row, const char *name) {
    int column = PQfnumber(row, name);
    bool is_text = column >= 0 && PQftype(row, column) == TYPE_TEXT && !PQgetisnull(row, 0, column);
    return is_text ? PQgetvalue(row, 0, column) : "";
}

/* An attachment that is the answer; false if the columns are wrong. */
static bool take_file(struct query *query, const PGresult *row) {
    int name = PQfnumber(row, "file"), type = PQfnumber(row, "file_type"), bytes = PQfnumber(row, "file_bytes"),
        small = PQfnumber(row, "file_small");
    if (type < 0 || bytes < 0 || small < 0 || PQftype(row, bytes) != TYPE_INT8 || PQftype(row, small) != TYPE_BOOL ||
        PQftype(row, name) != TYPE_TEXT || PQgetlength(row, 0, name) != ATTACHMENT_NAME_MAX - 1 ||
        PQftype(row, type) != TYPE_TEXT || PQgetlength(row, 0, type) >= (int)sizeof query->file_type) {
        return false;
    }
    uint64_t size;
    memcpy(&size, PQgetvalue(row, 0, bytes), sizeof size);
    query->file = true;
    query->file_size = be64toh(size);
    query->file_small = *PQgetvalue(row, 0, small) != 0;
    memcpy(query->file_name, PQgetvalue(row, 0, name), sizeof query->file_name);
    snprintf(query->file_type, sizeof query->file_type, "%s", PQgetvalue(row, 0, type));
    return true;
}

/* Which of its row's types the answer has; false if it is none of them. */
static bool take_type(struct query *query, const PGresult *row) {
    const char *said = words_of(row, "media_type"), *types = query->request->route->more_types;
    size_t length;
    bool known = said[0] == '\0' || strcmp(said, query->request->route->content_type) == 0;
    for (const char *at; !known && types != NULL && (at = text_word(&types, &length)) != NULL;) {
        known = strlen(said) == length && memcmp(at, said, length) == 0;
    }
    if (known && said[0] != '\0' && strlen(said) < sizeof query->file_type) {
        snprintf(query->file_type, sizeof query->file_type, "%s", said);
        query->request->answer.content_type = query->file_type;
    }
    return known;
}

/* What only the first row says; NULL or what is wrong. */
static const char *take_first(struct query *query, const PGresult *row) {
    struct answer *answer = &query->request->answer;
    int body = PQfnumber(row, "body"), status = PQfnumber(row, "status");
    if (body < 0 ||
        (PQftype(row, body) != TYPE_TEXT && PQftype(row, body) != TYPE_JSON && PQftype(row, body) != TYPE_BYTEA)) {
        return "it has no column body of type text, json or bytea";
    }
    if (!text_column(row, "etag", answer->etag, sizeof answer->etag, "\"%s\"") ||
        !text_column(row, "location", answer->location, sizeof answer->location, "%s") ||
        !text_column(row, "content_crs", answer->crs, sizeof answer->crs, "<%s>")) {
        return "its etag, location or content_crs is no short text";
    }
    if (status >= 0 && !PQgetisnull(row, 0, status)) {
        uint32_t number = 0;
        if (PQftype(row, status) == TYPE_INT4) {
            memcpy(&number, PQgetvalue(row, 0, status), sizeof number);
        }
        answer->status = ntohl(number);
        if (answer->status < 200 || answer->status > 599) {
            return "its status is no int from 200 to 599";
        }
    }
    query->null_body = PQgetisnull(row, 0, body);
    if (!take_type(query, row)) {
        return "its media_type is none that the route has";
    }
    if (PQfnumber(row, "file") >= 0 && !take_file(query, row)) {
        return "its file is none: text of 64 digits, file_type text, file_bytes bigint, file_small boolean";
    }
    query->refused = words_of(row, "code")[0] != '\0';
    if (query->refused) {
        problem_of_rule(query->request, &query->problem, words_of(row, "code"), words_of(row, "detail"),
                        words_of(row, "detail_zh"), words_of(row, "hint"));
    }
    return NULL;
}

static ssize_t rows_pull(void *user, char *room, size_t size) {
    struct query *query = user;
    size_t left = query->bytes.length - query->taken;
    size_t piece = left < size ? left : size;
    if (query->broken) {
        return SOURCE_BROKEN;
    }
    if (piece == 0) {
        return query->ended ? SOURCE_END : SOURCE_WAIT;
    }
    memcpy(room, query->bytes.data + query->taken, piece);
    query->taken += piece;
    left -= piece;
    if (left == 0) {
        buffer_reset(&query->bytes, STREAM_HIGH_BYTES);
        query->taken = 0;
    }
    if (query->paused && left <= STREAM_LOW_BYTES) {
        query->paused = false;
        pool_resume(query->request->service->pool, &query->job);
    }
    return (ssize_t)piece;
}

static void rows_closed(void *user, const char *why) {
    struct query *query = user;
    (void)why;
    query_free(query->request);
}

static void stream_begin(struct query *query) {
    struct request *request = query->request;
    query->streaming = true;
    request->answer.source = (struct answer_source){.pull = rows_pull, .closed = rows_closed, .user = query};
    request->answer_ready = true;
}

static bool on_row(void *user, const PGresult *row) {
    struct query *query = user;
    struct request *request = query->request;
    const char *flaw = query->any ? NULL : take_first(query, row);
    if (!query->any && query->rides) {
        identity_rode(request, row);
    }
    if (flaw != NULL) {
        refuse_function(query, flaw);
        return true;
    }
    int body = PQfnumber(row, "body");
    query->any = true;
    buffer_bytes(&query->bytes, PQgetvalue(row, 0, body), (size_t)PQgetlength(row, 0, body));
    if (request->route->sheet != NULL && query->bytes.length > SHEET_CSV_MAX) {
        refuse_sheet(query);
        return true;
    }
    if (query->bytes.failed ||
        (!request->route->by_row && request->route->sheet == NULL && query->bytes.length > QUERY_ANSWER_MAX)) {
        refuse_function(query, query->bytes.failed ? "out of memory" : "its answer is too large");
        return true;
    }
    if (!request->route->by_row) {
        return true;
    }
    if (!query->streaming) {
        stream_begin(query);
    }
    query->paused = query->bytes.length - query->taken > STREAM_HIGH_BYTES;
    request_wake(request);
    return !query->paused;
}

/* ---- the end ---- */

static void answer_whole(struct query *query) {
    struct request *request = query->request;
    struct answer *answer = &request->answer;
    if (query->refused) {
        request_refuse_with(request, &query->problem);
        return;
    }
    if (!query->any || (query->null_body && query->bytes.length == 0 && answer->status == 0)) {
        request_refuse(request, PROBLEM_NOTHING, "没有找到", "nothing is there");
        return;
    }
    if (query->file) {
        answer_file_start(request, query->file_name, query->file_type, query->file_size, query->file_small);
        return;
    }
    if (request->route->sheet != NULL) {
        char *csv = query->bytes.data;
        size_t length = query->bytes.length;
        query->bytes = (struct buffer){0};
        sheet_start(request, csv, length, request->route->sheet);
        return;
    }
    answer->body = query->bytes.data == NULL ? "" : query->bytes.data;
    answer->length = query->bytes.length;
    answer->release = free;
    answer->owner = query->bytes.data;
    query->bytes = (struct buffer){0};
    request->answer_ready = true;
    if (request->sink_open && request->route->body.sink->keep != NULL) {
        request->route->body.sink->keep(request, request->sink);
    }
}

static void on_done(void *user, enum pool_end end, const struct postgres_error *error) {
    struct query *query = user;
    struct request *request = query->request;
    query->submitted = false;
    if (end == POOL_DONE && query->rides && !query->any) {
        if (!identity_missed(request)) {
            request_wake(request);
        }
        return;
    }
    query->ended = true;
    if (end != POOL_DONE && query->streaming) {
        log_warning("http_query", "route=%s reason=%s effect=\"the answer was broken off\"",
                    log_quote(request->route->pattern), error == NULL ? "late" : log_quote(error->message));
        query->broken = true;
    } else if (end != POOL_DONE) {
        query_refuse(request, query->job.started, end, error);
    } else if (!request->route->by_row) {
        answer_whole(query);
    } else if (!query->streaming) {
        stream_begin(query);
    }
    request_wake(request);
}

/* ---- begin ---- */

const char *query_function(const struct request *request) {
    const struct route *route = request->route;
    return route->past != NULL && request_value(request, "at")->given ? route->past : route->function;
}

bool query_takes_identity(const struct request *request) {
    const struct route *route = request->route;
    return request->method == METHOD_GET && query_function(request) != NULL && !route->by_row && route->sheet == NULL &&
           route->body.types == NULL;
}

/* Of a query without a body that does not write, and finds out who asks. */
static void query_ride(struct query *query, const struct postgres_value *who) {
    const struct route *route = query->request->route;
    snprintf(query->sql, sizeof query->sql,
             "SELECT f.*, i.due AS identity_due FROM onemap.identity_asking($1::jsonb, $2, $3, $4, '%s') i"
             " CROSS JOIN LATERAL %s(i.asked) f",
             route_right_name(route->right), query_function(query->request));
    memcpy(&query->values[1], who, IDENTITY_VALUES * sizeof *who);
    query->job.value_count = 1 + IDENTITY_VALUES;
    query->rides = true;
}

static struct query *query_new(struct request *request) {
    struct query *query = calloc(1, sizeof *query);
    const struct route *route = request->route;
    const char *json = buffer_string(&request->json);
    bool has_body = route->body.types != NULL;
    bool is_json = has_body && (route->body.sink != NULL || strcmp(route->body.types, "application/json") == 0);
    const char *body = has_body ? buffer_string(&request->body) : "";
    if (query == NULL || json == NULL || body == NULL) {
        free(query);
        return NULL;
    }
    query->request = request;
    /* In the list of columns a function is asked for row after row; in FROM for all of them first. */
    bool writes = request->method != METHOD_GET;
    snprintf(query->sql, sizeof query->sql,
             route->by_row || route->sheet != NULL ? "SELECT %s(%s%s) AS body" : "SELECT * FROM %s(%s%s)",
             query_function(request),
             !writes    ? "$1::jsonb"
             : has_body ? "onemap.http_write($1::jsonb, $3)"
                        : "onemap.http_write($1::jsonb, $2)",
             !has_body ? ""
             : is_json ? ", $2::jsonb"
                       : ", $2::bytea");
    snprintf(query->name, sizeof query->name, "%s %s", route_method_name(request->method), route->pattern);
    query->values[0] = (struct postgres_value){.data = json, .length = request->json.length};
    query->values[1] = (struct postgres_value){
        .data = request->body.length == 0 ? NULL : body, .length = request->body.length, .binary = !is_json};
    query->values[has_body ? 2 : 1] = (struct postgres_value){.data = query->name, .length = strlen(query->name)};
    query->job = (struct pool_job){.sql = query->sql,
                                   .values = query->values,
                                   .value_count = 1u + has_body + writes,
                                   .writes = writes,
                                   .client = request->client,
                                   .deadline_ms = request->deadline_ms,
                                   .row = on_row,
                                   .done = on_done,
                                   .user = query};
    const struct postgres_value *who = identity_values(request);
    if (who != NULL) {
        query_ride(query, who);
    }
    return query;
}

void query_start(struct request *request) {
    struct pool *pool = request->service->pool;
    struct query *query = query_new(request);
    if (query == NULL) {
        request_refuse(request, PROBLEM_INTERNAL, "内存不足", "memory is out");
        return;
    }
    request->query = query;
    int code = pool == NULL ? CH_EDATABASE : pool_submit(pool, &query->job);
    query->submitted = code == 0;
    if (code != 0) {
        query_refuse_now(request, code);
    }
}

void query_again(struct request *request) {
    query_free(request);
    query_start(request);
}

void query_refuse_now(struct request *request, int code) {
    if (code == CH_EFULL) {
        request_refuse(request, PROBLEM_BUSY, "等待的请求过多", "too many requests are waiting");
    } else {
        request_refuse(request, PROBLEM_AWAY, "数据库未连接", "the hub is not connected to the database");
    }
}

void query_free(struct request *request) {
    struct query *query = request->query;
    if (query == NULL) {
        return;
    }
    request->query = NULL;
    if (query->submitted) {
        pool_abandon(request->service->pool, &query->job);
    }
    buffer_free(&query->bytes);
    free(query);
}
