/* json_push.c: foreign JSON from its request to its answer. Must never answer 2xx before the hub's receipt, nor show a
 * token in a log. */
#include "hub/gateway/json_push.h"

#include <openssl/evp.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hub/base/clock.h"
#include "hub/base/error.h"
#include "hub/base/file.h"
#include "hub/base/log.h"
#include "hub/base/member.h"
#include "hub/base/topic.h"
#include "hub/decode/json_document.h"
#include "hub/gateway/bundle.h"
#include "hub/gateway/dialects.h"
#include "hub/gateway/figures.h"
#include "hub/gateway/mapping.h"
#include "hub/gateway/pending.h"
#include "hub/gateway/raw.h"
#include "hub/gateway/upstream.h"
#include "hub/http/client.h"
#include "hub/http/login_throttle.h"
#include "hub/http/request.h"
#include "hub/http/routes.h"

enum { FILE_MAX = 256 * 1024, NAME_MAX_BYTES = 41, TOKEN_MAX = 201, DIGEST_BYTES = 16, AGAIN_MS = 60000 };

/* A file of config/mappings that was read, or could not be a while ago. */
struct entry {
    struct entry *next;
    struct mapping *mapping;
    int64_t failed_ms;
    char name[NAME_MAX_BYTES];
};

struct json_desk {
    struct connections_parts parts;
    struct login_throttle *throttle;
    struct entry *first;
};

/* A message on its way to the hub. */
struct arrival {
    struct parcel parcel;    /* first: it is found by it */
    struct request *request; /* NULL = its client left */
    char *text;              /* of the answer when all is stored */
    uint64_t began_ns;
    unsigned records;
    bool broken; /* something of it could not be put */
};

/* Who sends, and how it is read. */
struct source {
    const struct terminal *terminal;
    const struct mapping *mapping;
    char secret[TOKEN_MAX];
};

/* ---- mappings ---- */

static struct mapping *read_mapping(const struct json_desk *desk, const char *name) {
    struct buffer path = {0};
    char problem[DIALECT_PROBLEM_MAX] = "out of memory";
    size_t length = 0;
    buffer_format(&path, "%s/config/mappings/%s.json", desk->parts.config->hub_data_dir, name);
    char *text = buffer_string(&path) == NULL ? NULL : file_read(path.data, FILE_MAX, &length, problem);
    struct mapping *mapping = text == NULL ? NULL : mapping_parse(text, length, problem);
    if (mapping == NULL) {
        log_error("mapping", "mapping=%s reason=%s advice=\"see `cityhub mapping check`\"", log_quote(name),
                  log_quote(problem));
    }
    free(text);
    buffer_free(&path);
    return mapping;
}

/* NULL after logging why, once a minute. Only a source that is known has its file read. */
static const struct mapping *mapping_of(struct json_desk *desk, const char *name) {
    struct entry *entry = desk->first;
    while (entry != NULL && strcmp(entry->name, name) != 0) {
        entry = entry->next;
    }
    if (entry == NULL && (entry = calloc(1, sizeof *entry)) != NULL) {
        snprintf(entry->name, sizeof entry->name, "%s", name);
        entry->next = desk->first;
        desk->first = entry;
    }
    int64_t now = clock_steady_ms();
    if (entry != NULL && entry->mapping == NULL && (entry->failed_ms == 0 || now - entry->failed_ms >= AGAIN_MS)) {
        entry->mapping = read_mapping(desk, name);
        entry->failed_ms = now;
    }
    return entry == NULL ? NULL : entry->mapping;
}

/* The one of that name, if it is for the terminal's subsystem. */
static const struct mapping *mapping_for(struct json_desk *desk, const struct terminal *terminal, const char *name) {
    bool fits = strlen(name) < NAME_MAX_BYTES && strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_-") == strlen(name);
    const struct mapping *mapping = fits ? mapping_of(desk, name) : NULL;
    bool other = mapping != NULL && mapping->adapter != NULL && strcmp(mapping->adapter->key, terminal->subsystem) != 0;
    return other ? NULL : mapping;
}

/* ---- who sends ---- */

static bool refuse_token(struct request *request) {
    request_refuse(request, PROBLEM_LOGIN, "地址中的标识或口令不对",
                   "the identity or the secret in the address is wrong");
    return false;
}

