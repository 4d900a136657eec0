/* account.c: a body is collected, its secret made or taken out, hashed by a worker (Argon2id: tens of milliseconds),
 * and the function asked; in the answer what was made is put in front. Secrets are wiped wherever they were. */
#include "hub/http/account.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hub/base/error.h"
#include "hub/base/member.h"
#include "hub/base/secret.h"
#include "hub/http/query.h"
#include "hub/http/request.h"
#include "hub/http/request_check.h"

enum {
    HASHES_AT_A_TIME = 2, /* 19 MiB each */
    GENERATED = 20,       /* characters of 64 letters: 120 bits, and a person can type it */
    LOGIN_MAX = 64,
};

struct account {
    struct request *request; /* NULL = it has ended */
    bool token, generated, busy;
    struct buffer body;
    cJSON *asked;
    char secret[PASSWORD_BYTES_MAX + 1];
    char hash[PASSWORD_HASH_TEXT]; /* "" = it could not be made */
    uv_work_t work;
};

static unsigned hashing;

static void account_free(struct account *account) {
    if (account->body.data != NULL) {
        secret_wipe(account->body.data, account->body.length);
    }
    buffer_free(&account->body);
    cJSON_Delete(account->asked);
    secret_wipe(account, sizeof *account);
    free(account);
}

/* ---- the body ---- */

static int open_for(struct request *request, void **sink, bool token) {
    struct account *account = calloc(1, sizeof *account);
    if (account == NULL) {
        request_refuse(request, PROBLEM_INTERNAL, "内存不足", "memory is out");
        return CH_EMEMORY;
    }
    account->request = request;
    account->token = token;
    *sink = account;
    return 0;
}

static int open_password(struct request *request, void **sink) {
    return open_for(request, sink, false);
}

static int open_token(struct request *request, void **sink) {
    return open_for(request, sink, true);
}

static ptrdiff_t sink_write(struct request *request, void *sink, const char *bytes, size_t length) {
    struct account *account = sink;
    buffer_bytes(&account->body, bytes, length);
    if (account->body.failed) {
        request_refuse(request, PROBLEM_INTERNAL, "内存不足", "memory is out");
        return CH_EMEMORY;
    }
    return (ptrdiff_t)length;
}

static void sink_close(void *sink, bool whole) {
    struct account *account = sink;
    (void)whole;
    account->request = NULL;
    if (!account->busy) {
        account_free(account);
    }
}

/* ---- its secret ---- */

/* Whose password it is, as far as it is known: "" = nobody's that could be named. */
static void login_of(const struct account *account, char login[static LOGIN_MAX]) {
    cJSON *json = cJSON_ParseWithLength(account->request->json.data, account->request->json.length);
    const char *text = member_text(json, "login");
    text = text[0] != '\0' ? text : member_text(account->asked, "login");
    snprintf(login, LOGIN_MAX, "%s", text);
    cJSON_Delete(json);
}

/* Takes the password out of the body, or makes one. False after refusing. */
static bool take_password(struct account *account) {
    struct request *request = account->request;
    char login[LOGIN_MAX];
    cJSON *sent = cJSON_DetachItemFromObjectCaseSensitive(account->asked, "password");
    char *text = cJSON_GetStringValue(sent);
    account->generated = sent == NULL;
    const char *flaw = NULL;
    if (account->generated) {
        flaw = secret_text(account->secret) != 0 ? "cannot be made: there are no random numbers" : NULL;
        secret_wipe(account->secret + GENERATED, SECRET_TEXT - GENERATED);
    } else if (text == NULL || strlen(text) > PASSWORD_BYTES_MAX) {
        flaw = "must be a text of 256 bytes at the most";
    } else {
        memcpy(account->secret, text, strlen(text) + 1);
        login_of(account, login);
        flaw = login[0] == '\0' ? "is nobody's: there is no login" : password_flaw(account->secret, login);
    }
    if (text != NULL) {
        secret_wipe(text, strlen(text));
    }
    cJSON_Delete(sent);
    if (flaw != NULL) {
        request_refuse(request, PROBLEM_BODY, "口令须有 10 个以上字符、5 种以上不同字符，且不含账号%.0s",
                       "the password %s", flaw);
    }
    return flaw == NULL;
}

