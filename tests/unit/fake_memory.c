/* fake_memory.c: counts allocations and lets some fail. */
#include "fake_memory.h"

#include <cjson/cJSON.h>
#include <libpq-fe.h>
#include <mosquitto.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

static long asked, failed, first_failure, failures;

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *memory, size_t size);
void *__real_mmap(void *at, size_t size, int protection, int flags, int file, off_t offset);
char *__real_strdup(const char *text);
PGresult *__real_PQcopyResult(const PGresult *result, int flags);
const mosquitto_property *__real_mosquitto_property_read_binary(const mosquitto_property *list, int identifier,
                                                                void **value, uint16_t *length, bool skip_first);

void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *memory, size_t size);
void *__wrap_mmap(void *at, size_t size, int protection, int flags, int file, off_t offset);
char *__wrap_strdup(const char *text);
PGresult *__wrap_PQcopyResult(const PGresult *result, int flags);
const mosquitto_property *__wrap_mosquitto_property_read_binary(const mosquitto_property *list, int identifier,
                                                                void **value, uint16_t *length, bool skip_first);

static bool is_out(void) {
    if (fake_at_work > 0) {
        return false;
    }
    asked++;
    bool out = first_failure > 0 && asked >= first_failure && asked < first_failure + failures;
    failed += out;
    return out;
}

void *__wrap_malloc(size_t size) {
    return is_out() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size) {
    return is_out() ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *memory, size_t size) {
    return is_out() ? NULL : __real_realloc(memory, size);
}

void *__wrap_mmap(void *at, size_t size, int protection, int flags, int file, off_t offset) {
    return is_out() ? MAP_FAILED : __real_mmap(at, size, protection, flags, file, offset);
}

char *__wrap_strdup(const char *text) {
    return is_out() ? NULL : __real_strdup(text);
}

PGresult *__wrap_PQcopyResult(const PGresult *result, int flags) {
    return is_out() ? NULL : __real_PQcopyResult(result, flags);
}

/* As the library does it: the length is there, its bytes are not. */
const mosquitto_property *__wrap_mosquitto_property_read_binary(const mosquitto_property *list, int identifier,
                                                                void **value, uint16_t *length, bool skip_first) {
    const mosquitto_property *found =
        __real_mosquitto_property_read_binary(list, identifier, value, length, skip_first);
    if (found != NULL && is_out()) {
        free(*value);
        *value = NULL;
        return NULL;
    }
    return found;
}

void fake_memory_fail(long first, long count) {
    cJSON_Hooks hooks = {.malloc_fn = __wrap_malloc, .free_fn = free};
    cJSON_InitHooks(&hooks);
    asked = failed = 0;
    first_failure = first;
    failures = count;
}

long fake_memory_asked(void) {
    return asked;
}

long fake_memory_failed(void) {
    return failed;
}
