/* push.c: pushes from their head to their answer. Must never answer 2xx before the hub's receipt, nor hold more of
 * bodies than its bound. */
#include "hub/gateway/push.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "hub/adapter.h"
#include "hub/base/closing.h"
#include "hub/base/error.h"
#include "hub/base/log.h"
#include "hub/base/member.h"
#include "hub/base/secret.h"
#include "hub/base/text.h"
#include "hub/base/topic.h"
#include "hub/gateway/figures.h"
#include "hub/gateway/push_body.h"
#include "hub/gateway/push_session.h"
#include "hub/http/client.h"
#include "hub/http/request.h"
#include "hub/http/routes.h"

enum {
    HELD_BYTES_MAX = 256 * 1024 * 1024, /* of all bodies together */
    TICK_MS = 250,
    HTTP_UNPROCESSABLE = 422,
    REASON_NOT_AUTHORIZED = 0x87,
    REASON_NOBODY = 0x10,
};

/* One push, from its head to its end. */
struct push {
    struct push_desk *desk;
    struct push *next, *previous; /* among those that wait for their session */
    struct request *request;      /* NULL = its client left */
    struct push_login login;
    struct push_session *session;
    struct push_body body;
    size_t counted; /* of desk->held_bytes */
    bool lines;     /* NDJSON */
    bool queued, published;
    char subsystem[64], kind[16], name[PUBLISHER_NAME_MAX];
    uint64_t began_ns, late_at;
};

struct push_desk {
    uv_loop_t *loop;
    const struct config *config;
    struct push_sessions *sessions;
    struct push *first; /* those that wait for their session */
    size_t held_bytes;
    uv_timer_t timer;
    struct closing closing;
};

/* ---- its end ---- */

static void unqueue(struct push *push) {
    if (push->queued) {
        *(push->previous == NULL ? &push->desk->first : &push->previous->next) = push->next;
        if (push->next != NULL) {
            push->next->previous = push->previous;
        }
        push->queued = false;
    }
}

/* The body is not needed any more. */
static void body_drop(struct push *push) {
    push_body_free(&push->body);
    push->desk->held_bytes -= push->counted;
    push->counted = 0;
}

static void push_free(struct push *push) {
    unqueue(push);
    body_drop(push);
    secret_wipe(&push->login, sizeof push->login);
    if (push->session != NULL) {
        push_session_release(push->session);
    }
    free(push);
}

/* The answer of its request is there: only the client has still to have it. */
static struct request *take_request(struct push *push, enum push_fate fate) {
    struct request *request = push->request;
    figures.pushes[fate]++;
    histogram_observe(&figures.pushed_s, (double)(uv_hrtime() - push->began_ns) / 1e9);
    if (request != NULL) {
        push->request = NULL;
        request->answer.later = false;
        request->answer.source = (struct answer_source){0};
    }
    return request;
}

static void unsure(struct push *push, const char *zh, const char *en) {
    struct request *request = take_request(push, PUSH_UNSURE);
    if (request != NULL) {
        request_refuse(request, PROBLEM_UNSURE, "%s", "%s", request->language == LANGUAGE_ZH ? zh : en);
        request_wake(request);
    }
    push_free(push);
}

static void refused(struct push *push, enum problem_kind kind, const char *zh, const char *en) {
    struct request *request = take_request(push, PUSH_REFUSED);
    if (request != NULL) {
        request_refuse(request, kind, "%s", "%s", request->language == LANGUAGE_ZH ? zh : en);
        request_wake(request);
    }
    push_free(push);
}

/* 200 if anything of it is stored, or nothing was wrong with it. */
static void answer_receipt(struct push *push, const cJSON *receipt) {
    double stored = member_number(receipt, "accepted", 0) + member_number(receipt, "duplicates", 0) +
                    member_number(receipt, "merged", 0) + member_number(receipt, "revised", 0);
    bool all_refused = stored < 1 && member_number(receipt, "rejected", 0) > 0;
    struct request *request = take_request(push, all_refused ? PUSH_REFUSED : PUSH_STORED);
    figures.push_records += (uint64_t)member_number(receipt, "records", 0);
    if (request != NULL) {
        answer_text(&request->answer, cJSON_PrintUnformatted(receipt));
        if (all_refused && request->answer.status == 0) {
            request->answer.status = HTTP_UNPROCESSABLE;
        }
        request_wake(request);
    }
    push_free(push);
}

