/* openapi.c: rows as operations. Must never say of a route what is not in its row or in openapi.json, which
 * tests/integration/test_openapi.py holds against the answers. */
#include "hub/http/openapi.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "hub/base/count.h"
#include "hub/base/member.h"
#include "hub/base/text.h"
#include "hub/http/identity.h"
#include "hub/http/route_list.h"

/* openapi.json, put here by the build: {schemas: {name: schema}, answers: {"GET /path": {status: schema | null: no body
 * | "problem"}}, bodies: {"POST /path": schema}}. Of an object there each property is always there, unless "optional"
 * names it. */
extern const unsigned char openapi_forms[];
extern const size_t openapi_forms_size;

enum { KEY_MAX = 160, NAME_MAX_BYTES = 128 };

/* ---- what a row can answer ---- */

static bool always(const struct route *route) {
    (void)route;
    return true;
}

static bool takes_body(const struct route *route) {
    return route->body.types != NULL;
}

static bool asks_who(const struct route *route) {
    return route->right != RIGHT_ANYONE || takes_body(route);
}

static bool is_checked(const struct route *route) {
    return !route->any_query || route->parameters != NULL || takes_body(route);
}

static bool names_one(const struct route *route) {
    return strchr(route->pattern, '{') != NULL;
}

static bool writes(const struct route *route) {
    return route->function != NULL && route->method != METHOD_GET;
}

static bool has_rules(const struct route *route) {
    return route->function != NULL && (route->parameters != NULL || takes_body(route));
}

static bool has_etag(const struct route *route) {
    return route->etag != ETAG_NONE;
}

static bool never(const struct route *route) {
    (void)route;
    return false;
}

static const struct common {
    const char *status, *description;
    bool (*when)(const struct route *route);
    const char *header, *header_meaning;
} commons[] = {
    {"304", "What the client has is still so", has_etag, NULL, NULL},
    {"400",
     "A parameter (CH042), the address (CH043) or the body (CH044) is wrong, or not of that moment (CH065, CH078)",
     is_checked, NULL, NULL},
    {"401", "Nobody is logged in (CH060), or login or password is wrong (CH061)", asks_who, NULL, NULL},
    {"403",
     "Sent by another site's page (CH062), a right is missing (CH064), not for the post (CH019), "
     "or an administrator may not (CH066)",
     asks_who, NULL, NULL},
    {"404", "Nothing is there (CH049, CH017), or not for who asks (CH075)", names_one, NULL, NULL},
    {"405", "The path has other methods (CH041): the answer to each method that is not described here", never, "Allow",
     "the methods that the path has"},
    {"406", "The answer is not of a type that the header Accept takes (CH047)", always, NULL, NULL},
    {"409", "Not in this state (CH010, CH031, CH082), somebody else was faster (CH011), or there already (CH018)",
     writes, NULL, NULL},
    {"413", "The body is too large (CH045)", takes_body, NULL, NULL},
    {"415", "The body is of another type (CH046)", takes_body, NULL, NULL},
    {"422", "A rule says no: code and hint tell which", has_rules, NULL, NULL},
    {"429", "Too many connections from one address (CH054), tries (CH063), attachments (CH057) or commands (CH072)",
     always, "Retry-After", "seconds"},
    {"500", "A fault of the hub (CH053); its log says why", always, NULL, NULL},
    {"503", "Too busy (CH050), or the database is away (CH051)", asks_who, "Retry-After", "seconds"},
    {"504", "Not done in time (CH052)", asks_who, NULL, NULL},
};

/* ---- forms ---- */

static void complete(cJSON *schema);

static void complete_all(cJSON *schemas) {
    for (cJSON *one = schemas == NULL ? NULL : schemas->child; one != NULL; one = one->next) {
        complete(one);
    }
}

