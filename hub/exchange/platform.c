/* platform.c: reads a target's file. Must never print a secret. */
#include "hub/exchange/platform.h"

#include <stdlib.h>
#include <string.h>

#include "hub/base/address_range.h"
#include "hub/base/count.h"
#include "hub/base/error.h"
#include "hub/base/file.h"
#include "hub/base/member.h"
#include "hub/base/secret.h"
#include "hub/cli/document.h"

enum { FILE_MAX = 1 << 20, TIMEOUT_S = 30, TIMEOUT_MAX_S = 600 };

#define FAULT(faults, ...) (buffer_format((faults), __VA_ARGS__), buffer_text((faults), "\n"))

static const char *const specials[] = {"$number",     "$record",   "$version", "$hash",
                                       "$correction", "$resource", "$content"};
static const char *const types[] = {"text", "integer", "number", "boolean", "time", "json"};
static const char *const logins[] = {"none", "basic", "bearer", "oauth2"};
static const char *const signatures[] = {"none", "hmac-sha256", "hmac-sm3", "sm2"};

static bool is_among(const char *text, const char *const *words, size_t count, size_t *place) {
    for (size_t i = 0; text != NULL && i < count; i++) {
        if (strcmp(text, words[i]) == 0) {
            if (place != NULL) {
                *place = i;
            }
            return true;
        }
    }
    return false;
}

/* Whether all members of an object are among `known`, which are parted by blanks. */
static void check_members(const cJSON *object, const char *where, const char *known, struct buffer *faults) {
    const cJSON *stray = object == NULL ? NULL : object->child;
    if (object != NULL && !cJSON_IsObject(object)) {
        FAULT(faults, "%s: must be an object", where);
        return;
    }
    for (; (stray = member_stray(stray, known)) != NULL; stray = stray->next) {
        FAULT(faults, "%s: there is no member \"%s\"; it may have %s", where, stray->string, known);
    }
}

static const char *text_or_null(const cJSON *object, const char *name) {
    const char *text = cJSON_GetStringValue(member_get(object, name));
    return text == NULL || *text == '\0' ? NULL : text;
}

static void need_text(const cJSON *object, const char *where, const char *name, struct buffer *faults) {
    if (text_or_null(object, name) == NULL) {
        FAULT(faults, "%s: %s is missing", where, name);
    }
}

/* ---- where ---- */

static void check_to(struct platform *target, struct buffer *faults) {
    const cJSON *to = target->to, *range;
    check_members(to, "to",
                  "url folder plain_http private_addresses ca_file certificate_file key_file timeout_s batch records",
                  faults);
    target->url = text_or_null(to, "url");
    target->folder = text_or_null(to, "folder");
    target->records = text_or_null(to, "records") == NULL ? "" : text_or_null(to, "records");
    target->batch = (int)member_number(to, "batch", 1);
    target->timeout_s = (long)member_number(to, "timeout_s", TIMEOUT_S);
    if ((target->url == NULL) == (target->folder == NULL)) {
        FAULT(faults, "to: must have either url or folder");
    }
    if (target->url != NULL && strncmp(target->url, "https://", 8) != 0 &&
        !(strncmp(target->url, "http://", 7) == 0 && member_true(to, "plain_http"))) {
        FAULT(faults, "to.url: must begin with https://, or with http:// if plain_http is true");
    }
    if (target->batch < 1 || target->batch > PLATFORM_BATCH_MAX) {
        FAULT(faults, "to.batch: must be from 1 to %d", PLATFORM_BATCH_MAX);
    } else if (target->batch > 1 && *target->records == '\0') {
        FAULT(faults, "to.records: a message with a batch needs the name of the member that holds its records");
    }
    if (target->timeout_s < 1 || target->timeout_s > TIMEOUT_MAX_S) {
        FAULT(faults, "to.timeout_s: must be from 1 to %d", TIMEOUT_MAX_S);
    }
    cJSON_ArrayForEach(range, member_get(to, "private_addresses")) {
        if (!address_range_valid(cJSON_GetStringValue(range))) {
            FAULT(faults, "to.private_addresses: each must be a range such as \"10.20.0.0/16\"");
        }
    }
    if ((text_or_null(to, "certificate_file") == NULL) != (text_or_null(to, "key_file") == NULL)) {
        FAULT(faults, "to: certificate_file and key_file go together");
    }
}

/* ---- secrets ---- */

