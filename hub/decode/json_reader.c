/* json_reader.c: reads JSON value by value. Must never read past the end, recurse, or allocate. */
#include "hub/decode/json_reader.h"

#include <locale.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "hub/base/count.h"

enum { NUMBER_TEXT_MAX = 1024, EXACT_DIGITS = 19, EXACT_POWER = 22 };

static bool syntax(struct json_reader *reader, const char *problem) {
    if (reader->problem == NULL) {
        reader->problem = problem;
    }
    return false;
}

void json_reader_begin(struct json_reader *reader, const void *payload, size_t length, char *scratch) {
    static const char byte_order_mark[] = "\xef\xbb\xbf";
    *reader = (struct json_reader){
        .start = payload, .at = payload, .end = (const char *)payload + length, .scratch = scratch};
    if (length >= 3 && memcmp(payload, byte_order_mark, 3) == 0) {
        reader->at += 3;
    }
}

static void skip_blanks(struct json_reader *reader) {
    while (reader->at < reader->end &&
           (*reader->at == ' ' || *reader->at == '\n' || *reader->at == '\r' || *reader->at == '\t')) {
        reader->at++;
    }
}

/* The byte at hand, or NUL at the end (a NUL byte is no JSON either). */
static char peek(const struct json_reader *reader) {
    return reader->at < reader->end ? *reader->at : '\0';
}

static bool take_word(struct json_reader *reader, const char *word) {
    size_t length = strlen(word);
    if ((size_t)(reader->end - reader->at) < length || memcmp(reader->at, word, length) != 0) {
        return false;
    }
    reader->at += length;
    return true;
}

/* ---- tokens that are no values */

/* A value ends before one of these, or with the payload. */
static bool ends_value(const struct json_reader *reader) {
    switch (peek(reader)) {
    case ',':
    case '}':
    case ']':
    case ' ':
    case '\n':
    case '\r':
    case '\t':
        return true;
    default:
        return reader->at == reader->end;
    }
}

/* The container at hand goes on or ends here. */
static bool ends_item(const struct json_reader *reader) {
    bool in_array = reader->depth > 0 && (reader->arrays >> (reader->depth - 1) & 1) != 0;
    return reader->depth > 0 && (peek(reader) == ',' || peek(reader) == (in_array ? ']' : '}'));
}

/* NaN and infinity as C, C++, Java, Python and the runtime of Microsoft print them. */
static bool is_no_number(const char *text, size_t length, double *number) {
    static const char *const words[] = {"nan", "inf", "infinity"};
    bool minus = length > 0 && *text == '-';
    size_t sign = minus || (length > 0 && *text == '+');
    for (size_t i = 0; i < COUNT_OF(words); i++) {
        if (length - sign == strlen(words[i]) && strncasecmp(text + sign, words[i], length - sign) == 0) {
            *number = i == 0 ? NAN : minus ? -INFINITY : INFINITY;
            return true;
        }
    }
    *number = NAN;
    return (length - sign > 3 && strncmp(text + sign, "1.#", 3) == 0) ||
           (length - sign > 4 && strncasecmp(text + sign, "nan(", 4) == 0);
}

/* What begins at `start` is no value: takes it up to where one would end. */
static bool read_word(struct json_reader *reader, struct json_value *value, const char *start) {
    *value = (struct json_value){.kind = JSON_WORD, .text = start};
    reader->at = start;
    while (!ends_value(reader) && strchr("\"[{:", *reader->at) == NULL) {
        reader->at++;
    }
    value->length = (size_t)(reader->at - start);
    if (is_no_number(start, value->length, &value->number)) {
        value->kind = JSON_NUMBER;
    } else if (reader->at == reader->end) {
        return syntax(reader, "the payload ends too early");
    }
    if (!ends_value(reader) || (value->length == 0 && !ends_item(reader))) {
        return syntax(reader, "a value was expected");
    }
    return true;
}

/* ---- numbers */

/* strtod in the C locale, whatever the program's is. */
static double number_slow(const char *start, size_t length) {
    static locale_t c_locale;
    char text[NUMBER_TEXT_MAX];
    memcpy(text, start, length);
    text[length] = '\0';
    if (c_locale == (locale_t)0) {
        c_locale = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    }
    return c_locale == (locale_t)0 ? strtod(text, NULL) : strtod_l(text, NULL, c_locale);
}

struct number {
    uint64_t digits; /* the first 19 significant digits */
    int count;       /* of them, leading zeros left out */
    int exponent;    /* power of ten */
    bool more;       /* there were more digits: not exact */
};