/* Whether the token is a source's: each wrong one makes the next slower, for its address and for the identity. */
static bool token_read(struct json_desk *desk, struct request *request, struct source *source) {
    char token[TOKEN_MAX];
    struct login_try try_ = {0};
    uint64_t now = (uint64_t)clock_steady_ms();
    snprintf(token, sizeof token, "%s", request_value(request, "token")->text);
    char *shown = request->path == NULL ? NULL : strchr(request->path, '.');
    if (shown != NULL) { /* the rest of the address is nobody's but the platform's */
        *shown = '\0';
    }
    char *dot = strchr(token, '.');
    if (dot == NULL) {
        return refuse_token(request);
    }
    *dot = '\0';
    snprintf(try_.login, sizeof try_.login, "%.63s", token);
    client_address(request, try_.address);
    uint64_t wait_ms = login_throttle_wait(desk->throttle, &try_, now);
    if (wait_ms > 0) {
        request_refuse(request, PROBLEM_SLOWER, "口令错误过多", "too many wrong secrets");
        request->answer.retry_after_s = (unsigned)((wait_ms + 999) / 1000);
        return false;
    }
    source->terminal = terminals_find(upstream_terminals(desk->parts.upstream), "json", token);
    bool right =
        source->terminal != NULL && source->terminal->has_secret && terminal_secret_fits(source->terminal, dot + 1);
    if (!right && source->terminal != NULL) {
        pending_note(
            upstream_pending(desk->parts.upstream),
            &(struct refused){.protocol = "json", .identity = token, .reason = "wrong_secret", .address = try_.address},
            clock_now_ms());
    }
    if (!right) {
        login_throttle_count(desk->throttle, &try_, now);
        log_info("json_push", "source=%s answer=refused", log_quote(token));
        return refuse_token(request);
    }
    login_throttle_forget(desk->throttle, &try_);
    snprintf(source->secret, sizeof source->secret, "%s", dot + 1);
    secret_wipe(token, sizeof token);
    return true;
}

/* The mapping that the path names; a path of ThingsBoard's names none. */
static const char *path_mapping(const struct request *request) {
    const struct parameter *at = request->route->parameters;
    while (at->kind != PARAMETER_NONE && strcmp(at->name, "mapping") != 0) {
        at++;
    }
    return at->kind == PARAMETER_NONE ? NULL : request_value(request, "mapping")->text;
}

/* The source and its mapping; false after refusing. */
static bool source_read(struct json_desk *desk, struct request *request, struct source *source) {
    const char *path = path_mapping(request);
    if (!token_read(desk, request, source)) {
        return false;
    }
    const char *wanted = path == NULL ? "thingsboard-device" : path, *own = source->terminal->dialect;
    if (path != NULL && own[0] != '\0' && strcmp(own, wanted) != 0) {
        request_refuse(request, PROBLEM_NOTHING, "该来源的映射是 %s，不是 %s", "this source's mapping is %s, not %s",
                       own, wanted);
        return false;
    }
    const char *name = own[0] != '\0' ? own : wanted;
    source->mapping = mapping_for(desk, source->terminal, name);
    if (source->mapping == NULL) {
        request_refuse(request, PROBLEM_NOTHING, "没有可用于该来源的映射 %.40s",
                       "there is no mapping %.40s for this source", name);
        return false;
    }
    return true;
}

/* OneNET: Base64 of MD5 of token, nonce and message. */
static bool signature_fits(const char *secret, const char *nonce, const char *message, const char *signature) {
    unsigned char digest[EVP_MAX_MD_SIZE], said[DIGEST_BYTES + 3];
    unsigned length = 0;
    size_t said_length = 0;
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    bool made = context != NULL && EVP_DigestInit_ex(context, EVP_md5(), NULL) == 1 &&
                EVP_DigestUpdate(context, secret, strlen(secret)) == 1 &&
                EVP_DigestUpdate(context, nonce, strlen(nonce)) == 1 &&
                EVP_DigestUpdate(context, message, strlen(message)) == 1 &&
                EVP_DigestFinal_ex(context, digest, &length) == 1;
    EVP_MD_CTX_free(context);
    return made && length == DIGEST_BYTES &&
           sodium_base642bin(said, sizeof said, signature, strlen(signature), NULL, &said_length, NULL,
                             sodium_base64_VARIANT_ORIGINAL) == 0 &&
           said_length == DIGEST_BYTES && sodium_memcmp(said, digest, DIGEST_BYTES) == 0;
}

static bool signed_right(const struct source *source, const cJSON *document) {
    const cJSON *message = member_get(document, "msg");
    char *text = cJSON_IsString(message) ? strdup(message->valuestring) : cJSON_PrintUnformatted(message);
    bool right =
        !source->mapping->onenet || (text != NULL && signature_fits(source->secret, member_text(document, "nonce"),
                                                                    text, member_text(document, "msg_signature")));
    free(text);
    return right;
}