static char *read_secret(const char *where, const char *path, bool whole, struct buffer *faults) {
    char problem[FILE_PROBLEM_MAX];
    size_t size = 0;
    char *text = path == NULL ? NULL : file_read(path, PLATFORM_SECRET_MAX, &size, problem);
    if (path == NULL) {
        FAULT(faults, "%s: secret_file is missing", where);
    } else if (text == NULL) {
        FAULT(faults, "%s: %s: %s", where, path, problem);
    } else {
        size_t length = whole ? strlen(text) : strcspn(text, "\r\n");
        text[length] = '\0';
        if (length == 0) {
            FAULT(faults, "%s: %s: is empty", where, path);
        }
    }
    return text;
}

static void check_authenticate(struct platform *target, bool secrets, struct buffer *faults) {
    const cJSON *login = target->authenticate;
    size_t kind = 0;
    check_members(login, "authenticate", "kind user secret_file token_url client scope", faults);
    if (login != NULL && !is_among(text_or_null(login, "kind"), logins, COUNT_OF(logins), &kind)) {
        FAULT(faults, "authenticate.kind: must be none, basic, bearer or oauth2");
    }
    target->authentication = (enum platform_authentication)kind;
    if (target->authentication == PLATFORM_BASIC) {
        need_text(login, "authenticate", "user", faults);
    } else if (target->authentication == PLATFORM_OAUTH2) {
        need_text(login, "authenticate", "client", faults);
        const char *url = text_or_null(login, "token_url");
        if (url == NULL || (strncmp(url, "https://", 8) != 0 &&
                            !(strncmp(url, "http://", 7) == 0 && member_true(target->to, "plain_http")))) {
            FAULT(faults, "authenticate.token_url: must begin with https://");
        }
    }
    if (target->authentication != PLATFORM_NO_LOGIN && secrets) {
        target->secret = read_secret("authenticate", text_or_null(login, "secret_file"), false, faults);
    } else if (target->authentication != PLATFORM_NO_LOGIN) {
        need_text(login, "authenticate", "secret_file", faults);
    }
}

static void check_sign(struct platform *target, bool secrets, struct buffer *faults) {
    const cJSON *sign = target->sign, *part;
    static const char *const parts[] = {"time", "nonce", "path", "body"};
    const char *encoding = text_or_null(sign, "encoding");
    size_t kind = 0;
    check_members(sign, "sign",
                  "kind secret_file header time_header nonce_header key_header key parts encoding identity", faults);
    if (sign != NULL && !is_among(text_or_null(sign, "kind"), signatures, COUNT_OF(signatures), &kind)) {
        FAULT(faults, "sign.kind: must be none, hmac-sha256, hmac-sm3 or sm2");
    }
    target->signature = (enum platform_signature)kind;
    if (encoding != NULL && strcmp(encoding, "hex") != 0 && strcmp(encoding, "base64") != 0) {
        FAULT(faults, "sign.encoding: must be hex or base64");
    }
    cJSON_ArrayForEach(part, member_get(sign, "parts")) {
        if (!is_among(cJSON_GetStringValue(part), parts, COUNT_OF(parts), NULL)) {
            FAULT(faults, "sign.parts: each must be time, nonce, path or body");
        }
    }
    if (target->signature == PLATFORM_UNSIGNED) {
        return;
    }
    need_text(sign, "sign", "header", faults);
    if (target->sign_secret != NULL) {
        return;
    }
    if (secrets) {
        target->sign_secret =
            read_secret("sign", text_or_null(sign, "secret_file"), target->signature == PLATFORM_SM2, faults);
    } else {
        need_text(sign, "sign", "secret_file", faults);
    }
}

/* ---- what ---- */

static void check_map(const struct platform *target, const char *where, const cJSON *field, struct buffer *faults) {
    const char *name = text_or_null(field, "map");
    if (member_get(field, "map") == NULL) {
        return;
    }
    if (name == NULL || !cJSON_IsObject(member_get(member_get(target->maps, name), "values"))) {
        FAULT(faults, "%s: there is no map \"%s\" under maps", where, name == NULL ? "" : name);
    }
}

