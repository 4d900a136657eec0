/* question.h: a target is asked what it has (对账), page by page, and the database is told. */
#ifndef CITYHUB_EXCHANGE_QUESTION_H
#define CITYHUB_EXCHANGE_QUESTION_H

#include <libpq-fe.h>

#include "hub/exchange/transport.h"

/* Asks, if the target can be asked and the database says that it is time to. Returns 0, also when the target did not
 * answer, which is logged and tried again later, or CH_EDATABASE. */
int question_ask(PGconn *database, struct transport *transport);

#endif
