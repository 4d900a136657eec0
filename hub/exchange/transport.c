/* transport.c: what a message to a target has besides its body: login, signature, token. Must never lead elsewhere than
 * the target's file says (outside.h). */
#include "hub/exchange/transport.h"

#include <math.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "hub/base/error.h"
#include "hub/base/member.h"
#include "hub/base/secret.h"
#include "hub/exchange/folder.h"
#include "hub/exchange/signature.h"

enum { CONNECT_TIMEOUT_S = 10, NONCE_BYTES = 12, TOKEN_EARLY_S = 30, STATUS_UNAUTHORIZED = 401 };

static size_t on_body(char *bytes, size_t size, size_t count, void *user) {
    struct reply *reply = user;
    (void)size;
    if (reply->body.length + count > TRANSPORT_ANSWER_MAX) {
        snprintf(reply->problem, sizeof reply->problem, "the answer has more than %d bytes", TRANSPORT_ANSWER_MAX);
        return 0;
    }
    buffer_bytes(&reply->body, bytes, count);
    return reply->body.failed ? 0 : count;
}

/* Retry-After in seconds; its other form, a date, is as good as none: the breaker's own time holds then. */
static size_t on_header(char *bytes, size_t size, size_t count, void *user) {
    static const char name[] = "retry-after:";
    struct reply *reply = user;
    (void)size;
    if (count > sizeof name && strncasecmp(bytes, name, sizeof name - 1) == 0) {
        char text[16] = "", *end;
        size_t length = count - (sizeof name - 1);
        memcpy(text, bytes + sizeof name - 1, length < sizeof text ? length : sizeof text - 1);
        double seconds = strtod(text, &end);
        if (end != text && isfinite(seconds) && seconds >= 0) {
            reply->retry_after_s = fmin(seconds, 86400);
        }
    }
    return count;
}

static bool stops(void *user) {
    const struct transport *transport = user;
    return transport->stop();
}

static void set_file(CURL *curl, CURLoption option, const cJSON *to, const char *name) {
    const char *path = member_text(to, name);
    if (*path != '\0') {
        curl_easy_setopt(curl, option, path);
    }
}

static void set_common(struct transport *transport, const char *url, struct reply *reply, char *reason) {
    CURL *curl = transport->curl;
    const struct platform *target = transport->target;
    transport->outside = (struct outside){.plain_http = member_true(target->to, "plain_http"),
                                          .private_addresses = member_get(target->to, "private_addresses"),
                                          .ca_file = member_text(target->to, "ca_file"),
                                          .connect_s = CONNECT_TIMEOUT_S,
                                          .whole_s = target->timeout_s,
                                          .stop = stops,
                                          .user = transport};
    outside_set(curl, url, &transport->outside);
    curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, reason);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, reply);
    curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(curl, CURLOPT_HEADERDATA, reply);
    curl_easy_setopt(curl, CURLOPT_ACCEPT_ENCODING, ""); /* what libcurl can read; some compress without being asked */
    set_file(curl, CURLOPT_SSLCERT, target->to, "certificate_file");
    set_file(curl, CURLOPT_SSLKEY, target->to, "key_file");
}

static void perform(struct transport *transport, struct reply *reply, const char *reason) {
    CURLcode code = curl_easy_perform(transport->curl);
    reply->status = 0;
    if (code == CURLE_OK) {
        curl_easy_getinfo(transport->curl, CURLINFO_RESPONSE_CODE, &reply->status);
    } else if (reply->problem[0] == '\0') {
        snprintf(reply->problem, sizeof reply->problem, "%s%s",
                 transport->outside.forbidden ? "it has an address that is not public and not in to.private_addresses: "
                                              : "",
                 *reason != '\0' ? reason : curl_easy_strerror(code));
    }
}

/* ---- who sends ---- */