static size_t read_digits(struct json_reader *reader, struct number *number, bool fraction) {
    const char *start = reader->at;
    for (; peek(reader) >= '0' && peek(reader) <= '9'; reader->at++) {
        if (number->count < EXACT_DIGITS) {
            number->digits = number->digits * 10 + (uint64_t)(*reader->at - '0');
            number->count += number->digits > 0;
            number->exponent -= fraction;
        } else {
            number->more = true;
        }
    }
    return (size_t)(reader->at - start);
}

static bool read_exponent(struct json_reader *reader, struct number *number) {
    reader->at++;
    bool minus = peek(reader) == '-';
    reader->at += minus || peek(reader) == '+';
    int power = 0;
    const char *start = reader->at;
    for (; peek(reader) >= '0' && peek(reader) <= '9'; reader->at++) {
        power = power < 100000 ? power * 10 + (*reader->at - '0') : power;
    }
    number->exponent += minus ? -power : power;
    return reader->at > start;
}

/* Up to 2^53 and 10^22 both factors are exact, so that one operation rounds right (W. D. Clinger, "How to read floating
 * point numbers accurately", 1990); the rest is strtod's. */
static double number_value(const char *start, const char *end, const struct number *number, bool minus) {
    static const double powers[EXACT_POWER + 1] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                                   1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                                                   1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
    if (number->more || number->digits > (UINT64_C(1) << 53) || number->exponent > EXACT_POWER ||
        number->exponent < -EXACT_POWER) {
        return number_slow(start, (size_t)(end - start));
    }
    double value = (double)number->digits;
    value = number->exponent < 0 ? value / powers[-number->exponent] : value * powers[number->exponent];
    return minus ? -value : value;
}

/* Reads what has the form of a number; false if it has not. */
static bool scan_number(struct json_reader *reader, struct json_value *value) {
    const char *start = reader->at;
    struct number number = {0};
    bool minus = peek(reader) == '-';
    reader->at += minus;
    value->kind = JSON_NUMBER;
    const char *digits = reader->at;
    size_t count = read_digits(reader, &number, false);
    if (count == 0 || (count > 1 && *digits == '0')) {
        return false;
    }
    bool plain = !number.more;
    if (peek(reader) == '.') {
        reader->at++;
        plain = false;
        if (read_digits(reader, &number, true) == 0) {
            return false;
        }
    }
    if (peek(reader) == 'e' || peek(reader) == 'E') {
        plain = false;
        if (!read_exponent(reader, &number)) {
            return false;
        }
    }
    if (reader->at - start >= NUMBER_TEXT_MAX) {
        return false;
    }
    value->number = number_value(start, reader->at, &number, minus);
    if (plain) {
        value->is_whole = number.digits <= INT64_MAX;
        value->whole = !value->is_whole ? 0 : minus ? -(int64_t)number.digits : (int64_t)number.digits;
    } else if (fabs(value->number) <= 9007199254740992.0 && value->number == floor(value->number)) { /* 2^53 */
        value->is_whole = true;
        value->whole = (int64_t)value->number;
    }
    return true;
}

static bool read_number(struct json_reader *reader, struct json_value *value) {
    const char *start = reader->at;
    return (scan_number(reader, value) && ends_value(reader)) || read_word(reader, value, start);
}

bool json_text_number(const char *text, size_t length, struct json_value *value) {
    struct json_reader reader = {.start = text, .at = text, .end = text + length};
    *value = (struct json_value){0};
    if (scan_number(&reader, value) && reader.at == reader.end) {
        return true;
    }
    *value = (struct json_value){.kind = JSON_NUMBER};
    return is_no_number(text, length, &value->number);
}

/* ---- strings */

static int hex_digits(const char *at) {
    int value = 0;
    for (int i = 0; i < 4; i++) {
        char c = at[i];
        int digit = c >= '0' && c <= '9'                     ? c - '0'
                    : (c | 0x20) >= 'a' && (c | 0x20) <= 'f' ? (c | 0x20) - 'a' + 10
                                                             : -1;
        if (digit < 0) {
            return -1;
        }
        value = value * 16 + digit;
    }
    return value;
}

