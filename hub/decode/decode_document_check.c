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

/* Fields without which an entry of a list says nothing, and the one that names what it speaks of: of that, entries of a
 * record must not say different things. */
static const struct entry_check {
    const char *list, *needed[4], *named;
} entry_checks[] = {
    {"attachments", {"uri", "sha256", "size_bytes", "media_type"}, NULL},
    {"attributes", {"key"}, "key"},
    {"values", {"metric"}, "metric"},
    {"others", {"key"}, "key"},
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

static const cJSON *name_of(const struct entry_check *check, const cJSON *entry) {
    return cJSON_GetObjectItemCaseSensitive(entry, check->named);
}

/* The first member that both have and that is not the same in them; NULL = there is none. */
static const cJSON *member_of_two(const cJSON *one, const cJSON *other) {
    const cJSON *member;
    cJSON_ArrayForEach(member, one) {
        const cJSON *same = cJSON_GetObjectItemCaseSensitive(other, member->string);
        if (same != NULL && !cJSON_Compare(member, same, true)) {
            return member;
        }
    }
    return NULL;
}

/* An entry behind this one, or NULL, that says something else of the same thing: of what, is `differs`. */
static const cJSON *contradiction(const struct entry_check *check, const cJSON *entry, const cJSON **differs) {
    const cJSON *name = name_of(check, entry), *later;
    for (later = entry->next; later != NULL; later = later->next) {
        if (cJSON_Compare(name, name_of(check, later), true) && (*differs = member_of_two(entry, later)) != NULL) {
            break;
        }
    }
    return later;
}

static void remove_named(const struct entry_check *check, cJSON *list, cJSON *name) {
    for (cJSON *entry = list->child, *next; entry != NULL; entry = next) {
        next = entry->next;
        if (cJSON_Compare(name, name_of(check, entry), true)) {
            cJSON_Delete(cJSON_DetachItemViaPointer(list, entry));
        }
    }
}

void decode_document_lists(struct decoder *decoder, const ProtobufCMessageDescriptor *record, cJSON *object) {
    for (size_t i = 0; i < COUNT_OF(entry_checks); i++) {
        const struct entry_check *check = &entry_checks[i];
        cJSON *list = check->named == NULL ? NULL : cJSON_GetObjectItemCaseSensitive(object, check->list);
        const cJSON *differs = NULL;
        for (cJSON *entry = list == NULL ? NULL : list->child, *next; entry != NULL; entry = next) {
            next = entry->next;
            if (contradiction(check, entry, &differs) == NULL) {
                continue;
            }
            char shown[DECODE_SHOWN_MAX];
            cJSON *name = cJSON_Duplicate(name_of(check, entry), false);
            const char *text = cJSON_GetStringValue(name);
            decoder->at = decode_field_by_name(record, check->list, strlen(check->list));
            decode_refuse(decoder, PROBLEM_DUPLICATE_FIELD,
                          "%s: %s %s comes more than once, with different contents (%s); no such entry was taken",
                          check->list, check->named, text == NULL ? "" : text_show(shown, text, strlen(text)),
                          differs->string);
            remove_named(check, list, name);
            cJSON_Delete(name);
            next = list->child;
        }
        if (list != NULL && list->child == NULL) {
            cJSON_DeleteItemFromObjectCaseSensitive(object, check->list);
        }
    }
    decoder->at = NULL;
}