/* Names the properties that are required: all but those that "optional" names. */
static void complete(cJSON *schema) {
    cJSON *properties = cJSON_GetObjectItemCaseSensitive(schema, "properties");
    cJSON *optional = cJSON_DetachItemFromObjectCaseSensitive(schema, "optional");
    if (properties != NULL) {
        cJSON *required = cJSON_AddArrayToObject(schema, "required");
        for (const cJSON *property = properties->child; property != NULL; property = property->next) {
            bool left_out = false;
            for (const cJSON *word = optional == NULL ? NULL : optional->child; word != NULL; word = word->next) {
                left_out = left_out || strcmp(word->valuestring, property->string) == 0;
            }
            if (!left_out) {
                cJSON_AddItemToArray(required, cJSON_CreateString(property->string));
            }
        }
    }
    cJSON_Delete(optional);
    complete_all(properties);
    complete_all(cJSON_GetObjectItemCaseSensitive(schema, "anyOf"));
    cJSON *items = cJSON_GetObjectItemCaseSensitive(schema, "items");
    cJSON *more = cJSON_GetObjectItemCaseSensitive(schema, "additionalProperties");
    if (cJSON_IsObject(items)) {
        complete(items);
    }
    if (cJSON_IsObject(more)) {
        complete(more);
    }
}

static cJSON *forms_read(void) {
    cJSON *forms = cJSON_ParseWithLength((const char *)openapi_forms, openapi_forms_size);
    complete_all(cJSON_GetObjectItemCaseSensitive(forms, "schemas"));
    complete_all(cJSON_GetObjectItemCaseSensitive(forms, "bodies"));
    cJSON *answers = cJSON_GetObjectItemCaseSensitive(forms, "answers");
    for (cJSON *route = answers == NULL ? NULL : answers->child; route != NULL; route = route->next) {
        complete_all(route);
    }
    return forms;
}

static void add_reference(cJSON *object, const char *kind, const char *name) {
    char path[NAME_MAX_BYTES];
    snprintf(path, sizeof path, "#/components/%s/%s", kind, name);
    cJSON_AddStringToObject(object, "$ref", path);
}

/* ---- parameters ---- */

static void add_range(cJSON *schema, const char *low_name, double low, const char *high_name, double high) {
    member_add_exact(schema, low_name, low);
    member_add_exact(schema, high_name, high);
}

static void add_formats(cJSON *schema) {
    static const char *const formats[] = {"date-time", "date"};
    cJSON *any = cJSON_AddArrayToObject(schema, "anyOf");
    for (size_t i = 0; i < COUNT_OF(formats); i++) {
        cJSON *one = cJSON_CreateObject();
        cJSON_AddStringToObject(one, "format", formats[i]);
        cJSON_AddItemToArray(any, one);
    }
}

/* Of one value; a list has several of them. */
static cJSON *value_schema(const struct parameter *parameter) {
    struct parameter one = *parameter;
    cJSON *schema = cJSON_CreateObject();
    one.list = 0;
    cJSON_AddStringToObject(schema, "type", parameter_type(&one));
    if (parameter->kind == PARAMETER_TEXT) {
        add_range(schema, "minLength", parameter->low, "maxLength", parameter->high);
    } else if (parameter->kind == PARAMETER_INTEGER || parameter->kind == PARAMETER_NUMBER) {
        add_range(schema, "minimum", parameter->low, "maximum", parameter->high);
    } else if (parameter->kind == PARAMETER_CHOICE) {
        member_add_words(schema, "enum", parameter->choices);
    } else if (parameter->kind == PARAMETER_TIME) {
        add_formats(schema);
    } else if (parameter->kind == PARAMETER_BOX) {
        cJSON *number = cJSON_AddObjectToObject(schema, "items");
        cJSON_AddStringToObject(number, "type", "number");
        add_range(schema, "minItems", 4, "maxItems", 4);
    }
    return schema;
}

static cJSON *parameter_schema(const struct parameter *parameter) {
    cJSON *schema = value_schema(parameter);
    if (parameter->list > 0) {
        cJSON *list = cJSON_CreateObject();
        cJSON_AddStringToObject(list, "type", "array");
        cJSON_AddItemToObject(list, "items", schema);
        add_range(list, "minItems", 1, "maxItems", parameter->list);
        schema = list;
    }
    route_list_default(schema, parameter);
    return schema;
}

