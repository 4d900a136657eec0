/* dialect_read.h: what the dialects of all protocols have in common in being read from JSON: faults with their place,
 * and keys that are known. Pure. */
#ifndef CITYHUB_GATEWAY_DIALECT_READ_H
#define CITYHUB_GATEWAY_DIALECT_READ_H

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stddef.h>

#include "hub/adapter.h"

enum { DIALECT_PROBLEM_MAX = 240 }; /* bytes of a reason with its end */

struct dialect_parser {
    char *problem;  /* DIALECT_PROBLEM_MAX bytes of the caller's */
    char place[64]; /* the object that is being read: "factors.a34004."; "" = the whole */
};

/* Says what is wrong with a key of the object: "factors.a34004.unit: must be ...". Returns false. */
bool dialect_fault(struct dialect_parser *parser, const char *key, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Keys that are not in `known` are faults: a misspelt one would be a rule that does not hold. So are those that stand
 * there twice. */
bool dialect_know_keys(struct dialect_parser *parser, const cJSON *object, const char *const *known, size_t count);

/* A finite number; left as it is if the key is not there. */
bool dialect_read_number(struct dialect_parser *parser, const cJSON *object, const char *key, double *number);

/* Multiplies `scale` by what makes a number in the object's `unit` one of the metric's; left as it is without one. */
bool dialect_read_unit(struct dialect_parser *parser, const cJSON *object, const struct metric *metric, double *scale);

#endif
