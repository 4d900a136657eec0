/* login.c: people at the door, see login.h. Each goes through three steps: what is stored of the account, Argon2id in a
 * thread, a session or the new password. Must never log what was typed: people type passwords into the field of the
 * login, too. */
#include "hub/http/login.h"

#include <arpa/inet.h>
#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hub/base/closing.h"
#include "hub/base/log.h"
#include "hub/base/member.h"
#include "hub/base/metrics.h"
#include "hub/base/secret.h"
#include "hub/http/client.h"
#include "hub/http/identity.h"
#include "hub/http/login_throttle.h"
#include "hub/http/request.h"

enum { LOGINS_MAX = 32, HASHES_AT_A_TIME = 2, STATEMENT_S = 5 };

enum stage {
    STAGE_FIND,  /* waits for what is stored of its account */
    STAGE_HASH,  /* waits for a thread */
    STAGE_OPEN,  /* waits for its session, or for its new password to be stored */
    STAGE_NOTE,  /* was wrong: waits for its line in the audit log */
    STAGE_BUSY,  /* one of these is under way */
    STAGE_ENDED, /* to be freed */
};

struct login {
    struct login *next;
    struct login_desk *desk;
    struct request *request; /* NULL = its client has left, or was answered */
    enum stage stage;
    struct login_try try_; /* whom and from where */
    char password[PASSWORD_BYTES_MAX + 1];
    int account; /* 0 = there is none */
    char hash[PASSWORD_HASH_TEXT];
    bool fits;
    char secret[SECRET_TEXT];
    unsigned char secret_hash[SECRET_HASH_BYTES], before[SECRET_HASH_BYTES];
    bool has_before, secure;
    bool changes; /* it is logged in and wants another password: */
    char wanted[PASSWORD_BYTES_MAX + 1], wanted_hash[PASSWORD_HASH_TEXT], session[24];
    char *answer; /* what login_open or login_password said */
    char number[12];
    struct postgres_value values[POSTGRES_VALUES_MAX];
    uv_work_t work;
};

struct login_desk {
    uv_loop_t *loop;
    struct postgres *session;
    struct login_throttle *throttle;
    struct login *first; /* in the order in which they came */
    unsigned count, hashing;
    struct login *asking; /* whose statement runs */
    uv_idle_t soon;
    struct closing closing;
    char nobody[PASSWORD_HASH_TEXT]; /* what a password is held against if there is no account */
};

static void on_soon(uv_idle_t *idle);

static void advance_soon(struct login_desk *desk) {
    if (!desk->closing.begun) {
        uv_idle_start(&desk->soon, on_soon);
    }
}

/* ---- the end of one ---- */

static void login_free(struct login *login) {
    free(login->answer);
    secret_wipe(login, sizeof *login);
    free(login);
}

/* Frees those that have ended. */
static void sweep(struct login_desk *desk) {
    for (struct login **at = &desk->first; *at != NULL;) {
        struct login *login = *at;
        if (login->stage != STAGE_ENDED) {
            at = &login->next;
            continue;
        }
        *at = login->next;
        desk->count--;
        login_free(login);
    }
}

/* Its request, which is no longer ours and is to be answered now. */
static struct request *let_go(struct login *login) {
    struct request *request = login->request;
    login->request = NULL;
    request->answer.later = false;
    request->answer.source = (struct answer_source){0};
    return request;
}

/* Its request has its answer. */
static void answered(struct login *login) {
    request_wake(let_go(login));
}

static void refuse(struct login *login, enum problem_kind kind, const char *zh, const char *en) {
    if (login->request != NULL) {
        struct request *request = let_go(login);
        request_refuse(request, kind, "%s", "%s", request->language == LANGUAGE_ZH ? zh : en);
        request_wake(request);
    }
}

static void refuse_wrong(struct login *login) {
    refuse(login, PROBLEM_LOGIN, login->changes ? "原密码不对" : "账号或密码不对",
           login->changes ? "the present password is wrong" : "login or password is wrong");
}

/* The client left, or its time is over. */
static void on_closed(void *user, const char *why) {
    struct login *login = user;
    (void)why;
    login->request = NULL;
}

/* ---- the database ---- */