/* ---- its end ---- */

static void arrival_free(struct arrival *arrival) {
    free(arrival->text);
    free(arrival);
}

static void on_ended(struct parcel *parcel, enum parcel_end end) {
    struct arrival *arrival = (struct arrival *)parcel;
    struct request *request = arrival->request;
    end = arrival->broken && end == PARCEL_STORED ? PARCEL_UNSURE : end;
    figures.pushes[end == PARCEL_STORED ? PUSH_STORED : end == PARCEL_REFUSED ? PUSH_REFUSED : PUSH_UNSURE]++;
    figures.push_records += end == PARCEL_STORED ? arrival->records : 0;
    histogram_observe(&figures.pushed_s, (double)(uv_hrtime() - arrival->began_ns) / 1e9);
    if (request != NULL) {
        request->answer.later = false;
        request->answer.source = (struct answer_source){0};
        if (end == PARCEL_STORED) {
            answer_text(&request->answer, arrival->text);
            arrival->text = NULL;
        } else if (end == PARCEL_REFUSED) {
            request_refuse(request, PROBLEM_RIGHT, "消息服务器或枢纽没有收下", "the broker or the hub did not take it");
        } else {
            request_refuse(request, PROBLEM_UNSURE, "在规定时间内没有收到枢纽的回执",
                           "no receipt of the hub came in time");
        }
        request_wake(request);
    }
    arrival_free(arrival);
}

/* Its client left. What goes to the hub goes all the same. */
static void on_closed(void *user, const char *why) {
    struct arrival *arrival = user;
    (void)why;
    arrival->request = NULL;
}

/* ---- its records ---- */

/* Records that are made of a message, and the message. */
struct made {
    cJSON *telemetry, *intervals;
    const void *bytes;
    size_t length;
};

/* All of the message, to where its records go; what no record was made of goes as it came, into quarantine. */
static int make_records(struct json_desk *desk, const struct terminal *terminal, const struct mapping *mapping,
                        cJSON *document, const struct made *made) {
    struct terminal inner = *terminal;
    struct mapping_outcome outcome;
    inner.protocol = (char[]){"hj212"};
    inner.dialect = (char *)(uintptr_t)mapping->dialect;
    const struct mapping_origin origin = {
        .adapter = adapter_find(terminal->subsystem),
        .device = terminal->device,
        .now_ms = clock_now_ms(),
        .dialect = mapping->dialect == NULL ? NULL : dialects_hj212(desk->parts.dialects, &inner)};
    int code = origin.adapter == NULL
                   ? CH_ENOTFOUND
                   : mapping_apply(mapping, document, &origin, made->telemetry, made->intervals, &outcome);
    if (code == 0 && outcome.failed > 0) {
        log_info("json_push", "source=%s records_failed=%u reason=%s", log_quote(terminal->identity), outcome.failed,
                 log_quote(outcome.problem));
        raw_record(made->telemetry, terminal, made->bytes, made->length);
    }
    return code;
}

/* False: something of it could not be put. */
static bool put_records(struct json_desk *desk, const struct terminal *terminal, const struct made *made,
                        struct parcel *parcel, unsigned *records) {
    const cJSON *const parts[] = {made->telemetry, made->intervals};
    bool whole = true;
    const char *const kinds[] = {topic_words[TOPIC_TELEMETRY], topic_words[TOPIC_INTERVAL]};
    for (size_t i = 0; i < 2; i++) {
        int count = cJSON_GetArraySize(parts[i]);
        *records += (unsigned)count;
        whole &= count == 0 || bundle_put(desk->parts.bundles, terminal->subsystem, terminal->vendor, kinds[i],
                                          parts[i], parcel) == 0;
    }
    return whole;
}

/* Puts it on its way; false after refusing. */
static bool pass_on(struct json_desk *desk, struct request *request, const struct source *source, cJSON *document) {
    const struct made made = {.telemetry = cJSON_CreateArray(),
                              .intervals = cJSON_CreateArray(),
                              .bytes = request->body.data,
                              .length = request->body.length};
    struct arrival *arrival = calloc(1, sizeof *arrival);
    bool going = false;
    if (arrival != NULL) {
        parcel_begin(&arrival->parcel, on_ended);
        arrival->began_ns = uv_hrtime();
        arrival->request = request;
        arrival->text =
            source->mapping->answer == NULL ? strdup("{}") : cJSON_PrintUnformatted(source->mapping->answer);
        going = arrival->text != NULL && made.telemetry != NULL && made.intervals != NULL &&
                make_records(desk, source->terminal, source->mapping, document, &made) == 0;
        arrival->broken = going && !put_records(desk, source->terminal, &made, &arrival->parcel, &arrival->records);
        going = going && arrival->parcel.parts > 1;
    }
    if (going) {
        request->answer.later = true;
        request->answer.source = (struct answer_source){.closed = on_closed, .user = arrival};
        parcel_seal(&arrival->parcel);
    } else {
        if (arrival != NULL) {
            arrival_free(arrival);
        }
        request_refuse(request, PROBLEM_BUSY, "内存不足", "memory is out");
    }
    cJSON_Delete(made.telemetry);
    cJSON_Delete(made.intervals);
    return going;
}