static void check_field(const struct platform *target, const char *where, const cJSON *field, struct buffer *faults) {
    const char *from = text_or_null(field, "from"), *type = text_or_null(field, "type");
    check_members(field, where, "from value type format offset_minutes map required otherwise", faults);
    if ((from == NULL) == (member_get(field, "value") == NULL)) {
        FAULT(faults, "%s: must have either from or value", where);
    }
    if (type != NULL && !is_among(type, types, COUNT_OF(types), NULL)) {
        FAULT(faults, "%s: type must be text, integer, number, boolean, time or json", where);
    }
    if (from != NULL && *from == '$' && !is_among(from, specials, COUNT_OF(specials), NULL)) {
        FAULT(faults, "%s: %s is none of $number, $record, $version, $hash, $correction, $resource, $content", where,
              from);
    }
    if (member_get(field, "format") != NULL && (type == NULL || strcmp(type, "time") != 0)) {
        FAULT(faults, "%s: format is for type time", where);
    }
    check_map(target, where, field, faults);
}

static void check_resource(const struct platform *target, const cJSON *resource, struct buffer *faults) {
    const cJSON *fields = member_get(resource, "fields"), *field;
    struct buffer where = {0};
    bool numbered = false;
    buffer_format(&where, "resources.%s", resource->string);
    check_members(resource, buffer_string(&where), "path fields", faults);
    const char *path = text_or_null(resource, "path");
    if (path != NULL && *path != '/') {
        FAULT(faults, "resources.%s.path: must begin with /", resource->string);
    }
    if (!cJSON_IsObject(fields) || fields->child == NULL) {
        FAULT(faults, "resources.%s: fields are missing", resource->string);
    }
    cJSON_ArrayForEach(field, fields) {
        buffer_reset(&where, 0);
        buffer_format(&where, "resources.%s.fields.%s", resource->string, field->string);
        check_field(target, buffer_string(&where), field, faults);
        numbered |= strcmp(member_text(field, "from"), "$number") == 0;
    }
    if (target->batch > 1 && !numbered) {
        FAULT(faults, "resources.%s: in a batch each record needs a field with its $number, by which it is answered",
              resource->string);
    }
    buffer_free(&where);
}

static void check_answer(const struct platform *target, struct buffer *faults) {
    const cJSON *success = member_get(target->answer, "success");
    check_members(target->answer, "answer", "success again records number receipt_member message accepted_status",
                  faults);
    if (success != NULL) {
        check_members(success, "answer.success", "member values", faults);
        need_text(success, "answer.success", "member", faults);
        if (!cJSON_IsArray(member_get(success, "values"))) {
            FAULT(faults, "answer.success: values must be a list");
        }
    } else if (member_get(target->answer, "again") != NULL) {
        FAULT(faults, "answer.again: needs success, whose member it is about");
    }
    if (target->batch > 1 && target->folder == NULL &&
        (text_or_null(target->answer, "records") == NULL || text_or_null(target->answer, "number") == NULL)) {
        FAULT(faults, "answer: of a batch each record must be answered: say records and number");
    }
}

static void check_ask(const struct platform *target, struct buffer *faults) {
    if (target->ask == NULL) {
        return;
    }
    check_members(target->ask, "ask", "path records number hash next resource after", faults);
    need_text(target->ask, "ask", "records", faults);
    need_text(target->ask, "ask", "number", faults);
    if (*member_text(target->ask, "path") != '/') {
        FAULT(faults, "ask.path: must begin with /");
    }
    if (target->folder != NULL) {
        FAULT(faults, "ask: a folder cannot be asked");
    }
}

static int check_document(struct platform *target, bool secrets, struct buffer *faults) {
    const cJSON *document = target->document, *resource;
    check_members(document, "the file",
                  "target name_zh since oldest_s to authenticate sign answer ask maps resources comment", faults);
    target->name = member_text(document, "target");
    target->name_zh = member_text(document, "name_zh");
    target->to = member_get(document, "to");
    target->authenticate = member_get(document, "authenticate");
    target->sign = member_get(document, "sign");
    target->answer = member_get(document, "answer");
    target->ask = member_get(document, "ask");
    target->maps = member_get(document, "maps");
    target->resources = member_get(document, "resources");
    if (strspn(target->name, "abcdefghijklmnopqrstuvwxyz0123456789_-") != strlen(target->name) ||
        *target->name == '\0' || *target->name == '-' || *target->name == '_' || strlen(target->name) > 32) {
        FAULT(faults, "target: must be a name of 1 to 32 of a-z, 0-9, _ and -");
    }
    check_to(target, faults);
    check_authenticate(target, secrets, faults);
    check_sign(target, secrets, faults);
    check_answer(target, faults);
    check_ask(target, faults);
    if (!cJSON_IsObject(target->resources) || target->resources->child == NULL) {
        FAULT(faults, "resources: there are none");
    }
    cJSON_ArrayForEach(resource, target->resources) {
        check_resource(target, resource, faults);
    }
    return faults->length == 0 && !faults->failed ? 0 : CH_EINVAL;
}

