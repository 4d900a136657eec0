/* parameter.h: a route's parameters: type, range, default; and one value checked against them. Pure functions. */
#ifndef CITYHUB_PARAMETER_H
#define CITYHUB_PARAMETER_H

#include <stdbool.h>
#include <stddef.h>

#include "hub/base/buffer.h"
#include "hub/http/negotiate.h"

enum parameter_kind {
    PARAMETER_NONE,    /* the end of a list of parameters */
    PARAMETER_TEXT,    /* low..high characters */
    PARAMETER_INTEGER, /* low..high, within 2^53 */
    PARAMETER_NUMBER,  /* low..high */
    PARAMETER_BOOLEAN, /* true or false */
    PARAMETER_CHOICE,  /* one of the words of `choices` */
    PARAMETER_TIME,    /* 2026-11-24T08:00:00Z or with an offset such as +08:00, or 2026-11-24 */
    PARAMETER_BOX,     /* west,south,east,north in degrees; west > east = over the date line */
};

struct parameter {
    const char *name; /* in the pattern as {name}: part of the path, otherwise of the query */
    enum parameter_kind kind;
    double low, high;
    bool clamp;          /* PARAMETER_INTEGER: what is above high counts as high, instead of being refused */
    const char *choices; /* PARAMETER_CHOICE: words with a blank between them */
    const char *initial; /* what counts if it is left out; NULL = left out it is */
    bool required;       /* of the query; the path's always are */
    unsigned list;       /* up to so many values with commas between them; 0 = one value */
    const char *meaning; /* one line, with the unit */
};

/* What C code reads; SQL functions get JSON. */
struct parameter_value {
    bool given;       /* or its default */
    const char *text; /* as it was sent, decoded; `length` bytes */
    size_t length;
    double number; /* PARAMETER_INTEGER, _NUMBER, _BOOLEAN (0 or 1), _CHOICE (index of the word); not of a list */
};

/* Whether `text` is a value of the parameter. Appends it as JSON to `json` (may be NULL) and fills `value`. Returns 0
 * or CH_EINVAL; then `json` has an unfinished value. `text` is valid UTF-8 without control characters. */
int parameter_check(const struct parameter *parameter, const char *text, size_t length, struct buffer *json,
                    struct parameter_value *value);

/* What a value must be, in words: "must be a whole number from 1 to 1000". */
void parameter_expected(const struct parameter *parameter, enum language language, char *text, size_t size);

/* NULL, or what is wrong with the row itself. */
const char *parameter_flaw(const struct parameter *parameter);

/* The JSON Schema name of its type, for the list of routes: "integer", "string", ... */
const char *parameter_type(const struct parameter *parameter);

#endif
