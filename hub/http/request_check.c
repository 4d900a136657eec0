/* request_check.c: heads against rows. Must never let a parameter, method, media type or client through that the row
 * does not name. */
#include "hub/http/request_check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "hub/base/count.h"
#include "hub/base/log.h"
#include "hub/base/text.h"
#include "hub/http/client.h"
#include "hub/http/identity.h"

/* ---- target and method ---- */

static void refuse_target(struct request *request, enum target_flaw flaw) {
    static const struct {
        const char *zh, *en;
    } words[] = {
        [TARGET_FORM] = {"请求目标须为以 / 开头的路径", "the request's target must be a path that begins with /"},
        [TARGET_ESCAPE] = {"% 后须有两位十六进制数字", "a % needs two hexadecimal digits behind it"},
        [TARGET_TEXT] = {"地址解码后不是有效的 UTF-8，或含控制字符",
                         "what was decoded is not valid UTF-8, or has a control character"},
        [TARGET_TOO_MANY] = {"参数过多，最多 32 个", "there are more than 32 parameters"},
    };
    const char *text = request->language == LANGUAGE_ZH ? words[flaw].zh : words[flaw].en;
    request_refuse(request, PROBLEM_TARGET, "%s", "%s", text);
}

static unsigned method_of(struct request *request, const char *name) {
    static const unsigned all[] = {METHOD_GET, METHOD_POST, METHOD_PUT, METHOD_PATCH, METHOD_DELETE};
    request->head_only = strcmp(name, "HEAD") == 0;
    if (request->head_only) {
        return METHOD_GET;
    }
    for (size_t i = 0; i < COUNT_OF(all); i++) {
        if (strcmp(route_method_name(all[i]), name) == 0) {
            return all[i];
        }
    }
    return 0;
}

/* OPTIONS is answered from the table alone. */
static void answer_options(struct request *request, unsigned allowed) {
    request->answer.status = MHD_HTTP_NO_CONTENT;
    request->answer.preflight = request_header(request, "Access-Control-Request-Method") != NULL;
    route_allow(allowed, request->answer.allow, sizeof request->answer.allow);
    request->answer_ready = true;
}

static unsigned all_methods(const struct router *router) {
    size_t count;
    unsigned all = 0;
    const struct route *routes = router_routes(router, &count);
    for (size_t i = 0; i < count; i++) {
        all |= routes[i].method;
    }
    return all;
}

/* False if there is nothing more to check: refused, or answered. */
static bool find_row(struct request *request, const char *method, struct route_match *match) {
    bool options = strcmp(method, "OPTIONS") == 0;
    if (request->target_code != 0 || (request->target.asterisk && !options)) {
        refuse_target(request, request->target_code != 0 ? request->target_flaw : TARGET_FORM);
        return false;
    }
    if (request->target.asterisk) {
        answer_options(request, all_methods(request->service->router));
        return false;
    }
    router_match(request->service->router, &request->target, request->method, match);
    request->route = match->route;
    if (match->allowed == 0) {
        request_refuse(request, PROBLEM_PATH, "没有这个路径", "there is no such path");
    } else if (options) {
        answer_options(request, match->allowed);
    } else if (match->route == NULL) {
        route_allow(match->allowed, request->answer.allow, sizeof request->answer.allow);
        request_refuse(request, PROBLEM_METHOD, "允许的方法：%s", "its methods are %s", request->answer.allow);
    }
    return !request->answer_ready;
}

/* ---- parameters ---- */

static void refuse_parameter(struct request *request, const char *name, const char *zh, const char *en,
                             const char *more) {
    struct problem problem;
    char shown[DECODE_SHOWN_MAX];
    text_show(shown, name, strlen(name));
    problem_set(&problem, PROBLEM_PARAMETER, request->language, zh, en, shown, more);
    snprintf(problem.parameter, sizeof problem.parameter, "%s", name);
    text_trim(problem.parameter);
    request_refuse_with(request, &problem);
}

/* Other routes have `at`: who asks this one for the past must not take what is for it. */
static void refuse_past(struct request *request) {
    struct problem problem;
    problem_set(&problem, PROBLEM_PAST, request->language, "%s 只有现在的，不能带 at", "%s has no past: it takes no at",
                request->route->pattern);
    snprintf(problem.parameter, sizeof problem.parameter, "at");
    request_refuse_with(request, &problem);
}

