/* parameter.c: what a parameter's text must be: one row a kind. Must never accept a value that its kind's JSON, or the
 * SQL function that reads it, could take for something else. */
#include "hub/http/parameter.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hub/base/error.h"
#include "hub/base/text.h"

enum { NUMBER_TEXT_MAX = 32, EXACT_BITS = 53 };

/* ---- one value, by kind ---- */

static bool check_text(const struct parameter *parameter, const char *text, size_t length, double *number) {
    double characters = 0;
    for (size_t i = 0; i < length; i++) {
        characters += ((unsigned char)text[i] & 0xc0) != 0x80;
    }
    *number = characters;
    return characters >= parameter->low && characters <= parameter->high;
}

/* Digits with an optional sign; for a number also a point and an exponent. No blanks, no hexadecimals, no inf. */
static bool read_number(const char *text, size_t length, bool whole, double *number) {
    char copy[NUMBER_TEXT_MAX + 1];
    char *end = NULL;
    if (length == 0 || length > NUMBER_TEXT_MAX || memchr(text, '\0', length) != NULL) {
        return false;
    }
    memcpy(copy, text, length);
    copy[length] = '\0';
    if (strspn(copy, whole ? "-0123456789" : "-+.eE0123456789") != length) {
        return false;
    }
    *number = strtod(copy, &end);
    return *end == '\0' && isfinite(*number);
}

static bool check_integer(const struct parameter *parameter, const char *text, size_t length, double *number) {
    if (!read_number(text, length, true, number)) {
        return false;
    }
    if (parameter->clamp && *number > parameter->high) {
        *number = parameter->high;
    }
    return *number >= parameter->low && *number <= parameter->high;
}

static bool check_number(const struct parameter *parameter, const char *text, size_t length, double *number) {
    return read_number(text, length, false, number) && *number >= parameter->low && *number <= parameter->high;
}

static bool is_word(const char *word, size_t word_length, const char *text, size_t length) {
    return word_length == length && memcmp(word, text, length) == 0;
}

static bool check_boolean(const struct parameter *parameter, const char *text, size_t length, double *number) {
    (void)parameter;
    *number = is_word("true", 4, text, length);
    return *number == 1 || is_word("false", 5, text, length);
}

static bool check_choice(const struct parameter *parameter, const char *text, size_t length, double *number) {
    const char *choices = parameter->choices;
    size_t word_length;
    *number = 0;
    for (const char *word; (word = text_word(&choices, &word_length)) != NULL; *number += 1) {
        if (is_word(word, word_length, text, length)) {
            return true;
        }
    }
    return false;
}

/* A fixed form of digits: 9 stands for one, T for T or t, + for + or -; anything else for itself. */
static bool has_form(const char *text, size_t length, const char *form) {
    for (size_t i = 0; i < length; i++) {
        char wanted = form[i];
        bool fits = wanted == '9'   ? text[i] >= '0' && text[i] <= '9'
                    : wanted == 'T' ? text[i] == 'T' || text[i] == 't'
                    : wanted == '+' ? text[i] == '+' || text[i] == '-'
                                    : text[i] == wanted;
        if (!fits) {
            return false;
        }
    }
    return true;
}

static int digits2(const char *at) {
    return (at[0] - '0') * 10 + (at[1] - '0');
}

static bool is_day(const char *text) {
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    int year = digits2(text) * 100 + digits2(text + 2), month = digits2(text + 5), day = digits2(text + 8);
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    return year >= 1 && month >= 1 && month <= 12 && day >= 1 && day <= days[month - 1] + (month == 2 && leap);
}

/* RFC 3339. A year of 1 to 9999, no leap seconds, offsets within 14 hours, at most microseconds: what PostgreSQL takes
 * without a change. */
static bool check_time(const struct parameter *parameter, const char *text, size_t length, double *number) {
    enum { DAY = 10, SECONDS = 19, FRACTION_MAX = 6 };
    (void)parameter;
    *number = 0;
    if (length < DAY || !has_form(text, DAY, "9999-99-99") || !is_day(text)) {
        return false;
    }
    if (length == DAY) {
        return true;
    }
    if (length < SECONDS + 1 || !has_form(text + DAY, SECONDS - DAY, "T99:99:99") || digits2(text + 11) > 23 ||
        digits2(text + 14) > 59 || digits2(text + 17) > 59) {
        return false;
    }
    size_t at = SECONDS;
    if (text[at] == '.') {
        size_t begin = ++at;
        for (; at < length && text[at] >= '0' && text[at] <= '9'; at++) {
        }
        if (at == begin || at - begin > FRACTION_MAX) {
            return false;
        }
    }
    if (length - at == 1) {
        return text[at] == 'Z' || text[at] == 'z';
    }
    return length - at == 6 && has_form(text + at, 6, "+99:99") &&
           digits2(text + at + 1) * 60 + digits2(text + at + 4) <= 14 * 60 && digits2(text + at + 4) <= 59;
}