static void add_parameters(cJSON *operation, const struct route *route) {
    cJSON *list = route->parameters == NULL ? NULL : cJSON_AddArrayToObject(operation, "parameters");
    for (const struct parameter *p = route->parameters; p != NULL && p->kind != PARAMETER_NONE; p++) {
        cJSON *object = cJSON_CreateObject();
        bool in_path = route_in_path(route, p);
        cJSON_AddStringToObject(object, "name", p->name);
        cJSON_AddStringToObject(object, "in", in_path ? "path" : "query");
        cJSON_AddBoolToObject(object, "required", in_path || p->required);
        cJSON_AddStringToObject(object, "description", p->meaning);
        if (!in_path && (p->list > 0 || p->kind == PARAMETER_BOX)) {
            cJSON_AddBoolToObject(object, "explode", false); /* with commas */
        }
        cJSON_AddItemToObject(object, "schema", parameter_schema(p));
        cJSON_AddItemToArray(list, object);
    }
}

/* ---- bodies and answers ---- */

/* {"application/json": {"schema": ...}}; takes `schema`, NULL = its form is not known. */
static void add_content(cJSON *object, const char *type, cJSON *schema) {
    char name[NAME_MAX_BYTES];
    snprintf(name, sizeof name, "%.*s", (int)strcspn(type, ";"), type);
    cJSON *content = cJSON_GetObjectItemCaseSensitive(object, "content");
    content = content == NULL ? cJSON_AddObjectToObject(object, "content") : content;
    cJSON *media = cJSON_AddObjectToObject(content, name);
    if (schema != NULL) {
        cJSON_AddItemToObject(media, "schema", schema);
    }
}

static cJSON *text_schema(const char *content_type) {
    cJSON *schema = strncmp(content_type, "text/", 5) == 0 ? cJSON_CreateObject() : NULL;
    if (schema != NULL) {
        cJSON_AddStringToObject(schema, "type", "string");
    }
    return schema;
}

static cJSON *response(cJSON *responses, const char *status, const char *description) {
    cJSON *object = cJSON_AddObjectToObject(responses, status);
    cJSON_AddStringToObject(object, "description", description);
    return object;
}

static void add_more(cJSON *object, const char *types, const cJSON *form) {
    size_t length;
    for (const char *at; types != NULL && (at = text_word(&types, &length)) != NULL;) {
        char type[NAME_MAX_BYTES];
        snprintf(type, sizeof type, "%.*s", (int)length, at);
        add_content(object, type, form == NULL ? NULL : cJSON_Duplicate(form, true));
    }
}

/* The route's own answers; a 200 without a form if openapi.json has none. */
static void add_own(cJSON *responses, const struct route *route, cJSON *forms) {
    for (cJSON *one = forms == NULL ? NULL : forms->child; one != NULL; one = one->next) {
        if (cJSON_IsString(one)) {
            add_reference(cJSON_AddObjectToObject(responses, one->string), "responses", one->string);
        } else {
            cJSON *object = response(responses, one->string, route->summary);
            if (cJSON_IsObject(one)) {
                add_content(object, route->content_type, cJSON_Duplicate(one, true));
                add_more(object, route->more_types, one);
            }
        }
    }
    bool done = cJSON_HasObjectItem(responses, "200") || cJSON_HasObjectItem(responses, "201") ||
                cJSON_HasObjectItem(responses, "202") ||
                (cJSON_HasObjectItem(responses, "204") && route->method != METHOD_GET);
    if (!done) {
        add_content(response(responses, "200", route->summary), route->content_type, text_schema(route->content_type));
    }
}

static void add_problem(cJSON *object) {
    cJSON *schema = cJSON_CreateObject();
    add_reference(schema, "schemas", "Problem");
    add_content(object, "application/problem+json", schema);
}