/* Reads the four digits after \u, and the second half of a surrogate pair. Returns the character or -1. */
static int32_t read_unicode(struct json_reader *reader) {
    int first = reader->end - reader->at >= 4 ? hex_digits(reader->at) : -1;
    if (first < 0) {
        return -1;
    }
    reader->at += 4;
    if (first < 0xd800 || first > 0xdfff) {
        return first;
    }
    if (first > 0xdbff || reader->end - reader->at < 6 || reader->at[0] != '\\' || reader->at[1] != 'u') {
        return -1;
    }
    int second = hex_digits(reader->at + 2);
    if (second < 0xdc00 || second > 0xdfff) {
        return -1;
    }
    reader->at += 6;
    return 0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00);
}

static size_t encode_utf8(int32_t character, char bytes[4]) {
    if (character < 0x80) {
        bytes[0] = (char)character;
        return 1;
    }
    size_t length = character < 0x800 ? 2 : character < 0x10000 ? 3 : 4;
    static const int leads[] = {0, 0, 0xc0, 0xe0, 0xf0};
    for (size_t i = length - 1; i > 0; i--) {
        bytes[i] = (char)(0x80 | (character & 0x3f));
        character >>= 6;
    }
    bytes[0] = (char)(leads[length] | character);
    return length;
}

/* Reads the escape after a backslash into `bytes`. Returns their number, 0 for a wrong escape. */
static size_t read_escape(struct json_reader *reader, char bytes[4]) {
    static const char names[] = "\"\\/bfnrt", meanings[] = "\"\\/\b\f\n\r\t";
    char name = peek(reader);
    const char *found = name == '\0' ? NULL : strchr(names, name);
    if (found != NULL) {
        reader->at++;
        bytes[0] = meanings[found - names];
        return 1;
    }
    if (name != 'u') {
        return 0;
    }
    reader->at++;
    int32_t character = read_unicode(reader);
    return character < 0 ? 0 : encode_utf8(character, bytes);
}

/* The general form: copies into the scratch. `reader->at` is at the first backslash, `start` at the first byte. */
static bool read_escaped(struct json_reader *reader, struct json_value *value, const char *start) {
    size_t length = 0, kept = 0;
    reader->at = start;
    value->text = reader->scratch;
    while (reader->at < reader->end && *reader->at != '"') {
        char bytes[4] = {*reader->at++};
        size_t count = 1;
        if (bytes[0] == '\\') {
            count = read_escape(reader, bytes);
            value->wrong_escape = value->wrong_escape || count == 0;
        }
        if (length + count <= JSON_SCRATCH_MAX && !value->is_cut) {
            memcpy(reader->scratch + kept, bytes, count);
            kept += count;
        } else if (!value->is_cut) {
            value->is_cut = true; /* a character is not divided: zeros stand where it would have gone */
            memset(reader->scratch + kept, 0, JSON_SCRATCH_MAX - kept);
        }
        length += count;
    }
    value->length = length;
    if (reader->at >= reader->end) {
        return syntax(reader, "a string has no end");
    }
    reader->at++;
    return true;
}

static bool read_string(struct json_reader *reader, struct json_value *value) {
    const char *start = ++reader->at;
    value->kind = JSON_STRING;
    while (reader->at < reader->end && *reader->at != '"' && *reader->at != '\\') {
        reader->at++;
    }
    if (reader->at < reader->end && *reader->at == '\\') {
        return read_escaped(reader, value, start);
    }
    if (reader->at >= reader->end) {
        return syntax(reader, "a string has no end");
    }
    value->text = start;
    value->length = (size_t)(reader->at - start);
    reader->at++;
    return true;
}

/* ---- values */

static bool open_container(struct json_reader *reader, struct json_value *value, enum json_kind kind) {
    if (reader->depth == JSON_DEPTH_MAX) {
        return syntax(reader, "arrays and objects are nested more than 32 deep");
    }
    uint64_t bit = UINT64_C(1) << reader->depth;
    reader->arrays = kind == JSON_ARRAY ? reader->arrays | bit : reader->arrays & ~bit;
    reader->at++;
    reader->depth++;
    value->kind = kind;
    return true;
}

static bool read_name(struct json_reader *reader, struct json_value *value, const char *name, enum json_kind kind) {
    const char *start = reader->at;
    value->kind = kind;
    return (take_word(reader, name) && ends_value(reader)) || read_word(reader, value, start);
}