static void on_ended(void *user, enum publisher_end end, const cJSON *receipt, int reason) {
    struct push *push = user;
    push->published = false;
    if (end == PUBLISHER_RECEIPT) {
        answer_receipt(push, receipt);
    } else if (end == PUBLISHER_REFUSED && reason == REASON_NOT_AUTHORIZED) {
        refused(push, PROBLEM_RIGHT, "该厂商无权发送这个子系统", "this vendor has no right to push this subsystem");
    } else if (end == PUBLISHER_REFUSED && reason == REASON_NOBODY) {
        unsure(push, "枢纽没有在线的会话", "no hub listens at the broker");
    } else if (end == PUBLISHER_REFUSED) {
        unsure(push, "消息服务器没有收下", "the broker did not take it");
    } else {
        unsure(push, "在规定时间内没有收到枢纽的回执", "no receipt of the hub came in time");
    }
}

/* ---- waiting for the session ---- */

static void publish(struct push *push) {
    const struct publisher_message message = {.subsystem = push->subsystem,
                                              .vendor = push->login.vendor,
                                              .kind = push->kind,
                                              .name = push->name,
                                              .payload = push->body.bytes.data,
                                              .length = push->body.bytes.length,
                                              .ended = on_ended,
                                              .user = push};
    unqueue(push);
    int code = publisher_publish(push_session_publisher(push->session), &message);
    if (code == 0) {
        push->published = true;
        body_drop(push);
    } else if (code == CH_EFULL) {
        unsure(push, "该厂商等待入库的报文已满", "as many of this vendor's messages as may be wait to be stored");
    } else {
        unsure(push, "消息服务器未连接", "the broker is away");
    }
}

/* What can be done with it now. */
static void look_at(struct push *push, uint64_t now) {
    enum push_session_state state = push_session_state(push->session);
    if (state == PUSH_SESSION_WRONG) {
        log_info("push_login", "vendor=%s answer=refused", push->login.vendor);
        refused(push, PROBLEM_LOGIN, "厂商代号或口令不对", "the vendor's name or password is wrong");
    } else if (state == PUSH_SESSION_READY && publisher_ready(push_session_publisher(push->session))) {
        publish(push);
    } else if (push->late_at <= now) {
        unsure(push, "消息服务器未连接", "the broker is away");
    }
}

static void look_at_all(void *user) {
    struct push_desk *desk = user;
    for (struct push *push = desk->first, *next; push != NULL; push = next) {
        next = push->next;
        look_at(push, uv_now(desk->loop));
    }
    if (desk->first == NULL) {
        uv_timer_stop(&desk->timer);
    }
}

static void on_timer(uv_timer_t *timer) {
    look_at_all(timer->data);
}

static void enqueue(struct push *push) {
    struct push_desk *desk = push->desk;
    push->next = desk->first;
    push->previous = NULL;
    if (desk->first != NULL) {
        desk->first->previous = push;
    }
    desk->first = push;
    push->queued = true;
    if (!uv_is_active((uv_handle_t *)&desk->timer)) {
        uv_timer_start(&desk->timer, on_timer, TICK_MS, TICK_MS);
    }
}

/* ---- its head ---- */

/* Basic's base64 of vendor:password. */
static bool login_read(const char *authorization, struct push_login *login) {
    unsigned char plain[PUSH_LOGIN_MAX + PUSH_PASSWORD_MAX];
    size_t length = 0;
    const char *end = NULL;
    bool taken = false;
    if (authorization != NULL && strncasecmp(authorization, "Basic ", 6) == 0 &&
        sodium_base642bin(plain, sizeof plain, authorization + 6, strlen(authorization + 6), " ", &length, &end,
                          sodium_base64_VARIANT_ORIGINAL) == 0 &&
        *end == '\0') {
        const unsigned char *colon = memchr(plain, ':', length);
        size_t name = colon == NULL ? 0 : (size_t)(colon - plain), rest = length - name;
        if (name > 0 && name < PUSH_LOGIN_MAX && rest > 1 && rest <= PUSH_PASSWORD_MAX &&
            memchr(plain, '\0', length) == NULL) {
            memcpy(login->vendor, plain, name);
            memcpy(login->password, colon + 1, rest - 1);
            taken = strspn(login->vendor, "abcdefghijklmnopqrstuvwxyz0123456789_-") == name;
        }
    }
    sodium_memzero(plain, sizeof plain);
    return taken;
}