static void find_result(void *user, int statement, const PGresult *rows) {
    struct login *login = user;
    (void)statement;
    if (PQntuples(rows) == 1 && PQgetlength(rows, 0, 1) < PASSWORD_HASH_TEXT) {
        uint32_t number;
        memcpy(&number, PQgetvalue(rows, 0, 0), sizeof number);
        login->account = (int)ntohl(number);
        snprintf(login->hash, sizeof login->hash, "%s", PQgetvalue(rows, 0, 1));
    }
}

static void find_done(struct login *login) {
    if (login->account == 0) {
        memcpy(login->hash, login->desk->nobody, sizeof login->hash);
    }
    login->stage = STAGE_HASH;
}

static void open_result(void *user, int statement, const PGresult *rows) {
    struct login *login = user;
    (void)statement;
    if (PQntuples(rows) == 1 && !PQgetisnull(rows, 0, 0)) {
        login->answer = strdup(PQgetvalue(rows, 0, 0));
    }
}

static void set_cookie(const struct login *login) {
    struct answer *answer = &login->request->answer;
    snprintf(answer->cookie, sizeof answer->cookie, "%s=%s; Path=/; HttpOnly; SameSite=Strict%s",
             login->secure ? IDENTITY_COOKIE_SECURE : IDENTITY_COOKIE, login->secret, login->secure ? "; Secure" : "");
}

static void open_done(struct login *login) {
    login->stage = STAGE_ENDED;
    if (login->answer == NULL) {
        refuse_wrong(login); /* revoked meanwhile, or another password */
        return;
    }
    login_throttle_forget(login->desk->throttle, &login->try_);
    if (login->request != NULL) {
        if (!login->changes) {
            set_cookie(login);
        }
        answer_text(&login->request->answer, login->answer);
        login->answer = NULL;
        answered(login);
    }
}

static void on_done(void *user, const struct postgres_error *error) {
    struct login *login = user;
    enum stage was = login->stage;
    login->desk->asking = NULL;
    if (error != NULL) {
        log_warning("http_login", "sqlstate=%s reason=%s", error->sqlstate, log_quote(error->message));
        refuse(login, PROBLEM_AWAY, "数据库未能答复", "the database did not answer");
        login->stage = STAGE_ENDED;
    } else if (was == STAGE_FIND) {
        find_done(login);
    } else if (was == STAGE_OPEN) {
        open_done(login);
    } else {
        login->stage = STAGE_ENDED;
    }
    advance_soon(login->desk);
}

static struct postgres_value text_value(const char *text) {
    return (struct postgres_value){.data = text[0] == '\0' ? NULL : text, .length = strlen(text)};
}

static struct postgres_value hash_value(const unsigned char *hash) {
    return (struct postgres_value){.data = (const char *)hash, .length = SECRET_HASH_BYTES, .binary = true};
}

static void ask(struct login *login) {
    struct postgres_value *values = login->values;
    struct postgres_job job = {.values = values, .timeout_s = STATEMENT_S, .done = on_done, .user = login};
    snprintf(login->number, sizeof login->number, "%d", login->account);
    values[0] = text_value(login->number);
    if (login->stage == STAGE_FIND) {
        job.sql = "SELECT account, password_hash FROM onemap.login_find($1)";
        values[0] = (struct postgres_value){.data = login->try_.login, .length = strlen(login->try_.login)};
        job.value_count = 1;
        job.result = find_result;
    } else if (login->stage == STAGE_OPEN && login->changes) {
        job.sql = "SELECT onemap.login_password($1, $2, $3, $4, $5)::text";
        values[1] = text_value(login->hash);
        values[2] = text_value(login->wanted_hash);
        values[3] = text_value(login->session);
        values[4] = text_value(login->try_.address);
        job.value_count = 5;
        job.result = open_result;
    } else if (login->stage == STAGE_OPEN) {
        job.sql = "SELECT onemap.login_open($1, $2, $3, $4, $5)::text";
        values[1] = text_value(login->hash);
        values[2] = hash_value(login->secret_hash);
        values[3] = text_value(login->try_.address);
        values[4] = login->has_before ? hash_value(login->before) : (struct postgres_value){.binary = true};
        job.value_count = 5;
        job.result = open_result;
    } else {
        job.sql = "SELECT onemap.login_failed($1, $2)";
        values[1] = text_value(login->try_.address);
        job.value_count = 2;
    }
    login->desk->asking = login;
    postgres_run(login->desk->session, &job);
}

