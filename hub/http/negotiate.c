/* negotiate.c: reads lists of `name;q=0.5` and of entity tags. Must never read past a value's end nor fail: a header
 * that makes no sense asks for nothing. */
#include "hub/http/negotiate.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { QUALITY_FULL = 1000 };

/* One element of a list: its name, without parameters, and its weight in thousandths. */
struct element {
    const char *name;
    size_t length;
    int quality;
};

/* qvalue: 0 or 1 with up to three decimals; anything else counts as full. */
static int quality_of(const char *at) {
    if ((*at != '0' && *at != '1') || (at[1] != '.' && at[1] != '\0' && strchr(",; \t", at[1]) == NULL)) {
        return QUALITY_FULL;
    }
    int quality = (*at - '0') * QUALITY_FULL;
    int weight = QUALITY_FULL / 10;
    for (at += at[1] == '.' ? 2 : 1; *at >= '0' && *at <= '9'; at++) {
        quality += (*at - '0') * weight;
        weight /= 10;
    }
    return quality > QUALITY_FULL ? QUALITY_FULL : quality;
}

/* The end of a parameter: ; or , or the end, outside quotes. */
static const char *parameter_end(const char *at) {
    bool quoted = false;
    for (; *at != '\0' && (quoted || (*at != ';' && *at != ',')); at++) {
        if (*at == '\\' && quoted && at[1] != '\0') {
            at++;
        } else if (*at == '"') {
            quoted = !quoted;
        }
    }
    return at;
}

/* Takes the next element from `rest`; false at the end. */
static bool next_element(const char **rest, struct element *element) {
    const char *at = *rest;
    at += strspn(at, " \t,");
    if (*at == '\0') {
        return false;
    }
    *element = (struct element){.name = at, .length = strcspn(at, ",; \t"), .quality = QUALITY_FULL};
    at = parameter_end(at);
    while (*at == ';') {
        at += 1 + strspn(at + 1, " \t");
        if ((*at == 'q' || *at == 'Q') && at[1] == '=') {
            element->quality = quality_of(at + 2);
        }
        at = parameter_end(at);
    }
    *rest = at;
    return true;
}

static bool is_named(const struct element *element, const char *name, size_t length) {
    return element->length == length && strncasecmp(element->name, name, length) == 0;
}

/* Who takes JSON takes what is written in it: GeoJSON, OpenAPI (RFC 6839). */
static bool is_json(const struct element *range, const char *type, size_t length) {
    static const char end[] = "+json";
    size_t end_length = sizeof end - 1;
    return length > end_length && strncasecmp(type + length - end_length, end, end_length) == 0 &&
           (is_named(range, "application/json", 16) || is_named(range, "application/*+json", 18));
}

/* How well a media range fits: 3 exactly, 2 what the type is one of, 1 anything, 0 not. */
static int range_fit(const struct element *range, const char *type, size_t length) {
    size_t main_length = (size_t)(strchr(type, '/') - type) + 1;
    if (is_named(range, type, length)) {
        return 3;
    }
    if (range->length == main_length + 1 && strncasecmp(range->name, type, main_length) == 0 &&
        range->name[main_length] == '*') {
        return 2;
    }
    if (is_json(range, type, length)) {
        return 2;
    }
    return is_named(range, "*/*", 3) ? 1 : 0;
}

bool negotiate_type(const char *accept, const char *type) {
    struct element range;
    int best = 0, quality = 0;
    bool any = false;
    size_t length = strcspn(type, "; ");
    for (const char *rest = accept; accept != NULL && next_element(&rest, &range);) {
        int fit = range_fit(&range, type, length);
        any = true;
        if (fit > best || (fit == best && fit > 0 && range.quality > quality)) {
            best = fit;
            quality = range.quality;
        }
    }
    return !any || quality > 0;
}

bool negotiate_gzip(const char *accept_encoding) {
    struct element coding;
    int named = -1, anything = 0;
    for (const char *rest = accept_encoding; accept_encoding != NULL && next_element(&rest, &coding);) {
        if (is_named(&coding, "gzip", 4) || is_named(&coding, "x-gzip", 6)) {
            named = coding.quality;
        } else if (is_named(&coding, "*", 1)) {
            anything = coding.quality;
        }
    }
    return (named >= 0 ? named : anything) > 0;
}

/* A language range fits its language and those with a subtag: zh, zh-CN, zh-Hans-CN. */
static bool is_language(const struct element *range, const char *language) {
    return range->length >= 2 && strncasecmp(range->name, language, 2) == 0 &&
           (range->length == 2 || range->name[2] == '-');
}

enum language negotiate_language(const char *accept_language) {
    struct element range;
    int chinese = -1, english = -1, anything = 0;
    for (const char *rest = accept_language; accept_language != NULL && next_element(&rest, &range);) {
        if (is_language(&range, "zh")) {
            chinese = range.quality > chinese ? range.quality : chinese;
        } else if (is_language(&range, "en")) {
            english = range.quality > english ? range.quality : english;
        } else if (is_named(&range, "*", 1)) {
            anything = range.quality;
        }
    }
    return (english >= 0 ? english : anything) > (chinese >= 0 ? chinese : anything) ? LANGUAGE_EN : LANGUAGE_ZH;
}

bool negotiate_matches(const char *if_none_match, const char *etag) {
    static const char gzip_end[] = "-gzip\"";
    size_t length = strlen(etag);
    const char *bare = strncmp(etag, "W/", 2) == 0 ? etag + 2 : etag;
    size_t bare_length = length - (size_t)(bare - etag);
    for (const char *at = if_none_match; at != NULL && *at != '\0';) {
        at += strspn(at, " \t,");
        if (*at == '*') {
            return true;
        }
        at += strncmp(at, "W/", 2) == 0 ? 2 : 0;
        const char *end = *at == '"' ? strchr(at + 1, '"') : NULL;
        if (end == NULL) {
            return false;
        }
        size_t found = (size_t)(end - at) + 1;
        if (found == bare_length && strncmp(at, bare, found) == 0) {
            return true;
        }
        if (found == bare_length + sizeof gzip_end - 2 && strncmp(at, bare, bare_length - 1) == 0 &&
            strncmp(at + bare_length - 1, gzip_end, sizeof gzip_end - 1) == 0) {
            return true;
        }
        at = end + 1;
    }
    return false;
}