static bool pairs_known(struct request *request) {
    const struct route *route = request->route;
    const struct target *target = &request->target;
    for (size_t i = 0; i < target->pair_count; i++) {
        const char *name = target->pairs[i].name;
        if (!route_takes(route, name)) {
            if (strcmp(name, "at") == 0 && route->method == METHOD_GET) {
                refuse_past(request);
                return false;
            }
            char names[512] = "-";
            size_t used = 0;
            for (const struct parameter *p = route->parameters; p != NULL && p->kind != PARAMETER_NONE; p++) {
                if (!route_in_path(route, p) && used < sizeof names - 1) {
                    used += (size_t)snprintf(names + used, sizeof names - used, used > 0 ? ", %s" : "%s", p->name);
                }
            }
            refuse_parameter(request, name, "没有参数 %s；可用的参数：%s", "there is no parameter %s; there are: %s",
                             names);
            return false;
        }
        for (size_t j = 0; j < i; j++) {
            if (strcmp(target->pairs[j].name, name) == 0) {
                refuse_parameter(request, name, "参数 %s 只能出现一次%s", "the parameter %s comes twice%s", "");
                return false;
            }
        }
    }
    return true;
}

/* The parameter's text: of the path, of the query, or its default; .text NULL = it was left out. */
static struct route_text text_of(const struct request *request, const struct route_match *match,
                                 const struct parameter *parameter) {
    for (size_t i = 0; i < match->path_count; i++) {
        if (match->path_parameters[i] == parameter) {
            return match->path[i];
        }
    }
    const char *text = parameter->initial;
    for (size_t i = 0; i < request->target.pair_count; i++) {
        if (strcmp(request->target.pairs[i].name, parameter->name) == 0) {
            text = request->target.pairs[i].value;
        }
    }
    return (struct route_text){.text = text, .length = text == NULL ? 0 : strlen(text)};
}

static void add_base(struct request *request) {
    char base[CLIENT_BASE_MAX];
    client_base(request, base);
    buffer_text(&request->json, request->json.length > 1 ? ",\"base\":" : "\"base\":");
    buffer_json(&request->json, base, strlen(base));
}

static bool check_parameters(struct request *request, const struct route_match *match) {
    const struct route *route = request->route;
    enum target_flaw flaw;
    if (target_query(&request->target, &flaw) != 0 && !route->any_query) {
        refuse_target(request, flaw);
        return false;
    }
    if (!route->any_query && !pairs_known(request)) {
        return false;
    }
    buffer_text(&request->json, "{");
    size_t i = 0;
    for (const struct parameter *p = route->parameters; p != NULL && p->kind != PARAMETER_NONE; p++, i++) {
        struct route_text given = text_of(request, match, p);
        if (given.text == NULL && !p->required) {
            continue;
        }
        buffer_format(&request->json, "%s\"%s\":", request->json.length > 1 ? "," : "", p->name);
        if (given.text == NULL ||
            parameter_check(p, given.text, given.length, &request->json, &request->values[i]) != 0) {
            char expected[512];
            parameter_expected(p, request->language, expected, sizeof expected);
            refuse_parameter(request, p->name, given.text == NULL ? "缺少参数 %s：%s" : "参数 %s %s",
                             given.text == NULL ? "the parameter %s is missing: it %s" : "the parameter %s %s",
                             expected);
            return false;
        }
    }
    if (route->links) {
        add_base(request);
    }
    buffer_text(&request->json, "}");
    return true;
}

/* ---- body ---- */

static bool is_chunked(const struct request *request) {
    return request_header(request, MHD_HTTP_HEADER_TRANSFER_ENCODING) != NULL;
}

/* libmicrohttpd has refused what is no number. */
static uint64_t content_length(const struct request *request) {
    const char *text = request_header(request, MHD_HTTP_HEADER_CONTENT_LENGTH);
    return text == NULL ? 0 : strtoull(text, NULL, 10);
}

bool request_body_unreadable(const struct request *request, uint64_t most) {
    bool waits = request_header(request, MHD_HTTP_HEADER_EXPECT) != NULL;
    return content_length(request) > most || (waits && (is_chunked(request) || content_length(request) > 0));
}

/* Whether the media type is one of the row's; of its parameters only charset=utf-8 is taken. */
static bool is_type(const char *types, const char *given) {
    size_t length = strcspn(given, "; \t");
    const char *charset = strcasestr(given + length, "charset=");
    if (charset != NULL) {
        charset += strlen("charset=");
        charset += *charset == '"';
        if (strncasecmp(charset, "utf-8", 5) != 0) {
            return false;
        }
    }
    size_t type_length;
    for (const char *type; (type = text_word(&types, &type_length)) != NULL;) {
        if (type_length == length && strncasecmp(type, given, length) == 0) {
            return true;
        }
    }
    return false;
}