/* ---- Argon2id ---- */

static void work_do(uv_work_t *work) {
    struct login *login = work->data;
    login->fits = password_fits(login->password, login->hash);
    if (login->fits && login->changes && password_hash(login->wanted, login->wanted_hash) != 0) {
        login->wanted_hash[0] = '\0';
    }
}

/* What it wants is there to be stored: the secret of its session, or its new hash. */
static bool is_prepared(struct login *login) {
    if (login->changes) {
        return login->wanted_hash[0] != '\0';
    }
    if (secret_text(login->secret) != 0) {
        return false;
    }
    secret_hash(login->secret, strlen(login->secret), login->secret_hash);
    return true;
}

static void work_done(uv_work_t *work, int status) {
    struct login *login = work->data;
    struct login_desk *desk = login->desk;
    bool known = login->account != 0, fits = login->fits && known && status == 0;
    desk->hashing--;
    secret_wipe(login->password, sizeof login->password);
    secret_wipe(login->wanted, sizeof login->wanted);
    if (desk->closing.begun) {
        login_free(login);
        closing_over(&desk->closing);
        return;
    }
    if (fits && (login->request == NULL || !is_prepared(login))) {
        login->stage = STAGE_ENDED; /* nobody is there to have it */
        refuse(login, PROBLEM_INTERNAL, "没有随机数或内存", "there are no random numbers, or no memory");
    } else if (fits) {
        login->stage = STAGE_OPEN;
    } else {
        log_info("http_login", "answer=refused account=%d address=%s", login->account,
                 log_quote(login->try_.address)); /* 0: there is none */
        refuse_wrong(login);
        login->stage = known ? STAGE_NOTE : STAGE_ENDED;
    }
    advance_soon(desk);
}

static void hash(struct login *login) {
    struct login_desk *desk = login->desk;
    login->stage = STAGE_BUSY;
    login->work.data = login;
    desk->hashing++;
    uv_queue_work(desk->loop, &login->work, work_do, work_done);
}

/* ---- the queue ---- */

/* Whoever has left needs no work more. What was wrong is noted all the same. */
static void drop_left(struct login_desk *desk) {
    for (struct login *login = desk->first; login != NULL; login = login->next) {
        if (login->request == NULL && login != desk->asking &&
            (login->stage == STAGE_FIND || login->stage == STAGE_HASH || login->stage == STAGE_OPEN)) {
            login->stage = STAGE_ENDED;
        }
    }
    sweep(desk);
}

/* Without a connection nobody waits for one. */
static void refuse_all(struct login_desk *desk) {
    for (struct login *login = desk->first; login != NULL; login = login->next) {
        if (login != desk->asking && login->stage != STAGE_BUSY && login->stage != STAGE_ENDED &&
            login->stage != STAGE_HASH) {
            refuse(login, PROBLEM_AWAY, "数据库未连接", "the hub is not connected to the database");
            login->stage = STAGE_ENDED;
        }
    }
    sweep(desk);
}

static void advance(struct login_desk *desk) {
    drop_left(desk);
    if (!postgres_connected(desk->session)) {
        refuse_all(desk);
    }
    for (struct login *login = desk->first; login != NULL; login = login->next) {
        if (login->stage == STAGE_HASH && desk->hashing < HASHES_AT_A_TIME) {
            hash(login);
        } else if (desk->asking == NULL && postgres_idle(desk->session) &&
                   (login->stage == STAGE_FIND || login->stage == STAGE_OPEN || login->stage == STAGE_NOTE)) {
            ask(login);
        }
    }
    hub_metrics.http_logins = desk->count;
}

static void on_soon(uv_idle_t *idle) {
    uv_idle_stop(idle);
    advance(idle->data);
}

/* Called from within postgres_run, too, when it fails at once: not while the list is being gone through. */
static void on_ready(void *user) {
    advance_soon(user);
}

