/* text.c: checks and shows text from outside. Must never read past the given length nor print raw bytes. */
#include "hub/base/text.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

enum { SHOWN_CHARACTERS_MAX = 32 };

/* RFC 3629, table of section 4. */
size_t text_character(const char *text, size_t left) {
    const unsigned char *at = (const unsigned char *)text;
    if (left == 0) {
        return 0;
    }
    unsigned char lead = at[0];
    if (lead < 0x80) {
        return 1;
    }
    size_t length = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
    if (lead < 0xc2 || lead > 0xf4 || left < length) {
        return 0;
    }
    for (size_t i = 1; i < length; i++) {
        if ((at[i] & 0xc0) != 0x80) {
            return 0;
        }
    }
    bool longer_than_needed = (lead == 0xe0 && at[1] < 0xa0) || (lead == 0xf0 && at[1] < 0x90);
    bool surrogate = lead == 0xed && at[1] >= 0xa0;
    bool too_large = lead == 0xf4 && at[1] >= 0x90;
    return longer_than_needed || surrogate || too_large ? 0 : length;
}

static bool is_control(const unsigned char *at) {
    return at[0] < 0x20 || at[0] == 0x7f || (at[0] == 0xc2 && at[1] < 0xa0); /* C1: U+0080 to U+009F */
}

const char *text_flaw(const char *text, size_t length, bool lines) {
    const unsigned char *at = (const unsigned char *)text, *end = at + length;
    while (at < end) {
        if (*at >= 0x20 && *at < 0x7f) {
            at++;
            continue;
        }
        size_t bytes = text_character((const char *)at, (size_t)(end - at));
        if (bytes == 0) {
            return "is not valid UTF-8";
        }
        if (is_control(at) && !(lines && (*at == '\t' || *at == '\n' || *at == '\r'))) {
            return "has a control character";
        }
        at += bytes;
    }
    return NULL;
}

const char *text_show(char shown[static DECODE_SHOWN_MAX], const char *text, size_t length) {
    enum { ROOM_FOR_END = 5 }; /* ..." and the NUL */
    const unsigned char *at = (const unsigned char *)text;
    size_t used = 0, left = length;
    shown[used++] = '"';
    for (int count = 0; left > 0; count++) {
        size_t bytes = text_character((const char *)at, left);
        bool plain = bytes > 0 && !is_control(at) && *at != '"' && *at != '\\';
        size_t needed = plain ? bytes : 4;
        if (count == SHOWN_CHARACTERS_MAX || used + needed + ROOM_FOR_END > DECODE_SHOWN_MAX) {
            memcpy(shown + used, "...", 3);
            used += 3;
            break;
        }
        if (plain) {
            memcpy(shown + used, at, bytes);
        } else {
            snprintf(shown + used, needed + 1, "\\x%02x", *at);
            bytes = 1;
        }
        used += needed;
        at += bytes;
        left -= bytes;
    }
    shown[used++] = '"';
    shown[used] = '\0';
    return shown;
}

/* Where digits and points from `at` on end. */
static size_t after_digits(const char *text, size_t length, size_t at) {
    while (at < length && ((text[at] >= '0' && text[at] <= '9') || text[at] == '.')) {
        at++;
    }
    return at;
}

bool text_is_formula(const char *text, size_t length, const char *signs) {
    char sign = length > 0 ? text[0] : '\0';
    if (length >= 3 && text[0] == '\xef' && text[1] == '\xbc' && (unsigned char)text[2] >= 0x81) {
        sign = (char)((unsigned char)text[2] - 0x60); /* U+FF01 to U+FF3F: those of ASCII in wide form */
    }
    if (sign == '\t' || sign == '\r' || sign == '\n') {
        return true;
    }
    if (sign == '\0' || strchr(signs, sign) == NULL || length == 1) {
        return false;
    }
    if (sign != text[0] || sign == '=' || sign == '@') {
        return true;
    }
    size_t end = after_digits(text, length, 1);
    if (end > 1 && end + 2 < length && (text[end] | 0x20) == 'e') {
        end = after_digits(text, length, end + 2); /* -1e-05 */
    }
    return end != length;
}

const char *text_word(const char **words, size_t *length) {
    const char *word = *words + strspn(*words, " ");
    *length = strcspn(word, " ");
    *words = word + *length;
    return *length == 0 ? NULL : word;
}

void text_trim(char *text) {
    size_t length = strlen(text), start = length;
    while (start > 0 && length - start < 4 && ((unsigned char)text[start - 1] & 0xc0) == 0x80) {
        start--;
    }
    if (start > 0 && (unsigned char)text[start - 1] >= 0xc0) {
        start--;
        if (text_character(text + start, length - start) == 0) {
            text[start] = '\0';
        }
    }
}

bool text_is_chinese(const char *text) {
    return ((unsigned char)text[0] & 0x80) != 0;
}

void words_set(struct words *words, const char *zh, const char *en, ...) {
    va_list arguments, again;
    va_start(arguments, en);
    va_copy(again, arguments);
    vsnprintf(words->zh, sizeof words->zh, zh, arguments);
    vsnprintf(words->en, sizeof words->en, en, again);
    va_end(again);
    va_end(arguments);
    text_trim(words->zh);
    text_trim(words->en);
}

void text_clean(const char *bytes, size_t length, char *text, size_t room) {
    size_t used = 0;
    for (size_t at = 0; at < length;) {
        size_t size = text_character(bytes + at, length - at);
        bool fits = size > 0 && text_flaw(bytes + at, size, false) == NULL;
        if (used + (fits ? size : 1) >= room) {
            break;
        }
        if (fits) {
            memcpy(text + used, bytes + at, size);
        } else {
            text[used] = size == 1 ? ' ' : '?';
        }
        used += fits ? size : 1;
        at += size == 0 ? 1 : size;
    }
    text[used] = '\0';
}

void text_xml(char *text) {
    char *to = text;
    for (const char *at = text; *at != '\0';) {
        if (strncmp(at, "\xef\xbf\xbe", 3) == 0 || strncmp(at, "\xef\xbf\xbf", 3) == 0) {
            at += 3;
        } else {
            *to++ = *at++;
        }
    }
    *to = '\0';
}
