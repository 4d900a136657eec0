/* letters.c: see letters.h. Must never end one as stored that the hub has not named. */
#include "hub/gateway/letters.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hub/base/error.h"
#include "hub/base/member.h"

struct letter {
    char name[LETTER_NAME_MAX];
    struct parcel *parcel; /* NULL = a free place */
    uint64_t late_at;
};

struct letters {
    struct letter list[LETTERS_MAX];
};

struct letters *letters_new(void) {
    return calloc(1, sizeof(struct letters));
}

void letters_free(struct letters *letters) {
    free(letters);
}

static struct letter *free_place(struct letters *letters) {
    for (size_t i = 0; i < LETTERS_MAX; i++) {
        if (letters->list[i].parcel == NULL) {
            return &letters->list[i];
        }
    }
    return NULL;
}

bool letters_full(const struct letters *letters) {
    for (size_t i = 0; i < LETTERS_MAX; i++) {
        if (letters->list[i].parcel == NULL) {
            return false;
        }
    }
    return true;
}

int letters_add(struct letters *letters, const char *name, struct parcel *parcel, uint64_t late_at) {
    struct letter *letter = free_place(letters);
    if (letter == NULL) {
        return CH_EFULL;
    }
    snprintf(letter->name, sizeof letter->name, "%s", name);
    letter->parcel = parcel;
    letter->late_at = late_at;
    parcel->parts++;
    return 0;
}

static void letter_end(struct letter *letter, enum parcel_end end) {
    struct parcel *parcel = letter->parcel;
    letter->parcel = NULL;
    parcel_part_end(parcel, end);
}

void letters_take(struct letters *letters, const cJSON *answers) {
    const cJSON *answer;
    cJSON_ArrayForEach(answer, answers) {
        const char *name = member_text(answer, "letter");
        for (size_t i = 0; i < LETTERS_MAX; i++) {
            struct letter *letter = &letters->list[i];
            if (letter->parcel != NULL && strcmp(letter->name, name) == 0) {
                letter_end(letter, member_true(answer, "kept") ? PARCEL_STORED : PARCEL_REFUSED);
            }
        }
    }
}

void letters_late(struct letters *letters, uint64_t now) {
    for (size_t i = 0; i < LETTERS_MAX; i++) {
        if (letters->list[i].parcel != NULL && letters->list[i].late_at <= now) {
            letter_end(&letters->list[i], PARCEL_UNSURE);
        }
    }
}