static void on_lost(void *user, const char *why) {
    (void)why;
    advance_soon(user);
}

/* ---- the route ---- */

/* Moves a text out of the body; false if it is none, or has no room. */
static bool take(const cJSON *body, const char *name, char *room, size_t size) {
    char *text = cJSON_GetStringValue(member_get(body, name));
    bool fits = text != NULL && strlen(text) < size;
    if (fits) {
        memcpy(room, text, strlen(text) + 1);
    }
    if (text != NULL) {
        secret_wipe(text, strlen(text));
    }
    return fits;
}

static bool take_login(const cJSON *body, struct login *login) {
    bool password = take(body, "password", login->password, sizeof login->password);
    return take(body, "login", login->try_.login, sizeof login->try_.login) && login->try_.login[0] != '\0' && password;
}

static bool take_passwords(const cJSON *body, struct login *login) {
    bool password = take(body, "password", login->password, sizeof login->password);
    return take(body, "new_password", login->wanted, sizeof login->wanted) && password;
}

/* False after refusing. */
static bool read_body(struct request *request, struct login *login) {
    cJSON *body = cJSON_ParseWithLength(request->body.data, request->body.length);
    bool whole = login->changes ? take_passwords(body, login) : take_login(body, login);
    cJSON_Delete(body);
    secret_wipe(request->body.data, request->body.length);
    if (!whole && login->changes) {
        request_refuse(request, PROBLEM_BODY, "请求体须为 {\"password\": 原密码, \"new_password\": 新密码}",
                       "the body must be {\"password\": ..., \"new_password\": ...}");
    } else if (!whole) {
        request_refuse(request, PROBLEM_BODY, "请求体须为 {\"login\": 账号, \"password\": 密码}",
                       "the body must be {\"login\": ..., \"password\": ...}");
    }
    return whole;
}

static bool may_try(struct request *request, struct login_desk *desk, const struct login *login) {
    uint64_t wait_ms = login_throttle_wait(desk->throttle, &login->try_, uv_now(desk->loop));
    if (wait_ms > 0) {
        unsigned wait_s = (unsigned)((wait_ms + 999) / 1000);
        request_refuse(request, PROBLEM_SLOWER, "尝试过多，请在 %u 秒后再试", "too many tries: wait for %u s", wait_s);
        request->answer.retry_after_s = wait_s;
    } else if (desk->count >= LOGINS_MAX) {
        request_refuse(request, PROBLEM_BUSY, "正在登录的人过多", "too many are logging in");
    } else {
        return true;
    }
    hub_metrics.http_logins_refused++;
    return false;
}

static void enqueue(struct login_desk *desk, struct login *login) {
    struct login **at = &desk->first;
    while (*at != NULL) {
        at = &(*at)->next;
    }
    *at = login;
    desk->count++;
    login_throttle_count(desk->throttle, &login->try_, uv_now(desk->loop));
    advance_soon(desk);
}

/* NULL after refusing. */
static struct login *login_new(struct request *request) {
    struct login_desk *desk = request->service->logins;
    struct login *login = desk == NULL ? NULL : calloc(1, sizeof *login);
    if (login == NULL) {
        request_refuse(request, PROBLEM_INTERNAL, "内存不足", "memory is out");
        return NULL;
    }
    login->desk = desk;
    login->request = request;
    client_address(request, login->try_.address);
    return login;
}

/* It is in order: its answer comes later. */
static void begin(struct login *login) {
    struct answer *answer = &login->request->answer;
    answer->later = true;
    answer->source = (struct answer_source){.closed = on_closed, .user = login};
    enqueue(login->desk, login);
}

void login_answer(struct request *request, struct answer *answer) {
    struct login *login = login_new(request);
    const char *before = identity_cookie(request);
    (void)answer;
    if (login == NULL) {
        return;
    }
    if (client_is_strange(request, false)) {
        request_refuse(request, PROBLEM_ORIGIN, "请求不是来自本系统的页面",
                       "the request does not come from a page of this hub");
        login_free(login);
        return;
    }
    if (!read_body(request, login) || !may_try(request, login->desk, login)) {
        login_free(login);
        return;
    }
    login->secure = client_is_secure(request);
    login->has_before = before != NULL;
    if (before != NULL) {
        secret_hash(before, strlen(before), login->before);
    }
    begin(login);
}