bool json_value(struct json_reader *reader, struct json_value *value) {
    *value = (struct json_value){0};
    if (reader->problem != NULL) {
        return false;
    }
    skip_blanks(reader);
    switch (peek(reader)) {
    case '"':
        return read_string(reader, value);
    case '{':
        return open_container(reader, value, JSON_OBJECT);
    case '[':
        return open_container(reader, value, JSON_ARRAY);
    case 't':
        return read_name(reader, value, "true", JSON_TRUE);
    case 'f':
        return read_name(reader, value, "false", JSON_FALSE);
    case 'n':
        return read_name(reader, value, "null", JSON_NULL);
    case '-':
    case '0':
    case '1':
    case '2':
    case '3':
    case '4':
    case '5':
    case '6':
    case '7':
    case '8':
    case '9':
        return read_number(reader, value);
    default:
        return read_word(reader, value, reader->at);
    }
}

/* Before each item: the bracket's end, or the comma that parts it from the one before. */
static bool next_item(struct json_reader *reader, bool *first, char closing) {
    if (reader->problem != NULL) {
        return false;
    }
    skip_blanks(reader);
    if (peek(reader) == closing) {
        reader->at++;
        reader->depth--;
        return false;
    }
    if (*first) {
        *first = false;
        return true;
    }
    if (peek(reader) != ',') {
        return syntax(reader, reader->at >= reader->end ? "the payload ends too early"
                              : closing == ']'          ? "a comma or ] was expected"
                                                        : "a comma or } was expected");
    }
    reader->at++;
    return true;
}

bool json_element(struct json_reader *reader, bool *first) {
    return next_item(reader, first, ']');
}

bool json_member(struct json_reader *reader, bool *first, struct json_value *name) {
    if (!next_item(reader, first, '}')) {
        return false;
    }
    *name = (struct json_value){.text = ""};
    skip_blanks(reader);
    if (ends_item(reader)) {
        return true; /* a comma and nothing behind it: a member without a name, its value an empty JSON_WORD */
    }
    if (peek(reader) != '"') {
        return syntax(reader,
                      reader->at < reader->end ? "a name in quotes was expected" : "the payload ends too early");
    }
    if (!read_string(reader, name)) {
        return false;
    }
    skip_blanks(reader);
    if (peek(reader) != ':') {
        return syntax(reader, reader->at < reader->end ? "a colon was expected" : "the payload ends too early");
    }
    reader->at++;
    return true;
}

bool json_skip(struct json_reader *reader, const struct json_value *value) {
    if (value->kind != JSON_ARRAY && value->kind != JSON_OBJECT) {
        return reader->problem == NULL;
    }
    unsigned outside = reader->depth - 1;
    uint64_t begun = 0; /* bit (depth - 1): an item of this container was read */
    while (reader->depth > outside) {
        unsigned level = reader->depth - 1;
        bool first = (begun >> level & 1) == 0;
        struct json_value item;
        bool more =
            (reader->arrays >> level & 1) != 0 ? json_element(reader, &first) : json_member(reader, &first, &item);
        if (more && json_value(reader, &item)) {
            begun |= UINT64_C(1) << level;
            if (item.kind == JSON_ARRAY || item.kind == JSON_OBJECT) {
                begun &= ~(UINT64_C(1) << (reader->depth - 1));
            }
        }
        if (reader->problem != NULL) {
            return false;
        }
    }
    return true;
}

bool json_recover(struct json_reader *reader, const char *start, unsigned depth) {
    unsigned open = 0;
    for (const char *at = start; at < reader->end; at++) {
        open += *at == '{' || *at == '[';
        if ((*at != '}' && *at != ']') || --open > 0) {
            continue;
        }
        if (*at == ']') {
            return false;
        }
        reader->at = at + 1;
        reader->depth = depth;
        reader->problem = NULL;
        return true;
    }
    return false;
}

bool json_at_end(struct json_reader *reader) {
    skip_blanks(reader);
    while (reader->at < reader->end && *reader->at == '\0') {
        reader->at++;
        skip_blanks(reader);
    }
    return reader->at == reader->end;
}

size_t json_count_elements(const struct json_reader *reader) {
    size_t commas = 0;
    unsigned depth = 0;
    for (const char *at = reader->at; at < reader->end; at++) {
        switch (*at) {
        case '"':
            for (at++; at < reader->end && *at != '"'; at++) {
                at += *at == '\\';
            }
            break;
        case '[':
        case '{':
            depth++;
            break;
        case ']':
        case '}':
            if (depth == 0) {
                return commas + 1;
            }
            depth--;
            break;
        case ',':
            commas += depth == 0;
            break;
        default:
            break;
        }
    }
    return commas + 1;
}
