/* json_document.c: JSON of somebody else's program as a tree, where json_reader.h's pull is not needed. Must never make
 * another number of one that a double cannot hold. */
#include "hub/decode/json_document.h"

#include <float.h>
#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "hub/base/buffer.h"
#include "hub/decode/json_reader.h"

/* Whether a double gives a whole number's digits back: a device's code is not to become another one's. */
static bool is_kept(const char *word, size_t length) {
    size_t digits = 0, sign = word[0] == '-';
    while (sign + digits < length && word[sign + digits] >= '0' && word[sign + digits] <= '9') {
        digits++;
    }
    return sign + digits < length || (digits <= DBL_DIG && (digits == 1 || word[sign] != '0'));
}

static bool is_value(const char *word, size_t length) {
    struct json_value number;
    return (length == 4 && (memcmp(word, "true", 4) == 0 || memcmp(word, "null", 4) == 0)) ||
           (length == 5 && memcmp(word, "false", 5) == 0) ||
           (json_text_number(word, length, &number) && isfinite(number.number) && is_kept(word, length));
}

/* The bytes with bare words that are no values as texts. */
static void quote_words(struct buffer *out, const char *at, const char *end) {
    static const char marks[] = "{}[]:, \t\r\n"; /* and its NUL */
    while (at < end) {
        const char *start = at;
        if (*at == '"') {
            for (at++; at < end && *at != '"'; at++) {
                at += *at == '\\' && at + 1 < end;
            }
            at += at < end;
            buffer_bytes(out, start, (size_t)(at - start));
        } else if (memchr(marks, *at, sizeof marks) != NULL) {
            buffer_bytes(out, at++, 1);
        } else {
            while (at < end && *at != '"' && memchr(marks, *at, sizeof marks) == NULL) {
                at++;
            }
            if (is_value(start, (size_t)(at - start))) {
                buffer_bytes(out, start, (size_t)(at - start));
            } else {
                buffer_json(out, start, (size_t)(at - start));
            }
        }
    }
}

/* An object or a list, and nothing behind it: any words are one text or several once they are quoted. */
static cJSON *whole_document(const char *bytes, size_t length) {
    const char *end = NULL;
    cJSON *document = cJSON_ParseWithLengthOpts(bytes, length, &end, false);
    while (end != NULL && end < bytes + length && (*end == '\0' || strchr(" \t\r\n", *end) != NULL)) {
        end++;
    }
    if (end != bytes + length || !(cJSON_IsObject(document) || cJSON_IsArray(document))) {
        cJSON_Delete(document);
        return NULL;
    }
    return document;
}

cJSON *json_document(const char *bytes, size_t length) {
    static const char mark[] = "\xef\xbb\xbf";
    size_t marked = length >= 3 && memcmp(bytes, mark, 3) == 0 ? 3 : 0;
    struct buffer quoted = {0};
    cJSON *document = NULL;
    quote_words(&quoted, bytes + marked, bytes + length);
    if (!quoted.failed && quoted.length > length - marked) {
        document = whole_document(quoted.data, quoted.length);
    }
    buffer_free(&quoted);
    return document == NULL && length > 0 ? cJSON_ParseWithLength(bytes, length) : document;
}
