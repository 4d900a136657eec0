/* route_list.c: rows as JSON. Must never show what is not in the table. */
#include "hub/http/route_list.h"

#include <string.h>

#include "hub/base/member.h"

void route_list_default(cJSON *object, const struct parameter *parameter) {
    struct parameter_value value;
    struct buffer json = {0};
    if (parameter->initial != NULL &&
        parameter_check(parameter, parameter->initial, strlen(parameter->initial), &json, &value) == 0 &&
        buffer_string(&json) != NULL) {
        cJSON_AddRawToObject(object, "default", json.data);
    }
    buffer_free(&json);
}

static cJSON *parameter_object(const struct route *route, const struct parameter *parameter) {
    cJSON *object = cJSON_CreateObject();
    bool in_path = route_in_path(route, parameter), text = parameter->kind == PARAMETER_TEXT;
    cJSON_AddStringToObject(object, "name", parameter->name);
    cJSON_AddStringToObject(object, "in", in_path ? "path" : "query");
    cJSON_AddBoolToObject(object, "required", in_path || parameter->required);
    cJSON_AddStringToObject(object, "type", parameter_type(parameter));
    if (parameter->high > parameter->low) {
        member_add_exact(object, text ? "minLength" : "minimum", parameter->low);
        member_add_exact(object, text ? "maxLength" : "maximum", parameter->high);
    }
    if (parameter->list > 0) {
        cJSON_AddNumberToObject(object, "maxItems", parameter->list);
    }
    if (parameter->kind == PARAMETER_CHOICE) {
        member_add_words(object, "enum", parameter->choices);
    }
    route_list_default(object, parameter);
    cJSON_AddStringToObject(object, "description", parameter->meaning);
    return object;
}

static cJSON *route_object(const struct route *route) {
    cJSON *object = cJSON_CreateObject();
    cJSON_AddStringToObject(object, "method", route_method_name(route->method));
    cJSON_AddStringToObject(object, "path", route->pattern);
    cJSON_AddStringToObject(object, "summary", route->summary);
    cJSON_AddStringToObject(object, "right", route_right_name(route->right));
    cJSON_AddBoolToObject(object, "loopback", route->loopback);
    cJSON *parameters = cJSON_AddArrayToObject(object, "parameters");
    for (const struct parameter *p = route->parameters; p != NULL && p->kind != PARAMETER_NONE; p++) {
        cJSON_AddItemToArray(parameters, parameter_object(route, p));
    }
    if (route->body.types != NULL) {
        cJSON *body = cJSON_AddObjectToObject(object, "body");
        member_add_words(body, "types", route->body.types);
        cJSON_AddNumberToObject(body, "limit", (double)route->body.limit);
        cJSON_AddBoolToObject(body, "required", !route->body.optional);
    }
    if (route->function != NULL) {
        cJSON_AddStringToObject(object, "function", route->function);
    }
    cJSON_AddStringToObject(object, "content_type", route->content_type);
    return object;
}

char *route_list_json(const struct router *router) {
    size_t count;
    const struct route *all = router_routes(router, &count);
    cJSON *root = cJSON_CreateObject();
    cJSON *list = cJSON_AddArrayToObject(root, "routes");
    for (size_t i = 0; i < count; i++) {
        cJSON_AddItemToArray(list, route_object(&all[i]));
    }
    char *text = cJSON_PrintUnformatted(root);
    cJSON_Delete(root);
    return text;
}