int platform_load(struct platform *target, const char *path, bool secrets, struct buffer *faults) {
    *target = (struct platform){.document = document_read(path, FILE_MAX)};
    if (target->document == NULL) {
        FAULT(faults, "the file cannot be read");
        return CH_EINVAL;
    }
    return check_document(target, secrets, faults);
}

int platform_of_webhook(struct platform *target, cJSON *document, const char *key, struct buffer *faults) {
    *target = (struct platform){.document = document, .sign_secret = strdup(key), .subscribed = true};
    return document == NULL || target->sign_secret == NULL ? CH_EMEMORY : check_document(target, false, faults);
}

/* ---- against the views ---- */

static bool fits(const char *type, const char *column) {
    bool number = strcmp(column, "integer") == 0 || strcmp(column, "bigint") == 0 || strcmp(column, "smallint") == 0 ||
                  strcmp(column, "numeric") == 0 || strcmp(column, "double precision") == 0;
    bool document = strcmp(column, "jsonb") == 0;
    if (strcmp(type, "time") == 0) {
        return strcmp(column, "timestamp with time zone") == 0 || strcmp(column, "date") == 0;
    }
    if (strcmp(type, "integer") == 0 || strcmp(type, "number") == 0) {
        return number || document;
    }
    if (strcmp(type, "boolean") == 0) {
        return strcmp(column, "boolean") == 0;
    }
    return true;
}

int platform_check_columns(const struct platform *target, const cJSON *columns, struct buffer *faults) {
    const cJSON *resource, *field;
    cJSON_ArrayForEach(resource, target->resources) {
        const cJSON *view = member_get(columns, resource->string);
        if (view == NULL) {
            FAULT(faults, "resources.%s: there is no such resource", resource->string);
            continue;
        }
        cJSON_ArrayForEach(field, member_get(resource, "fields")) {
            const char *from = member_text(field, "from"), *type = member_text(field, "type");
            if (*from == '\0' || *from == '$') {
                continue;
            }
            if (member_get(view, from) == NULL) {
                FAULT(faults, "resources.%s.fields.%s: onemap.exchange_%s has no column %s", resource->string,
                      field->string, resource->string, from);
            } else if (member_get(field, "map") == NULL && !fits(type, member_text(view, from))) {
                FAULT(faults, "resources.%s.fields.%s: column %s is %s and cannot be sent as %s", resource->string,
                      field->string, from, member_text(view, from), type);
            }
        }
    }
    return faults->length == 0 && !faults->failed ? 0 : CH_EINVAL;
}

/* The columns of a resource that its template cannot do without. */
static void add_required(cJSON *required, const cJSON *resource) {
    const cJSON *field;
    cJSON *columns = cJSON_AddArrayToObject(required, resource->string);
    cJSON_ArrayForEach(field, member_get(resource, "fields")) {
        const char *from = member_text(field, "from");
        if (member_true(field, "required") && *from != '\0' && *from != '$') {
            cJSON_AddItemToArray(columns, cJSON_CreateString(from));
        }
    }
}

cJSON *platform_request(const struct platform *target) {
    cJSON *request = cJSON_CreateObject(), *resources = cJSON_AddArrayToObject(request, "resources");
    const cJSON *resource, *since = member_get(target->document, "since");
    cJSON_AddStringToObject(request, "target", target->name);
    cJSON_AddStringToObject(request, "name_zh", target->name_zh);
    cJSON_AddNumberToObject(request, "oldest_s", member_number(target->document, "oldest_s", 86400));
    if (since != NULL) {
        cJSON_AddItemToObject(request, "since", cJSON_Duplicate(since, true));
    }
    cJSON_AddBoolToObject(request, "asks", target->ask != NULL);
    cJSON *required = cJSON_AddObjectToObject(request, "required");
    cJSON_ArrayForEach(resource, target->resources) {
        add_required(required, resource);
        cJSON_AddItemToArray(resources, cJSON_CreateString(resource->string));
    }
    return request;
}

const cJSON *platform_resource(const struct platform *target, const char *resource) {
    return member_get(target->resources, resource);
}

static void wipe(char *secret) {
    if (secret != NULL) {
        secret_wipe(secret, strlen(secret));
        free(secret);
    }
}

void platform_free(struct platform *target) {
    wipe(target->secret);
    wipe(target->sign_secret);
    cJSON_Delete(target->document);
    *target = (struct platform){0};
}
