/* member.h: reading members of JSON objects by their exact names. Changes and owns nothing; NULL is an object without
 * members. What comes back belongs to the object. */
#ifndef CITYHUB_MEMBER_H
#define CITYHUB_MEMBER_H

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stddef.h>

/* The member, or NULL. */
cJSON *member_get(const cJSON *object, const char *name);

/* Its text, "" if it is none. */
const char *member_text(const cJSON *object, const char *name);

/* Its number, `otherwise` if it is none. */
double member_number(const cJSON *object, const char *name, double otherwise);
bool member_is_number(const cJSON *object, const char *name);

/* True if it is there and true. */
bool member_true(const cJSON *object, const char *name);

/* The element of `array` whose member `name` is the text `value`, or NULL. */
const cJSON *member_find(const cJSON *array, const char *name, const char *value);

/* The first of this member and those behind it whose name is not among the words, which have blanks between them; NULL
 * = there is none. Begin with the object's child. */
const cJSON *member_stray(const cJSON *member, const char *words);

/* Puts the member in place of one of this name, if there is one. `value` is the object's from now on, also if memory is
 * out and it cannot be put. Returns 0 or CH_EMEMORY (`value` NULL is that, too). */
int member_put(cJSON *object, const char *name, cJSON *value);

/* What something is known by, a text or a number, as text: an id, a code, a cursor. Empty if it is neither, or a number
 * whose digits a double has lost. Returns its bytes; `room` or more = it was cut. */
size_t member_key(const cJSON *value, char *text, size_t room);

/* Adds a number with all its digits: cJSON itself drops those beyond 15, as of 2^53. */
void member_add_exact(cJSON *object, const char *name, double value);

/* Adds an array of the words, which have blanks between them. Out of memory: some or all are missing. */
void member_add_words(cJSON *object, const char *name, const char *words);

#endif
