/* identity.c: cookies and tokens against the database. Must never let a request through whose identity was not answered
 * for, nor keep a secret beyond its hash. */
#include "hub/http/identity.h"

#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hub/base/error.h"
#include "hub/base/log.h"
#include "hub/base/secret.h"
#include "hub/base/text.h"
#include "hub/http/client.h"
#include "hub/http/credential.h"
#include "hub/http/identity_memo.h"
#include "hub/http/query.h"
#include "hub/http/request.h"

enum { RIGHTS_MAX = 256, TOUCH_MS = 5000 };

/* What is known of who comes, as parameters of identity_find and identity_touch. */
struct claim {
    const char *kind; /* "session" or "token" */
    unsigned char hash[SECRET_HASH_BYTES];
    char address[INET6_ADDRSTRLEN];
    struct postgres_value values[IDENTITY_VALUES];
};

struct identity {
    struct request *request;
    struct claim claim;
    struct pool_job job;
    struct buffer json; /* as identity_find answers it */
    char rights[RIGHTS_MAX];
    const struct identity_memo_entry *remembered;
    bool found, due, asked;
    bool rides; /* it is asked for by the request's own statement */
};

const char *identity_cookie(const struct request *request) {
    const char *secure = MHD_lookup_connection_value(request->connection, MHD_COOKIE_KIND, IDENTITY_COOKIE_SECURE);
    if (secure != NULL || client_all_secure(request->service->config)) {
        return secure; /* who has TLS alone takes no cookie that could have come without it */
    }
    return MHD_lookup_connection_value(request->connection, MHD_COOKIE_KIND, IDENTITY_COOKIE);
}

/* ---- before asking ---- */

static void claim_fill(struct claim *claim, const struct request *request, const char *kind, const char *secret) {
    claim->kind = kind;
    secret_hash(secret, strlen(secret), claim->hash);
    client_address(request, claim->address);
    claim->values[0] = (struct postgres_value){.data = kind, .length = strlen(kind)};
    claim->values[1] =
        (struct postgres_value){.data = (const char *)claim->hash, .length = sizeof claim->hash, .binary = true};
    claim->values[2] = (struct postgres_value){.data = claim->address[0] == '\0' ? NULL : claim->address,
                                               .length = strlen(claim->address)};
}

static void refuse_unknown(struct request *request) {
    request_refuse(request, PROBLEM_IDENTITY, "未登录，或登录已失效", "there is no login, or it is over");
}

static void set_claim(struct request *request, const char *kind, const char *secret) {
    request->identity = calloc(1, sizeof *request->identity);
    if (request->identity == NULL) {
        request_refuse(request, PROBLEM_INTERNAL, "内存不足", "memory is out");
        return;
    }
    request->identity->request = request;
    claim_fill(&request->identity->claim, request, kind, secret);
}

/* Browsers send a Basic password by themselves, for whichever page: it reads and never writes. */
static void check_header(struct request *request, const char *authorization) {
    char secret[CREDENTIAL_SECRET_MAX];
    enum credential_kind kind = credential_read(authorization, secret);
    if (kind == CREDENTIAL_FLAWED) {
        refuse_unknown(request);
    } else if (kind == CREDENTIAL_BASIC && request->method != METHOD_GET) {
        request_refuse(request, PROBLEM_ORIGIN, "Basic 方式只能读取；写入请用 Bearer 令牌",
                       "Basic reads only: write with the token as Bearer");
    } else {
        set_claim(request, "token", secret);
    }
    secret_wipe(secret, sizeof secret);
}

void identity_check(struct request *request) {
    const struct route *route = request->route;
    const char *authorization = request_header(request, MHD_HTTP_HEADER_AUTHORIZATION),
               *cookie = identity_cookie(request);
    if (route->right == RIGHT_ANYONE) {
        return;
    }
    if (authorization != NULL) {
        check_header(request, authorization);
    } else if (cookie != NULL && request->method != METHOD_GET && client_is_strange(request, true)) {
        request_refuse(request, PROBLEM_ORIGIN, "请求不是来自本系统的页面",
                       "the request does not come from a page of this hub");
    } else if (cookie != NULL) {
        set_claim(request, "session", cookie);
    } else if (!route->loopback || !client_is_local(request)) {
        refuse_unknown(request);
    }
}

