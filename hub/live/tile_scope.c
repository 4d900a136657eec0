/* tile_scope.c: departments of an identity. Must never take what it cannot read for all. */
#include "hub/live/tile_scope.h"

#include <cjson/cJSON.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int compare(const void *left, const void *right) {
    int32_t a = *(const int32_t *)left, b = *(const int32_t *)right;
    return a < b ? -1 : a > b;
}

static struct tile_scope *scope_of_array(const cJSON *array) {
    size_t count = (size_t)cJSON_GetArraySize(array), used = 0;
    struct tile_scope *scope = calloc(1, sizeof *scope + count * sizeof scope->departments[0]);
    if (scope == NULL) {
        return NULL;
    }
    const cJSON *item;
    cJSON_ArrayForEach(item, array) {
        if (!cJSON_IsNumber(item) || item->valueint <= 0) {
            free(scope);
            return NULL;
        }
        scope->departments[scope->count++] = item->valueint;
    }
    qsort(scope->departments, scope->count, sizeof scope->departments[0], compare);
    for (size_t i = 0; i < scope->count; i++) {
        if (used == 0 || scope->departments[used - 1] != scope->departments[i]) {
            scope->departments[used++] = scope->departments[i];
        }
    }
    scope->count = used;
    return scope;
}

/* By a hash that nobody finds a second list for: the cache goes by it. */
static bool scope_tag(struct tile_scope *scope) {
    unsigned char hash[EVP_MAX_MD_SIZE];
    if (EVP_Digest(scope->departments, scope->count * sizeof scope->departments[0], hash, NULL, EVP_sha256(), NULL) !=
        1) {
        return false;
    }
    for (size_t i = 0; i < (TILE_SCOPE_TAG - 1) / 2; i++) {
        snprintf(scope->tag + 2 * i, 3, "%02x", hash[i]);
    }
    return true;
}

struct tile_scope *tile_scope_new(const char *identity_json) {
    cJSON *identity = cJSON_Parse(identity_json);
    const cJSON *departments = cJSON_GetObjectItemCaseSensitive(identity, "departments");
    struct tile_scope *scope = NULL;
    if (cJSON_IsNull(departments)) {
        scope = calloc(1, sizeof *scope);
        if (scope != NULL) {
            scope->all = true;
            memcpy(scope->tag, "all", sizeof "all");
        }
    } else if (cJSON_IsArray(departments)) {
        scope = scope_of_array(departments);
        if (scope != NULL && !scope_tag(scope)) {
            free(scope);
            scope = NULL;
        }
    }
    cJSON_Delete(identity);
    return scope;
}

bool tile_scope_has(const struct tile_scope *scope, int32_t department) {
    return scope->all || bsearch(&department, scope->departments, scope->count, sizeof department, compare) != NULL;
}