/* Four numbers with commas. */
static bool check_box(const struct parameter *parameter, const char *text, size_t length, double *number) {
    static const double limits[] = {180, 90, 180, 90};
    double corner[4] = {0};
    size_t at = 0;
    (void)parameter;
    for (int i = 0; i < 4; i++) {
        const char *comma = memchr(text + at, ',', length - at);
        size_t end = comma == NULL ? length : (size_t)(comma - text);
        if ((comma == NULL) != (i == 3) || !read_number(text + at, end - at, false, &corner[i]) ||
            fabs(corner[i]) > limits[i]) {
            return false;
        }
        at = end + 1;
    }
    *number = 0;
    return corner[1] <= corner[3];
}

/* ---- values as JSON ---- */

static void json_text(struct buffer *json, const char *text, size_t length, double number) {
    (void)number;
    buffer_json(json, text, length);
}

/* Not as it was sent: JSON has no leading zeros. */
static void json_number(struct buffer *json, const char *text, size_t length, double number) {
    (void)text;
    (void)length;
    buffer_format(json, "%.17g", number == 0 ? 0 : number); /* no -0 */
}

static void json_boolean(struct buffer *json, const char *text, size_t length, double number) {
    (void)text;
    (void)length;
    buffer_text(json, number == 1 ? "true" : "false");
}

static void json_box(struct buffer *json, const char *text, size_t length, double number) {
    (void)number;
    buffer_text(json, "[");
    for (size_t at = 0; at <= length;) {
        const char *comma = memchr(text + at, ',', length - at);
        size_t end = comma == NULL ? length : (size_t)(comma - text);
        double corner = 0;
        read_number(text + at, end - at, false, &corner);
        json_number(json, NULL, 0, corner);
        buffer_text(json, comma == NULL ? "]" : ",");
        at = end + 1;
    }
}

static const struct kind {
    const char *type; /* of JSON Schema */
    bool (*check)(const struct parameter *parameter, const char *text, size_t length, double *number);
    void (*json)(struct buffer *json, const char *text, size_t length, double number);
    const char *zh, *en; /* what it must be; %s: the range or the words */
} kinds[] = {
    [PARAMETER_TEXT] = {"string", check_text, json_text, "须为%s个字符的文本", "must be a text of %s characters"},
    [PARAMETER_INTEGER] = {"integer", check_integer, json_number, "须为%s的整数", "must be a whole number from %s"},
    [PARAMETER_NUMBER] = {"number", check_number, json_number, "须为%s的数", "must be a number from %s"},
    [PARAMETER_BOOLEAN] = {"boolean", check_boolean, json_boolean, "须为 true 或 false", "must be true or false"},
    [PARAMETER_CHOICE] = {"string", check_choice, json_text, "须为下列之一：%s", "must be one of: %s"},
    [PARAMETER_TIME] = {"string", check_time, json_text, "须为带时区的时刻，如 2026-11-24T08:00:00+08:00，或日期",
                        "must be a time with its offset, such as 2026-11-24T08:00:00+08:00, or a day"},
    [PARAMETER_BOX] = {"array", check_box, json_box, "须为四个数：西,南,东,北（度）",
                       "must be four numbers: west,south,east,north (degrees)"},
};

/* In a query + is a blank: an offset from UTC whose + was not escaped comes as 08:00 after one. Returns the length,
 * with the text in `mended`. */
static size_t mend_time(const char *text, size_t length, char mended[static NUMBER_TEXT_MAX + 1]) {
    memcpy(mended, text, length);
    mended[length] = '\0';
    if (length > 6 && mended[length - 6] == ' ') {
        mended[length - 6] = '+';
    }
    return length;
}

