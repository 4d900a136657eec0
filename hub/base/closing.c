/* closing.c: counts down what the loop still holds of a part. Must never free it while a handle is open. */
#include "hub/base/closing.h"

void closing_begin(struct closing *closing, void (*release)(void *part), void *part, void (*closed)(void *user),
                   void *user) {
    closing->begun = true;
    closing->release = release;
    closing->part = part;
    closing->closed = closed;
    closing->user = user;
}

void closing_await(struct closing *closing) {
    closing->left++;
}

void closing_over(void *closing) {
    struct closing *at = closing;
    if (--at->left > 0 || !at->begun) {
        return;
    }
    void (*closed)(void *user) = at->closed;
    void *user = at->user;
    at->release(at->part);
    if (closed != NULL) {
        closed(user);
    }
}

static void handle_closed(uv_handle_t *handle) {
    closing_over(handle->data);
}

void closing_handle(struct closing *closing, uv_handle_t *handle) {
    closing_await(closing);
    handle->data = closing;
    uv_close(handle, handle_closed);
}
