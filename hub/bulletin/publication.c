/* publication.c: members of what the database publishes, see publication.h. Never computes a figure. */
#include "hub/bulletin/publication.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *publication_text(const cJSON *object, const char *key) {
    const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, key));
    return text == NULL ? "" : text;
}

bool publication_has_number(const cJSON *object, const char *key) {
    return cJSON_IsNumber(cJSON_GetObjectItemCaseSensitive(object, key));
}

double publication_number(const cJSON *object, const char *key, double otherwise) {
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, key);
    return cJSON_IsNumber(item) ? item->valuedouble : otherwise;
}

const cJSON *publication_find(const cJSON *array, const char *key, const char *value) {
    const cJSON *element;
    cJSON_ArrayForEach(element, array) {
        if (strcmp(publication_text(element, key), value) == 0) {
            return element;
        }
    }
    return NULL;
}

void publication_month_name(const char *month, char *name, size_t size) {
    snprintf(name, size, "%.4s年%ld月", month, strtol(month + 5, NULL, 10));
}