static int check_one(const struct parameter *parameter, const char *text, size_t length, struct buffer *json,
                     double *number) {
    const struct kind *kind = &kinds[parameter->kind];
    char mended[NUMBER_TEXT_MAX + 1];
    if (parameter->kind == PARAMETER_TIME && length <= NUMBER_TEXT_MAX) {
        length = mend_time(text, length, mended);
        text = mended;
    }
    if (!kind->check(parameter, text, length, number)) {
        return CH_EINVAL;
    }
    if (json != NULL) {
        kind->json(json, text, length, *number);
    }
    return 0;
}

int parameter_check(const struct parameter *parameter, const char *text, size_t length, struct buffer *json,
                    struct parameter_value *value) {
    *value = (struct parameter_value){.given = true, .text = text, .length = length};
    if (parameter->list == 0) {
        return check_one(parameter, text, length, json, &value->number);
    }
    unsigned count = 0;
    if (json != NULL) {
        buffer_text(json, "[");
    }
    for (size_t at = 0; at <= length; count++) {
        const char *comma = memchr(text + at, ',', length - at);
        size_t end = comma == NULL ? length : (size_t)(comma - text);
        if (json != NULL && count > 0) {
            buffer_text(json, ",");
        }
        if (count == parameter->list || check_one(parameter, text + at, end - at, json, &value->number) != 0) {
            return CH_EINVAL;
        }
        at = end + 1;
    }
    if (json != NULL) {
        buffer_text(json, "]");
    }
    return 0;
}

void parameter_expected(const struct parameter *parameter, enum language language, char *text, size_t size) {
    char what[512], range[256];
    bool zh = language == LANGUAGE_ZH;
    if (parameter->kind == PARAMETER_CHOICE) {
        snprintf(range, sizeof range, "%s", parameter->choices);
    } else {
        bool one = parameter->low == parameter->high;
        snprintf(range, sizeof range,
                 one  ? zh ? " %.15g " : "%.15g"
                 : zh ? " %.15g 至 %.15g "
                      : "%.15g to %.15g",
                 parameter->low, parameter->high);
    }
    const char *form = zh ? kinds[parameter->kind].zh : kinds[parameter->kind].en;
    const char *hole = strstr(form, "%s");
    int before = hole == NULL ? (int)strlen(form) : (int)(hole - form);
    snprintf(what, sizeof what, "%.*s%s%s", before, form, hole == NULL ? "" : range, hole == NULL ? "" : hole + 2);
    if (parameter->list > 0) {
        snprintf(text, size,
                 zh ? "须为最多 %u 个以逗号分隔的值，每个%s" : "must be up to %u values with commas, each: %s",
                 parameter->list, what);
    } else {
        snprintf(text, size, "%s", what);
    }
}

static bool is_name(const char *name) {
    size_t length = name == NULL ? 0 : strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_-");
    return length > 0 && length <= 32 && name[length] == '\0';
}

const char *parameter_flaw(const struct parameter *parameter) {
    struct parameter_value value;
    if (!is_name(parameter->name)) {
        return "its name must have 1 to 32 small letters, digits, _ or -";
    }
    if (parameter->low > parameter->high || fabs(parameter->low) > ldexp(1, EXACT_BITS) ||
        fabs(parameter->high) > ldexp(1, EXACT_BITS)) {
        return "its range is empty or beyond 2^53";
    }
    if (parameter->kind == PARAMETER_CHOICE ? parameter->choices == NULL || parameter->choices[0] == '\0'
                                            : parameter->choices != NULL) {
        return "words to choose from belong to a choice, and to nothing else";
    }
    if (parameter->kind == PARAMETER_TEXT && parameter->high < 1) {
        return "a text needs a range of characters";
    }
    if (parameter->clamp && parameter->kind != PARAMETER_INTEGER) {
        return "only a whole number is clamped";
    }
    if (parameter->list > 0 && parameter->kind == PARAMETER_BOX) {
        return "a box has commas itself";
    }
    if (parameter->initial != NULL &&
        (parameter->required ||
         parameter_check(parameter, parameter->initial, strlen(parameter->initial), NULL, &value) != 0)) {
        return "its default is not one of its values, or it is required";
    }
    return parameter->meaning == NULL || parameter->meaning[0] == '\0' ? "its meaning is missing" : NULL;
}

const char *parameter_type(const struct parameter *parameter) {
    return parameter->list > 0 ? "array" : kinds[parameter->kind].type;
}