static void add_responses(cJSON *operation, const struct route *route, cJSON *forms) {
    cJSON *responses = cJSON_AddObjectToObject(operation, "responses");
    add_own(responses, route, forms);
    for (size_t i = 0; i < COUNT_OF(commons); i++) {
        cJSON *own = cJSON_GetObjectItemCaseSensitive(responses, commons[i].status);
        if (!commons[i].when(route)) {
            continue;
        }
        if (own == NULL) {
            add_reference(cJSON_AddObjectToObject(responses, commons[i].status), "responses", commons[i].status);
        } else if (!cJSON_HasObjectItem(own, "$ref")) {
            add_problem(own); /* the route says something itself with this status, or a rule does */
        }
    }
}

static void add_body(cJSON *operation, const struct route *route, const cJSON *form) {
    cJSON *body = cJSON_AddObjectToObject(operation, "requestBody");
    char limit[64];
    snprintf(limit, sizeof limit, "%zu bytes at the most", route->body.limit);
    cJSON_AddStringToObject(body, "description", limit);
    cJSON_AddBoolToObject(body, "required", !route->body.optional);
    add_more(body, route->body.types, form);
}

/* ---- operations ---- */

/* Each of these alone is enough. Basic passwords only read. */
static void add_security(cJSON *operation, const struct route *route) {
    static const char *const schemes[] = {"session", "session_tls", "bearer", "basic"};
    cJSON *list = cJSON_AddArrayToObject(operation, "security");
    size_t count = route->right == RIGHT_ANYONE ? 0 : route->method == METHOD_GET ? 4 : 3;
    for (size_t i = 0; i < count; i++) {
        cJSON *one = cJSON_CreateObject();
        cJSON_AddArrayToObject(one, schemes[i]);
        cJSON_AddItemToArray(list, one);
    }
    if (route->loopback) {
        cJSON_AddItemToArray(list, cJSON_CreateObject()); /* or none, on the hub's own machine */
    }
}

/* The first word behind /api/v1/ is the operation's tag; all words of the path are its id. */
static void add_names(cJSON *operation, const struct route *route) {
    static const char prefix[] = "/api/v1/";
    bool versioned = strncmp(route->pattern, prefix, strlen(prefix)) == 0;
    const char *first = route->pattern + (versioned ? strlen(prefix) : 1);
    char id[KEY_MAX], tag[NAME_MAX_BYTES];
    snprintf(tag, sizeof tag, "%.*s", (int)strcspn(first, "/."), first);
    snprintf(id, sizeof id, "%s_%s", route_method_name(route->method),
             route->pattern + (versioned ? strlen("/api/") : 1));
    size_t used = 0;
    for (const char *at = id; *at != '\0'; at++) {
        if (isalnum((unsigned char)*at)) {
            id[used++] = (char)tolower((unsigned char)*at);
        } else if (used > 0 && id[used - 1] != '_') {
            id[used++] = '_';
        }
    }
    id[used - (id[used - 1] == '_')] = '\0';
    cJSON *tags = cJSON_AddArrayToObject(operation, "tags");
    cJSON_AddItemToArray(tags, cJSON_CreateString(tag));
    cJSON_AddStringToObject(operation, "operationId", id);
}

static cJSON *operation(const struct route *route, const cJSON *forms) {
    char key[KEY_MAX];
    snprintf(key, sizeof key, "%s %s", route_method_name(route->method), route->pattern);
    cJSON *object = cJSON_CreateObject();
    add_names(object, route);
    cJSON_AddStringToObject(object, "summary", route->summary);
    cJSON_AddStringToObject(object, "x-right", route_right_name(route->right));
    add_security(object, route);
    add_parameters(object, route);
    if (takes_body(route)) {
        add_body(object, route, member_get(member_get(forms, "bodies"), key));
    }
    add_responses(object, route, cJSON_GetObjectItemCaseSensitive(member_get(forms, "answers"), key));
    return object;
}

