/* decode_document_check.c: what the values of documents must be beside their type: a table. What the database checks
 * too, it checks for whoever comes another way; here a bad value costs its field alone. */
#include <string.h>
#include <strings.h>

#include "hub/base/count.h"
#include "hub/base/text.h"
#include "hub/decode/decode_internal.h"

#define DIGITS "0123456789"
#define SMALL_LETTERS "abcdefghijklmnopqrstuvwxyz"
#define CAPITALS "ABCDEFGHIJKLMNOPQRSTUVWXYZ"

/* Texts of `alphabet` alone, `shortest` to `longest` of them. */
static const struct text_check {
    const char *field, *alphabet;
    size_t shortest, longest;
    const char *wanted;
} text_checks[] = {
    {"component_code", DIGITS, 16, 16, "16 digits (GB/T 30428.2)"},
    {"sha256", DIGITS "abcdefABCDEF", 64, 64, "64 hexadecimal digits"},
    {"flag", "NFMSDCTB", 1, 1, "one of N F M S D C T B (HJ 212)"},
};

static const struct number_check {
    const char *field;
    double lowest, highest;
} number_checks[] = {
    {"quality_score", 0, 100},
    {"quantity", 0, 999999999999999},
    {"size_bytes", 0, 999999999999999},
    {"seconds", 0, 86400},
};

static const char *const severities[] = {"info", "minor", "major", "critical"};

/* Fields without which an entry of a list says nothing. */
static const struct entry_check {
    const char *list, *needed[4];
} entry_checks[] = {
    {"attachments", {"uri", "sha256", "size_bytes", "media_type"}},
    {"attributes", {"key"}},
    {"values", {"metric"}},
    {"others", {"key"}},
};

/* Makes a severity the word that is meant, in small letters; false if it is none. */
static bool settle_severity(char *text) {
    for (size_t i = 0; i < COUNT_OF(severities); i++) {
        if (strcasecmp(severities[i], text) == 0) {
            memcpy(text, severities[i], strlen(severities[i]));
            return true;
        }
    }
    return false;
}

static bool is_media_type(const char *text) {
    size_t type = strspn(text, SMALL_LETTERS);
    const char *rest = text + type + 1;
    return type > 0 && text[type] == '/' && *rest != '\0' && strlen(rest) <= 100 &&
           strspn(rest, DIGITS SMALL_LETTERS CAPITALS ".+-") == strlen(rest);
}

bool decode_document_text(struct decoder *decoder, const char *field, char *text) {
    const char *wanted = NULL;
    size_t length = strlen(text);
    for (size_t i = 0; i < COUNT_OF(text_checks); i++) {
        const struct text_check *check = &text_checks[i];
        if (strcmp(check->field, field) == 0 &&
            (length < check->shortest || length > check->longest || strspn(text, check->alphabet) != length)) {
            wanted = check->wanted;
        }
    }
    if (strcmp(field, "uri") == 0 && (length > 2000 || strpbrk(text, " \t\r\n") != NULL)) {
        wanted = "an address of at most 2000 bytes without blanks";
    }
    if (strcmp(field, "media_type") == 0 && !is_media_type(text)) {
        wanted = "a media type such as image/jpeg";
    }
    if (strcmp(field, "severity") == 0 && !settle_severity(text)) {
        wanted = "info, minor, major or critical";
    }
    if (wanted != NULL) {
        char shown[DECODE_SHOWN_MAX];
        decode_refuse(decoder, PROBLEM_BAD_VALUE, "%s%s: is %s; it must be %s", decoder->within, field,
                      text_show(shown, text, length), wanted);
    }
    return wanted == NULL;
}

bool decode_document_number(struct decoder *decoder, const char *field, double number) {
    for (size_t i = 0; i < COUNT_OF(number_checks); i++) {
        const struct number_check *check = &number_checks[i];
        if (strcmp(check->field, field) == 0 && !(number >= check->lowest && number <= check->highest)) {
            decode_refuse(decoder, PROBLEM_BAD_VALUE, "%s%s: is %.9g; it must be %.15g to %.15g", decoder->within,
                          field, number, check->lowest, check->highest);
            return false;
        }
    }
    return true;
}

void decode_document_entry(struct decoder *decoder, const char *list, const cJSON *entry) {
    for (size_t i = 0; i < COUNT_OF(entry_checks); i++) {
        if (strcmp(entry_checks[i].list, list) != 0) {
            continue;
        }
        for (size_t n = 0; n < COUNT_OF(entry_checks[i].needed) && entry_checks[i].needed[n] != NULL; n++) {
            const char *needed = entry_checks[i].needed[n];
            if (cJSON_GetObjectItemCaseSensitive(entry, needed) == NULL) {
                decode_refuse(decoder, PROBLEM_MISSING_FIELD, "%s%s: is missing; every entry of %s needs one",
                              decoder->within, needed, list);
            }
        }
    }
}