static void token_forget(struct transport *transport) {
    if (transport->token != NULL) {
        secret_wipe(transport->token, strlen(transport->token));
        free(transport->token);
        transport->token = NULL;
    }
}

/* OAuth2's client credentials (RFC 6749, 4.4). Returns 0, or CH_EIO with the reason in `reply`. */
static int token_fetch(struct transport *transport, struct reply *reply) {
    const cJSON *login = transport->target->authenticate;
    char reason[CURL_ERROR_SIZE] = "";
    struct buffer form = {0};
    set_common(transport, member_text(login, "token_url"), reply, reason);
    char *scope = curl_easy_escape(transport->curl, member_text(login, "scope"), 0);
    buffer_format(&form, "grant_type=client_credentials%s%s",
                  *member_text(login, "scope") == '\0' ? "" : "&scope=", scope == NULL ? "" : scope);
    curl_free(scope);
    curl_easy_setopt(transport->curl, CURLOPT_USERNAME, member_text(login, "client"));
    curl_easy_setopt(transport->curl, CURLOPT_PASSWORD, transport->target->secret);
    curl_easy_setopt(transport->curl, CURLOPT_POSTFIELDS, buffer_string(&form));
    perform(transport, reply, reason);
    buffer_free(&form);
    cJSON *answer = cJSON_ParseWithLength(reply->body.data, reply->body.length);
    const char *token = member_text(answer, "access_token");
    if (reply->status == 200 && *token != '\0') {
        transport->token = strdup(token);
        transport->token_until =
            time(NULL) + (time_t)fmin(member_number(answer, "expires_in", 300), 86400) - TOKEN_EARLY_S;
    } else if (reply->problem[0] == '\0') {
        snprintf(reply->problem, sizeof reply->problem, "no token: the token's address answers %ld", reply->status);
    }
    cJSON_Delete(answer);
    secret_wipe(reply->body.data, reply->body.length);
    buffer_reset(&reply->body, 0);
    reply->status = 0;
    return transport->token == NULL ? CH_EIO : 0;
}

static struct curl_slist *header(struct curl_slist *list, const char *name, const char *value) {
    struct buffer line = {0};
    if (name != NULL && *name != '\0') {
        buffer_format(&line, "%s: %s", name, value);
        struct curl_slist *longer = curl_slist_append(list, buffer_string(&line));
        list = longer == NULL ? list : longer;
    }
    if (line.data != NULL) {
        secret_wipe(line.data, line.length);
    }
    buffer_free(&line);
    return list;
}

/* The signature and what it is over; returns 0 or an error with the reason in `reply`. */
static int sign(const struct platform *target, const char *path, const char *body, struct curl_slist **headers,
                struct reply *reply) {
    char moment[32], nonce[2 * NONCE_BYTES + 1];
    unsigned char bytes[NONCE_BYTES];
    struct timespec now;
    struct buffer text = {0};
    if (target->signature == PLATFORM_UNSIGNED) {
        return 0;
    }
    clock_gettime(CLOCK_REALTIME, &now);
    snprintf(moment, sizeof moment, "%lld", (long long)now.tv_sec * 1000 + now.tv_nsec / 1000000);
    randombytes_buf(bytes, sizeof bytes);
    sodium_bin2hex(nonce, sizeof nonce, bytes, sizeof bytes);
    int code = signature_make(target, &(struct signed_parts){moment, nonce, path, body}, &text);
    if (code == 0) {
        *headers = header(*headers, member_text(target->sign, "time_header"), moment);
        *headers = header(*headers, member_text(target->sign, "nonce_header"), nonce);
        *headers = header(*headers, member_text(target->sign, "key_header"), member_text(target->sign, "key"));
        *headers = header(*headers, member_text(target->sign, "header"), buffer_string(&text));
    } else {
        snprintf(reply->problem, sizeof reply->problem, "the message cannot be signed: is secret_file the right key?");
    }
    buffer_free(&text);
    return code;
}

