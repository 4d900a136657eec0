/* decode_document_check.c: what the values of documents must be beside their type: a table. What the database checks
 * too, it checks for whoever comes another way; here a bad value costs its field alone. */
#include <stdlib.h>
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

/* An entry of a record's list with the name of what it speaks of. */
struct named {
    const char *name;
    cJSON *entry;
};

static int by_name(const void *one, const void *other) {
    return strcmp(((const struct named *)one)->name, ((const struct named *)other)->name);
}

/* The list's entries, by their names; returns how many. A vendor may send a hundred in every record: sorted, they are
 * compared once each. */
static size_t named_entries(const struct entry_check *check, cJSON *list, struct named all[DECODE_LIST_MAX]) {
    size_t count = 0;
    cJSON *entry;
    cJSON_ArrayForEach(entry, list) {
        const char *name = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(entry, check->named));
        if (name != NULL && count < DECODE_LIST_MAX) {
            all[count++] = (struct named){name, entry};
        }
    }
    qsort(all, count, sizeof *all, by_name);
    return count;
}

/* The first member of entries of one name that another of them says differently; NULL = there is none. */
static const cJSON *contradiction(const struct named *all, size_t count) {
    const cJSON *seen[PLAN_FIELDS_MAX], *member;
    size_t known = 0;
    for (size_t i = 0; i < count; i++) {
        cJSON_ArrayForEach(member, all[i].entry) {
            size_t at = 0;
            while (at < known && strcmp(seen[at]->string, member->string) != 0) {
                at++;
            }
            if (at < known && !cJSON_Compare(seen[at], member, true)) {
                return member;
            }
            if (at == known && known < PLAN_FIELDS_MAX) {
                seen[known++] = member;
            }
        }
    }
    return NULL;
}

/* Refuses the entries of one name, and takes them out, if they contradict each other. */
static void settle_named(struct decoder *decoder, const struct entry_check *check, cJSON *list, const struct named *all,
                         size_t count) {
    const cJSON *differs = contradiction(all, count);
    if (differs == NULL) {
        return;
    }
    char shown[DECODE_SHOWN_MAX];
    decode_refuse(decoder, PROBLEM_DUPLICATE_FIELD,
                  "%s: %s %s comes more than once, with different contents (%s); no such entry was taken", check->list,
                  check->named, text_show(shown, all->name, strlen(all->name)), differs->string);
    for (size_t i = 0; i < count; i++) {
        cJSON_Delete(cJSON_DetachItemViaPointer(list, all[i].entry));
    }
}

void decode_document_lists(struct decoder *decoder, const ProtobufCMessageDescriptor *record, cJSON *object) {
    for (size_t i = 0; i < COUNT_OF(entry_checks); i++) {
        const struct entry_check *check = &entry_checks[i];
        cJSON *list = check->named == NULL ? NULL : cJSON_GetObjectItemCaseSensitive(object, check->list);
        if (list == NULL) {
            continue;
        }
        struct named all[DECODE_LIST_MAX];
        size_t count = named_entries(check, list, all);
        decoder->at = decode_field_by_name(record, check->list, strlen(check->list));
        for (size_t from = 0, to = 0; from < count; from = to) {
            while (to < count && strcmp(all[from].name, all[to].name) == 0) {
                to++;
            }
            settle_named(decoder, check, list, &all[from], to - from);
        }
        if (list->child == NULL) {
            cJSON_DeleteItemFromObjectCaseSensitive(object, check->list);
        }
    }
    decoder->at = NULL;
}
