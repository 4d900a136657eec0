/* closing.h: how a part of the daemon is taken down. The loop lets go of handles only later, and a part has several:
 * this counts them, and when the last is gone it frees the part and tells whoever closed it. Belongs to the loop's
 * thread. */
#ifndef CITYHUB_CLOSING_H
#define CITYHUB_CLOSING_H

#include <stdbool.h>
#include <stddef.h>
#include <uv.h>

/* A member of the part; zero at first. */
struct closing {
    size_t left; /* what the loop still holds */
    bool begun;
    void (*release)(void *part);
    void *part;
    void (*closed)(void *user);
    void *user;
};

/* From now on the part ends as soon as nothing is left: `release` frees `part` with this struct in it, then `closed`
 * (may be NULL) is called. Something must be waited for, or it never ends. */
void closing_begin(struct closing *closing, void (*release)(void *part), void *part, void (*closed)(void *user),
                   void *user);

/* Closes a handle and waits for it. Its `data` is no longer the owner's. */
void closing_handle(struct closing *closing, uv_handle_t *handle);

/* Waits for one thing more, which ends by calling closing_over(closing) from the loop: another part's `closed`, work in
 * the thread pool. May come before closing_begin. */
void closing_await(struct closing *closing);
void closing_over(void *closing);

#endif