/* NULL, or what is wrong with the name of the message. "" = there is none. */
static const char *name_read(const struct request *request, char name[static PUBLISHER_NAME_MAX]) {
    const char *key = request_header(request, "Idempotency-Key");
    size_t length = key == NULL ? 0 : strlen(key);
    name[0] = '\0';
    if (length >= 2 && key[0] == '"' && key[length - 1] == '"') {
        key++;
        length -= 2;
    }
    if (key != NULL && (length == 0 || length >= PUBLISHER_NAME_MAX || text_flaw(key, length, false) != NULL)) {
        return "Idempotency-Key";
    }
    if (key != NULL) {
        memcpy(name, key, length);
        name[length] = '\0';
    }
    return NULL;
}

/* The parts of the path; false after refusing. */
static bool path_read(struct request *request, struct push *push) {
    const char *vendor = request_value(request, "vendor")->text;
    snprintf(push->subsystem, sizeof push->subsystem, "%s", request_value(request, "subsystem")->text);
    snprintf(push->kind, sizeof push->kind, "%s", request_value(request, "kind")->text);
    if (adapter_find(push->subsystem) == NULL || topic_kind(push->kind) >= TOPIC_KINDS_IN) {
        request_refuse(request, PROBLEM_NOTHING, "路径须为 /push/<子系统>/<厂商>/<种类>，种类为 %s",
                       "the path is /push/<subsystem>/<vendor>/<kind>, and the kind is %s", TOPIC_WORDS_IN);
    } else if (!login_read(request_header(request, MHD_HTTP_HEADER_AUTHORIZATION), &push->login)) {
        request_refuse(request, PROBLEM_IDENTITY, "请用 Basic 方式给出厂商代号与口令",
                       "say the vendor's name and password by Basic");
    } else if (strcmp(vendor, push->login.vendor) != 0) {
        request_refuse(request, PROBLEM_RIGHT, "路径里的厂商须与登录相同", "the path's vendor must be the login's");
    } else if (name_read(request, push->name) != NULL) {
        request_refuse(request, PROBLEM_BODY, "Idempotency-Key 须为 1 至 128 字节，UTF-8，不含控制字符",
                       "an Idempotency-Key has 1 to 128 bytes of UTF-8 without control characters");
    } else {
        return true;
    }
    return false;
}

static int sink_open(struct request *request, void **sink) {
    struct push_desk *desk = push_desk_of(request);
    const char *encoding = request_header(request, MHD_HTTP_HEADER_CONTENT_ENCODING);
    const char *type = request_header(request, MHD_HTTP_HEADER_CONTENT_TYPE);
    struct push *push = calloc(1, sizeof *push);
    *sink = NULL;
    if (push == NULL) {
        request_refuse(request, PROBLEM_BUSY, "内存不足", "memory is out");
        return CH_EMEMORY;
    }
    push->desk = desk;
    push->request = request;
    push->lines = type != NULL && strncasecmp(type, "application/x-ndjson", strlen("application/x-ndjson")) == 0;
    int code = path_read(request, push) ? 0 : CH_EINVAL;
    if (code == 0) {
        code = push_body_begin(&push->body, (size_t)desk->config->lane_max_payload_bytes,
                               encoding != NULL && strcasecmp(encoding, "gzip") == 0);
        if (code != 0) {
            request_refuse(request, PROBLEM_BUSY, "内存不足", "memory is out");
        }
    }
    if (code != 0) {
        push_free(push);
        return code;
    }
    *sink = push;
    return 0;
}

/* ---- its body ---- */

static void refuse_body(struct request *request, const struct push *push, int code) {
    if (code == CH_EFULL) {
        request_refuse(request, PROBLEM_LARGE, "报文不得超过 %zu 字节", "a message may have %zu bytes at the most",
                       push->body.most);
    } else if (code == CH_EINVAL) {
        request_refuse(request, PROBLEM_BODY, "不是 gzip，或已损坏", "it is no gzip, or a broken one");
    } else {
        request_refuse(request, PROBLEM_BUSY, "内存不足", "memory is out");
    }
}

static ptrdiff_t sink_write(struct request *request, void *sink, const char *bytes, size_t length) {
    struct push *push = sink;
    struct push_desk *desk = push->desk;
    if (desk->held_bytes >= HELD_BYTES_MAX) {
        request_refuse(request, PROBLEM_BUSY, "正在接收的报文过多", "too many messages are being received");
        return CH_EFULL;
    }
    int code = push_body_add(&push->body, bytes, length);
    desk->held_bytes += push->body.bytes.length - push->counted;
    push->counted = push->body.bytes.length;
    if (code != 0) {
        refuse_body(request, push, code);
        return code;
    }
    return (ptrdiff_t)length;
}

