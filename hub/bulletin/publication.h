/* publication.h: reading members of what the database publishes as JSON. Changes and owns nothing. */
#ifndef CITYHUB_PUBLICATION_H
#define CITYHUB_PUBLICATION_H

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stddef.h>

/* The member's text, "" if there is none; valid as long as `object`. */
const char *publication_text(const cJSON *object, const char *key);

/* The member's number, `otherwise` if there is none. */
double publication_number(const cJSON *object, const char *key, double otherwise);

/* True if the member is a number. */
bool publication_has_number(const cJSON *object, const char *key);

/* The element of `array` whose member `key` is the text `value`, or NULL. */
const cJSON *publication_find(const cJSON *array, const char *key, const char *value);

/* Year and month for people: "2026年10月". `size` of at least 32 bytes. */
void publication_month_name(const char *month, char *name, size_t size);

#endif