/* Who is logged in; false after refusing. */
static bool read_identity(struct request *request, struct login *login) {
    cJSON *json = cJSON_ParseWithLength(request->json.data, request->json.length);
    const cJSON *who = member_get(json, "identity");
    bool is_person =
        strcmp(member_text(who, "kind"), "person") == 0 && strlen(member_text(who, "login")) < sizeof login->try_.login;
    if (is_person) {
        snprintf(login->try_.login, sizeof login->try_.login, "%s", member_text(who, "login"));
        snprintf(login->session, sizeof login->session, "%.0f", member_number(who, "session", 0));
    } else {
        request_refuse(request, PROBLEM_RIGHT, "令牌没有密码", "a token has no password");
    }
    cJSON_Delete(json);
    return is_person;
}

static bool may_have(struct request *request, const struct login *login) {
    const char *flaw = password_flaw(login->wanted, login->try_.login);
    flaw = flaw == NULL && strcmp(login->wanted, login->password) == 0 ? "is the present one" : flaw;
    if (flaw != NULL) {
        request_refuse(request, PROBLEM_BODY,
                       "新密码须有 10 个以上字符、5 种以上不同字符，不含账号，且与原密码不同%.0s",
                       "the new password %s", flaw);
    }
    return flaw == NULL;
}

void login_password_answer(struct request *request, struct answer *answer) {
    struct login *login = login_new(request);
    (void)answer;
    if (login == NULL) {
        return;
    }
    login->changes = true;
    if (!read_identity(request, login) || !read_body(request, login) || !may_have(request, login) ||
        !may_try(request, login->desk, login)) {
        login_free(login);
        return;
    }
    begin(login);
}

void login_forget(struct request *request) {
    bool secure = MHD_lookup_connection_value(request->connection, MHD_COOKIE_KIND, IDENTITY_COOKIE_SECURE) != NULL;
    snprintf(request->answer.cookie, sizeof request->answer.cookie,
             "%s=; Path=/; Max-Age=0; HttpOnly; SameSite=Strict%s", secure ? IDENTITY_COOKIE_SECURE : IDENTITY_COOKIE,
             secure ? "; Secure" : "");
}

/* ---- open and close ---- */

static void desk_free(void *user) {
    struct login_desk *desk = user;
    login_throttle_free(desk->throttle);
    free(desk);
}

struct login_desk *login_desk_open(uv_loop_t *loop, const struct config *config) {
    struct login_desk *desk = calloc(1, sizeof *desk);
    char password[SECRET_TEXT];
    if (desk == NULL || (desk->throttle = login_throttle_new()) == NULL || secret_text(password) != 0 ||
        password_hash(password, desk->nobody) != 0) {
        log_error("out_of_memory", "what=logins");
        if (desk != NULL) {
            desk_free(desk);
        }
        return NULL;
    }
    const struct postgres_handlers handlers = {.ready = on_ready, .lost = on_lost, .user = desk};
    desk->loop = loop;
    uv_idle_init(loop, &desk->soon);
    desk->soon.data = desk;
    desk->session = postgres_open(loop, config, "http-login", NULL, &handlers);
    if (desk->session == NULL) {
        login_desk_close(desk, NULL, NULL);
        return NULL;
    }
    return desk;
}

void login_desk_close(struct login_desk *desk, void (*closed)(void *user), void *user) {
    closing_begin(&desk->closing, desk_free, desk, closed, user);
    closing_handle(&desk->closing, (uv_handle_t *)&desk->soon);
    if (desk->session != NULL) {
        closing_await(&desk->closing);
        postgres_close(desk->session, closing_over, &desk->closing);
    }
    while (desk->first != NULL) {
        struct login *login = desk->first;
        desk->first = login->next;
        if (login->stage == STAGE_BUSY) {
            closing_await(&desk->closing); /* its thread frees it */
            uv_cancel((uv_req_t *)&login->work);
        } else {
            login_free(login);
        }
    }
    hub_metrics.http_logins = 0;
}
