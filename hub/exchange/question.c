/* question.c: GET <path>?resource=..&after=.. until there is no next page. What came before an asking broke off is no
 * answer: the database takes an asking for one only when it has come to its end. */
#include "hub/exchange/question.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hub/base/error.h"
#include "hub/base/log.h"
#include "hub/base/member.h"
#include "hub/base/text.h"
#include "hub/cli/database.h"
#include "hub/decode/json_document.h"

enum { PAGES_MAX = 100000, CURSOR_MAX = 512 };

struct circle {
    char kept[CURSOR_MAX];
    long since, length;
};

static const char *named(const struct platform *target, const char *name, const char *usual) {
    const char *given = member_text(target->ask, name);
    return *given == '\0' ? usual : given;
}

/* The page's records as the database takes them: [{number, hash}]. NULL = there are none to read. */
static cJSON *page_rows(const struct platform *target, const cJSON *body) {
    const cJSON *records = member_get(body, member_text(target->ask, "records")), *record;
    if (!cJSON_IsArray(records)) {
        return NULL;
    }
    cJSON *rows = cJSON_CreateArray();
    cJSON_ArrayForEach(record, records) {
        char given[CURSOR_MAX], number[CURSOR_MAX], hash[CURSOR_MAX];
        const char *said = member_text(record, member_text(target->ask, "hash"));
        cJSON *row = cJSON_CreateObject();
        member_key(member_get(record, member_text(target->ask, "number")), given, sizeof given);
        text_clean(given, strlen(given), number, sizeof number);
        text_clean(said, strlen(said), hash, sizeof hash);
        cJSON_AddStringToObject(row, "number", number);
        cJSON_AddStringToObject(row, "hash", hash);
        cJSON_AddItemToArray(rows, row);
    }
    return rows;
}

static int page_put(PGconn *database, const struct platform *target, const char *resource, const char *asking,
                    const cJSON *rows) {
    char *text = cJSON_PrintUnformatted(rows);
    int code = text == NULL
                   ? CH_EMEMORY
                   : database_run(database, "SELECT onemap.exchange_ask_page($1, $2, $3::timestamptz, $4::jsonb)", 4,
                                  (const char *const[]){target->name, resource, asking, text});
    cJSON_free(text);
    return code;
}

static void ask_path(struct transport *transport, const char *resource, const char *cursor, struct buffer *path) {
    const struct platform *target = transport->target;
    char *escaped = curl_easy_escape(transport->curl, cursor, 0);
    buffer_format(path, "%s?%s=%s", member_text(target->ask, "path"), named(target, "resource", "resource"), resource);
    if (*cursor != '\0') {
        buffer_format(path, "&%s=%s", named(target, "after", "after"), escaped == NULL ? "" : escaped);
    }
    curl_free(escaped);
}

/* Whether the pages go round. Of the cursors that came, one is kept, a later one each time as many again have come
 * (Brent): a circle comes back to it before it was gone through thrice. */
static bool goes_round(struct circle *circle, const char *cursor) {
    if (strcmp(cursor, circle->kept) == 0) {
        return true;
    }
    if (++circle->since == circle->length) {
        circle->since = 0;
        circle->length *= 2;
        snprintf(circle->kept, sizeof circle->kept, "%s", cursor);
    }
    return false;
}

/* Asks for all pages of a resource. Returns 0, CH_EIO = no answer that can be read, or the database's error. */
static int ask_resource(PGconn *database, struct transport *transport, const char *resource, const char *asking) {
    const struct platform *target = transport->target;
    char cursor[CURSOR_MAX] = "", before[CURSOR_MAX];
    struct circle circle = {.length = 1};
    int code = 0;
    for (int page = 0; page < PAGES_MAX && code == 0; page++) {
        struct buffer path = {0};
        struct reply reply;
        ask_path(transport, resource, cursor, &path);
        transport_get(transport, buffer_string(&path), &reply);
        cJSON *body = reply.status == 200 ? json_document(reply.body.data, reply.body.length) : NULL;
        cJSON *rows = page_rows(target, body);
        snprintf(before, sizeof before, "%s", cursor);
        member_key(member_get(body, named(target, "next", "next")), cursor, sizeof cursor);
        code = rows == NULL ? CH_EIO : page_put(database, target, resource, asking, rows);
        if (code == CH_EIO) {
            log_warning("upstream_not_answered", "target=%s resource=%s status=%ld problem=%s", target->name, resource,
                        reply.status, log_quote(reply.problem));
        }
        cJSON_Delete(rows);
        cJSON_Delete(body);
        reply_free(&reply);
        buffer_free(&path);
        if (*cursor == '\0' || strcmp(cursor, before) == 0) {
            return code;
        }
        if (code == 0 && goes_round(&circle, cursor)) {
            log_warning("upstream_not_answered", "target=%s resource=%s problem=%s", target->name, resource,
                        log_quote("its pages go round"));
            code = CH_EIO;
        }
    }
    return code;
}

int question_ask(PGconn *database, struct transport *transport) {
    const struct platform *target = transport->target;
    const cJSON *resource;
    if (target->ask == NULL) {
        return 0;
    }
    PGresult *begun =
        database_query(database, "SELECT onemap.exchange_ask_begin($1)::text", 1, (const char *const[]){target->name});
    int code = begun == NULL ? CH_EDATABASE : 0;
    if (code == 0 && PQntuples(begun) == 1 && !PQgetisnull(begun, 0, 0)) {
        const char *asking = PQgetvalue(begun, 0, 0);
        cJSON_ArrayForEach(resource, target->resources) {
            code = code == 0 ? ask_resource(database, transport, resource->string, asking) : code;
        }
        if (code == 0) {
            code = database_run(database, "SELECT onemap.exchange_ask_end($1, $2::timestamptz)", 2,
                                (const char *const[]){target->name, asking});
            log_info("upstream_asked", "target=%s", target->name);
        }
    }
    PQclear(begun);
    return code == CH_EIO ? 0 : code;
}