int json_desk_take(struct json_desk *desk, const struct terminal *terminal, bool device, const void *bytes,
                   size_t length, struct parcel *parcel) {
    const char *otherwise = device ? "thingsboard-device" : "thingsboard-gateway";
    const char *name = terminal->dialect[0] == '\0' ? otherwise : terminal->dialect;
    const struct mapping *mapping = mapping_for(desk, terminal, name);
    const struct made made = {
        .telemetry = cJSON_CreateArray(), .intervals = cJSON_CreateArray(), .bytes = bytes, .length = length};
    cJSON *document = json_document(bytes, length);
    unsigned records = 0;
    int code = made.telemetry == NULL || made.intervals == NULL ? CH_EMEMORY
               : mapping == NULL                                ? CH_ENOTFOUND
               : document == NULL                               ? CH_EINVAL
                                  : make_records(desk, terminal, mapping, document, &made);
    if (code == CH_EINVAL || (device && code == CH_ENOTFOUND)) {
        log_info("json_push", "source=%s reason=\"what came by its topic is no JSON, or has no mapping\"",
                 log_quote(terminal->identity));
        raw_record(made.telemetry, terminal, bytes, length);
        code = 0;
    }
    if (code == 0 && !put_records(desk, terminal, &made, parcel, &records)) {
        code = CH_EMEMORY;
    }
    figures.push_records += code == 0 ? records : 0;
    cJSON_Delete(document);
    cJSON_Delete(made.telemetry);
    cJSON_Delete(made.intervals);
    return code;
}

/* ---- answers ---- */

void json_push_answer(struct request *request, struct answer *answer) {
    struct json_desk *desk = json_desk_of(request);
    struct source source = {0};
    cJSON *document = NULL;
    bool going = false;
    (void)answer;
    if (source_read(desk, request, &source)) {
        document = json_document(request->body.data, request->body.length);
        if (document == NULL) {
            request_refuse(request, PROBLEM_BODY, "不是 JSON", "it is no JSON");
        } else if (!signed_right(&source, document)) {
            request_refuse(request, PROBLEM_LOGIN, "签名不对", "the signature is wrong");
        } else if (bundles_full(desk->parts.bundles)) {
            request_refuse(request, PROBLEM_BUSY, "等待入库的数据过多", "too much waits to be stored");
        } else {
            going = pass_on(desk, request, &source, document);
        }
    }
    figures.pushes[PUSH_REFUSED] += !going;
    secret_wipe(source.secret, sizeof source.secret);
    cJSON_Delete(document);
}

void json_echo_answer(struct request *request, struct answer *answer) {
    struct source source = {0};
    if (!source_read(json_desk_of(request), request, &source)) {
        return;
    }
    const char *message = request_value(request, "msg")->text;
    if (!source.mapping->onenet) {
        request_refuse(request, PROBLEM_NOTHING, "该映射没有验证请求", "this mapping has no check of its address");
    } else if (!signature_fits(source.secret, request_value(request, "nonce")->text, message,
                               request_value(request, "signature")->text)) {
        request_refuse(request, PROBLEM_LOGIN, "签名不对", "the signature is wrong");
    } else {
        answer_text(answer, strdup(message));
    }
    secret_wipe(source.secret, sizeof source.secret);
}

/* ---- the desk ---- */

struct json_desk *json_desk_new(const struct connections_parts *parts) {
    struct json_desk *desk = calloc(1, sizeof *desk);
    if (desk == NULL || (desk->throttle = login_throttle_new()) == NULL) {
        log_error("out_of_memory", "what=json_push");
        free(desk);
        return NULL;
    }
    desk->parts = *parts;
    return desk;
}

void json_desk_free(struct json_desk *desk) {
    while (desk != NULL && desk->first != NULL) {
        struct entry *entry = desk->first;
        desk->first = entry->next;
        mapping_free(entry->mapping);
        free(entry);
    }
    if (desk != NULL) {
        login_throttle_free(desk->throttle);
    }
    free(desk);
}
