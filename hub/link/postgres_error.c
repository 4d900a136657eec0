/* postgres_error.c: classes of SQLSTATE, as PostgreSQL's appendix A has them. */
#include "hub/link/postgres_error.h"

#include <stddef.h>
#include <string.h>

#include "hub/base/count.h"

/* Classes that are not the data's fault; what else a database of ours raises is. */
static const struct {
    char class[3];
    bool misfit;
} transient_classes[] = {
    {"", false},   /* the connection was lost */
    {"08", false}, /* connection exception */
    {"25", false}, /* invalid transaction state: read-only, as a standby is */
    {"3F", true},  /* invalid schema name */
    {"40", false}, /* transaction rollback: deadlock, serialization */
    {"42", true},  /* syntax error or access rule violation: not migrated, or a right is missing */
    {"53", false}, /* insufficient resources: disk, memory, connections */
    {"55", false}, /* object not in prerequisite state: a lock was not to be had */
    {"57", false}, /* operator intervention: shutdown, statement_timeout */
    {"58", false}, /* system error */
    {"F0", false}, /* configuration file error */
    {"XX", false}, /* internal error */
};

/* The entry of the error's class, or their number. */
static size_t class_find(const struct postgres_error *error) {
    size_t at = 0;
    while (at < COUNT_OF(transient_classes) && strncmp(error->sqlstate, transient_classes[at].class, 2) != 0) {
        at++;
    }
    return at;
}

bool postgres_error_transient(const struct postgres_error *error) {
    return class_find(error) < COUNT_OF(transient_classes);
}

int postgres_error_patience(const struct postgres_error *error) {
    static const struct {
        const char *begin;
        int patience;
    } suspicious[] = {{"57014", 1}, {"XX", 4}, {"53200", 60}, {"53400", 60}};
    for (size_t i = 0; i < COUNT_OF(suspicious); i++) {
        if (strncmp(error->sqlstate, suspicious[i].begin, strlen(suspicious[i].begin)) == 0) {
            return suspicious[i].patience;
        }
    }
    return error->sqlstate[0] == '\0' ? 20 : 0;
}

bool postgres_error_misfit(const struct postgres_error *error) {
    size_t at = class_find(error);
    return at < COUNT_OF(transient_classes) && transient_classes[at].misfit;
}
