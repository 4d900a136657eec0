/* json_reader.h: a pull reader of JSON (RFC 8259) over bounded bytes, for messages that nobody vouches for. Allocates
 * nothing, recurses never. Some things are taken that the RFC does not know, so that one odd value spoils only its own
 * field and not its neighbours: numbers that are none, as printf and others write them (NaN, -nan, inf, Infinity,
 * 1.#QNAN), any other token that is no value (01, 0x1f, --, or nothing where a value should be: JSON_WORD), a comma
 * with nothing behind it (an empty JSON_WORD, in an object without a name), strings with raw control characters or
 * wrong escapes (marked), a byte order mark at the start, NULs after the end. What such a value means is the caller's
 * business. */
#ifndef CITYHUB_JSON_READER_H
#define CITYHUB_JSON_READER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    JSON_DEPTH_MAX = 32,     /* arrays and objects within each other */
    JSON_SCRATCH_MAX = 4104, /* bytes of a string with escapes, unescaped; beyond, only its length is known */
};

enum json_kind { JSON_NULL, JSON_FALSE, JSON_TRUE, JSON_NUMBER, JSON_STRING, JSON_WORD, JSON_OBJECT, JSON_ARRAY };

struct json_value {
    enum json_kind kind;
    double number; /* JSON_NUMBER: its value; infinite if it is too large, NaN for NaN */
    bool is_whole; /* JSON_NUMBER: an integer within int64_t: `whole` */
    int64_t whole;
    /* JSON_STRING: points into the payload or, with escapes, into the scratch: good until the next call. JSON_WORD: the
     * token as it stands in the payload, perhaps empty. */
    const char *text;
    size_t length;     /* its bytes, unescaped */
    bool is_cut;       /* longer than the scratch: `text` has only the first JSON_SCRATCH_MAX bytes */
    bool wrong_escape; /* an unknown escape or half a surrogate pair */
};

struct json_reader {
    const char *start, *at, *end;
    char *scratch;       /* JSON_SCRATCH_MAX bytes */
    const char *problem; /* what is wrong with the syntax at `at`; NULL as long as all is well */
    unsigned depth;      /* of open arrays and objects */
    uint64_t arrays;     /* bit (depth - 1): what is open there is an array */
};

void json_reader_begin(struct json_reader *reader, const void *payload, size_t length, char *scratch);

/* Reads one value. Of an array or object only the opening bracket: go on with json_element or json_member, or
 * json_skip. Returns false at a syntax error (reader->problem), as all of these do. */
bool json_value(struct json_reader *reader, struct json_value *value);

/* Goes to an array's next element, an object's next member (with its name in `name`, its value follows). `*first` is
 * set to true by the caller before the first call. True: there is one. False: the end, or a syntax error. */
bool json_element(struct json_reader *reader, bool *first);
bool json_member(struct json_reader *reader, bool *first, struct json_value *name);

/* Skips to the end of an array or object that json_value has just opened; nothing to do for other values. */
bool json_skip(struct json_reader *reader, const struct json_value *value);

/* After a syntax error in an object whose brace is at `start`, an element of the array that is `depth` deep: goes on
 * behind that object, so that it costs nothing but itself. Brackets alone are counted, in texts too, for a quote may
 * be what is wrong. False: it has no end, and the error stands. */
bool json_recover(struct json_reader *reader, const char *start, unsigned depth);

/* True if nothing but blanks and NULs is left: C programs send the end of their string along. */
bool json_at_end(struct json_reader *reader);

/* The number that the whole of a text is, written as JSON writes numbers or one that is none (NaN); false if it is
 * something else. For numbers that came as strings. */
bool json_text_number(const char *text, size_t length, struct json_value *value);

/* After json_value has opened an array: how many elements it has at the most, by its commas (its syntax may
 * be wrong). */
size_t json_count_elements(const struct json_reader *reader);

#endif