static void log_in(struct transport *transport, struct curl_slist **headers) {
    const struct platform *target = transport->target;
    struct buffer value = {0};
    if (target->authentication == PLATFORM_BASIC) {
        curl_easy_setopt(transport->curl, CURLOPT_HTTPAUTH, (long)CURLAUTH_BASIC);
        curl_easy_setopt(transport->curl, CURLOPT_USERNAME, member_text(target->authenticate, "user"));
        curl_easy_setopt(transport->curl, CURLOPT_PASSWORD, target->secret);
    } else if (target->authentication != PLATFORM_NO_LOGIN) {
        buffer_format(&value, "Bearer %s",
                      target->authentication == PLATFORM_BEARER ? target->secret : transport->token);
        *headers = header(*headers, "Authorization", buffer_string(&value));
        secret_wipe(value.data, value.length);
    }
    buffer_free(&value);
}

/* Without a body (NULL) it is a GET; its signature is over an empty one. */
static void send_http(struct transport *transport, const char *path, const char *key, const char *body,
                      struct reply *reply) {
    const struct platform *target = transport->target;
    char reason[CURL_ERROR_SIZE] = "";
    struct curl_slist *headers = NULL;
    struct buffer url = {0};
    if (target->authentication == PLATFORM_OAUTH2 &&
        (transport->token == NULL || time(NULL) >= transport->token_until)) {
        token_forget(transport);
        if (token_fetch(transport, reply) != 0) {
            return;
        }
    }
    buffer_format(&url, "%s%s", target->url, path);
    set_common(transport, buffer_string(&url), reply, reason);
    headers = header(headers, "Accept", "application/json");
    if (body != NULL) {
        headers = header(headers, "Content-Type", "application/json; charset=utf-8");
        headers = header(headers, "Idempotency-Key", key);
        headers = header(headers, "Expect", "");
        curl_easy_setopt(transport->curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)strlen(body));
        curl_easy_setopt(transport->curl, CURLOPT_POSTFIELDS, body);
    }
    log_in(transport, &headers);
    if (sign(target, path, body == NULL ? "" : body, &headers, reply) == 0) {
        curl_easy_setopt(transport->curl, CURLOPT_HTTPHEADER, headers);
        perform(transport, reply, reason);
        curl_off_t sent = 0;
        curl_easy_getinfo(transport->curl, CURLINFO_SIZE_UPLOAD_T, &sent);
        reply->arrived = body != NULL && sent == (curl_off_t)strlen(body);
        if (reply->status == STATUS_UNAUTHORIZED) {
            token_forget(transport);
        }
    }
    curl_slist_free_all(headers);
    buffer_free(&url);
}

int transport_open(struct transport *transport, const struct platform *target, bool (*stop)(void)) {
    *transport = (struct transport){.target = target, .stop = stop, .curl = curl_easy_init()};
    return transport->curl == NULL ? CH_EMEMORY : 0;
}

void transport_send(struct transport *transport, const char *path, const char *key, const char *body,
                    struct reply *reply) {
    *reply = (struct reply){.retry_after_s = -1};
    if (transport->target->folder != NULL) {
        struct curl_slist *headers = NULL;
        if (sign(transport->target, path, body, &headers, reply) == 0 &&
            folder_put(transport->target, path, key, body, headers, reply->receipt, reply->problem) == 0) {
            reply->status = 200;
        }
        curl_slist_free_all(headers);
    } else {
        send_http(transport, path, key, body, reply);
    }
}

void transport_get(struct transport *transport, const char *path, struct reply *reply) {
    *reply = (struct reply){.retry_after_s = -1};
    send_http(transport, path, NULL, NULL, reply);
}

void transport_close(struct transport *transport) {
    token_forget(transport);
    curl_easy_cleanup(transport->curl);
    *transport = (struct transport){0};
}

void reply_free(struct reply *reply) {
    buffer_free(&reply->body);
}