void request_refuse_large(struct request *request) {
    request_refuse(request, PROBLEM_LARGE, "请求体不得超过 %zu 字节", "a body may have %zu bytes at the most here",
                   request->route->body.limit);
}

/* Whether the body comes in a form that the row's function can read. */
static bool is_plain(const struct request *request) {
    const char *encoding = request_header(request, MHD_HTTP_HEADER_CONTENT_ENCODING);
    return encoding == NULL || strcasecmp(encoding, "identity") == 0 ||
           (request->route->body.gzip && strcasecmp(encoding, "gzip") == 0);
}

static bool check_body(struct request *request) {
    const struct route *route = request->route;
    bool has_body = is_chunked(request) || content_length(request) > 0;
    if (route->body.types == NULL || !has_body) {
        return true; /* one that nobody asked for is dropped */
    }
    const char *type = request_header(request, MHD_HTTP_HEADER_CONTENT_TYPE);
    if (type == NULL || !is_type(route->body.types, type) || !is_plain(request)) {
        request_refuse(request, PROBLEM_MEDIA, "请求体须为 %s，UTF-8，%s", "a body must be of type %s, in UTF-8, %s",
                       route->body.types, route->body.gzip ? "gzip / identity" : "identity");
        return false;
    }
    if (content_length(request) > route->body.limit) {
        request_refuse_large(request);
        return false;
    }
    return true;
}

bool request_body_is_text(struct request *request, const char *bytes, size_t length) {
    bool text = text_flaw(bytes, length, true) == NULL;
    if (!text) {
        request_refuse(request, PROBLEM_BODY, "请求体须为 UTF-8 编码的 JSON，不含控制字符",
                       "the body must be JSON in UTF-8 without control characters");
    }
    return text;
}

/* Takes off what stands around a document and is not of it: the byte order mark of a file, the NUL of a C program. */
static void trim_document(struct request *request) {
    struct buffer *body = &request->body;
    while (body->length > 0 && body->data[body->length - 1] == '\0') {
        body->length--;
    }
    if (body->length >= 3 && memcmp(body->data, "\xef\xbb\xbf", 3) == 0) {
        body->length -= 3;
        memmove(body->data, body->data + 3, body->length);
    }
    request->body_length = body->length;
}

bool request_body_fits(struct request *request) {
    const struct route *route = request->route;
    bool is_document = route->body.sink == NULL && strcmp(route->body.types, "application/json") == 0;
    if (is_document) {
        trim_document(request);
    }
    if (request->body_length == 0) {
        if (!route->body.optional) {
            request_refuse(request, PROBLEM_BODY, "缺少请求体（%s）", "the body is missing (%s)", route->body.types);
        }
        return route->body.optional;
    }
    return !is_document || request_body_is_text(request, request->body.data, request->body.length);
}

/* ---- the answer's type ---- */

static bool is_accepted(const struct request *request) {
    const char *accept = request_header(request, MHD_HTTP_HEADER_ACCEPT), *types = request->route->more_types;
    bool accepted = negotiate_type(accept, request->route->content_type);
    size_t length;
    for (const char *at; !accepted && types != NULL && (at = text_word(&types, &length)) != NULL;) {
        char type[64];
        snprintf(type, sizeof type, "%.*s", (int)length, at);
        accepted = negotiate_type(accept, type);
    }
    return accepted;
}

/* ---- all of it ---- */

void request_check(struct request *request, const char *method) {
    struct route_match match;
    request->language = negotiate_language(request_header(request, MHD_HTTP_HEADER_ACCEPT_LANGUAGE));
    request->takes_gzip = negotiate_gzip(request_header(request, MHD_HTTP_HEADER_ACCEPT_ENCODING));
    request->method = method_of(request, method);
    request->if_none_match =
        request->method == METHOD_GET ? request_header(request, MHD_HTTP_HEADER_IF_NONE_MATCH) : NULL;
    if (request_header(request, "X-Forwarded-For") != NULL) {
        request->client = client_whole(request);
    }
    if (request->crowded) {
        request_refuse(request, PROBLEM_CROWDED, "该地址已有 %lld 个连接", "your address has %lld connections already",
                       (long long)request->service->config->http_address_connections);
        return;
    }
    if (!find_row(request, method, &match)) {
        return;
    }
    const struct route *route = request->route;
    identity_check(request);
    if (request->answer_ready) {
        return;
    }
    if (check_parameters(request, &match) && !is_accepted(request)) {
        request_refuse(request, PROBLEM_ACCEPT, "应答类型为 %s", "the answer is of type %s", route->content_type);
    } else if (!request->answer_ready) {
        check_body(request);
    }
}