/* ---- asking ---- */

static bool is_due(const PGresult *row, int column) {
    return PQgetlength(row, 0, column) == 1 && PQgetvalue(row, 0, column)[0] != 0;
}

static bool on_row(void *user, const PGresult *row) {
    struct identity *identity = user;
    int json = PQfnumber(row, "identity"), rights = PQfnumber(row, "rights"), due = PQfnumber(row, "due");
    if (json < 0 || rights < 0 || due < 0 || PQgetlength(row, 0, rights) >= RIGHTS_MAX) {
        log_error("http_function", "function=onemap.identity_find reason=\"it has other columns\"");
        return true;
    }
    buffer_bytes(&identity->json, PQgetvalue(row, 0, json), (size_t)PQgetlength(row, 0, json));
    snprintf(identity->rights, sizeof identity->rights, "%s", PQgetvalue(row, 0, rights));
    identity->due = is_due(row, due);
    identity->found = !identity->json.failed;
    return true;
}

static bool has_right(const struct identity *identity, enum route_right right) {
    const char *name = route_right_name(right), *rights = identity->rights;
    size_t length;
    for (const char *word; (word = text_word(&rights, &length)) != NULL;) {
        if (length == strlen(name) && strncmp(word, name, length) == 0) {
            return true;
        }
    }
    return right == RIGHT_IDENTITY;
}

/* Last use is noted once a minute, by a job of its own that nobody waits for. */
struct touch {
    struct claim claim;
    struct pool_job job;
};

static void touch_done(void *user, enum pool_end end, const struct postgres_error *error) {
    if (end == POOL_REFUSED) {
        log_warning("http_identity", "function=onemap.identity_touch reason=%s", log_quote(error->message));
    }
    free(user);
}

static bool touch_row(void *user, const PGresult *row) {
    (void)user;
    (void)row;
    return true;
}

static void touch(const struct identity *identity) {
    const struct service *service = identity->request->service;
    struct touch *touch = calloc(1, sizeof *touch);
    if (touch == NULL) {
        return;
    }
    touch->claim = identity->claim;
    touch->claim.values[1].data = (const char *)touch->claim.hash;
    touch->claim.values[2].data = identity->claim.values[2].data == NULL ? NULL : touch->claim.address;
    touch->job = (struct pool_job){.sql = "SELECT onemap.identity_touch($1, $2, $3)",
                                   .values = touch->claim.values,
                                   .value_count = IDENTITY_VALUES,
                                   .client = identity->request->client,
                                   .writes = true,
                                   .deadline_ms = uv_now(service->loop) + TOUCH_MS,
                                   .row = touch_row,
                                   .done = touch_done,
                                   .user = touch};
    if (pool_submit(service->pool, &touch->job) != 0) {
        free(touch);
    }
}

static struct identity_memo_key key_of(const struct identity *identity) {
    struct identity_memo_key key;
    memset(&key, 0, sizeof key);
    memcpy(key.hash, identity->claim.hash, sizeof key.hash);
    memcpy(key.kind, identity->claim.kind, strlen(identity->claim.kind));
    memcpy(key.address, identity->claim.address, strlen(identity->claim.address));
    return key;
}

/* Whether the database has answered for the same a moment ago. */
static bool is_remembered(struct request *request) {
    struct identity *identity = request->identity;
    const struct service *service = request->service;
    if (!request->route->remembers) {
        return false;
    }
    struct identity_memo_key key = key_of(identity);
    bool away = service->pool == NULL || !pool_connected(service->pool);
    identity->remembered = identity_memo_take(service->memo, &key, uv_now(service->loop), away);
    if (identity->remembered == NULL) {
        return false;
    }
    buffer_text(&identity->json, identity->remembered->json);
    snprintf(identity->rights, sizeof identity->rights, "%s", identity->remembered->rights);
    return true;
}

/* Its use is noted, unless that was begun a moment ago. */
static void note(const struct identity *identity) {
    const struct service *service = identity->request->service;
    struct identity_memo_key key = key_of(identity);
    if (identity_memo_note(service->memo, &key, uv_now(service->loop))) {
        touch(identity);
    }
}

const struct tile_scope *identity_scope(const struct request *request) {
    const struct identity_memo_entry *remembered = request->identity == NULL ? NULL : request->identity->remembered;
    return remembered == NULL ? NULL : remembered->scope;
}