/* Whoever is answered later is freed when the answer is there. */
static void sink_close(void *sink, bool whole) {
    struct push *push = sink;
    (void)whole;
    if (push != NULL && !push->queued && !push->published) {
        push_free(push);
    }
}

const struct route_sink push_sink = {.open = sink_open, .write = sink_write, .close = sink_close};

/* ---- its answer ---- */

/* Its client left. What was published is the hub's all the same. */
static void on_closed(void *user, const char *why) {
    struct push *push = user;
    (void)why;
    push->request = NULL;
    if (push->published) {
        publisher_forget(push_session_publisher(push->session), push);
        push->published = false;
    }
    push_free(push);
}

/* False after refusing. */
static bool body_ready(struct request *request, struct push *push, unsigned char hash[static SECRET_HASH_BYTES]) {
    char reason[PUSH_BODY_REASON_MAX];
    int code = 0;
    if (!push_body_whole(&push->body)) {
        refuse_body(request, push, CH_EINVAL);
        return false;
    }
    if (push->lines && (code = push_body_lines(&push->body, reason)) != 0) {
        if (code == CH_EINVAL) {
            request_refuse(request, PROBLEM_BODY, "NDJSON 有误，没有收下任何内容：%s",
                           "the NDJSON is wrong, nothing of it is taken: %s", reason);
        } else {
            refuse_body(request, push, code);
        }
        return false;
    }
    secret_hash(push->body.bytes.data, push->body.bytes.length, hash);
    if (push->name[0] == '\0') { /* the same content has the same name: sent again it is known again */
        memcpy(push->name, "sha256:", 8);
        for (size_t i = 0; i < 16; i++) {
            snprintf(push->name + 7 + 2 * i, 3, "%02x", hash[i]);
        }
    }
    return true;
}

/* False after refusing. */
static bool session_ready(struct request *request, struct push *push) {
    char address[INET6_ADDRSTRLEN];
    unsigned wait_s;
    client_address(request, address);
    push->session = push_session_get(push->desk->sessions, &push->login, address, &wait_s);
    secret_wipe(push->login.password, sizeof push->login.password);
    if (push->session == NULL && wait_s > 0) {
        request_refuse(request, PROBLEM_SLOWER, "口令错误过多，请在 %u 秒后再试",
                       "too many wrong passwords: wait for %u s", wait_s);
        request->answer.retry_after_s = wait_s;
    } else if (push->session == NULL) {
        request_refuse(request, PROBLEM_BUSY, "同时推送的厂商过多", "too many vendors are pushing");
    }
    return push->session != NULL;
}

void push_answer(struct request *request, struct answer *answer) {
    struct push *push = request->sink;
    unsigned char hash[SECRET_HASH_BYTES];
    push->began_ns = uv_hrtime();
    if (!body_ready(request, push, hash) || !session_ready(request, push)) {
        figures.pushes[PUSH_REFUSED]++;
        return; /* sink_close frees it */
    }
    if (!push_session_name(push->session, push->name, hash)) {
        figures.pushes[PUSH_REFUSED]++;
        request_refuse(request, PROBLEM_REUSED, "Idempotency-Key 已用于其他内容",
                       "this Idempotency-Key came with another content before");
        return;
    }
    push->late_at = uv_now(push->desk->loop) + (uint64_t)push->desk->config->gateway_receipt_s * 1000;
    request->sink = NULL; /* it outlives the body */
    answer->later = true;
    answer->source = (struct answer_source){.closed = on_closed, .user = push};
    enqueue(push);
    look_at_all(push->desk);
}

/* ---- the desk ---- */

static void desk_free(void *part) {
    free(part);
}

struct push_desk *push_desk_open(uv_loop_t *loop, const struct config *config) {
    struct push_desk *desk = calloc(1, sizeof *desk);
    if (desk == NULL) {
        log_error("out_of_memory", "what=push");
        return NULL;
    }
    const struct push_session_events events = {.changed = look_at_all, .user = desk};
    desk->loop = loop;
    desk->config = config;
    desk->sessions = push_sessions_open(loop, config, &events);
    if (desk->sessions == NULL) {
        free(desk);
        return NULL;
    }
    uv_timer_init(loop, &desk->timer);
    desk->timer.data = desk;
    return desk;
}

void push_desk_close(struct push_desk *desk, void (*closed)(void *user), void *user) {
    closing_begin(&desk->closing, desk_free, desk, closed, user);
    closing_handle(&desk->closing, (uv_handle_t *)&desk->timer);
    closing_await(&desk->closing);
    push_sessions_close(desk->sessions, closing_over, &desk->closing);
}
