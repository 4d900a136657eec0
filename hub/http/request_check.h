/* request_check.h: judges a request's head, and its body's form, against its row. */
#ifndef CITYHUB_REQUEST_CHECK_H
#define CITYHUB_REQUEST_CHECK_H

#include "hub/http/request.h"

/* Finds the row and checks method, role, parameters, Accept and the body's headers; or refuses the request, or answers
 * OPTIONS. Fills what the head says. */
void request_check(struct request *request, const char *method);

/* Whether a body is coming that is longer than `most` bytes, or waits for leave to come. */
bool request_body_unreadable(const struct request *request, uint64_t most);

/* Refuses it because its body is larger than its row allows. */
void request_refuse_large(struct request *request);

/* Whether the collected body is what its type says; refuses the request if not. */
bool request_body_fits(struct request *request);

/* Whether these bytes, the body of a row with a sink of its own, are text as JSON has to be; refuses the request if
 * not.
 */
bool request_body_is_text(struct request *request, const char *bytes, size_t length);

#endif