static void granted(struct request *request) {
    struct identity *identity = request->identity;
    const char *json = buffer_string(&identity->json);
    if (json == NULL || request->json.length == 0) {
        request_refuse(request, PROBLEM_INTERNAL, "内存不足", "memory is out");
        return;
    }
    struct identity_memo *memo = request->service->memo;
    struct identity_memo_key key = key_of(identity);
    uint64_t now = uv_now(request->service->loop);
    if (identity->due) {
        note(identity);
    }
    if (request->method != METHOD_GET) {
        identity_memo_clear(memo);
    } else if (request->route->remembers && identity->remembered == NULL) {
        identity->remembered = identity_memo_put(memo, &key, now, json, identity->rights);
    }
    if (!has_right(identity, request->route->right)) {
        request_refuse(request, PROBLEM_RIGHT, "缺少权限 %s", "the right %s is missing",
                       route_right_name(request->route->right));
        return;
    }
    request->json.length--; /* its closing brace */
    buffer_format(&request->json, "%s\"identity\":%s}", request->json.length > 1 ? "," : "", json);
}

static void on_done(void *user, enum pool_end end, const struct postgres_error *error) {
    struct identity *identity = user;
    struct request *request = identity->request;
    identity->asked = false;
    if (end != POOL_DONE) {
        query_refuse(request, identity->job.started, end, error);
    } else if (!identity->found) {
        refuse_unknown(request);
    } else {
        granted(request);
    }
    if (identity->rides && !request->answer_ready) {
        identity->rides = false;
        query_again(request);
    }
    request_wake(request);
}

/* Asks the database; false: the request was refused. */
static bool ask(struct request *request) {
    struct identity *identity = request->identity;
    struct pool *pool = request->service->pool;
    uint64_t limit = (uint64_t)request->service->config->http_deadline_s * 1000;
    identity->job = (struct pool_job){.sql = "SELECT * FROM onemap.identity_find($1, $2, $3)",
                                      .values = identity->claim.values,
                                      .value_count = IDENTITY_VALUES,
                                      .client = request->client,
                                      .deadline_ms = request->deadline_ms == UINT64_MAX ? request->begun_ms + limit
                                                                                        : request->deadline_ms,
                                      .row = on_row,
                                      .done = on_done,
                                      .user = identity};
    int code = pool == NULL ? CH_EDATABASE : pool_submit(pool, &identity->job);
    identity->asked = code == 0;
    if (code != 0) {
        query_refuse_now(request, code);
    }
    return identity->asked;
}

bool identity_ask(struct request *request) {
    struct identity *identity = request->identity;
    if (is_remembered(request)) {
        granted(request);
        return false;
    }
    identity->rides = query_takes_identity(request);
    return !identity->rides && ask(request);
}

const struct postgres_value *identity_values(const struct request *request) {
    return request->identity != NULL && request->identity->rides ? request->identity->claim.values : NULL;
}

void identity_rode(struct request *request, const PGresult *row) {
    int due = PQfnumber(row, "identity_due");
    if (due >= 0 && is_due(row, due)) {
        note(request->identity);
    }
}

bool identity_missed(struct request *request) {
    return ask(request);
}

void identity_claim(const struct request *request, struct buffer *json) {
    const struct identity *identity = request->identity;
    buffer_format(json, "{\"kind\":\"%s\",\"hash\":\"", identity->claim.kind);
    for (size_t i = 0; i < sizeof identity->claim.hash; i++) {
        buffer_format(json, "%02x", identity->claim.hash[i]);
    }
    buffer_format(json, identity->claim.address[0] == '\0' ? "\",\"address\":null%s" : "\",\"address\":\"%s\"",
                  identity->claim.address);
    buffer_text(json, ",\"identity\":");
    buffer_bytes(json, identity->json.data, identity->json.length);
    buffer_text(json, "}");
}

void identity_free(struct request *request) {
    struct identity *identity = request->identity;
    if (identity == NULL) {
        return;
    }
    request->identity = NULL;
    if (identity->asked) {
        pool_abandon(request->service->pool, &identity->job);
    }
    buffer_free(&identity->json);
    if (identity->remembered != NULL) {
        identity_memo_release(identity->remembered);
    }
    free(identity);
}
