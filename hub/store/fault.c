/* fault.c: several messages are divided, and one that fails alone, again and again, is to be refused. */
#include "hub/store/fault.h"

#include <stdio.h>
#include <string.h>

#include "hub/base/log.h"
#include "hub/base/text.h"

enum { LOSSES_TOGETHER = 2 /* of the connection, in a row, before a batch is divided */ };

/* It took too long, broke something within the server, needed more than it has, or ended its process. Several are
 * divided: when a connection is lost not at once, that is the server's as a rule. */
bool fault_suspect(struct suspicion *suspicion, struct slice *slice, const struct postgres_error *error) {
    struct batch_message *message = &slice->batch->messages[slice->first];
    int patience = postgres_error_patience(error);
    suspicion->failures = patience == suspicion->patience ? suspicion->failures : 0; /* each kind for itself */
    suspicion->patience = patience;
    if (slice->last - slice->first > 1) {
        if (error->sqlstate[0] == '\0' && suspicion->failures++ < LOSSES_TOGETHER) {
            return false;
        }
        suspicion->failures = 0;
        return true;
    }
    if (message->refused) {
        if (suspicion->refused) {
            *message = suspicion->innocent;
            suspicion->refused = false;
            suspicion->failures = 0;
        }
        return false;
    }
    if (suspicion->failures++ < patience) {
        return false;
    }
    suspicion->innocent = *message;
    suspicion->refused = true;
    return true;
}

void fault_reason(const struct postgres_error *error, int64_t statement_timeout_s, char *reason, size_t size) {
    if (strcmp(error->sqlstate, "57014") == 0) {
        snprintf(reason, size,
                 "the database takes longer for it than the %lld s that a statement has%s%.100s; send smaller messages",
                 (long long)statement_timeout_s, error->where[0] == '\0' ? "" : ": ", error->where);
    } else if (error->sqlstate[0] == '\0') {
        snprintf(reason, size,
                 "the database's session ended each time it was to be stored; send smaller messages, and tell the hub's"
                 " keepers");
    } else if (strncmp(error->sqlstate, "23", 2) == 0) {
        /* What a constraint says names tables and constraints: that is for the log, not for the vendor. */
        snprintf(reason, size,
                 "the database refuses it (SQLSTATE %s): its values contradict each other, or what is stored already",
                 error->sqlstate);
        log_error("message_contradicts", "sqlstate=%s reason=%s", error->sqlstate, log_quote(error->message));
    } else {
        snprintf(reason, size, "the database refuses it (SQLSTATE %s): %.180s", error->sqlstate, error->message);
    }
    text_trim(reason);
}