static void add_paths(cJSON *root, const struct router *router, const cJSON *forms) {
    size_t count;
    const struct route *all = router_routes(router, &count);
    cJSON *paths = cJSON_AddObjectToObject(root, "paths");
    for (size_t i = 0; i < count; i++) {
        if (strncmp(all[i].pattern, "/ogc", 4) == 0 || strncmp(all[i].pattern, "/open311", 8) == 0 ||
            all[i].policy != NULL) {
            continue; /* of /ogc GET /ogc/api tells, as its standard wants it, of /open311 its standard; the page's
                         files are for browsers */
        }
        char method[16] = "";
        const char *name = route_method_name(all[i].method);
        for (size_t at = 0; name[at] != '\0' && at < sizeof method - 1; at++) {
            method[at] = (char)tolower((unsigned char)name[at]);
        }
        cJSON *path = cJSON_GetObjectItemCaseSensitive(paths, all[i].pattern);
        path = path == NULL ? cJSON_AddObjectToObject(paths, all[i].pattern) : path;
        cJSON_AddItemToObject(path, method, operation(&all[i], forms));
    }
}

/* ---- what they have in common ---- */

static cJSON *scheme(cJSON *schemes, const char *name, const char *type, const char *description) {
    cJSON *object = cJSON_AddObjectToObject(schemes, name);
    cJSON_AddStringToObject(object, "type", type);
    cJSON_AddStringToObject(object, "description", description);
    return object;
}

static void add_schemes(cJSON *components) {
    static const char person[] =
        "a person's session, from POST /api/v1/login; what writes needs the header Origin, too";
    static const struct {
        const char *name, *cookie;
    } cookies[] = {{"session", IDENTITY_COOKIE}, {"session_tls", IDENTITY_COOKIE_SECURE}};
    cJSON *schemes = cJSON_AddObjectToObject(components, "securitySchemes");
    for (size_t i = 0; i < COUNT_OF(cookies); i++) {
        cJSON *cookie = scheme(schemes, cookies[i].name, "apiKey", person);
        cJSON_AddStringToObject(cookie, "in", "cookie");
        cJSON_AddStringToObject(cookie, "name", cookies[i].cookie);
    }
    cJSON_AddStringToObject(scheme(schemes, "bearer", "http", "a program's token"), "scheme", "bearer");
    cJSON_AddStringToObject(
        scheme(schemes, "basic", "http", "a program's token as the password of any user; reads only"), "scheme",
        "basic");
}

static void add_components(cJSON *root, cJSON *forms) {
    cJSON *components = cJSON_AddObjectToObject(root, "components");
    cJSON_AddItemToObject(components, "schemas", cJSON_DetachItemFromObjectCaseSensitive(forms, "schemas"));
    cJSON *responses = cJSON_AddObjectToObject(components, "responses");
    for (size_t i = 0; i < COUNT_OF(commons); i++) {
        cJSON *object = response(responses, commons[i].status, commons[i].description);
        if (commons[i].header != NULL) {
            cJSON *header = cJSON_AddObjectToObject(cJSON_AddObjectToObject(object, "headers"), commons[i].header);
            cJSON_AddStringToObject(header, "description", commons[i].header_meaning);
            cJSON_AddStringToObject(cJSON_AddObjectToObject(header, "schema"), "type", "string");
        }
        if (commons[i].when != has_etag) {
            add_problem(object);
        }
    }
    add_schemes(components);
}

char *openapi_json(const struct router *router) {
    cJSON *root = cJSON_CreateObject(), *forms = forms_read();
    cJSON_AddStringToObject(root, "openapi", "3.1.0");
    cJSON *info = cJSON_AddObjectToObject(root, "info");
    cJSON_AddStringToObject(info, "title", "cityhub");
    cJSON_AddStringToObject(info, "version", CITYHUB_VERSION);
    cJSON_AddStringToObject(
        info, "description",
        "一张图接口 (the one map's API). Times have their offset, names in _ms are milliseconds "
        "since 1970 in UTC, places are WGS 84. A path answers each method that is not here with 405. "
        "x-right: the right that who asks needs.");
    cJSON_AddItemToArray(cJSON_AddArrayToObject(root, "servers"), cJSON_Parse("{\"url\":\"/\"}"));
    add_paths(root, router, forms);
    add_components(root, forms);
    char *text = forms == NULL ? NULL : cJSON_PrintUnformatted(root);
    cJSON_Delete(forms);
    cJSON_Delete(root);
    return text;
}
