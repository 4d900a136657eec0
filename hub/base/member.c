/* member.c: members of JSON objects, see member.h. cJSON's short names compare without regard to case: JSON does not.
 */
#include "hub/base/member.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "hub/base/error.h"
#include "hub/base/text.h"

cJSON *member_get(const cJSON *object, const char *name) {
    return cJSON_GetObjectItemCaseSensitive(object, name);
}

const char *member_text(const cJSON *object, const char *name) {
    const char *text = cJSON_GetStringValue(member_get(object, name));
    return text == NULL ? "" : text;
}

double member_number(const cJSON *object, const char *name, double otherwise) {
    const cJSON *item = member_get(object, name);
    return cJSON_IsNumber(item) ? item->valuedouble : otherwise;
}

bool member_is_number(const cJSON *object, const char *name) {
    return cJSON_IsNumber(member_get(object, name));
}

bool member_true(const cJSON *object, const char *name) {
    return cJSON_IsTrue(member_get(object, name));
}

const cJSON *member_find(const cJSON *array, const char *name, const char *value) {
    const cJSON *element;
    cJSON_ArrayForEach(element, array) {
        if (strcmp(member_text(element, name), value) == 0) {
            return element;
        }
    }
    return NULL;
}

static bool is_among(const char *name, const char *words) {
    size_t length, size = strlen(name);
    for (const char *word; (word = text_word(&words, &length)) != NULL;) {
        if (length == size && memcmp(word, name, size) == 0) {
            return true;
        }
    }
    return false;
}

const cJSON *member_stray(const cJSON *member, const char *words) {
    while (member != NULL && is_among(member->string, words)) {
        member = member->next;
    }
    return member;
}

int member_put(cJSON *object, const char *name, cJSON *value) {
    cJSON_DeleteItemFromObjectCaseSensitive(object, name);
    if (value == NULL || !cJSON_AddItemToObject(object, name, value)) {
        cJSON_Delete(value);
        return CH_EMEMORY;
    }
    return 0;
}

size_t member_key(const cJSON *value, char *text, size_t room) {
    static const double whole_max =
        9007199254740992.0; /* 2^53: beyond that a double is not the number that was written */
    int length;
    if (cJSON_IsNumber(value) && fabs(value->valuedouble) < whole_max) {
        bool whole = trunc(value->valuedouble) == value->valuedouble;
        length = snprintf(text, room, whole ? "%.0f" : "%.15g", value->valuedouble);
    } else {
        length = snprintf(text, room, "%s", cJSON_IsString(value) ? value->valuestring : "");
    }
    return (size_t)length;
}

void member_add_exact(cJSON *object, const char *name, double value) {
    char text[32];
    snprintf(text, sizeof text, "%.17g", value);
    cJSON_AddRawToObject(object, name, text);
}

void member_add_words(cJSON *object, const char *name, const char *words) {
    cJSON *array = cJSON_AddArrayToObject(object, name);
    size_t length;
    for (const char *at; (at = text_word(&words, &length)) != NULL;) {
        char word[128];
        snprintf(word, sizeof word, "%.*s", (int)length, at);
        cJSON_AddItemToArray(array, cJSON_CreateString(word));
    }
}