static bool take_token(struct account *account) {
    account->generated = true;
    if (secret_token(account->secret) != 0) {
        request_refuse(account->request, PROBLEM_INTERNAL, "没有随机数", "there are no random numbers");
        return false;
    }
    secret_hash_text(account->secret, account->hash);
    return true;
}

/* Asks the row's function, with the hash where the secret was. */
static void ask(struct account *account) {
    struct request *request = account->request;
    const char *name = account->token ? "hash" : "password_hash";
    cJSON_DeleteItemFromObjectCaseSensitive(account->asked, name); /* what was sent as one is none */
    char *text = member_put(account->asked, name, cJSON_CreateString(account->hash)) == 0
                     ? cJSON_PrintUnformatted(account->asked)
                     : NULL;
    if (text == NULL || account->hash[0] == '\0') {
        request_refuse(request, PROBLEM_INTERNAL, "内存不足", "memory is out");
    } else {
        buffer_text(&request->body, text);
        query_start(request);
    }
    cJSON_free(text);
}

static void hash_work(uv_work_t *work) {
    struct account *account = work->data;
    if (password_hash(account->secret, account->hash) != 0) {
        account->hash[0] = '\0';
    }
}

static void on_hashed(uv_work_t *work, int status) {
    struct account *account = work->data;
    struct request *request = account->request;
    (void)status;
    hashing--;
    account->busy = false;
    if (request == NULL) {
        account_free(account);
        return;
    }
    if (!request->answer_ready) { /* else refused meanwhile: it took too long */
        request->answer.later = false;
        ask(account);
        request_wake(request);
    }
}

static void sink_finish(struct request *request, void *sink) {
    struct account *account = sink;
    if (account->body.length > 0 && !request_body_is_text(request, account->body.data, account->body.length)) {
        return;
    }
    account->asked = cJSON_ParseWithLength(account->body.data, account->body.length);
    if (!cJSON_IsObject(account->asked)) {
        request_refuse(request, PROBLEM_BODY, "请求体须为 JSON 对象", "the body must be a JSON object");
    } else if (account->token) {
        if (take_token(account)) {
            ask(account);
        }
    } else if (hashing >= HASHES_AT_A_TIME) {
        request_refuse(request, PROBLEM_BUSY, "正在设置的口令过多", "too many passwords are being set");
    } else if (take_password(account)) {
        request->answer.later = account->busy = true;
        hashing++;
        account->work.data = account;
        uv_queue_work(request->service->loop, &account->work, hash_work, on_hashed);
    }
}

/* ---- the answer ---- */

static void wipe_and_free(void *owner) {
    secret_wipe(owner, strlen(owner));
    free(owner);
}

/* {"login":"li.si"} becomes {"password":"...","login":"li.si"}: neither has what JSON would escape. */
static void sink_keep(struct request *request, void *sink) {
    struct account *account = sink;
    struct answer *answer = &request->answer;
    if (!account->generated || answer->length == 0 || answer->body[0] != '{') {
        return;
    }
    struct buffer whole = {0};
    buffer_format(&whole, "{\"%s\":\"%s\",", account->token ? "token" : "password", account->secret);
    buffer_bytes(&whole, answer->body + 1, answer->length - 1);
    if (buffer_string(&whole) == NULL) {
        buffer_free(&whole);
        request_refuse(request, PROBLEM_INTERNAL, "已保存，但内存不足，无法显示；请重新设置",
                       "stored, but memory is out and it cannot be shown: make it anew");
        return;
    }
    answer->release(answer->owner);
    answer->body = answer->owner = whole.data;
    answer->length = whole.length;
    answer->release = wipe_and_free;
}

const struct route_sink account_password_sink = {
    .open = open_password, .write = sink_write, .close = sink_close, .finish = sink_finish, .keep = sink_keep};
const struct route_sink account_token_sink = {
    .open = open_token, .write = sink_write, .close = sink_close, .finish = sink_finish, .keep = sink_keep};
